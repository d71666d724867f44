"""Visual prompt engineering against the constants of CLIPSeg's code, computed here pixel by pixel."""

import itertools

import numpy as np
import pytest
import torch
from promptseg.nn.visual_prompt import prepare

SIDE = 48
ALL = ("darken", "blur", "crop")
RANDOM = np.random.default_rng(0).normal(size=(3, SIDE, SIDE)).astype(np.float32)
PIXELS = torch.from_numpy(RANDOM.copy())


def coverage(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[top:bottom, left:right] = 1
    return mask


def blurred(values: np.ndarray) -> np.ndarray:
    """A 15 x 15 Gaussian of sigma 3 as a sum of shifted images, mirrored at the border without repeating it."""
    weights = np.exp(-(np.arange(-7, 8) ** 2) / 18)
    weights /= weights.sum()
    padded = np.pad(values, ((0, 0), (7, 7), (7, 7)), mode="reflect")
    rows = sum(weight * padded[:, i : i + SIDE] for i, weight in enumerate(weights))
    return sum(weight * rows[:, :, i : i + SIDE] for i, weight in enumerate(weights))


@pytest.mark.parametrize("steps", [steps for count in range(4) for steps in itertools.combinations(ALL, count)])
def test_the_object_stays_and_the_background_fades(steps):
    mask = coverage(10, 20, 12, 40)
    background = blurred(RANDOM) if "blur" in steps else RANDOM
    background = background * 0.1 if "darken" in steps else background
    expected = np.where(mask > 0, RANDOM, background)
    if "crop" in steps:  # 10 rows and 28 columns, a tenth of them on each side: 9..21 and 9.2..42.8
        crop = expected[:, 9:21, 9:42]
        square = np.zeros((3, 33, 33), np.float32)
        square[:, 10:22] = crop  # 10 of the 21 missing rows are above
        nearest = np.arange(SIDE) * 33 // SIDE
        expected = square[:, nearest][:, :, nearest]
    np.testing.assert_allclose(prepare(PIXELS, mask, steps), expected, atol=2e-6)
    assert np.array_equal(PIXELS, RANDOM) and torch.equal(prepare(PIXELS, coverage(0, SIDE, 0, SIDE), steps), PIXELS)


def test_a_tall_crop_is_padded_left_and_right():
    prepared = prepare(PIXELS, coverage(4, 44, 20, 24), ("crop",))  # 0..48 and 19.6..24.4
    assert (prepared[:, :, :21] == 0).all() and (prepared[:, :, 27:] == 0).all()
    assert torch.equal(prepared[:, :, 21:26], PIXELS[:, :, 19:24])


def test_half_covered_pixels_belong_to_the_object_and_of_a_thin_one_those_covered_most():
    mask = coverage(10, 20, 10, 20)
    mask[10, 10], mask[9, 9] = 0.5, 0.49
    prepared = prepare(PIXELS, mask, ("darken",))
    assert torch.equal(prepared[:, 10, 10], PIXELS[:, 10, 10]) and torch.equal(prepared[:, 9, 9], PIXELS[:, 9, 9] * 0.1)
    thin = coverage(5, 40, 7, 8) * 0.2
    thin[30, 7] = 0.3
    prepared = prepare(PIXELS, thin, ("darken",))
    unchanged = (prepared == PIXELS).all(dim=0).nonzero()
    assert unchanged.tolist() == [[30, 7]]
