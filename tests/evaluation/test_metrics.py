"""Metrics of single masks against torchmetrics, and the registry that files, tables and the report read."""

import math

import numpy as np
import pandas
import pytest
import torch
import torchmetrics.classification as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.data.image_io import IGNORED
from promptseg.evaluation import metrics, score_table
from promptseg.evaluation.counts import count
from promptseg.evaluation.metrics import Key, MaskMetric, RunMetric, compute_metrics
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from score_cases import binary, counted_pixels, images, one_row


@settings(deadline=None)
@given(images(1), st.sampled_from([0.05, 0.3, 0.5, 0.501, 0.75]))
def test_metrics_of_one_class_are_those_of_torchmetrics(case, threshold):
    labels, values = counted_pixels(*case)
    ours = compute_metrics(count(*case[:2], 1, case[2], threshold)[0])
    if not (labels.any() or (values >= 256 * threshold).any()):
        assert set(map(float, ours.values())) == {1.0}  # torchmetrics gives 0 where both are empty
        return
    predicted = (values[0] >= 256 * threshold).long()
    for key, metric in {
        "iou": oracle.BinaryJaccardIndex(),
        "dice": oracle.BinaryF1Score(),
        "accuracy": oracle.BinaryAccuracy(),
        "precision": oracle.BinaryPrecision(),
        "recall": oracle.BinaryRecall(),
    }.items():
        assert ours[key] == pytest.approx(metric(predicted, labels).item(), abs=1e-6), key


@settings(deadline=None, max_examples=50)
@given(st.lists(images(3), min_size=1, max_size=3))
def test_pooled_metrics_of_several_classes_are_those_of_torchmetrics(cases):
    ours, labels, predicted = RunScores(["a", "b", "c"]), [], []
    for number, case in enumerate(cases):
        ours.add(str(number), "g", *case)
        label, values = counted_pixels(*case)
        labels.append(label)
        best, where = values.long().max(dim=0)
        predicted.append(torch.where(best >= 128, where + 1, 0))
    labels, predicted = torch.cat(labels), torch.cat(predicted)
    if len(labels) == 0:
        return
    pooled = summarize(Evaluation(ours, seed=0))
    present = [label for label in (1, 2, 3) if ((labels == label) | (predicted == label)).any()]
    for key, kind in {
        "iou_pooled": oracle.MulticlassJaccardIndex,
        "dice_pooled": oracle.MulticlassF1Score,
        "precision": oracle.MulticlassPrecision,
        "recall": oracle.MulticlassRecall,
    }.items():
        values = kind(num_classes=4, average="none")(predicted, labels)
        expected = values[present].mean().item() if present else 1.0
        assert pooled[key] == pytest.approx(expected, abs=2e-6), key


@settings(deadline=None)
@given(st.integers(1, 3).flatmap(images))
def test_a_perfect_prediction_scores_one_whatever_is_ignored(case):
    target, probability, valid = case
    perfect = np.stack([np.where(target == label, 255, 0) for label in range(1, len(probability) + 1)])
    perfect = perfect.astype(np.uint8)
    perfect[:, target == IGNORED] = probability[:, target == IGNORED]  # must not matter
    for values in compute_metrics(count(target, perfect, len(perfect), valid)).values():
        assert (values == 1.0).all()


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], {"iou": 1, "dice": 1, "precision": 1, "recall": 1, "boundary_iou": 1}),
        ([[1, 1], [1, 1]], [[255, 255], [255, 255]], {"iou": 1, "boundary_iou": 1}),
        ([[1, 1], [1, 1]], [[0, 0], [0, 0]], {"iou": 0, "precision": 0, "recall": 0, "boundary_iou": 0}),
        ([[0, 0], [0, 0]], [[255, 0], [0, 0]], {"iou": 0, "precision": 0, "recall": 0, "accuracy": 0.75}),
        ([[1]], [[128]], {"iou": 1, "boundary_iou": 1}),
        ([[255, 255]], [[255, 0]], {"iou": 1}),
        ([[1, 1, 0]], [[255, 0, 255]], {"iou": 0.333333, "dice": 0.5}),
    ],
    ids=["empty", "full", "missed", "false-positive", "one-pixel", "all-ignored", "mixed"],
)
def test_metrics_at_the_edges(target, value, expected):
    ours = {key: float(values[0]) for key, values in compute_metrics(count(*binary(target, value), 1)).items()}
    assert {key: ours[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert all(math.isfinite(value) for value in ours.values())


def test_names_are_unique_and_every_headline_is_a_number_of_the_summary():
    names = [key.name for key in metrics.keys()]
    assert len(set(names)) == len(names)
    summary = dict.fromkeys(names, 0.5) | {"images": 3}
    assert metrics.headline(summary) == {key.name: 0.5 for key in metrics.keys() if key.headline}
    assert metrics.headline({"iou_mean": 0.5, "accuracy": 0.5, "oracle": True}) == {"iou_mean": 0.5}


def test_boundaries_are_for_images_alone_and_each_task_has_its_own_metric():
    columns = {
        task: {metric.name for metric in metrics.mask_metrics(task)} for task in ("segmentation", "classification")
    }
    assert columns["segmentation"] - columns["classification"] == {"boundary_iou"}
    keys = {
        task: {key.name for m in metrics.for_task(task) for key in m.keys}
        for task in columns | {"part segmentation": 0}
    }
    assert {"top1"} == keys["classification"] & {"top1", "part_miou", "part_miou_category", "boundary_iou"}
    assert {"part_miou", "part_miou_category"} == keys["part segmentation"] & {
        "top1",
        "part_miou",
        "part_miou_category",
    }


def test_a_metric_needs_a_function_and_a_line(tmp_path, monkeypatch):
    """The summary, the headline and the table of scores have it without further change."""

    def specificity(counts):
        return counts.ratio(counts.tn, counts.tn + counts.fp)

    lines = (
        MaskMetric(specificity, mean=Key("specificity_mean", "mean specificity", headline=True)),
        RunMetric(lambda run: 0.25, Key("quarter", "a quarter")),
    )
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, *lines))
    scores = RunScores(["a"])
    scores.add("x", "g1", *one_row((1, 1, 0)))
    scores.add("y", "g2", *binary([[1, 0, 0]], [[255, 255, 0]]))
    summary = summarize(Evaluation(scores, seed=0))
    assert summary["specificity_mean"] == 0.25 and summary["quarter"] == 0.25
    assert metrics.headline(summary)["specificity_mean"] == 0.25 and "quarter" not in metrics.headline(summary)
    score_table.write_table(tmp_path / "scores.parquet", scores.rows(), summary)
    assert pandas.read_parquet(tmp_path / "scores.parquet")["specificity"].tolist() == [0.0, 0.5]
