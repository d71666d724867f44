"""Run-length encoding: there and back, segment_anything's counts, and strings that pycocotools wrote."""

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
def test_a_mask_comes_back_and_its_counts_are_segment_anything_s(mask):
    counts = rle.encode(mask)
    assert np.array_equal(rle.decode(counts, *mask.shape), mask)
    assert rle.area(counts) == mask.sum()
    assert counts == mask_to_rle_pytorch(torch.tensor(mask)[None])[0]["counts"]


@given(MASKS, st.tuples(*[st.integers(0, 3)] * 4))
def test_a_part_is_encoded_as_if_it_stood_in_the_picture(mask, margins):
    top, bottom, left, right = margins
    whole = np.pad(mask, ((top, bottom), (left, right)))
    assert rle.encode(mask, top, left, *whole.shape) == rle.encode(whole)


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=30))
def test_counts_come_back_out_of_the_string(counts):
    assert rle.decompress(rle.compress(counts)) == counts


@given(MASKS)
def test_the_string_is_as_maskapi_writes_it(mask):
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


def test_damaged_runs_are_refused():
    for counts in ([], [3], [5, -1], [2, 3]):
        with pytest.raises(UserError):
            rle.decode(counts, 2, 2)
    for text in ("", "o", "\x7f", "é", "ooooooooo0"):
        with pytest.raises(UserError):
            rle.decompress(text)
