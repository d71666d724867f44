"""Evaluation of splits made by hand: its files, numbers, figure and error messages."""

import csv
import json
import re
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from handmade_splits import cut, prediction, run, scene, several, stored, whole, write
from PIL import Image
from promptseg.core import study
from promptseg.core.errors import UserError
from promptseg.data import image_io, records
from promptseg.data.records import Prediction
from promptseg.data.tiling import windows
from promptseg.evaluation import evaluate, metrics, score_table
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from promptseg.report import run_figure

KEYS = {
    "iou_mean", "iou_pooled", "iou_ci_low", "iou_ci_high", "dice_mean", "dice_pooled", "boundary_iou", "accuracy",
    "precision", "recall", "average_precision", "headline", "images", "images_empty", "groups", "group_unit", "score",
    "oracle", "prompts_per_image",
}  # fmt: skip
HEADLINE = {"iou_mean", "iou_ci_low", "iou_ci_high", "iou_pooled", "boundary_iou"}


@pytest.fixture
def quick(monkeypatch):
    """Write the figure without finding a palette."""
    monkeypatch.setattr(run_figure, "write_png", lambda path, view: Path(path).write_bytes(image_io.encode_png(view)))


@pytest.mark.parametrize("classes", [1, 3])
def test_the_files_hold_the_scores_of_the_images(tmp_path, quick, classes):
    names = [f"class {i}" for i in range(classes)]
    scenes, rows, predictions = several(9, classes)
    outputs = run(tmp_path, *write(tmp_path, rows, predictions, names, {"oracle": True}))
    direct = RunScores(names)
    for row, (_, target, probability) in zip(rows, scenes, strict=True):
        direct.add(row.id, row.group, target, stored(probability))
    found = score_table.read_summary(outputs.scores)
    assert found == summarize(Evaluation(direct, oracle=True, prompts_per_image=1.0)) and found.keys() == KEYS
    headline = json.loads(outputs.metrics.read_text())
    assert headline == {key: found[key] for key in HEADLINE}
    assert all(type(value) is float for value in headline.values())
    table = pd.read_parquet(outputs.scores)
    assert table.to_dict("records") == direct.rows()
    assert table.groupby("class")["iou"].mean().mean() == pytest.approx(found["iou_mean"], abs=1e-6)
    with open(outputs.plots / "thresholds.csv", newline="") as file:
        curve = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert curve == direct.histogram.curve()


POINTS = {"target": 1, "points": [[1, 1], [2, 2], [3, 3]], "labels": [1, 1, 0]}
BOXED = {"target": 1, "box": [0, 0, 5, 5]}


@pytest.mark.parametrize(("given", "metadata", "expected"), [
    ([POINTS, BOXED], {"oracle": True}, 4.0),
    ([{"target": 1}], {"oracle": True, "prompt": {"mask": True}}, 1.0),  # a mask, whose pixels no prediction keeps
    ([], {"oracle": True}, 0.0),
    ([POINTS], {"oracle": False}, None),
    ([POINTS, BOXED], {"oracle": True, "prompt": {"by": "box"}}, None),  # a cascade, whose prompts nobody gives
])  # fmt: skip
def test_prompts_an_image_are_what_somebody_gives_in_images_with_ground_truth(
    tmp_path, quick, given, metadata, expected
):
    _, rows, predictions = several(2)
    empty = whole("empty", "g", np.zeros((40, 56, 3), np.uint8), np.zeros((40, 56), np.uint8))
    predictions = [replace(each, prompts=json.dumps(given)) for each in predictions]
    predictions.append(prediction("empty", np.zeros((1, 40, 56))))
    files = write(tmp_path, [*rows, empty], predictions, metadata=metadata)
    assert score_table.read_summary(run(tmp_path, *files).scores).get("prompts_per_image") == expected


