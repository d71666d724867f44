"""Label maps, counts, metrics and curves: against torchmetrics, the paper and cases by hand; and their registry."""

import numpy as np
import pandas
import pytest
import torch
import torchmetrics.functional.classification as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.core.errors import UserError
from promptseg.data.image_io import IGNORED
from promptseg.evaluation import metrics, score_table
from promptseg.evaluation.counts import COUNTS, count, label_map
from promptseg.evaluation.histogram import ProbabilityHistogram
from promptseg.evaluation.metrics import Key, MaskMetric, RunMetric, compute_metrics
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from score_cases import band_by_hand, binary, counted_pixels, images, one_row

REFERENCES = {
    "iou": reference.binary_jaccard_index, "dice": reference.binary_f1_score,
    "precision": reference.binary_precision, "recall": reference.binary_recall,
}  # fmt: skip


def expected(name: str, predicted: torch.Tensor, truth: torch.Tensor) -> float:
    """The mean of torchmetrics over the classes that the truth has, of (K, n) bool."""
    pairs = [(p.long(), t.long()) for p, t in zip(predicted, truth, strict=True) if t.any()]
    return pytest.approx(np.mean([REFERENCES[name](*pair).item() for pair in pairs]), abs=2e-6)


@settings(max_examples=40)
@given(st.sampled_from([1, 3]).flatmap(lambda classes: st.lists(images(classes), min_size=1, max_size=3)))
def test_pooled_metrics_average_precision_and_curve_are_those_of_torchmetrics(cases):
    classes = len(cases[0][1])
    scores = RunScores(["a", "b", "c"][:classes])
    for number, case in enumerate(cases):
        scores.add(str(number), "g", *case)
    pixels = [(label, value) for label, value in (counted_pixels(*case) for case in cases) if label.any()]
    if not pixels:
        for needs_ground_truth in (scores.histogram.curve, scores.headline, lambda: summarize(Evaluation(scores))):
            with pytest.raises(UserError, match="nothing to score"):
                needs_ground_truth()
        return
    labels, values = torch.cat([label for label, _ in pixels]), torch.cat([value for _, value in pixels], dim=1)
    numbers = torch.arange(1, classes + 1)[:, None]
    best, where = values.max(dim=0)
    truth = labels == numbers
    summary, curve = summarize(Evaluation(scores)), scores.histogram.curve()
    assert [row["threshold"] for row in curve] == pytest.approx(np.arange(1, 20) * 0.05)
    for row in curve[::3]:
        predicted = torch.where(best >= 256 * row["threshold"], where + 1, 0)
        for key in ("iou", "precision", "recall"):
            assert row[key] == expected(key, predicted == numbers, truth), row
        if row["threshold"] == 0.5:
            for key in ("iou_pooled", "dice_pooled", "precision", "recall"):
                assert summary[key] == expected(key.removesuffix("_pooled"), predicted == numbers, truth), key
            right = reference.multiclass_accuracy(predicted, labels, classes + 1, average="micro").item()
            assert summary["accuracy"] == pytest.approx(right, abs=2e-6)
            assert row["iou"] == summary["iou_pooled"] and round(scores.headline(), 6) == summary[summary["headline"]]
    own = [(value.double() / 255, t.long()) for value, t in zip(values, truth, strict=True) if t.any()]
    average = [reference.binary_average_precision(*pair).item() for pair in own]
    assert summary["average_precision"] == pytest.approx(np.mean(average), abs=2e-6)


@settings(max_examples=40)
@given(st.integers(1, 3).flatmap(images))
def test_boundary_counts_are_those_of_the_paper(case):
    target, probability, valid = case
    counts = count(target, probability, len(probability), valid).outcomes
    predicted = label_map(probability)
    counted = target != IGNORED if valid is None else (target != IGNORED) & valid
    for label, row in enumerate(counts, start=1):
        bands = [band_by_hand(counted & (labels == label)) for labels in (target, predicted)]
        shared, either = len(bands[0] & bands[1]), len(bands[0] | bands[1])
        assert row[4:].tolist() == [shared, either]
        assert compute_metrics(row)["boundary_iou"] == (shared / either if either else 1.0)


