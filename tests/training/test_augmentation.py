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


def augmented(id: object = "a", seed: int = 0, **settings) -> tuple[np.ndarray, np.ndarray]:
    return augmentation.augment(*sample(), Augment(**OFF | settings), seed, str(id))


def by_torchvision(change, image: np.ndarray, amount: float) -> np.ndarray:
    return change(torch.from_numpy(image).permute(2, 0, 1), amount).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("number", range(20))
def test_the_mask_stays_on_the_object(number):
    image, mask = augmented(number, flip=["horizontal", "vertical"], rotate=180.0, scale=0.3, brightness=0.2)
    assert image.shape == (60, 80, 3) and image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 1, 255}
    inside, outside = (cv2.erode((mask == value).astype(np.uint8), np.ones((5, 5))) > 0 for value in (1, 0))
    assert inside.sum() > 100 and image[inside].min() > image[outside].max()


@pytest.mark.parametrize("flip, step", [([], (1, 1)), (["horizontal"], (1, -1)), (["vertical"], (-1, 1))])
def test_half_of_the_images_are_flipped_and_nothing_else_changes(flip, step):
    mirrored = [values[:: step[0], :: step[1]] for values in sample()]
    counts = [0, 0]
    for number in range(40):
        image, mask = augmented(number, flip=flip)
        for i, expected in enumerate((sample(), mirrored)):
            counts[i] += np.array_equal(image, expected[0]) and np.array_equal(mask, expected[1])
    assert counts == [40, 40] if not flip else sum(counts) == 40 and 10 < counts[1] < 30


def test_rotation_is_that_of_torchvision_and_uncovered_pixels_are_ignored():
    """A rotation of a square by 90 degrees is exact, so another library's pixels are the same."""
    image, mask = sample((64, 64))
    rotated, rotated_mask = augmentation._rotate_and_scale(image, mask, 90.0, 1.0)
    assert np.array_equal(rotated, by_torchvision(F.rotate, image, 90.0))
    assert np.array_equal(rotated_mask, np.rot90(mask))
    _, small = augmentation._rotate_and_scale(image, mask, 0.0, 0.5)
    assert (small == 255).mean() == pytest.approx(0.75, abs=0.03)
    assert (small == 1).sum() == pytest.approx((mask == 1).sum() / 4, rel=0.1)


def test_brightness_is_a_factor_and_values_are_clipped():
    image, _ = augmented(brightness=0.5)
    factor = image[0, 0, 0] / 40
    assert 0.5 <= factor <= 1.5 and abs(factor - 1) > 1e-3
    expected = by_torchvision(F.adjust_brightness, sample()[0], factor)
    assert np.abs(image.astype(int) - expected).max() <= 3  # the factor is known to 8 bits


def test_changes_depend_on_seed_and_id():
    first, again, *others = (
        augmented(id, seed, rotate=30.0, brightness=0.2)[0] for id, seed in (("a", 1), ("a", 1), ("a", 2), ("b", 1))
    )
    assert np.array_equal(first, again) and not any(np.array_equal(first, other) for other in others)
