"""Part mIoU and top-1 accuracy against a case counted by hand, and against loops over points."""

import json

import numpy as np
import pytest
from promptseg.data import image_io, point_clouds, records
from promptseg.data.records import Prediction, Record
from promptseg.evaluation import score_table
from promptseg.evaluation.evaluate import Outputs, evaluate
from promptseg.evaluation.point_cloud_scores import PointCloudScoring
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from promptseg.report import run_figure

CLASSES = ["mug handle", "mug cup", "cap crown", "cap visor"]
BY_CATEGORY = {"mug": [1, 2], "cap": [3, 4]}
CLOUD_KEYS = ("part_miou", "part_miou_category", "top1")


def probability(labels: np.ndarray, classes: int) -> np.ndarray:
    """Maps (classes, n, 2) uint8 that predict these labels of points, from 1."""
    maps = np.where(labels == np.arange(1, classes + 1)[:, None], 255, 0)
    return maps[..., None].repeat(2, axis=2).astype(np.uint8)


def scored(clouds: list[tuple[str, list[int], list[int]]], metadata: dict) -> tuple[dict, dict]:
    """clouds: text, target labels, predicted labels. Returns the score of each cloud, and the keys of clouds."""
    scores = RunScores(metadata["classes"])
    for number, (_, target, predicted) in enumerate(clouds):
        mask = np.repeat(np.array(target, np.uint8)[:, None], 2, axis=1)
        scores.add(f"c{number}", f"c{number}", mask, probability(np.array(predicted), len(metadata["classes"])))
    scoring = PointCloudScoring(metadata, {f"c{number}": text for number, (text, *_) in enumerate(clouds)})
    each = scoring.image_scores(scores.rows(scoring.task))
    run = Evaluation(scores, seed=0, task=scoring.task, image_scores=each, categories=scoring.categories)
    summary = summarize(run)
    assert "boundary_iou" not in summary
    return each, {key: summary[key] for key in CLOUD_KEYS if key in summary}


def test_a_case_counted_by_hand():
    metadata = {"classes": CLASSES, "classes_by_category": BY_CATEGORY, "is_classification": False}
    clouds = [
        ("mug", [1, 1, 2, 2], [1, 2, 2, 2]),  # handle 1/2, cup 2/3
        ("mug", [2, 2, 2, 2], [2, 2, 2, 2]),  # handle in neither: 1, cup 1
        ("cap", [3, 3, 4, 4], [4, 4, 3, 3]),  # 0 and 0
    ]
    each, summary = scored(clouds, metadata)
    mug = (1 / 2 + 2 / 3) / 2
    assert each == {"c0": pytest.approx(mug), "c1": 1.0, "c2": 0.0}
    assert summary == {
        "part_miou": pytest.approx((mug + 1 + 0) / 3, abs=1e-6),
        "part_miou_category": pytest.approx(((mug + 1) / 2 + 0) / 2, abs=1e-6),
    }


@pytest.mark.parametrize("seed", range(5))
def test_part_miou_is_that_of_loops_over_points(seed):
    rng = np.random.default_rng(seed)
    sizes = {"a": 4, "b": 2, "c": 6}
    by_category, start = {}, 1
    for name, size in sizes.items():
        by_category[name], start = list(range(start, start + size)), start + size
    classes = [f"p{i}" for i in range(1, start)]
    metadata = {"classes": classes, "classes_by_category": by_category, "is_classification": False}
    clouds = []
    for name in rng.choice(list(sizes), 12):
        some = rng.choice(by_category[name], max(1, len(by_category[name]) - 1), replace=False)  # a part is missing
        clouds.append((str(name), rng.choice(some, 30).tolist(), rng.choice(some, 30).tolist()))
    expected = {}
    for name, target, predicted in clouds:
        ious = []
        for part in by_category[name]:
            union = sum(t == part or p == part for t, p in zip(target, predicted, strict=True))
            both = sum(t == part and p == part for t, p in zip(target, predicted, strict=True))
            ious.append(1.0 if union == 0 else both / union)
        expected.setdefault(name, []).append(sum(ious) / len(ious))
    shapes = [iou for ious in expected.values() for iou in ious]
    _, summary = scored(clouds, metadata)
    assert summary["part_miou"] == pytest.approx(np.mean(shapes), abs=1e-6)
    by_category_mean = np.mean([np.mean(ious) for ious in expected.values()])
    assert summary["part_miou_category"] == pytest.approx(by_category_mean, abs=1e-6)


def test_where_whole_clouds_are_classified_the_share_of_right_classes_is_the_score():
    metadata = {"classes": ["a", "b", "c"], "classes_by_category": {}, "is_classification": True}
    clouds = [("", [1] * 9, [1] * 9), ("", [2] * 9, [3] * 9), ("", [3] * 9, [3] * 9), ("", [3] * 9, [1] * 9)]
    each, summary = scored(clouds, metadata)
    assert list(each.values()) == [1, 0, 1, 0] and summary == {"top1": 0.5}


@pytest.mark.parametrize("is_classification", [False, True])
def test_a_run_on_point_clouds_has_its_own_metrics_and_a_short_legend(tmp_path, monkeypatch, is_classification):
    legends, grid = [], run_figure.grid
    monkeypatch.setattr(run_figure, "grid", lambda *given: legends.append(given[3]) or grid(*given))
    metadata = {"classes": CLASSES, "modality": "point_cloud", "is_classification": is_classification}
    metadata["classes_by_category"] = {} if is_classification else BY_CATEGORY
    points = np.random.default_rng(0).normal(size=(50, 3))
    with (
        records.RecordWriter(tmp_path / "split.parquet", Record, metadata) as split,
        records.RecordWriter(tmp_path / "predictions.parquet", Prediction, {"oracle": False, "seed": 0}) as predictions,
    ):
        for number in range(2):
            cloud = point_clouds.encode(points)
            mask = point_clouds.mask(np.full(50, 2))
            png = image_io.encode_png(cloud), image_io.encode_png(mask)
            split.add(Record(f"c{number}", "g", *png, 50, 2, f"c{number}", 0, 0, 50, 2, "mug"))
            maps = probability(np.full(50, 1 + number), 4).astype(float) / 255
            predictions.add(Prediction(f"c{number}", records.pack(maps), json.dumps([{"target": 1, "text": "mug"}])))
    names = ("metrics.json", "scores.parquet", "plots")
    outputs = Outputs(*(tmp_path / name for name in names))
    evaluate(tmp_path / "split.parquet", tmp_path / "predictions.parquet", outputs)
    headline, own = json.loads(outputs.metrics.read_text()), "top1" if is_classification else "part_miou"
    assert headline.keys() == {"iou_mean", "iou_pooled", "dice_mean", own}  # a single group: no interval
    assert headline[own] == 0.5
    assert "boundary_iou" not in score_table.read_summary(outputs.scores)
    assert legends == [{1, 2}]
