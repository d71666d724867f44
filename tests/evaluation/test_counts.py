"""Label maps and pixel counts, against rules written out by hand and at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.core.errors import UserError
from promptseg.data.image_io import IGNORED
from promptseg.evaluation.counts import COUNTS, count, label_map
from score_cases import band_by_hand, binary, images


@settings(deadline=None)
@given(st.integers(1, 3).flatmap(images))
def test_boundary_counts_are_those_of_the_paper(case):
    target, probability, valid = case
    counts = count(target, probability, len(probability), valid)
    predicted = label_map(probability)
    counted = target != IGNORED if valid is None else (target != IGNORED) & valid
    for label, row in enumerate(counts, start=1):
        bands = [band_by_hand(counted & (labels == label)) for labels in (target, predicted)]
        assert row[4:].tolist() == [len(bands[0] & bands[1]), len(bands[0] | bands[1])]


def test_label_map_takes_the_lower_of_two_equal_classes_and_background_below_the_threshold():
    probability = np.array([[[200, 100, 127, 128]], [[200, 130, 90, 128]], [[10, 131, 0, 128]]], np.uint8)
    assert label_map(probability).tolist() == [[1, 3, 0, 1]]
    assert label_map(probability, 0.78).tolist() == [[1, 0, 0, 0]]  # 0.78 * 256 = 199.7
    assert label_map(probability, 0.79).tolist() == [[0, 0, 0, 0]]  # 0.79 * 256 = 202.2
    assert label_map(np.array([[[127, 128, 129]]], np.uint8)).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        ([[1, 1], [1, 1]], [[255, 255], [255, 255]], {"tp": 4, "tn": 0}),
        ([[1, 1], [1, 1]], [[0, 0], [0, 0]], {"tp": 0, "fn": 4}),
        ([[0, 0], [0, 0]], [[255, 0], [0, 0]], {"fp": 1, "tn": 3}),
        ([[1]], [[128]], {"tp": 1, "boundary_intersection": 1, "boundary_union": 1}),
        ([[1, 255, 0]], [[255, 255, 0]], {"tp": 1, "fp": 0, "fn": 0, "tn": 1, "boundary_union": 1}),
        ([[255, 255]], [[255, 0]], {"tp": 0, "fp": 0, "fn": 0, "tn": 0, "boundary_union": 0}),
        ([[1, 1, 0]], [[255, 0, 255]], {"tp": 1, "fp": 1, "fn": 1, "tn": 0}),
    ],
    ids=["full", "missed", "false-positive", "one-pixel", "ignored", "all-ignored", "mixed"],
)
def test_counts_at_the_edges(target, value, expected):
    (row,) = count(*binary(target, value), 1).tolist()
    assert {key: dict(zip(COUNTS, row, strict=True))[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("target", "probability", "valid", "words"),
    [
        (np.zeros((2, 3)), np.zeros((1, 2, 2)), None, r"\(1, 2, 3\) by classes and mask, got \(1, 2, 2\)"),
        (np.zeros((2, 3)), np.zeros((2, 2, 3)), None, r"\(1, 2, 3\) by classes and mask, got \(2, 2, 3\)"),
        (np.zeros((2, 3)), np.zeros((2, 3)), None, r"got \(2, 3\)"),
        (np.zeros((1, 2, 3)), np.zeros((1, 2, 3)), None, r"mask should be \(h, w\)"),
        (np.zeros((2, 3)), np.zeros((1, 2, 3)), np.ones((3, 2), bool), "valid pixels should be"),
        (np.full((2, 3), 2), np.zeros((1, 2, 3)), None, "label 2 in the mask"),
    ],
    ids=["size", "classes", "flat", "deep", "valid", "label"],
)
def test_wrong_shapes_and_labels_are_user_errors(target, probability, valid, words):
    with pytest.raises(UserError, match=words):
        count(target.astype(np.uint8), probability.astype(np.uint8), 1, valid)


def test_wrong_dtypes_are_refused():
    target, probability = binary([[1]], [[255]])
    for wrong in (
        (target.astype(bool), probability, 1),
        (target, probability / 255, 1),
        (target, probability, 1, np.ones((1, 1), np.uint8)),
    ):
        with pytest.raises(TypeError):
            count(*wrong)
