"""Scores collected image by image: rows, and what is refused."""

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.evaluation.counts import BOUNDARY_COUNTS, COUNTS
from promptseg.evaluation.run_scores import RunScores
from score_cases import binary


def test_rows_hold_counts_and_metrics_of_the_task():
    scores = RunScores(["a"])
    scores.add("x", "g", *binary([[1, 1, 0]], [[255, 0, 255]]))
    (row,) = scores.rows()
    assert list(row)[:9] == ["id", "group", "class", *COUNTS]
    assert row["iou"] == pytest.approx(1 / 3) and (row["tp"], row["fp"], row["fn"], row["tn"]) == (1, 1, 1, 0)
    (row,) = scores.rows("classification")
    assert not {*BOUNDARY_COUNTS, "boundary_iou"} & row.keys() and row["dice"] == 0.5


@pytest.mark.parametrize(
    ("target", "probability", "valid", "words"),
    [
        (np.zeros((2, 3)), np.zeros((1, 2, 2)), None, r"\(1, 2, 3\) by classes and mask, got \(1, 2, 2\)"),
        (np.zeros((2, 3)), np.zeros((2, 2, 3)), None, r"\(1, 2, 3\) by classes and mask, got \(2, 2, 3\)"),
        (np.zeros((2, 3)), np.zeros((1, 2, 3)), np.ones((3, 2), bool), "valid pixels should be"),
        (np.full((2, 3), 2), np.zeros((1, 2, 3)), None, "label 2 in the mask"),
    ],
    ids=["size", "classes", "valid", "label"],
)
def test_an_image_that_does_not_fit_is_named(target, probability, valid, words):
    scores = RunScores(["a"])
    with pytest.raises(UserError, match="^some/image: .*" + words):
        scores.add("some/image", "g", target.astype(np.uint8), probability.astype(np.uint8), valid)
    assert scores.rows() == []


def test_wrong_dtypes_repeated_ids_and_thresholds_are_refused():
    target, probability = binary([[1]], [[255]])
    scores = RunScores(["a"])
    with pytest.raises(TypeError):
        scores.add("x", "g", target.astype(bool), probability)
    scores.add("x", "g", target, probability)
    with pytest.raises(UserError, match="x: scored twice"):
        scores.add("x", "g", target, probability)
    with pytest.raises(UserError, match="threshold"):
        RunScores(["a"], threshold=1.0)


def test_counts_and_groups_are_of_images_with_counted_pixels():
    scores = RunScores(["a"])
    scores.add("x", "b", *binary([[1]], [[255]]))
    scores.add("y", "c", *binary([[255]], [[255]]))
    scores.add("z", "a", *binary([[0]], [[255]]))
    assert scores.counts[:, 0, :4].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert scores.groups.tolist() == [1, 0]
