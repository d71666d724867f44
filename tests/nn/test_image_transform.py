"""Image transform to the input and back, against the code that SAM was released with."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
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

SIZES = pytest.mark.parametrize(
    "height, width", [(100, 160), (160, 100), (61, 64), (200, 30), (64, 64), (7, 9), (1, 64)]
)
LENGTHS = st.integers(1, 5000)
BOTH = pytest.mark.parametrize("keep_aspect", [True, False])
SAM = SimpleNamespace(
    image_encoder=SimpleNamespace(img_size=64),
    pixel_mean=torch.tensor(IMAGENET_MEAN)[:, None, None],
    pixel_std=torch.tensor(IMAGENET_STD)[:, None, None],
)


def transform(size: int = 64, keep_aspect: bool = True) -> ImageTransform:
    return ImageTransform(size, keep_aspect, IMAGENET_MEAN, IMAGENET_STD)


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(LENGTHS, LENGTHS, st.sampled_from([64, 256, 352, 1024]))
@example(201, 2048, 1024)  # 100.5 pixels, which Python's own round would make even
@example(2048, 205, 1024)
def test_content_size_is_that_of_segment_anything(height, width, size):
    content = transform(size).content_size(height, width)
    assert content == ResizeLongestSide.get_preprocess_shape(height, width, size)
    assert max(content) == size
    assert transform(size, False).content_size(height, width) == (size, size)


@SIZES
def test_pixels_are_those_of_segment_anything(height, width):
    image = random_image(height, width)
    resized = torch.as_tensor(ResizeLongestSide(64).apply_image(image)).permute(2, 0, 1)
    assert torch.equal(transform().to_input([image])[0], Sam.preprocess(SAM, resized))


@BOTH
def test_pixels_are_resized_by_pillow_normalized_and_padded_with_zeros(keep_aspect):
    images = [random_image(*size, seed) for seed, size in enumerate([(40, 90), (90, 40), (64, 64), (30, 30)])]
    images[3] = images[3][..., 0]
    out = transform(64, keep_aspect).to_input(images)
    assert out.shape == (4, 3, 64, 64) and out.dtype == torch.float32
    for image, values in zip(images, out):
        height, width = transform(64, keep_aspect).content_size(*image.shape[:2])
        resized = Image.fromarray(image).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        expected = np.zeros((64, 64, 3))
        expected[:height, :width] = (np.asarray(resized, float) - IMAGENET_MEAN) / IMAGENET_STD
        np.testing.assert_allclose(values.permute(1, 2, 0).numpy(), expected, atol=1e-5)


@BOTH
@SIZES
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


@SIZES
@pytest.mark.parametrize("side", [16, 64])
def test_logits_are_resampled_as_by_segment_anything_or_interpolated_once(height, width, side):
    logits = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    content = transform().content_size(height, width)
    expected = Sam.postprocess_masks(SAM, logits[None], content, (height, width))[0]
    assert torch.equal(transform().to_image(logits, height, width), expected)
    once = F.interpolate(logits[None], (height, width), mode="bilinear", align_corners=False)[0]
    assert torch.equal(transform(64, False).to_image(logits, height, width), once)
    half = transform().to_image(logits.half(), height, width)
    assert half.dtype == torch.float32 and torch.equal(half, transform().to_image(logits.half().float(), height, width))


@BOTH
def test_a_mask_of_the_result_size_is_unchanged(keep_aspect):
    mask = np.random.default_rng(0).uniform(0, 1, (64, 64)).astype(np.float32)
    resampled = transform(64, keep_aspect).from_image(mask, 64)
    assert resampled.dtype == np.float32 and np.array_equal(resampled, mask)


@pytest.mark.parametrize(
    "size, height, width",
    [(256, 300, 300), (256, 300, 180), (256, 180, 300), (256, 512, 100), (64, 50, 100), (64, 10, 20), (64, 640, 100),
     (64, 10, 13)],
)  # fmt: skip
@BOTH
def test_resampling_a_mask_preserves_its_share_and_padding_is_zero(keep_aspect, size, height, width):
    here = transform(size, keep_aspect)
    content = [max(1, round(length * 32 / size)) for length in here.content_size(height, width)]
    full = here.from_image(np.ones((height, width), np.uint8), 32)
    np.testing.assert_allclose(full[: content[0], : content[1]], 1, atol=1e-6)
    assert full.shape == (32, 32) and full.sum() == pytest.approx(content[0] * content[1])
    mask = np.random.default_rng(1).uniform(0, 1, (height, width)) > 0.7
    mask[:, width // 2] = True  # one pixel wide: it would fall between two samples
    resampled = here.from_image(mask, 32)
    assert resampled.min() >= 0 and resampled.max() <= 1 + 1e-6 and resampled.any()
    if content[0] < height and content[1] < width:
        assert resampled[: content[0], : content[1]].mean() == pytest.approx(mask.mean(), abs=1e-3)


def test_a_thin_line_is_not_lost():
    mask = np.zeros((1024, 1024), bool)
    mask[:, 511] = True
    resampled = transform(1024).from_image(mask, 64)
    assert resampled[:, 31].min() == pytest.approx(1 / 16, abs=1e-4)
    assert resampled.mean() == pytest.approx(mask.mean(), rel=1e-4)


@pytest.mark.parametrize("height, width", [(240, 160), (90, 200)])
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


@BOTH
def test_images_of_a_batch_are_those_of_their_own(keep_aspect):
    images = [random_image(100, 160), random_image(61, 64, 1)[..., 0], random_image(7, 9, 2)]
    batch = transform(keep_aspect=keep_aspect).to_input(images)
    assert torch.equal(batch, torch.cat([transform(keep_aspect=keep_aspect).to_input([image]) for image in images]))
