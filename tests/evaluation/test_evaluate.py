"""Evaluation of splits made by hand: its files, numbers, figure and error messages."""

import csv
import json
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from handmade_splits import OUTPUTS, TILINGS, cut, prediction, run, scene, several, stored, summary, tile, whole, write
from PIL import Image
from promptseg.core import study
from promptseg.core.errors import UserError
from promptseg.data import image_io, records
from promptseg.data.records import Prediction
from promptseg.data.tiling import windows
from promptseg.evaluation import counts, metrics, score_table
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from promptseg.report import run_figure

KEYS = {
    "iou_mean", "iou_pooled", "iou_ci_low", "iou_ci_high", "dice_mean", "dice_pooled", "boundary_iou", "accuracy",
    "precision", "recall", "average_precision", "images", "groups", "oracle",
}  # fmt: skip
HEADLINE = {"iou_mean", "iou_ci_low", "iou_ci_high", "iou_pooled", "dice_mean", "boundary_iou"}

QUICK = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch):
    """Write the figure without finding a palette."""
    monkeypatch.setattr(run_figure, "write_png", lambda path, view: Path(path).write_bytes(image_io.encode_png(view)))


def collected(rows, scenes, classes: int) -> RunScores:
    """The scores of these, without files in between."""
    scores = RunScores([f"c{i}" for i in range(classes)])
    for row, (_, target, probability) in zip(rows, scenes, strict=True):
        scores.add(row.id, row.group, target, stored(probability))
    return scores


def same_but_for_names(rows: list[dict], expected: list[dict]) -> bool:
    return [{**row, "class": 0} for row in rows] == [{**row, "class": 0} for row in expected]


@pytest.mark.parametrize("classes", [1, 3])
def test_the_files_hold_the_scores_of_the_images(tmp_path, classes):
    names = [f"class {i}" for i in range(classes)]
    scenes, rows, predictions = several(classes=classes)
    paths = run(tmp_path, *write(tmp_path, rows, predictions, names, {"oracle": True, "seed": 3}))
    direct = collected(rows, scenes, classes)
    found = score_table.read_summary(paths["scores"])
    assert found == summarize(Evaluation(direct, seed=3, oracle=True)) and found.keys() == KEYS
    headline = json.loads(paths["metrics"].read_text())
    assert headline == {key: found[key] for key in HEADLINE}
    assert all(type(value) is float for value in headline.values())
    table = pd.read_parquet(paths["scores"]).to_dict("records")
    assert same_but_for_names(table, direct.rows())
    assert [row["class"] for row in table] == names * len(rows)
    with open(paths["thresholds"], newline="") as file:
        curve = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert curve == direct.histogram.curve()
    with Image.open(paths["figure"]) as image:
        assert image.format == "PNG" and image.width > 600 and image.height > 3 * 100


@QUICK
def test_the_scores_follow_from_counting_pixels(tmp_path):
    """One class, counted here."""
    scenes, rows, predictions = several()
    found = summary(tmp_path, *write(tmp_path, rows, predictions))
    both = [(target == 1, probability[0] >= 0.5) for _, target, probability in scenes]
    ious = [(a & b).sum() / (a | b).sum() for a, b in both]
    tp, true, predicted = (
        sum(np.sum(x) for x in group) for group in zip(*[(a & b, a, b) for a, b in both], strict=True)
    )
    assert found["iou_mean"] == pytest.approx(np.mean(ious), abs=1e-6)
    assert found["iou_pooled"] == pytest.approx(tp / (true + predicted - tp), abs=1e-6)
    assert found["dice_pooled"] == pytest.approx(2 * tp / (true + predicted), abs=1e-6)
    assert found["precision"] == pytest.approx(tp / predicted, abs=1e-6)
    assert found["recall"] == pytest.approx(tp / true, abs=1e-6)
    assert (found["images"], found["groups"]) == (5, 3)


@QUICK
@pytest.mark.parametrize("classes", [1, 3])
def test_a_prediction_equal_to_the_ground_truth_scores_one_everywhere(tmp_path, classes):
    scenes, rows, _ = several(classes=classes)
    right = [target == np.arange(1, classes + 1)[:, None, None] for _, target, _ in scenes]
    predictions = [prediction(row.id, np.float64(maps)) for row, maps in zip(rows, right, strict=True)]
    paths = run(tmp_path, *write(tmp_path, rows, predictions, [f"c{i}" for i in range(classes)]))
    found = score_table.read_summary(paths["scores"])
    assert {key: value for key, value in found.items() if value != 1.0} == {"images": 5, "groups": 3, "oracle": False}
    assert all((pd.read_csv(paths["thresholds"])[key] == 1).all() for key in ("iou", "precision", "recall"))
    table = pd.read_parquet(paths["scores"])
    assert (table[["iou", "dice", "accuracy", "boundary_iou"]] == 1).all(axis=None)