def test_the_area_for_an_absent_phrase_is_that_of_the_predictions(tmp_path, quick):
    files = write(tmp_path, *several(2)[1:], metadata={"oracle": False, "absent_phrase_area": 0.34})
    assert score_table.read_summary(run(tmp_path, *files).scores)["absent_phrase_area"] == 0.34


def test_the_same_input_gives_the_same_bytes_and_a_figure(tmp_path):
    paths = write(tmp_path, *several(3)[1:])
    contents = []
    for name in ("a", "b"):
        outputs = run(tmp_path, *paths, name)
        files = {path.relative_to(tmp_path / name): path for path in (tmp_path / name).rglob("*") if path.is_file()}
        contents.append({str(relative): path.read_bytes() for relative, path in files.items()})
    assert contents[0] == contents[1]
    assert contents[0].keys() == {"metrics", "scores", "plots/images.png", "plots/thresholds.csv"}
    with Image.open(outputs.plots / "images.png") as image:
        assert image.format == "PNG" and image.width > 600 and image.height > 3 * 100


def resized(*shape):
    """Damage: the second prediction has this shape."""
    return lambda given: [given[0], prediction("p/1", np.zeros(shape)), given[2]]


DAMAGES = {
    "another order": lambda given: given[::-1],
    "one is missing": lambda given: given[:-1],
    "one too many": lambda given: [*given, prediction("p/9", np.zeros((3, 40, 56)))],
    "other names": lambda given: [Prediction(f"q{p.id}", p.probability, p.prompts) for p in given],
    "none": lambda given: [],
    "narrow": resized(3, 40, 55),
    "low": resized(3, 39, 56),
    "more classes": resized(9, 40, 56),
    "one class": resized(1, 40, 56),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_predictions_of_another_split_or_shape_are_refused(tmp_path, damage):
    _, rows, predictions = several(3, classes=3)
    split, predicted = write(tmp_path, rows, DAMAGES[damage](predictions), ["a", "b", "c"])
    message = f"{predicted}: predictions for another split than {split}; run `dvc repro`"
    if damage in ("narrow", "low", "more classes", "one class"):
        message = f"{predicted}: p/1: the prediction should be (3, 40, 56) by classes and image; delete this file and"
    with pytest.raises(UserError, match=f"^{re.escape(message)}[^\\n]*$"):
        run(tmp_path, split, predicted)
    assert not (tmp_path / "out").exists()


def test_metadata_that_is_missing_or_wrong_and_splits_without_images_are_refused(tmp_path):
    for metadata, message in (
        ({}, "no oracle in its metadata; delete it and run `dvc repro`"),
        ({"oracle": False, "threshold": 0.33}, r"threshold 0\.33 is no multiple of 0\.05; predict again"),
    ):
        split, predicted = write(tmp_path, *several(2)[1:], metadata=metadata)
        with pytest.raises(UserError, match=f"^{predicted}: {message}$"):
            run(tmp_path, split, predicted)
    with pytest.raises(UserError):
        run(tmp_path, *write(tmp_path, [], []))


def test_the_threshold_of_the_validation_split_is_applied(tmp_path, quick):
    _, rows, predictions = several(3)
    outputs = run(tmp_path, *write(tmp_path, rows, predictions, metadata={"oracle": False, "threshold": 0.35}))
    found, headline = score_table.read_summary(outputs.scores), json.loads(outputs.metrics.read_text())
    assert headline["iou_tuned"] == found["iou_tuned"] != found["iou_mean"] and found["threshold"] == 0.35
    at_half = run(tmp_path, *write(tmp_path, rows, predictions, metadata={"oracle": False, "threshold": 0.5}), "half")
    found = score_table.read_summary(at_half.scores)
    assert found["iou_tuned"] == found["iou_mean"]


def test_images_without_ground_truth_are_counted_and_shown_only_where_nothing_else_is(tmp_path, quick, monkeypatch):
    captions, grid = [], run_figure.grid
    monkeypatch.setattr(run_figure, "grid", lambda rows, given, *_: captions.extend(given) or grid(rows, given))
    scenes, rows, predictions = several(3)
    nothing = np.zeros_like(scenes[0][1])
    for number in (0, 1):
        rows[number] = whole(f"p/{number}", "g0", scenes[number][0], nothing)
        maps = np.zeros((1, *nothing.shape))
        maps[0, :10, : 28 * number] = 1  # 280 of 2240 pixels of the second
        predictions[number] = prediction(f"p/{number}", maps)
    outputs = run(tmp_path, *write(tmp_path, rows, predictions))
    found = score_table.read_summary(outputs.scores)
    assert (found["images"], found["images_empty"], found["groups"]) == (1, 2, 1)
    assert (found["false_alarm_rate"], found["false_alarm_area"]) == (0.5, 0.0625)
    assert found["iou_pooled_all"] < found["iou_pooled"] == found["iou_mean"]
    iou = f"p/2 · IoU {found['iou_mean']:.2f}"
    assert captions == [iou, "p/0 · nothing to find", "p/1 · nothing to find, 12.5% marked"]


@pytest.mark.parametrize("which", [0, 1], ids=["split", "predictions"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "other kind"])
def test_a_missing_or_damaged_file_is_named(tmp_path, which, damage):
    paths = write(tmp_path, *several(2)[1:])
    if damage == "missing":
        paths[which].unlink()
    else:
        content = paths[which].read_bytes()[:-100] if damage == "truncated" else paths[1 - which].read_bytes()
        paths[which].write_bytes(content)
    with pytest.raises(UserError, match=f"^{paths[which]}: "):
        run(tmp_path, *paths)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("count, shown", [(2, [0, 1]), (4, [0, 2, 3]), (5, [0, 2, 4])])
def test_the_figure_shows_the_worst_the_median_and_the_best(tmp_path, quick, monkeypatch, count, shown):
    captions, grid = [], run_figure.grid
    monkeypatch.setattr(run_figure, "grid", lambda rows, given, *_: captions.extend(given) or grid(rows, given))
    outputs = run(tmp_path, *write(tmp_path, *several(count, 2)[1:], ["a", "b"]))
    means = pd.read_parquet(outputs.scores).groupby("id")["iou"].mean().sort_values()
    assert captions == [f"{means.index[i]} · IoU {means.iloc[i]:.2f}" for i in shown]


@pytest.mark.parametrize("tile", [None, 24])
def test_a_thread_holds_one_image_at_a_time(tmp_path, quick, tile, monkeypatch):
    monkeypatch.setattr(evaluate, "MAX_THREADS", 1)
    paths = cut(tmp_path, windows(40, 56, tile), [scene(seed) for seed in range(6)])
    alive, held, add, unpack = weakref.WeakSet(), [], RunScores.add, records.unpack

    class Map(np.ndarray):  # a plain array cannot be watched
        __hash__ = object.__hash__

    def watched_unpack(*given):
        maps = unpack(*given).view(Map)
        alive.add(maps)
        return maps

    monkeypatch.setattr(records, "unpack", watched_unpack)
    monkeypatch.setattr(RunScores, "add", lambda *given: held.append(len(alive)) or add(*given))
    run(tmp_path, *paths)
    assert len(held) == 6 and max(held) <= 2, "the current image, and at most the one before"


def test_the_table_of_dvc_metrics_show_fits_160_columns():
    """DVC pads each column to its longest cell; numbers of 6 digits after the point take at most 8 characters."""
    for task in ("segmentation", "part segmentation", "classification"):
        assert len([key for metric in metrics.for_task(task) for key in metric.keys if key.headline]) <= 8
    path = max(len(f"metrics/{name}.json") for name in study.load(ROOT / "params.yaml").runs)
    widths = [max(46, path), *(max(len(key.name), 8) for key in metrics.keys() if key.headline)]
    assert sum(widths) + 4 * (len(widths) - 1) <= 160
