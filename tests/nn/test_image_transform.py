"""Image transform to the input and back, against the code that SAM was released with."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.mask import Mask
from promptseg.prompts.points import Points
from promptseg.prompts.text import Text
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide

SIZES = [(100, 160), (160, 100), (61, 64), (200, 30), (64, 64), (7, 9), (1, 64)]
LENGTHS = st.integers(1, 5000)
BOTH = pytest.mark.parametrize("keep_aspect", [True, False])


def transform(size: int = 64, keep_aspect: bool = True) -> ImageTransform:
    return ImageTransform(size, keep_aspect, IMAGENET_MEAN, IMAGENET_STD)


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def point(x: float, y: float) -> Prompt:
    return Prompt.of(Points(np.array([[x, y]]), np.array([1])))


@given(LENGTHS, LENGTHS, st.sampled_from([64, 256, 352, 1024]))
def test_content_size_is_that_of_segment_anything(height, width, size):
    content = transform(size).content_size(height, width)
    assert content == ResizeLongestSide.get_preprocess_shape(height, width, size)
    assert max(content) == size
    assert transform(size, False).content_size(height, width) == (size, size)


def test_half_a_pixel_is_rounded_up():
    """Sides of 100.5 and 102.5 pixels, which Python's own round would make even."""
    assert transform(1024).content_size(201, 2048) == (101, 1024)
    assert transform(1024).content_size(2048, 205) == (1024, 103)


@pytest.mark.parametrize("height, width", SIZES)
def test_pixels_are_those_of_segment_anything(height, width):
    image = random_image(height, width)
    resized = torch.as_tensor(ResizeLongestSide(64).apply_image(image)).permute(2, 0, 1)
    sam = SimpleNamespace(
        image_encoder=SimpleNamespace(img_size=64),
        pixel_mean=torch.tensor(IMAGENET_MEAN)[:, None, None],
        pixel_std=torch.tensor(IMAGENET_STD)[:, None, None],
    )
    assert torch.equal(transform().to_input([image])[0], Sam.preprocess(sam, resized))