@QUICK
def test_ignored_pixels_are_not_counted(tmp_path):
    image, target, probability = scene(0)
    ignored = np.zeros(target.shape, bool)
    ignored[:, 20:33] = True
    masked = np.where(ignored, 255, target).astype(np.uint8)
    nonsense = np.where(ignored, 1 - np.round(probability), probability)
    a = run(tmp_path, *write(tmp_path, [whole("p", "g", image, masked)], [prediction("p", probability)]), "a")
    b = run(tmp_path, *write(tmp_path, [whole("p", "g", image, masked)], [prediction("p", nonsense)]), "b")
    for output in ("metrics", "scores", "thresholds"):
        assert a[output].read_bytes() == b[output].read_bytes()
    row = pd.read_parquet(a["scores"]).iloc[0]
    assert row[["tp", "fp", "fn", "tn"]].sum() == (~ignored).sum()


def test_the_same_input_gives_the_same_bytes(tmp_path):
    _, rows, predictions = several(6)
    paths = write(tmp_path, rows, predictions)
    a, b = run(tmp_path, *paths, "a"), run(tmp_path, *paths, "b")
    assert all(a[output].read_bytes() == b[output].read_bytes() for output in OUTPUTS)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["metrics", "plots", "scores"]
    assert sorted(path.name for path in a["plots"].iterdir()) == ["images.png", "thresholds.csv"]


@QUICK
def test_the_seed_of_the_predictions_changes_the_interval_and_nothing_else(tmp_path):
    scenes = [scene(seed) for seed in range(9)]
    rows = [whole(f"p/{i}", f"g{i}", image, target) for i, (image, target, _) in enumerate(scenes)]
    predictions = [prediction(row.id, probability) for row, (_, _, probability) in zip(rows, scenes, strict=True)]
    a, b = (summary(tmp_path, *write(tmp_path, rows, predictions, metadata={"seed": seed})) for seed in (0, 1))
    assert {key for key in a if a[key] != b[key]} == {"iou_ci_low", "iou_ci_high"}


REORDERED = {
    "another order": lambda predictions: predictions[::-1],
    "one is missing": lambda predictions: predictions[:-1],
    "one too many": lambda predictions: [*predictions, prediction("p/9", np.zeros((1, 40, 56)))],
    "other names": lambda predictions: [Prediction(f"q{p.id}", p.probability, p.prompts) for p in predictions],
    "none": lambda predictions: [],
}


