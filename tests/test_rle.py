"""Run lengths of masks: letters as pycocotools writes them, and back to the same mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from promptseg import rle
from segment_anything.utils import amg

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(MASKS)
def test_there_and_back(mask):
    encoded = rle.encode(mask)
    assert encoded["size"] == list(mask.shape) and encoded["counts"].isascii()
    assert np.array_equal(rle.decode(encoded), mask)


@given(MASKS)
def test_runs_are_those_of_segment_anything(mask):
    assert np.array_equal(amg.rle_to_mask({"size": list(mask.shape), "counts": rle._runs(mask)}), mask)


def corner():
    mask = np.zeros((3, 4), bool)
    mask[1:, 1] = mask[0, 3] = True
    return mask


def rectangle():
    mask = np.zeros((3000, 4000), bool)
    mask[500:2500, 700:3000] = True
    return mask


@pytest.mark.parametrize(
    "mask, counts",
    [
        (corner(), "423OO"),
        (np.zeros((2, 3), bool), "6"),
        (np.ones((2, 3), bool), "06"),
        (rectangle()[:, 698:703], "T[6`n1Xo0000\\@"),  # differences below and above 0, numbers of several letters
    ],
)
def test_letters_are_those_of_pycocotools(mask, counts):
    """Written down from pycocotools 2.0.11, which is not among what the project installs."""
    assert rle.encode(mask)["counts"] == counts


@pytest.mark.parametrize("counts", ["5", "7", "423O", "", "4o"])
def test_runs_that_do_not_fill_the_mask_are_refused(counts):
    with pytest.raises(ValueError, match="3x2"):
        rle.decode({"size": [2, 3], "counts": counts})
