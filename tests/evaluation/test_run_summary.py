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


def summary(*images, classes=("a",), **about) -> dict:
    return summarize(Evaluation(scored(*images, classes=classes), **about))


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
    _, absent = scored(("g", *labelled(1, 0, classes=2)), classes=("a", "b")).rows()
    assert (absent["tn"], absent["iou"], absent["boundary_iou"]) == (2, None, None), "the ground truth lacks the class"


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


def test_wrong_dtypes_and_repeated_ids_are_refused():
    target, probability = binary([[1]], [[255]])
    scores = scored(("g", target, probability))
    for wrong in ((target > 0, probability), (target, probability / 255), (target, probability, np.ones((1, 1), "u1"))):
        with pytest.raises(TypeError):
            scores.add("x", "g", *wrong)
    with pytest.raises(UserError, match="0: scored twice"):
        scores.add("0", "g", target, probability)


def test_images_without_ground_truth_have_no_score_and_a_run_of_such_images_is_refused():
    right, ignored, wrong = (binary([[label]], [[255]]) for label in (1, 255, 0))
    scores = scored(("b", *right), ("c", *ignored), ("a", *wrong))
    assert scores.counts[:, 0, :4].tolist() == [[1, 0, 0, 0]] and scores.empty_counts[:, 0, 1].tolist() == [1]
    assert scores.groups.tolist() == [0] and len(scores.rows()) == 3
    found = summarize(Evaluation(scores))
    assert (found["iou_mean"], found["images"], found["images_empty"], found["groups"]) == (1, 1, 1, 1)
    for images in ([], [("c", *ignored)], [("a", *wrong)]):
        with pytest.raises(UserError, match="nothing to score"):
            summary(*images)


def test_means_are_over_images_first_and_classes_second_without_absent_classes():
    values, where = np.array([[0.0, 0.4], [1.0, 0.9]]), np.array([[True, True], [True, False]])
    assert class_means.mean(values, where) == (0.5 + 0.4) / 2
    assert class_means.mean(values[0], where[1]) == 0.0  # pooled: (K,)
    counts = np.zeros((2, 2, 6), int)
    counts[0, :, 3], counts[1, 0, 2], counts[1, 1, 1] = 9, 1, 1
    assert class_means.in_truth(counts).tolist() == [[False, False], [True, False]]


def test_pooled_and_mean_over_images_are_kept_apart_and_are_of_images_with_ground_truth():
    found = summary(("g1", *one_row(8, 1, 1)), ("g2", *one_row(0, 0, 2)), ("g3", *binary([[0, 0]], [[0, 255]])))
    expected = {
        "iou_mean": (0.8 + 0.0) / 2, "iou_pooled": 8 / 12, "dice_mean": (16 / 18 + 0.0) / 2,
        "dice_pooled": 0.8, "precision": 8 / 9, "recall": 8 / 11, "accuracy": 8 / 12, "images": 2, "images_empty": 1,
        "groups": 2, "group_unit": "image", "score": "image", "oracle": False, "headline": "iou_mean",
    }  # fmt: skip
    assert {key: found[key] for key in expected} == {
        key: round(value, 6) if isinstance(value, float) else value for key, value in expected.items()
    }
    assert all(type(value) in (float, int, bool, str) for value in found.values())
    about = {"group_unit": "sequence", "score": "tile"}
    assert about.items() <= summary(("g", *one_row(1, 0, 0)), split=about).items()


def test_false_alarms_are_a_metric_of_their_own():
    """One class: two of four empty images are marked, a half and a quarter of them. The pooled IoU counts these too."""
    marks = ([255, 255, 0, 0], [0, 0, 0, 255], [0] * 4, [0] * 4)
    images = [("g", *one_row(3, 0, 1)), *(("g", *binary([[0] * 4], [mark])) for mark in marks)]
    found = summary(*images)
    assert (found["false_alarm_rate"], found["false_alarm_area"]) == (0.5, (0.5 + 0.25) / 4)
    assert (found["iou_pooled"], found["iou_pooled_all"], found["iou_mean"]) == (0.75, round(3 / 7, 6), 0.75)
    alarms = {"false_alarm_rate", "false_alarm_area", "iou_pooled_all"}
    assert not alarms & summary(*images, oracle=True).keys() and not alarms & summary(images[0]).keys()
    # Several classes: b is absent from the first image and marked on one of four pixels; a is absent from the other.
    first = labelled(1, 1, 1, 0, classes=2)[0], labelled(1, 1, 2, 0, classes=2)[1]
    found = summary(("g", *first), ("g", *labelled(2, 2, 0, 0, classes=2)), classes=("a", "b"))
    assert (found["false_alarm_rate"], found["false_alarm_area"]) == (0.5, 0.125) and "iou_pooled_all" not in found


def test_an_absent_class_does_not_raise_the_mean():
    first = np.array([[1, 1, 0]], np.uint8), labelled(1, 0, 0, classes=3)[1]
    scores = scored(("g", *first), ("g", *labelled(2, 2, 2, classes=3)), classes=("a", "b", "never"))
    found = summarize(Evaluation(scores))
    assert found["iou_mean"] == found["iou_pooled"] == 0.75  # a: 0.5 in the first alone; b: 1.0 in the second alone
    assert [row["iou"] for row in scores.rows() if row["class"] == "never"] == [None, None]


