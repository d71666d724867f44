"""Support pictures: prepared as the figures of CLIPSeg's code say, worked out here once more, pixel by pixel."""

import itertools

import numpy as np
import pytest
import torch
from promptseg.nn.visual_prompt import prepare

SIDE = 48
ALL = ("darken", "blur", "crop")
PIXELS = torch.from_numpy(np.random.default_rng(0).normal(size=(3, SIDE, SIDE)).astype(np.float32))


def cover(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[top:bottom, left:right] = 1
    return mask


def blurred(values: np.ndarray) -> np.ndarray:
    """A 15x15 Gaussian of sigma 3 as a plain sum of shifted pictures, mirrored at the rim without repeating it."""
    weights = np.exp(-(np.arange(-7, 8) ** 2) / 18)
    weights /= weights.sum()
    wide = np.pad(values, ((0, 0), (7, 7), (7, 7)), mode="reflect")
    rows = sum(weight * wide[:, i : i + SIDE] for i, weight in enumerate(weights))
    return sum(weight * rows[:, :, i : i + SIDE] for i, weight in enumerate(weights))


@pytest.mark.parametrize("how", [how for count in range(4) for how in itertools.combinations(ALL, count)])
def test_the_object_stays_and_its_surroundings_fade(how):
    mask, original = cover(10, 20, 12, 40), PIXELS.numpy()
    behind = blurred(original) if "blur" in how else original
    behind = behind * 0.1 if "darken" in how else behind
    expected = np.where(mask > 0, original, behind)
    if "crop" in how:  # 10 rows and 28 columns, a tenth of them on each side: 9..21 and 9.2..42.8
        part = expected[:, 9:21, 9:42]
        square = np.zeros((3, 33, 33), np.float32)
        square[:, 10:22] = part  # of 21 rows to fill, 10 stand above
        nearest = np.arange(SIDE) * 33 // SIDE
        expected = square[:, nearest][:, :, nearest]
    np.testing.assert_allclose(prepare(PIXELS, mask, how), expected, atol=2e-6)


def test_a_high_crop_is_padded_at_its_sides():
    found = prepare(PIXELS, cover(4, 44, 20, 24), ("crop",))  # 0..48 and 19.6..24.4
    assert (found[:, :, :21] == 0).all() and (found[:, :, 27:] == 0).all()
    assert torch.equal(found[:, :, 21:26], PIXELS[:, :, 19:24])


def test_a_crop_ends_where_the_picture_does():
    found = prepare(PIXELS, cover(0, SIDE, 0, SIDE), ALL)
    assert torch.equal(found, PIXELS)


def test_half_covered_pixels_belong_to_the_object_and_so_does_the_best_of_a_thin_one():
    mask = cover(10, 20, 10, 20)
    mask[10, 10], mask[9, 9] = 0.5, 0.49
    found = prepare(PIXELS, mask, ("darken",))
    assert torch.equal(found[:, 10, 10], PIXELS[:, 10, 10]) and torch.equal(found[:, 9, 9], PIXELS[:, 9, 9] * 0.1)
    thin = cover(5, 40, 7, 8) * 0.2
    thin[30, 7] = 0.3
    found = prepare(PIXELS, thin, ("darken",))
    kept = (found == PIXELS).all(dim=0).nonzero()
    assert kept.tolist() == [[30, 7]]


def test_the_picture_that_is_given_does_not_change():
    before = PIXELS.clone()
    prepare(PIXELS, cover(10, 20, 12, 40), ALL)
    assert torch.equal(PIXELS, before)
