"""Augmentation: what is done to pictures is done to masks, and is the same for the same seed and id."""

import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.functional as F
from promptseg.core import params
from promptseg.training import augmentation

STILL = {"flip": [], "rotate": 0.0, "scale": 0.0, "brightness": 0.0}


def pair(size: tuple[int, int] = (60, 80)) -> tuple[np.ndarray, np.ndarray]:
    """A bright, lopsided shape on a dark ground, and its mask."""
    mask = np.zeros(size, np.uint8)
    mask[10:30, 20:60] = 1
    mask[30:50, 20:35] = 1
    return np.repeat((40 + 160 * mask)[..., None], 3, axis=2).astype(np.uint8), mask


def changed(seed: int = 0, id: str = "a", **settings) -> tuple[np.ndarray, np.ndarray]:
    return augmentation.augment(*pair(), params.Augment(**STILL | settings), seed, id)


@pytest.mark.parametrize("number", range(20))
def test_the_mask_stays_on_the_object(number):
    image, mask = changed(id=str(number), flip=["horizontal", "vertical"], rotate=180.0, scale=0.3, brightness=0.2)
    assert image.shape == (60, 80, 3) and image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 1, 255}
    inside, outside = (cv2.erode((mask == value).astype(np.uint8), np.ones((5, 5))) > 0 for value in (1, 0))
    assert inside.sum() > 100 and image[inside].min() > image[outside].max()


def test_nothing_is_done_where_nothing_is_asked_for():
    for one, other in zip(changed(), pair(), strict=True):
        assert np.array_equal(one, other)


def test_flips_are_flips_of_every_other_picture():
    image, mask = pair()
    flipped = [changed(id=str(number), flip=["horizontal"]) for number in range(40)]
    same = [np.array_equal(one[0], image) and np.array_equal(one[1], mask) for one in flipped]
    mirrored = [np.array_equal(one[0], image[:, ::-1]) and np.array_equal(one[1], mask[:, ::-1]) for one in flipped]
    assert all(a != b for a, b in zip(same, mirrored)) and 10 < sum(mirrored) < 30
    upside = [changed(id=str(number), flip=["vertical"])[1] for number in range(40)]
    assert {0, 1} == {np.array_equal(one, mask[::-1]) for one in upside}


def test_turning_is_torchvisions_and_what_comes_from_outside_is_ignored(monkeypatch):
    """A quarter of a turn of a square is exact, so another library's pixels are the same."""
    image, mask = pair((64, 64))
    turned, about = augmentation._turned(image, mask, 90.0, 1.0)
    assert np.array_equal(turned, F.rotate(torch.from_numpy(image).permute(2, 0, 1), 90.0).permute(1, 2, 0).numpy())
    assert np.array_equal(about, np.rot90(mask))
    _, small = augmentation._turned(image, mask, 0.0, 0.5)
    assert (small == 255).mean() == pytest.approx(0.75, abs=0.03)
    assert (small == 1).sum() == pytest.approx((mask == 1).sum() / 4, rel=0.1)


def test_brightness_is_a_factor_and_is_cut_at_the_ends():
    image, _ = changed(brightness=0.5)
    factor = image[0, 0, 0] / 40
    assert 0.5 <= factor <= 1.5 and abs(factor - 1) > 1e-3
    expected = F.adjust_brightness(torch.from_numpy(pair()[0]).permute(2, 0, 1), factor).permute(1, 2, 0).numpy()
    assert np.abs(image.astype(int) - expected).max() <= 3  # the factor is read off 8 bits


def test_seed_and_id_decide():
    everything = {"rotate": 30.0, "brightness": 0.2}
    one, again = changed(1, "a", **everything), changed(1, "a", **everything)
    assert all(np.array_equal(x, y) for x, y in zip(one, again))
    assert not np.array_equal(one[0], changed(2, "a", **everything)[0])
    assert not np.array_equal(one[0], changed(1, "b", **everything)[0])