def test_a_stray_pixel_of_another_class_hardly_changes_a_right_answer():
    stray = labelled(*[1] * 99, 0, classes=2)[0], labelled(*[1] * 99, 2, classes=2)[1]
    found = summary(("g", *stray), ("g", *labelled(*[2] * 99, 0, classes=2)), classes=("a", "b"))
    assert found["iou_mean"] == 1.0 and found["iou_pooled"] == round((1 + 99 / 100) / 2, 6)
    assert found["headline"] == "iou_pooled" and found["false_alarm_rate"] == 0.5


def test_a_stray_pixel_of_a_class_that_no_image_has_hardly_changes_a_right_answer():
    stray = labelled(*[1] * 99, 0, classes=2)[0], labelled(*[1] * 99, 2, classes=2)[1]
    found = summary(("g", *stray), classes=("a", "b"))
    assert found["iou_mean"] == found["iou_pooled"] == 1.0
    assert (found["false_alarm_rate"], found["false_alarm_area"]) == (1.0, 0.01)


def test_accuracy_with_several_classes_is_the_share_of_pixels_that_are_right():
    wrong = labelled(1, 2, 3, 0, classes=3)[0], labelled(2, 3, 1, 1, classes=3)[1]
    assert summary(("g", *wrong), classes="abc")["accuracy"] == 0
    half = labelled(1, 2, 0, 0, 255, classes=3)[0], labelled(1, 1, 0, 3, 3, classes=3)[1]
    assert summary(("g", *half), classes="abc")["accuracy"] == 0.5


@pytest.mark.parametrize("classes", [1, 2])
def test_the_headline_at_other_thresholds_and_the_best_of_them(classes):
    """Below 0.3 the first image is all foreground; from 0.5 on the second is missed. In each of two classes alike."""
    images = [binary([[1, 1, 0, 0]], [[200, 200, 70, 70]]), binary([[1, 1, 0, 0]], [[127, 120, 0, 0]])]
    scores = RunScores(["a", "b"][:classes])
    for label in range(1, classes + 1):
        for number, (target, probability) in enumerate(images):
            maps = np.zeros((classes, *target.shape), np.uint8)
            maps[label - 1] = probability[0]
            scores.add(f"{label}/{number}", "g", label * target, maps)
    mean = {0.25: (2 / 4 + 1) / 2, 0.3: 1, 0.45: 1, 0.5: 0.5}
    pooled = {0.25: 4 / 6, 0.3: 1, 0.45: 1, 0.5: 0.5}
    for threshold, value in (mean if classes == 1 else pooled).items():
        assert scores.headline(threshold) == pytest.approx(value)
    assert scores.best_threshold() == 0.45
    found = summarize(Evaluation(scores, threshold=0.45))
    assert (found["iou_tuned"], found["threshold"], found[found["headline"]]) == (1, 0.45, 0.5)
    assert not {"iou_tuned", "threshold"} & summarize(Evaluation(scores)).keys()


def test_scores_of_parts_of_a_split_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    images = [binary(rng.integers(0, 2, (4, 5)), rng.integers(0, 256, (4, 5))) for _ in range(7)]
    whole, parts = RunScores(["a"]), [RunScores(["a"]) for _ in range(2)]
    for number, image in enumerate(images):
        whole.add(str(number), str(number), *image)
        parts[number // 4].add(str(number), str(number), *image)
    parts[0].include(parts[1])
    assert parts[0].rows() == whole.rows() and summarize(Evaluation(parts[0])) == summarize(Evaluation(whole))
    assert parts[0].best_threshold() == whole.best_threshold()


def test_the_interval_is_of_the_headline_over_groups():
    images = [(str(number), *(one_row(1, 0, 0) if number % 2 else one_row(0, 0, 1))) for number in range(400)]
    spread = 1.96 * 0.5 / math.sqrt(400)  # of the normal law
    assert interval(summary(*images)) == pytest.approx((0.5 - spread, 0.5 + spread), abs=0.002)
    # Ten groups of equal images: their means have a deviation of 1/6, and t with 9 degrees of freedom is 2.262157.
    alike = [(name, *image) for name, *image in images[:10] for _ in range(4)]
    half = 2.262157 / 6 / 0.25
    assert interval(summary(*alike)) == pytest.approx((1 / (1 + math.exp(half)), 1 / (1 + math.exp(-half))), abs=1e-6)
    four = summary(*[(str(number % 4), *image) for number, (_, *image) in enumerate(images)])
    assert not {"iou_ci_low", "iou_ci_high"} & four.keys() and four["groups"] == 4
    several = [(str(i), *labelled(1 + i % 2, 0, classes=2)) for i in range(12)]
    wrong = [(str(i), labelled(1 + i % 2, 0, classes=2)[0], labelled(0, 0, classes=2)[1]) for i in range(0, 6)]
    found = summary(*several[6:], *wrong, classes=("a", "b"))
    assert found["iou_pooled"] == 0.5 and interval(found)[0] < 0.5 < interval(found)[1]


def test_the_order_of_the_images_changes_nothing():
    rng = np.random.default_rng(1)
    images = [(str(number % 7), *one_row(*rng.integers(1, 9, 3))) for number in range(40)]
    found = summary(*images)
    assert found == summary(*images[::-1]) and interval(found)[0] < found["iou_mean"] < interval(found)[1]