@BOTH
def test_pixels_are_resized_by_pillow_normalized_and_padded_with_zeros(keep_aspect):
    images = [random_image(40, 90), random_image(90, 40, 1), random_image(64, 64, 2), random_image(30, 30, 3)[..., 0]]
    out = transform(64, keep_aspect).to_input(images)
    assert out.shape == (4, 3, 64, 64) and out.dtype == torch.float32
    for image, values in zip(images, out):
        height, width = transform(64, keep_aspect).content_size(*image.shape[:2])
        resized = Image.fromarray(image).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        expected = np.zeros((64, 64, 3))
        expected[:height, :width] = (np.asarray(resized, float) - IMAGENET_MEAN) / IMAGENET_STD
        np.testing.assert_allclose(values.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_an_image_of_the_input_size_is_not_resampled():
    image = random_image(64, 64)
    expected = (image - np.array(IMAGENET_MEAN)) / IMAGENET_STD
    np.testing.assert_allclose(transform().to_input([image])[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)


@BOTH
@pytest.mark.parametrize("height, width", SIZES)
def test_prompts_are_scaled_with_their_image(keep_aspect, height, width):
    points = np.random.default_rng(0).uniform(0, 1, (5, 2)) * (width, height)
    box = np.array([0.25 * width, 0.5 * height, width, height])
    prompt = Prompt.of(Points(points, np.array([1, 0, 1, 1, 0])), Box(box), Text("fire"), target=2)
    scaled = prompt.to_model(transform(64, keep_aspect), height, width)
    content = transform(64, keep_aspect).content_size(height, width)
    coordinates, corners = scaled.get("points").coordinates, scaled.get("box").corners
    np.testing.assert_allclose(coordinates, points * (content[1] / width, content[0] / height))
    np.testing.assert_allclose(corners, [0.25 * content[1], 0.5 * content[0], content[1], content[0]])
    assert (scaled.target, scaled.get("text").phrase) == (2, "fire")
    assert scaled.get("points").labels is prompt.get("points").labels
    if keep_aspect:
        np.testing.assert_allclose(coordinates, ResizeLongestSide(64).apply_coords(points, (height, width)))
        np.testing.assert_allclose(corners, ResizeLongestSide(64).apply_boxes(box, (height, width))[0])


def test_a_prompt_without_coordinates_is_unchanged():
    scaled = Prompt.of(Text("fire")).to_model(transform(), 30, 50)
    assert list(scaled.parts) == ["text"] and scaled.get("text").phrase == "fire"


@BOTH
@given(height=st.integers(8, 3000), width=st.integers(8, 3000), x=st.floats(0, 1), y=st.floats(0, 1))
def test_a_point_can_be_scaled_back(keep_aspect, height, width, x, y):
    here, prompt = transform(1024, keep_aspect), point(x * width, y * height)
    scaled = prompt.to_model(here, height, width).get("points").coordinates
    content = here.content_size(height, width)
    assert (scaled >= 0).all() and (scaled <= (content[1], content[0])).all()
    back = scaled * (width / content[1], height / content[0])
    np.testing.assert_allclose(back, prompt.get("points").coordinates, atol=1e-9 * max(height, width))


@pytest.mark.parametrize("height, width", SIZES)
def test_a_marked_pixel_is_where_its_prompt_points(height, width):
    """Image and prompt agree about where things are, not only each with itself."""
    image = np.zeros((height, width, 3), np.uint8)
    row, column = height // 2, width // 3
    image[row, column] = 255
    bright = transform(64).to_input([image])[0].sum(0) - transform(64).to_input([image * 0])[0].sum(0)
    weight = (bright / bright.sum()).numpy()
    center = np.array([(weight.sum(0) * (np.arange(64) + 0.5)).sum(), (weight.sum(1) * (np.arange(64) + 0.5)).sum()])
    scaled = point(column + 0.5, row + 0.5).to_model(transform(64), height, width)
    np.testing.assert_allclose(center, scaled.get("points").coordinates[0], atol=0.5)


@pytest.mark.parametrize("height, width", SIZES)
@pytest.mark.parametrize("side", [16, 64])
def test_logits_are_resampled_as_by_segment_anything(height, width, side):
    logits = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    sam = SimpleNamespace(image_encoder=SimpleNamespace(img_size=64))
    content = transform().content_size(height, width)
    expected = Sam.postprocess_masks(sam, logits[None], content, (height, width))[0]
    assert torch.equal(transform().to_image(logits, height, width), expected)


@pytest.mark.parametrize("height, width", SIZES)
def test_without_keep_aspect_logits_are_interpolated_once(height, width):
    logits = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(logits[None], (height, width), mode="bilinear", align_corners=False)[0]
    assert torch.equal(transform(64, False).to_image(logits, height, width), expected)


def test_logits_of_half_precision_are_interpolated_in_float32():
    logits = torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(0)).half()
    resampled = transform().to_image(logits, 100, 64)
    assert resampled.dtype == torch.float32 and torch.equal(resampled, transform().to_image(logits.float(), 100, 64))


@BOTH
def test_a_mask_of_the_result_size_is_unchanged(keep_aspect):
    mask = np.random.default_rng(0).uniform(0, 1, (64, 64)).astype(np.float32)
    resampled = transform(64, keep_aspect).from_image(mask, 64)
    assert resampled.dtype == np.float32 and np.array_equal(resampled, mask)


@pytest.mark.parametrize("height, width", [(300, 300), (300, 180), (180, 300), (512, 100)])
@BOTH
def test_downsampling_preserves_the_share_of_a_mask(keep_aspect, height, width):
    mask = np.random.default_rng(1).uniform(0, 1, (height, width)) > 0.7
    mask[:, width // 2] = True  # one pixel wide: it would fall between two samples
    resampled = transform(256, keep_aspect).from_image(mask, 64)
    content = [max(1, round(length * 64 / 256)) for length in transform(256, keep_aspect).content_size(height, width)]
    assert resampled.shape == (64, 64) and resampled.min() >= 0 and resampled.max() <= 1 + 1e-6
    assert resampled[: content[0], : content[1]].mean() == pytest.approx(mask.mean(), abs=1e-3)


def test_a_thin_line_is_not_lost():
    mask = np.zeros((1024, 1024), bool)
    mask[:, 511] = True
    resampled = transform(1024).from_image(mask, 64)
    assert resampled[:, 31].min() == pytest.approx(1 / 16, abs=1e-4)
    assert resampled.mean() == pytest.approx(mask.mean(), rel=1e-4)


@pytest.mark.parametrize("height, width", [(50, 100), (100, 50), (10, 20), (640, 100)])
def test_padding_is_zero_and_the_content_is_full(height, width):
    resampled = transform(64).from_image(np.ones((height, width), np.uint8), 32)
    content = [max(1, round(length * 32 / 64)) for length in transform(64).content_size(height, width)]
    np.testing.assert_allclose(resampled[: content[0], : content[1]], 1, atol=1e-6)
    assert resampled.sum() == pytest.approx(content[0] * content[1])


@BOTH
def test_an_upsampled_mask_is_between_zero_and_one(keep_aspect):
    resampled = transform(64, keep_aspect).from_image(random_image(10, 13)[..., 0] > 128, 64)
    assert resampled.min() >= 0 and resampled.max() <= 1 and resampled.any()


@pytest.mark.parametrize("height, width", [(240, 240), (240, 160), (90, 200)])
@BOTH
def test_a_mask_survives_the_way_to_the_input_and_back(keep_aspect, height, width):
    y, x = np.mgrid[:height, :width]
    disc = (x - width / 3) ** 2 + (y - height / 2) ** 2 < (min(height, width) / 4) ** 2
    resampled = torch.from_numpy(transform(256, keep_aspect).from_image(disc, 64))
    back = transform(256, keep_aspect).to_image(resampled[None], height, width)[0].numpy() >= 0.5
    assert (back & disc).sum() / (back | disc).sum() > 0.95


@pytest.mark.parametrize("keep_aspect, height", [(True, 24), (False, 32)])
def test_a_mask_prompt_is_where_the_image_is_in_the_input(keep_aspect, height):
    mask = np.zeros((60, 80), bool)
    mask[30:, 40:] = True
    here = ImageTransform(32, keep_aspect, (0, 0, 0), (1, 1, 1))
    resampled = Prompt.of(Mask(mask)).to_model(here, 60, 80).get("mask").values
    expected = np.zeros((32, 32), np.float32)
    expected[height // 2 : height, 16:] = 1
    np.testing.assert_allclose(resampled, expected, atol=1e-6)