@pytest.mark.parametrize("change", REORDERED.values(), ids=REORDERED)
def test_predictions_for_other_images_are_refused(tmp_path, change):
    _, rows, predictions = several(3)
    split, predicted = write(tmp_path, rows, change(predictions))
    with pytest.raises(UserError) as caught:
        run(tmp_path, split, predicted)
    assert str(caught.value).startswith(f"{predicted}: predictions for another split than {split}")
    assert "dvc repro" in str(caught.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", ["seed", "oracle"])
def test_predictions_without_their_metadata_are_refused(tmp_path, key):
    _, rows, predictions = several(2)
    split, predicted = write(tmp_path, rows, predictions)
    metadata = {"seed": 0, "oracle": False}
    del metadata[key]
    with records.RecordWriter(predicted, Prediction, metadata) as writer:
        for entry in predictions:
            writer.add(entry)
    with pytest.raises(UserError, match=f"^{predicted}: no {key} in its metadata.*dvc repro"):
        run(tmp_path, split, predicted)


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize(
    "classes, given, size", [(1, 1, (16, 15)), (1, 1, (15, 16)), (1, 3, (16, 16)), (3, 1, (16, 16))]
)
def test_a_prediction_of_another_shape_is_refused_and_named(tmp_path, classes, given, size, tiled):
    image, target, probability = scene(0, classes=classes)
    places = windows(40, 56, 16, 4) if tiled else windows(32, 48, 16)
    rows = [tile("s", image, target, window) for window in places]
    predictions = [prediction(row.id, probability[:, :16, :16]) for row in rows]
    predictions[2] = prediction(rows[2].id, np.zeros((given, *size)))
    paths = write(tmp_path, rows, predictions, [f"c{i}" for i in range(classes)])
    with pytest.raises(UserError) as caught:
        run(tmp_path, *paths)
    assert str(caught.value).startswith(f"{paths[1]}: {rows[2].id}: ") and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("which", ["split", "predictions"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "other kind"])
def test_a_missing_or_damaged_file_is_named(tmp_path, which, damage):
    _, rows, predictions = several(2)
    paths = dict(zip(("split", "predictions"), write(tmp_path, rows, predictions), strict=True))
    path = paths[which]
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        other = "predictions" if which == "split" else "split"
        path.write_bytes(paths[other].read_bytes())
    with pytest.raises(UserError, match=f"^{path}: "):
        run(tmp_path, paths["split"], paths["predictions"])
    assert not (tmp_path / "out").exists()


def test_a_split_without_images_is_an_error(tmp_path):
    with pytest.raises(UserError):
        run(tmp_path, *write(tmp_path, [], []))


@QUICK
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("places", TILINGS.values(), ids=TILINGS)
def test_overlapping_tiles_are_counted_as_the_whole_image(tmp_path, places, classes):
    scenes = [scene(seed, classes=classes) for seed in range(3)]
    tiled = cut(tmp_path, places, scenes)
    rows = [whole(f"s{i}", f"gs{i}", image, target) for i, (image, target, _) in enumerate(scenes)]
    predictions = [prediction(row.id, probability) for row, (_, _, probability) in zip(rows, scenes, strict=True)]
    names = [f"c{j}" for j in range(classes)]
    expected = write(tmp_path, rows, predictions, names, names=("whole", "whole_predictions"))
    a, b = run(tmp_path, *tiled, "tiles"), run(tmp_path, *expected, "whole")
    for output in ("metrics", "scores", "thresholds"):
        assert a[output].read_bytes() == b[output].read_bytes()


@QUICK
def test_pixels_of_dropped_tiles_are_not_counted(tmp_path):
    places = windows(40, 56, 16, 6)
    dropped = places[5], places[0], places[-1]
    scenes = [scene(seed) for seed in range(2)]
    paths = cut(tmp_path, places, scenes, keep=lambda window: window not in dropped)
    covered = np.zeros((40, 56), bool)
    for window in places:
        if window not in dropped:
            window.of(covered)[...] = True
    assert 0 < (~covered).sum() < covered.sum()
    table = pd.read_parquet(run(tmp_path, *paths)["scores"])
    assert (table[["tp", "fp", "fn", "tn"]].sum(axis=1) == covered.sum()).all()
    for i, (_, target, probability) in enumerate(scenes):
        expected = counts.count(target, stored(probability), 1, covered)[0]
        assert table.loc[i, list(counts.COUNTS)].tolist() == expected.tolist()


@QUICK
@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_the_figure_shows_the_worst_the_median_and_the_best(tmp_path, count, monkeypatch):
    _, rows, predictions = several(count)
    shown, grid = [], run_figure.grid
    monkeypatch.setattr(run_figure, "grid", lambda rows, captions, *_: shown.extend(captions) or grid(rows, captions))
    paths = run(tmp_path, *write(tmp_path, rows, predictions))
    table = pd.read_parquet(paths["scores"]).sort_values(["iou"])
    ranked = [f"{row.id} · IoU {row.iou:.2f}" for row in table.itertuples()]
    assert shown == (ranked if count <= 3 else [ranked[0], ranked[(count - 1) // 2 + (count % 2 == 0)], ranked[-1]])


@QUICK
@pytest.mark.parametrize("tiled", [False, True])
def test_one_image_at_a_time_is_held(tmp_path, tiled, monkeypatch):
    scenes = [scene(seed) for seed in range(8)]
    paths = cut(tmp_path, windows(40, 56, 24 if tiled else None), scenes)
    alive, most, add = weakref.WeakSet(), [], RunScores.add

    class Map(np.ndarray):  # a plain array cannot be watched
        __hash__ = object.__hash__

    def watched(self, id, group, target, probability, valid=None):
        most.append(len(alive))
        return add(self, id, group, target, probability, valid)

    unpack = records.unpack

    def watched_unpack(entry, classes):
        maps = unpack(entry, classes).view(Map)
        alive.add(maps)
        return maps

    monkeypatch.setattr(records, "unpack", watched_unpack)
    monkeypatch.setattr(RunScores, "add", watched)
    run(tmp_path, *paths)
    assert len(most) == 8 and max(most) <= 2, "the current image, and at most the one before"


def test_the_table_of_dvc_metrics_show_fits_160_columns():
    """DVC pads each column to its longest cell; numbers of 6 digits after the point take at most 8 characters."""
    headline = [key.name for key in metrics.keys() if key.headline]
    for task in ("segmentation", "part segmentation", "classification"):
        own = [key for metric in metrics.for_task(task) for key in metric.keys if key.headline]
        assert len(own) <= 8
    path = max(len(f"metrics/{name}.json") for name in study.load(ROOT / "params.yaml").runs)
    widths = [max(46, path), *(max(len(name), 8) for name in headline)]
    assert sum(widths) + 4 * (len(widths) - 1) <= 160
