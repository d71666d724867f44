"""Augmentation: masks change as images do, and the same seed and id give the same change."""

import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.functional as F
from promptseg.core.train_config import Augment
from promptseg.training import augmentation

OFF = {"flip": [], "rotate": 0.0, "scale": 0.0, "brightness": 0.0}


def sample(size: tuple[int, int] = (60, 80)) -> tuple[np.ndarray, np.ndarray]:
    """A bright, lopsided shape on a dark ground, and its mask."""
    mask = np.zeros(size, np.uint8)
    mask[10:30, 20:60] = 1
    mask[30:50, 20:35] = 1
    return np.repeat((40 + 160 * mask)[..., None], 3, axis=2).astype(np.uint8), mask


def augmented(seed: int = 0, id: str = "a", **settings) -> tuple[np.ndarray, np.ndarray]:
    return augmentation.augment(*sample(), Augment(**OFF | settings), seed, id)


@pytest.mark.parametrize("number", range(20))
def test_the_mask_stays_on_the_object(number):
    image, mask = augmented(id=str(number), flip=["horizontal", "vertical"], rotate=180.0, scale=0.3, brightness=0.2)
    assert image.shape == (60, 80, 3) and image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 1, 255}
    inside, outside = (cv2.erode((mask == value).astype(np.uint8), np.ones((5, 5))) > 0 for value in (1, 0))
    assert inside.sum() > 100 and image[inside].min() > image[outside].max()


def test_nothing_changes_when_all_is_off():
    for result, original in zip(augmented(), sample(), strict=True):
        assert np.array_equal(result, original)


def test_half_of_the_images_are_flipped():
    image, mask = sample()
    flipped = [augmented(id=str(number), flip=["horizontal"]) for number in range(40)]
    same = [np.array_equal(i, image) and np.array_equal(m, mask) for i, m in flipped]
    mirrored = [np.array_equal(i, image[:, ::-1]) and np.array_equal(m, mask[:, ::-1]) for i, m in flipped]
    assert all(a != b for a, b in zip(same, mirrored, strict=True)) and 10 < sum(mirrored) < 30
    upside = [augmented(id=str(number), flip=["vertical"])[1] for number in range(40)]
    assert {0, 1} == {np.array_equal(result, mask[::-1]) for result in upside}


def test_rotation_is_that_of_torchvision_and_uncovered_pixels_are_ignored():
    """A rotation of a square by 90 degrees is exact, so another library's pixels are the same."""
    image, mask = sample((64, 64))
    rotated, rotated_mask = augmentation._rotate_and_scale(image, mask, 90.0, 1.0)
    assert np.array_equal(rotated, F.rotate(torch.from_numpy(image).permute(2, 0, 1), 90.0).permute(1, 2, 0).numpy())
    assert np.array_equal(rotated_mask, np.rot90(mask))
    _, small = augmentation._rotate_and_scale(image, mask, 0.0, 0.5)
    assert (small == 255).mean() == pytest.approx(0.75, abs=0.03)
    assert (small == 1).sum() == pytest.approx((mask == 1).sum() / 4, rel=0.1)


def test_brightness_is_a_factor_and_values_are_clipped():
    image, _ = augmented(brightness=0.5)
    factor = image[0, 0, 0] / 40
    assert 0.5 <= factor <= 1.5 and abs(factor - 1) > 1e-3
    expected = F.adjust_brightness(torch.from_numpy(sample()[0]).permute(2, 0, 1), factor).permute(1, 2, 0).numpy()
    assert np.abs(image.astype(int) - expected).max() <= 3  # the factor is known to 8 bits


def test_changes_depend_on_seed_and_id():
    everything = {"rotate": 30.0, "brightness": 0.2}
    first, again = augmented(1, "a", **everything), augmented(1, "a", **everything)
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    assert not np.array_equal(first[0], augmented(2, "a", **everything)[0])
    assert not np.array_equal(first[0], augmented(1, "b", **everything)[0])
