"""Threshold curves and average precision against torchmetrics."""

import numpy as np
import pytest
import torch
import torchmetrics.classification as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.core.errors import UserError
from promptseg.evaluation.histogram import ProbabilityHistogram
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from score_cases import counted_pixels, images


@settings(deadline=None)
@given(st.lists(images(1), min_size=1, max_size=3))
def test_average_precision_and_curve_are_those_of_torchmetrics(cases):
    ours = RunScores(["a"])
    for number, case in enumerate(cases):
        ours.add(str(number), "g", *case)
    pixels = [counted_pixels(*case) for case in cases]
    labels = torch.cat([label for label, _ in pixels])
    values = torch.cat([value[0] for _, value in pixels])
    if len(labels) == 0:
        with pytest.raises(UserError, match="nothing to score"):
            ours.histogram.curve()
        return
    summary, curve = summarize(Evaluation(ours, seed=0)), ours.histogram.curve()
    assert [row["threshold"] for row in curve] == pytest.approx(np.arange(1, 20) * 0.05)
    assert curve[9]["threshold"] == 0.5 and curve[9]["iou"] == summary["iou_pooled"]
    if not labels.any():
        assert "average_precision" not in summary
        return
    expected = oracle.BinaryAveragePrecision()(values.double() / 255, labels).item()
    assert summary["average_precision"] == pytest.approx(expected, abs=2e-6)
    for row in curve:
        predicted = (values >= 256 * row["threshold"]).long()
        assert row["iou"] == pytest.approx(oracle.BinaryJaccardIndex()(predicted, labels).item(), abs=2e-6)
        assert row["precision"] == pytest.approx(oracle.BinaryPrecision()(predicted, labels).item(), abs=2e-6)
        assert row["recall"] == pytest.approx(oracle.BinaryRecall()(predicted, labels).item(), abs=2e-6)


@settings(deadline=None, max_examples=50)
@given(images(3))
def test_curve_and_average_precision_of_several_classes_are_the_mean_of_one_against_the_rest(case):
    labels, values = counted_pixels(*case)
    if len(labels) == 0:
        return
    ours = RunScores(["a", "b", "c"])
    ours.add("x", "g", *case)
    present = [i for i in range(3) if (labels == i + 1).any()]
    average = [oracle.BinaryAveragePrecision()(values[i].double() / 255, (labels == i + 1).long()) for i in present]
    if average:
        assert ours.histogram.average_precision() == pytest.approx(np.mean(average), abs=2e-6)
    for row in ours.histogram.curve():
        pairs = [(values[i] >= 256 * row["threshold"], labels == i + 1) for i in range(3)]
        overlaps = [((a & b).sum() / (a | b).sum()).item() for a, b in pairs if (a | b).any()]
        assert row["iou"] == pytest.approx(np.mean(overlaps) if overlaps else 1.0, abs=2e-6)


def test_an_empty_histogram_has_no_curve_and_no_average_precision():
    histogram = ProbabilityHistogram(1)
    with pytest.raises(UserError, match="nothing to score"):
        histogram.curve()
    assert histogram.average_precision() is None
