"""Run-length encoding: round trips, segment_anything's counts, and damaged strings."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from promptseg.core.errors import UserError
from promptseg.data import rle
from segment_anything.utils import amg

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(MASKS, st.tuples(*[st.integers(0, 3)] * 4))
def test_a_mask_or_a_crop_is_decoded_and_its_encoding_is_segment_anything_s(mask, margins):
    top, bottom, left, right = margins
    whole = np.pad(mask, ((top, bottom), (left, right)))
    segmentation = rle.encode(whole)
    decoded = rle.decode(segmentation)
    assert decoded.dtype == bool and np.array_equal(decoded, whole)
    assert segmentation == amg.coco_encode_rle(amg.mask_to_rle_pytorch(torch.tensor(whole)[None])[0])
    assert rle.encode(mask, top, left, *whole.shape) == segmentation


def test_the_longest_run_of_an_image_is_decoded():
    counts = rle.encode(np.zeros((1, 33_000_000), bool))["counts"]
    assert len(counts) == 6 and not rle.decode({"size": [1, 33_000_000], "counts": counts}).any()


# 2 x 2 pixels: no run, too few pixels, too many, a negative run; cut off, not COCO's characters, a run too long
@pytest.mark.parametrize("counts", ["", "3", "23", "5O", "o", "22o", "\x7f", "é", "4\n", "4\0", "oooooo0", "ooooo?"])
def test_damaged_run_lengths_are_refused(counts):
    with pytest.raises(UserError, match="should fill 2 x 2 pixels"):
        rle.decode({"size": [2, 2], "counts": counts})


@given(MASKS, st.data())
def test_a_string_with_a_changed_character_is_refused_or_another_mask(mask, data):
    segmentation = rle.encode(mask)
    counts = list(segmentation["counts"])
    counts[data.draw(st.integers(0, len(counts) - 1))] = data.draw(st.characters())
    changed = {**segmentation, "counts": "".join(counts)}
    try:
        decoded = rle.decode(changed)
    except UserError:
        return
    assert decoded.shape == mask.shape and rle.encode(decoded) == changed
