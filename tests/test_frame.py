"""The way into the network's square and back, against the code that SAM was released with."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from promptseg.nn.image_transform import ImageTransform
from promptseg.prompts import Prompt
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SIZES = [(100, 160), (160, 100), (61, 64), (200, 30), (64, 64), (7, 9), (1, 64)]
LENGTHS = st.integers(1, 5000)
BOTH = pytest.mark.parametrize("keep_aspect", [True, False])


def frame(size: int = 64, keep_aspect: bool = True) -> ImageTransform:
    return ImageTransform(size, keep_aspect, MEAN, STD)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(LENGTHS, LENGTHS, st.sampled_from([64, 256, 352, 1024]))
def test_a_picture_takes_what_segment_anything_gives_it(height, width, size):
    content = frame(size).content(height, width)
    assert content == ResizeLongestSide.get_preprocess_shape(height, width, size)
    assert max(content) == size
    assert frame(size, False).content(height, width) == (size, size)


def test_half_a_pixel_is_rounded_up():
    """Sides of 100.5 and 102.5 pixels, which Python's own round would make even."""
    assert frame(1024).content(201, 2048) == (101, 1024)
    assert frame(1024).content(2048, 205) == (1024, 103)


@pytest.mark.parametrize("height, width", SIZES)
def test_pixels_are_those_of_segment_anything(height, width):
    image = picture(height, width)
    resized = torch.as_tensor(ResizeLongestSide(64).apply_image(image)).permute(2, 0, 1)
    sam = SimpleNamespace(
        image_encoder=SimpleNamespace(img_size=64),
        pixel_mean=torch.tensor(MEAN)[:, None, None],
        pixel_std=torch.tensor(STD)[:, None, None],
    )
    assert torch.equal(frame().pixels([image])[0], Sam.preprocess(sam, resized))


