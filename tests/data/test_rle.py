"""Run-length encoding: round trips, segment_anything's counts, and strings of COCO's maskApi."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from promptseg.core.errors import UserError
from promptseg.data import rle
from segment_anything.utils.amg import mask_to_rle_pytorch

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(MASKS)
def test_a_mask_is_decoded_and_its_counts_are_segment_anything_s(mask):
    counts = rle.encode(mask)
    assert np.array_equal(rle.decode(counts, *mask.shape), mask)
    assert rle.area(counts) == mask.sum()
    assert counts == mask_to_rle_pytorch(torch.tensor(mask)[None])[0]["counts"]


@given(MASKS, st.tuples(*[st.integers(0, 3)] * 4))
def test_a_crop_is_encoded_as_if_at_full_size(mask, margins):
    top, bottom, left, right = margins
    whole = np.pad(mask, ((top, bottom), (left, right)))
    assert rle.encode(mask, top, left, *whole.shape) == rle.encode(whole)


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=30))
def test_counts_are_decompressed(counts):
    assert rle.decompress(rle.compress(counts)) == counts


@given(MASKS)
def test_the_string_is_that_of_maskapi(mask):
    counts, text = rle.encode(mask), ""
    for i, value in enumerate(counts):  # rleToString, line by line
        value -= counts[i - 2] if i > 2 else 0
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != -1 if group & 16 else value != 0
            text += chr(48 + group + 32 * more)
    assert rle.compress(counts) == text


def test_damaged_run_lengths_are_refused():
    for counts in ([], [3], [5, -1], [2, 3]):
        with pytest.raises(UserError):
            rle.decode(counts, 2, 2)
    for text in ("", "o", "\x7f", "é", "ooooooooo0"):
        with pytest.raises(UserError):
            rle.decompress(text)