def test_label_map_takes_the_lower_of_two_equal_classes_and_background_below_the_threshold():
    probability = np.array([[[200, 100, 127, 128]], [[200, 130, 90, 128]], [[10, 131, 0, 128]]], np.uint8)
    assert label_map(probability).tolist() == [[1, 3, 0, 1]]
    assert label_map(probability, 0.78).tolist() == [[1, 0, 0, 0]]  # 0.78 * 256 = 199.7
    assert label_map(probability, 0.79).tolist() == [[0, 0, 0, 0]]  # 0.79 * 256 = 202.2
    assert label_map(np.array([[[127, 128, 129]]], np.uint8)).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(("target", "value", "wanted"), [
    ([[0, 0, 0, 0]], [[0, 0, 0, 0]], {"tn": 4, "iou": 1, "dice": 1, "precision": 1, "recall": 1, "boundary_iou": 1}),
    ([[1, 1], [1, 1]], [[255, 255], [255, 255]], {"tp": 4, "tn": 0, "iou": 1, "boundary_iou": 1}),
    ([[1, 1], [1, 1]], [[0, 0], [0, 0]], {"tp": 0, "fn": 4, "iou": 0, "precision": 0, "recall": 0, "boundary_iou": 0}),
    ([[0, 0], [0, 0]], [[255, 0], [0, 0]], {"fp": 1, "tn": 3, "iou": 0, "precision": 0, "recall": 0}),
    ([[1]], [[128]], {"tp": 1, "boundary_intersection": 1, "boundary_union": 1, "iou": 1, "boundary_iou": 1}),
    ([[1, 255, 0]], [[255, 255, 0]], {"tp": 1, "fp": 0, "fn": 0, "tn": 1, "boundary_union": 1}),
    ([[255, 255]], [[255, 0]], {"tp": 0, "fp": 0, "fn": 0, "tn": 0, "boundary_union": 0, "iou": 1}),
    ([[1, 1, 0]], [[255, 0, 255]], {"tp": 1, "fp": 1, "fn": 1, "tn": 0, "iou": 0.333333, "dice": 0.5}),
], ids=["empty", "full", "missed", "false-positive", "one-pixel", "ignored", "all-ignored", "mixed"])  # fmt: skip
def test_counts_and_metrics_at_the_edges(target, value, wanted):
    (row,) = count(*binary(target, value), 1).outcomes
    ours = dict(zip(COUNTS, row.tolist(), strict=True)) | compute_metrics(row)
    assert {key: ours[key] for key in wanted} == pytest.approx(wanted, abs=1e-6)
    assert np.isfinite(list(ours.values())).all()
    with pytest.raises(UserError, match="nothing to score"):
        ProbabilityHistogram(1).curve()


def test_names_are_unique_and_every_headline_is_a_number_of_the_summary():
    names = [key.name for key in metrics.keys()]
    assert len(set(names)) == len(names)
    summary = dict.fromkeys(names, 0.5) | {"images": 3}
    assert metrics.headline(summary) == {key.name: 0.5 for key in metrics.keys() if key.headline}
    assert metrics.headline({"iou_mean": 0.5, "accuracy": 0.5, "oracle": True}) == {"iou_mean": 0.5}


def test_boundaries_are_for_images_alone_and_each_task_has_its_own_metric():
    columns = [{metric.name for metric in metrics.mask_metrics(task)} for task in ("segmentation", "classification")]
    assert columns[0] - columns[1] == {"boundary_iou"}
    own = {
        "segmentation": "boundary_iou",
        "classification": "top1",
        "part segmentation": "part_miou part_miou_category",
    }
    for task, names in own.items():
        keys = {key.name for metric in metrics.for_task(task) for key in metric.keys}
        assert keys & set(" ".join(own.values()).split()) == set(names.split())


def test_a_metric_needs_a_function_and_a_line(tmp_path, monkeypatch):
    """The summary, the headline and the table of scores have it without further change."""

    def specificity(counts):
        return counts.ratio(counts.tn, counts.tn + counts.fp)

    mean = MaskMetric(specificity, mean=Key("specificity_mean", "mean specificity", headline=True))
    quarter = RunMetric(lambda run: 0.25, Key("quarter", "a quarter"))
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, mean, quarter))
    scores = RunScores(["a"])
    scores.add("x", "g1", *one_row(1, 1, 0))
    scores.add("y", "g2", *binary([[1, 0, 0]], [[255, 255, 0]]))
    summary = summarize(Evaluation(scores))
    assert summary["specificity_mean"] == 0.25 and summary["quarter"] == 0.25
    assert metrics.headline(summary)["specificity_mean"] == 0.25 and "quarter" not in metrics.headline(summary)
    score_table.write_table(tmp_path / "scores.parquet", scores.rows(), summary)
    assert pandas.read_parquet(tmp_path / "scores.parquet")["specificity"].tolist() == [0.0, 0.5]
