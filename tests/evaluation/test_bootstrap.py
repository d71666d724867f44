"""Bootstrap intervals: over groups, of the right width, and decided by the seed alone."""

import math

import numpy as np
import pytest
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from score_cases import one_row


def interval(scores: RunScores, seed: int = 0) -> tuple[float, float]:
    summary = summarize(Evaluation(scores, seed=seed))
    return summary["iou_ci_low"], summary["iou_ci_high"]


def test_the_interval_resamples_groups_and_not_images():
    scores = RunScores(["a"])
    for number in range(30):
        scores.add(f"good {number}", "g1", *one_row((1, 0, 0)))
    scores.add("bad", "g2", *one_row((0, 0, 1)))
    # A quarter of all resamples takes g2 twice, another g1 twice. Over images, the mean would stay above 0.8.
    assert interval(scores) == (0.0, 1.0)
    assert summarize(Evaluation(scores, seed=0))["iou_mean"] == round(30 / 31, 6)


def test_the_interval_of_many_groups_is_that_of_the_normal_law():
    scores = RunScores(["a"])
    for number in range(400):
        scores.add(str(number), str(number), *one_row((1, 0, 0) if number % 2 else (0, 0, 1)))
    low, high = interval(scores, seed=3)
    spread = 1.96 * 0.5 / math.sqrt(400)
    assert low == pytest.approx(0.5 - spread, abs=0.006)
    assert high == pytest.approx(0.5 + spread, abs=0.006)


def test_the_interval_depends_on_the_seed_alone():
    rng = np.random.default_rng(1)
    images = [(str(number), str(number % 7), *one_row(tuple(rng.integers(1, 9, 3)))) for number in range(40)]
    forward, backward = RunScores(["a"]), RunScores(["a"])
    for image in images:
        forward.add(*image)
    for image in reversed(images):
        backward.add(*image)
    summary = summarize(Evaluation(forward, seed=5))
    assert summary == summarize(Evaluation(forward, seed=5)) == summarize(Evaluation(backward, seed=5))
    assert interval(forward, 5)[0] != interval(forward, 6)[0]
    assert interval(forward, 5)[0] <= summary["iou_mean"] <= interval(forward, 5)[1]


def test_the_interval_leaves_out_classes_that_a_resample_lacks():
    scores = RunScores(["a", "b"])
    blank = np.zeros((2, 1, 1), np.uint8)
    for name, label in (("x", 1), ("y", 2)):
        probability = blank.copy()
        probability[label - 1] = 255
        scores.add(name, name, np.full((1, 1), label, np.uint8), probability)
    scores.add("z", "z", np.zeros((1, 1), np.uint8), blank)
    assert interval(scores) == (1.0, 1.0)


def test_one_group_has_no_interval():
    scores = RunScores(["a"])
    scores.add("x", "g", *one_row((1, 1, 0)))
    scores.add("y", "g", *one_row((1, 0, 0)))
    assert not {"iou_ci_low", "iou_ci_high"} & set(summarize(Evaluation(scores, seed=0)))