@BOTH
def test_pixels_are_resized_by_pillow_normalized_and_padded_with_zeros(keep_aspect):
    images = [picture(40, 90), picture(90, 40, 1), picture(64, 64, 2), picture(30, 30, 3)[..., 0]]
    out = frame(64, keep_aspect).pixels(images)
    assert out.shape == (4, 3, 64, 64) and out.dtype == torch.float32
    for image, values in zip(images, out):
        height, width = frame(64, keep_aspect).content(*image.shape[:2])
        shown = Image.fromarray(image).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        expected = np.zeros((64, 64, 3))
        expected[:height, :width] = (np.asarray(shown, float) - MEAN) / STD
        np.testing.assert_allclose(values.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_a_picture_of_the_frame_s_size_is_not_resampled():
    image = picture(64, 64)
    expected = (image - np.array(MEAN)) / STD
    np.testing.assert_allclose(frame().pixels([image])[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)


@BOTH
@pytest.mark.parametrize("height, width", SIZES)
def test_prompts_are_scaled_with_their_picture(keep_aspect, height, width):
    points = np.random.default_rng(0).uniform(0, 1, (5, 2)) * (width, height)
    box = np.array([0.25 * width, 0.5 * height, width, height])
    asked = Prompt(2, points=points, labels=np.array([1, 0, 1, 1, 0]), box=box, text="fire")
    scaled = frame(64, keep_aspect).prompt(asked, height, width)
    inner = frame(64, keep_aspect).content(height, width)
    np.testing.assert_allclose(scaled.points, points * (inner[1] / width, inner[0] / height))
    np.testing.assert_allclose(scaled.box, [0.25 * inner[1], 0.5 * inner[0], inner[1], inner[0]])
    assert (scaled.target, scaled.text) == (2, "fire") and scaled.labels is asked.labels
    if keep_aspect:
        np.testing.assert_allclose(scaled.points, ResizeLongestSide(64).apply_coords(points, (height, width)))
        np.testing.assert_allclose(scaled.box, ResizeLongestSide(64).apply_boxes(box, (height, width))[0])


def test_a_prompt_without_coordinates_stays_as_it_is():
    scaled = frame().prompt(Prompt(text="fire"), 30, 50)
    assert (scaled.text, scaled.points, scaled.labels, scaled.box) == ("fire", None, None, None)


@BOTH
@given(height=st.integers(8, 3000), width=st.integers(8, 3000), x=st.floats(0, 1), y=st.floats(0, 1))
def test_a_point_comes_back_to_where_it_was(keep_aspect, height, width, x, y):
    here, asked = frame(1024, keep_aspect), Prompt(points=np.array([[x * width, y * height]]))
    there = here.prompt(asked, height, width)
    inner = here.content(height, width)
    assert (there.points >= 0).all() and (there.points <= (inner[1], inner[0])).all()
    back = there.points * (width / inner[1], height / inner[0])
    np.testing.assert_allclose(back, asked.points, atol=1e-9 * max(height, width))


@pytest.mark.parametrize("height, width", SIZES)
def test_a_marked_pixel_is_seen_where_its_prompt_points(height, width):
    """Sample, prompt and answer agree about where things are, not only each with itself."""
    image = np.zeros((height, width, 3), np.uint8)
    row, column = height // 2, width // 3
    image[row, column] = 255
    bright = frame(64).pixels([image])[0].sum(0) - frame(64).pixels([image * 0])[0].sum(0)
    weight = (bright / bright.sum()).numpy()
    center = np.array([(weight.sum(0) * (np.arange(64) + 0.5)).sum(), (weight.sum(1) * (np.arange(64) + 0.5)).sum()])
    asked = frame(64).prompt(Prompt(points=np.array([[column + 0.5, row + 0.5]])), height, width)
    np.testing.assert_allclose(center, asked.points[0], atol=0.5)


@pytest.mark.parametrize("height, width", SIZES)
@pytest.mark.parametrize("side", [16, 64])
def test_logits_come_back_as_segment_anything_brings_them(height, width, side):
    logits = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    sam = SimpleNamespace(image_encoder=SimpleNamespace(img_size=64))
    expected = Sam.postprocess_masks(sam, logits[None], frame().content(height, width), (height, width))[0]
    assert torch.equal(frame().to_picture(logits, height, width), expected)


@pytest.mark.parametrize("height, width", SIZES)
def test_where_the_aspect_is_not_kept_logits_are_interpolated_once(height, width):
    logits = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(logits[None], (height, width), mode="bilinear", align_corners=False)[0]
    assert torch.equal(frame(64, False).to_picture(logits, height, width), expected)


def test_logits_of_half_precision_are_interpolated_in_full():
    logits = torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(0)).half()
    found = frame().to_picture(logits, 100, 64)
    assert found.dtype == torch.float32 and torch.equal(found, frame().to_picture(logits.float(), 100, 64))


@BOTH
def test_a_mask_of_the_map_s_size_is_the_map(keep_aspect):
    mask = np.random.default_rng(0).uniform(0, 1, (64, 64)).astype(np.float32)
    found = frame(64, keep_aspect).from_picture(mask, 64)
    assert found.dtype == np.float32 and np.array_equal(found, mask)


@pytest.mark.parametrize("height, width", [(300, 300), (300, 180), (180, 300), (512, 100)])
@BOTH
def test_shrinking_a_mask_keeps_its_share(keep_aspect, height, width):
    mask = np.random.default_rng(1).uniform(0, 1, (height, width)) > 0.7
    mask[:, width // 2] = True  # one pixel wide: between two samples it would be lost
    found = frame(256, keep_aspect).from_picture(mask, 64)
    inner = [max(1, round(length * 64 / 256)) for length in frame(256, keep_aspect).content(height, width)]
    assert found.shape == (64, 64) and found.min() >= 0 and found.max() <= 1 + 1e-6
    assert found[: inner[0], : inner[1]].mean() == pytest.approx(mask.mean(), abs=1e-3)


def test_a_thin_line_is_not_lost():
    mask = np.zeros((1024, 1024), bool)
    mask[:, 511] = True
    found = frame(1024).from_picture(mask, 64)
    assert found[:, 31].min() == pytest.approx(1 / 16, abs=1e-4)
    assert found.mean() == pytest.approx(mask.mean(), rel=1e-4)


@pytest.mark.parametrize("height, width", [(50, 100), (100, 50), (10, 20), (640, 100)])
def test_what_is_padded_is_zero_and_the_rest_is_full(height, width):
    found = frame(64).from_picture(np.ones((height, width), np.uint8), 32)
    inner = [max(1, round(length * 32 / 64)) for length in frame(64).content(height, width)]
    np.testing.assert_allclose(found[: inner[0], : inner[1]], 1, atol=1e-6)
    assert found.sum() == pytest.approx(inner[0] * inner[1])


@BOTH
def test_an_enlarged_mask_stays_between_zero_and_one(keep_aspect):
    found = frame(64, keep_aspect).from_picture(picture(10, 13)[..., 0] > 128, 64)
    assert found.min() >= 0 and found.max() <= 1 and found.any()


@pytest.mark.parametrize("height, width", [(240, 240), (240, 160), (90, 200)])
@BOTH
def test_a_mask_comes_back_as_it_went(keep_aspect, height, width):
    y, x = np.mgrid[:height, :width]
    disc = (x - width / 3) ** 2 + (y - height / 2) ** 2 < (min(height, width) / 4) ** 2
    there = torch.from_numpy(frame(256, keep_aspect).from_picture(disc, 64))
    back = frame(256, keep_aspect).to_picture(there[None], height, width)[0].numpy() >= 0.5
    assert (back & disc).sum() / (back | disc).sum() > 0.95


@pytest.mark.parametrize("keep_aspect, height", [(True, 24), (False, 32)])
def test_a_mask_prompt_lies_in_the_frame_where_the_picture_does(keep_aspect, height):
    mask = np.zeros((60, 80), bool)
    mask[30:, 40:] = True
    moved = ImageTransform(32, keep_aspect, (0, 0, 0), (1, 1, 1)).prompt(Prompt(mask=mask), 60, 80).mask
    expected = np.zeros((32, 32), np.float32)
    expected[height // 2 : height, 16:] = 1
    np.testing.assert_allclose(moved, expected, atol=1e-6)
