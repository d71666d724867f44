"""Scores of a run: rows, refusals, means over images and classes, pooled scores, and intervals over groups."""

import math

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.evaluation import class_means
from promptseg.evaluation.counts import BOUNDARY_COUNTS, COUNTS
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from score_cases import binary, one_row

BLANK = np.zeros((2, 3)), np.zeros((1, 2, 3))


def scored(*images, classes=("a",)) -> RunScores:
    """The scores of images, each a group, a target and a probability map; their ids are their numbers."""
    scores = RunScores(classes)
    for number, image in enumerate(images):
        scores.add(str(number), *image)
    return scores


def summary(*images, classes=("a",), seed=0) -> dict:
    return summarize(Evaluation(scored(*images, classes=classes), seed=seed))


def interval(found: dict) -> tuple[float, float]:
    return found["iou_ci_low"], found["iou_ci_high"]


def labelled(*labels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A row of pixels of these classes, all predicted right."""
    target = np.array([labels], np.uint8)
    return target, np.where(target == np.arange(1, classes + 1)[:, None, None], 255, 0).astype(np.uint8)


def test_rows_hold_counts_and_metrics_of_the_task():
    scores = scored(("g", *binary([[1, 1, 0]], [[255, 0, 255]])))
    (row,) = scores.rows()
    assert list(row)[:9] == ["id", "group", "class", *COUNTS]
    assert row["iou"] == pytest.approx(1 / 3) and (row["tp"], row["fp"], row["fn"], row["tn"]) == (1, 1, 1, 0)
    (row,) = scores.rows("classification")
    assert not {*BOUNDARY_COUNTS, "boundary_iou"} & row.keys() and row["dice"] == 0.5


@pytest.mark.parametrize(("target", "probability", "valid", "words"), [
    (BLANK[0], np.zeros((1, 2, 2)), None, r"\(1, 2, 3\) by classes and mask, got \(1, 2, 2\); predict again"),
    (BLANK[0], np.zeros((2, 2, 3)), None, r"\(1, 2, 3\) by classes and mask, got \(2, 2, 3\)"),
    (BLANK[0], np.zeros((2, 3)), None, r"got \(2, 3\)"),
    (np.zeros((1, 2, 3)), BLANK[1], None, r"mask should be \(h, w\)"),
    (*BLANK, np.ones((3, 2), bool), "valid pixels should be"),
    (BLANK[0] + 2, BLANK[1], None, "label 2 in the mask"),
], ids=["size", "classes", "flat", "deep", "valid", "label"])  # fmt: skip
def test_an_image_that_does_not_fit_is_named(target, probability, valid, words):
    scores = RunScores(["a"])
    with pytest.raises(UserError, match="^some/image: .*" + words):
        scores.add("some/image", "g", target.astype(np.uint8), probability.astype(np.uint8), valid)
    assert scores.rows() == []


def test_wrong_dtypes_repeated_ids_and_thresholds_are_refused():
    target, probability = binary([[1]], [[255]])
    scores = scored(("g", target, probability))
    for wrong in ((target > 0, probability), (target, probability / 255), (target, probability, np.ones((1, 1), "u1"))):
        with pytest.raises(TypeError):
            scores.add("x", "g", *wrong)
    with pytest.raises(UserError, match="0: scored twice"):
        scores.add("0", "g", target, probability)
    for threshold in (0.0, 1.0):
        with pytest.raises(UserError, match="threshold"):
            RunScores(["a"], threshold)


def test_an_image_without_a_counted_pixel_is_left_out_and_a_run_of_such_images_is_refused():
    right, ignored, wrong = (binary([[label]], [[255]]) for label in (1, 255, 0))
    scores = scored(("b", *right), ("c", *ignored), ("a", *wrong))
    assert scores.counts[:, 0, :4].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert scores.groups.tolist() == [1, 0] and len(scores.rows()) == 3
    found = summarize(Evaluation(scores, seed=0))
    assert (found["iou_mean"], found["images"], found["groups"]) == (0.5, 2, 2)
    for images in ([], [("c", *ignored)]):
        with pytest.raises(UserError, match="nothing to score"):
            summary(*images)


def test_means_are_over_images_first_and_classes_second_without_absent_classes():
    values, where = np.array([[0.0, 0.4], [1.0, 0.9]]), np.array([[True, True], [True, False]])
    assert class_means.mean(values, where) == (0.5 + 0.4) / 2
    assert class_means.mean(values[0], where[1]) == 0.0  # pooled: (K,)
    assert class_means.mean(values, np.zeros((2, 2), bool)) == 1.0
    counts = np.zeros((2, 2, 6), int)
    counts[0, :, 3], counts[1, 0, 2] = 9, 1
    assert class_means.present(counts).tolist() == [[False, False], [True, False]]
    assert class_means.present(counts[:, :1]).tolist() == [[True], [True]]  # true negatives alone, of a single class


def test_pooled_and_mean_over_images_are_kept_apart():
    found = summary(("g1", *one_row(8, 1, 1)), ("g2", *one_row(0, 0, 2)), ("g2", *binary([[0, 0]], [[0, 0]])))
    expected = {
        "iou_mean": (0.8 + 0.0 + 1.0) / 3, "iou_pooled": 8 / 12, "dice_mean": (16 / 18 + 0.0 + 1.0) / 3,
        "dice_pooled": 0.8, "precision": 8 / 9, "recall": 8 / 11, "images": 3, "groups": 2, "oracle": False,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == {key: round(value, 6) for key, value in expected.items()}
    assert all(type(value) in (float, int, bool) for value in found.values())


def test_an_absent_class_does_not_raise_the_mean_and_images_of_background_alone_agree():
    first = np.array([[1, 1, 0]], np.uint8), labelled(1, 0, 0, classes=3)[1]
    scores = scored(("g", *first), ("g", *labelled(2, 2, 2, classes=3)), classes=("a", "b", "never"))
    found = summarize(Evaluation(scores, seed=0))
    assert found["iou_mean"] == found["iou_pooled"] == 0.75  # a: 0.5 in the first alone; b: 1.0 in the second alone
    assert [row["iou"] for row in scores.rows() if row["class"] == "never"] == [1.0, 1.0]
    blank = labelled(0, 0, classes=2)
    found = summary(("x", *blank), ("y", *blank), classes=("a", "b"))
    assert found["iou_mean"] == found["iou_pooled"] == found["boundary_iou"] == 1.0
    assert "iou_ci_low" not in found and "average_precision" not in found


def test_the_interval_resamples_groups_and_not_images():
    found = summary(*[("g1", *one_row(1, 0, 0))] * 30, ("g2", *one_row(0, 0, 1)))
    # A quarter of all resamples takes g2 twice, another g1 twice. Over images, the mean would stay above 0.8.
    assert interval(found) == (0.0, 1.0) and found["iou_mean"] == round(30 / 31, 6)
    one_group = summary(("g", *one_row(1, 1, 0)), ("g", *one_row(1, 0, 0)))
    assert not {"iou_ci_low", "iou_ci_high"} & one_group.keys()
    # Left out are classes that a resample lacks, and groups without any.
    images = [(name, *labelled(label, classes=2)) for name, label in (("x", 1), ("y", 2), ("z", 0))]
    assert interval(summary(*images, classes=("a", "b"))) == (1.0, 1.0)


def test_the_interval_of_many_groups_is_that_of_the_normal_law():
    images = [(str(number), *(one_row(1, 0, 0) if number % 2 else one_row(0, 0, 1))) for number in range(400)]
    spread = 1.96 * 0.5 / math.sqrt(400)
    assert interval(summary(*images, seed=3)) == pytest.approx((0.5 - spread, 0.5 + spread), abs=0.006)


def test_the_interval_depends_on_the_seed_alone():
    rng = np.random.default_rng(1)
    images = [(str(number % 7), *one_row(*rng.integers(1, 9, 3))) for number in range(40)]
    found, other = summary(*images, seed=5), summary(*images, seed=6)
    assert found == summary(*images, seed=5) == summary(*images[::-1], seed=5)
    assert {key for key in found if found[key] != other[key]} == {"iou_ci_low", "iou_ci_high"}
    assert interval(found)[0] <= found["iou_mean"] <= interval(found)[1]
