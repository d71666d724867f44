"""Summary of a run: pooled and mean apart, one rule for absent classes, images without counted pixels left out."""

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from score_cases import binary, one_row


def test_pooled_and_mean_over_images_are_kept_apart():
    scores = RunScores(["a"])
    scores.add("x", "g1", *one_row((8, 1, 1)))
    scores.add("y", "g2", *one_row((0, 0, 2)))
    scores.add("z", "g2", *binary([[0, 0]], [[0, 0]]))
    summary = summarize(Evaluation(scores, seed=0))
    assert summary["iou_mean"] == round((0.8 + 0.0 + 1.0) / 3, 6)
    assert summary["iou_pooled"] == round(8 / 12, 6)
    assert summary["dice_mean"] == round((16 / 18 + 0.0 + 1.0) / 3, 6)
    assert summary["dice_pooled"] == 0.8
    assert (summary["precision"], summary["recall"]) == (round(8 / 9, 6), round(8 / 11, 6))
    assert (summary["images"], summary["groups"], summary["oracle"]) == (3, 2, False)
    assert all(type(value) in (float, int, bool) for value in summary.values())


def test_an_absent_class_does_not_raise_the_mean():
    scores = RunScores(["a", "b", "never"])
    scores.add("x", "g", np.array([[1, 1, 0]], np.uint8), np.array([[[255, 0, 0]], [[0] * 3], [[0] * 3]], np.uint8))
    scores.add("y", "g", np.array([[2, 2, 2]], np.uint8), np.array([[[0] * 3], [[255] * 3], [[0] * 3]], np.uint8))
    summary = summarize(Evaluation(scores, seed=0))
    assert summary["iou_mean"] == 0.75  # a: 0.5 in x alone; b: 1.0 in y alone
    assert summary["iou_pooled"] == 0.75
    assert [row["iou"] for row in scores.rows() if row["class"] == "never"] == [1.0, 1.0]


def test_images_of_background_alone_agree():
    scores = RunScores(["a", "b"])
    for name in "xy":
        scores.add(name, name, np.zeros((2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8))
    summary = summarize(Evaluation(scores, seed=0))
    assert summary["iou_mean"] == summary["iou_pooled"] == summary["boundary_iou"] == 1.0
    assert "iou_ci_low" not in summary and "average_precision" not in summary


def test_an_image_without_a_counted_pixel_is_left_out():
    scores = RunScores(["a"])
    scores.add("x", "g1", *one_row((1, 0, 1)))
    scores.add("y", "g2", *binary([[255]], [[255]]))
    summary = summarize(Evaluation(scores, seed=0))
    assert summary["iou_mean"] == 0.5
    assert (summary["images"], summary["groups"]) == (1, 1)
    assert len(scores.rows()) == 2


def test_nothing_to_score_is_an_error():
    with pytest.raises(UserError, match="nothing to score"):
        summarize(Evaluation(RunScores(["a"]), seed=0))


def test_automatic_masks_have_a_second_score():
    union, single = RunScores(["a"]), RunScores(["a"])
    union.add("x", "g", *one_row((2, 0, 0)))
    single.add("x", "g", *one_row((1, 0, 1)))
    assert summarize(Evaluation(union, seed=0, best_single=single))["iou_best_single"] == 0.5
    assert "iou_best_single" not in summarize(Evaluation(union, seed=0))
