"""Part mIoU and top-1 accuracy of point clouds, counted by hand, and as the evaluation writes them."""

import json

import numpy as np
import pytest
from handmade_splits import prediction, run, whole, write
from promptseg.data import point_clouds
from promptseg.evaluation import score_table
from promptseg.evaluation.point_cloud_scores import PointCloudScoring
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from promptseg.report import run_figure

CLASSES = ["mug handle", "mug cup", "cap crown", "cap visor"]
BY_CATEGORY = {"mug": [1, 2], "cap": [3, 4]}


def maps_of(labels, classes: int) -> np.ndarray:
    """Maps (classes, n, 2) of probability 0 or 1 that predict these labels of points, from 1."""
    return (np.array(labels) == np.arange(1, classes + 1)[:, None])[..., None].repeat(2, axis=2) * 1.0


def scored(clouds, classes: list[str], by_category: dict, is_classification: bool = False) -> tuple[list, dict]:
    """clouds: text, target labels, predicted labels. Returns the score of each cloud, and the keys of clouds."""
    scores, texts = RunScores(classes), {}
    for number, (text, target, predicted) in enumerate(clouds):
        maps = (255 * maps_of(predicted, len(classes))).astype(np.uint8)
        scores.add(f"c{number}", "g", point_clouds.mask(np.array(target)), maps)
        texts[f"c{number}"] = text
    about = {"classes": classes, "classes_by_category": by_category, "is_classification": is_classification}
    scoring = PointCloudScoring(about, texts)
    each = scoring.image_scores(scores.rows(scoring.task))
    run = Evaluation(scores, task=scoring.task, image_scores=each, categories=scoring.categories)
    summary = summarize(run)
    assert list(each) == list(texts) and "boundary_iou" not in summary
    names = ("part_miou", "part_miou_category", "top1")
    return list(each.values()), {key: summary[key] for key in names if key in summary}


def test_a_case_counted_by_hand():
    clouds = [
        ("mug", [1, 1, 2, 2], [1, 2, 2, 2]),  # handle 1/2, cup 2/3
        ("mug", [2, 2, 2, 2], [2, 2, 2, 2]),  # handle in neither: 1, cup 1
        ("cap", [3, 3, 4, 4], [4, 4, 3, 3]),  # 0 and 0
        ("bag", [5, 5, 5, 6], [5, 6, 6, 6]),  # 1/3, 1/3, and the third part in neither: 1
    ]
    each, summary = scored(clouds, [*CLASSES, "x", "y", "z"], BY_CATEGORY | {"bag": [5, 6, 7]})
    mug, bag = (1 / 2 + 2 / 3) / 2, (1 / 3 + 1 / 3 + 1) / 3
    assert each == pytest.approx([mug, 1, 0, bag])
    means = {"part_miou": (mug + 1 + 0 + bag) / 4, "part_miou_category": ((mug + 1) / 2 + 0 + bag) / 3}
    assert summary == pytest.approx(means, abs=1e-6)


def test_where_whole_clouds_are_classified_the_share_of_right_classes_is_the_score():
    clouds = [("", [1] * 9, [1] * 9), ("", [2] * 9, [3] * 9), ("", [3] * 9, [3] * 9), ("", [3] * 9, [1] * 9)]
    assert scored(clouds, ["a", "b", "c"], {}, is_classification=True) == ([1, 0, 1, 0], {"top1": 0.5})


@pytest.mark.parametrize("is_classification", [False, True])
def test_the_headline_and_its_interval_are_those_of_the_mean_over_clouds(is_classification):
    """Ten groups of two clouds, half of them right: with t of 9 degrees of freedom as for any mean over images."""
    scores = RunScores(["a", "b"])
    for number in range(20):
        maps = (255 * maps_of([1 + number % 2] * 9, 2)).astype(np.uint8)
        scores.add(f"c{number}", f"g{number % 10}", point_clouds.mask(np.ones(9, np.int64)), maps)
    by_category = {} if is_classification else {"thing": [1, 2]}
    about = {"classes": ["a", "b"], "classes_by_category": by_category, "is_classification": is_classification}
    scoring = PointCloudScoring(about, {f"c{number}": "thing" for number in range(20)})
    each = scoring.image_scores(scores.rows(scoring.task))
    found = summarize(Evaluation(scores, task=scoring.task, image_scores=each, categories=scoring.categories))
    assert found["headline"] == ("top1" if is_classification else "part_miou")
    assert found[found["headline"]] == 0.5 and found["iou_pooled"] == 0.5
    half = 2.262157 / 6 / 0.25
    ends = 1 / (1 + np.exp([half, -half]))
    assert (found["iou_ci_low"], found["iou_ci_high"]) == pytest.approx(ends, abs=1e-6)


@pytest.mark.parametrize("is_classification", [False, True])
def test_a_run_on_point_clouds_has_its_own_metrics_and_a_short_legend(tmp_path, monkeypatch, is_classification):
    legends, grid = [], run_figure.grid
    monkeypatch.setattr(run_figure, "grid", lambda *given: legends.append(given[3]) or grid(*given))
    cloud = point_clouds.encode(np.random.default_rng(0).normal(size=(50, 3)))
    rows = [whole(f"c{number}", "g", cloud, point_clouds.mask(np.full(50, 2)), "mug") for number in range(2)]
    prompts = [{"target": 1, "text": "mug"}]
    predictions = [prediction(f"c{number}", maps_of([1 + number] * 50, 4), prompts) for number in range(2)]
    about = {"modality": "point_cloud", "is_classification": is_classification}
    about["classes_by_category"] = {} if is_classification else BY_CATEGORY
    outputs = run(tmp_path, *write(tmp_path, rows, predictions, CLASSES, about=about))
    headline, own = json.loads(outputs.metrics.read_text()), "top1" if is_classification else "part_miou"
    assert headline.keys() == {"iou_mean", "iou_pooled", own}  # a single group: no interval
    assert headline[own] == 0.5
    assert "boundary_iou" not in score_table.read_summary(outputs.scores)
    assert legends == [{1, 2}]
