"""Evaluation: two containers made by hand, and the numbers, pictures and complaints that come of them."""

import csv
import json
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.data import image_io, records, rle
from promptseg.data.generated_masks import Segment, to_json
from promptseg.data.records import Prediction, Record
from promptseg.data.tiling import Window, windows
from promptseg.evaluation import scores
from promptseg.evaluation.evaluate import Units, evaluate
from promptseg.report import run_figure

OUTPUTS = ("metrics", "table", "thresholds", "pictures")
KEYS = {
    "iou_mean", "iou_pooled", "iou_low", "iou_high", "dice_mean", "dice_pooled", "boundary_iou", "accuracy",
    "precision", "recall", "average_precision", "pictures", "groups", "oracle",
}  # fmt: skip


QUICK = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch):
    """Where nobody looks at the grid, it need not find its palette."""
    monkeypatch.setattr(run_figure, "write_png", lambda path, view: Path(path).write_bytes(image_io.png(view)))


def scene(seed: int, height: int = 40, width: int = 56, classes: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture, its truth with some discs of each class, and probabilities (k, h, w) that are mostly right.

    Of few colors and values each, as finding a palette for noise takes seconds.
    """
    rng = np.random.default_rng(seed)
    truth = np.zeros((height, width), np.uint8)
    y, x = np.mgrid[:height, :width]
    for label in range(1, classes + 1):
        for _ in range(2):
            truth[(x - rng.uniform(0, width)) ** 2 + (y - rng.uniform(0, height)) ** 2 < rng.uniform(4, 9) ** 2] = label
    image = np.where((x // 9 + y // 7) % 2, 200, 40)[..., None].astype(np.uint8) + np.array([0, 9, 21], np.uint8)
    right = truth == np.arange(1, classes + 1)[:, None, None]
    return image, truth, np.clip(right * 0.5 + rng.integers(0, 7, right.shape) / 10, 0, 1)


def whole(id: str, group: str, image: np.ndarray, truth: np.ndarray) -> Record:
    return Record(id, group, image_io.png(image), image_io.png(truth), *truth.shape, id, 0, 0, *truth.shape)


def tile(source: str, image: np.ndarray, truth: np.ndarray, window: Window) -> Record:
    part, mask = window.of_picture(image), window.of(truth)
    place = (source, window.top, window.left, *truth.shape)
    id = f"{source}/r{window.top}c{window.left}"
    return Record(id, f"g{source}", image_io.png(part), image_io.png(mask), *mask.shape, *place)


def answer(id: str, probability: np.ndarray, prompts: list[dict] | None = None) -> Prediction:
    return Prediction(id, records.pack(probability), json.dumps(prompts or [{"target": 1}]))


def write(tmp_path, pairs, answers, classes=("disc",), oracle=False, names=("truth", "answers")):
    for name, kind, rows, about in (
        (names[0], Record, pairs, {"classes": list(classes)}),
        (names[1], Prediction, answers, {"oracle": oracle}),
    ):
        with records.RecordWriter(tmp_path / f"{name}.parquet", kind, about) as out:
            for row in rows:
                out.add(row)
    return tuple(tmp_path / f"{name}.parquet" for name in names)


def run(tmp_path, truth, answers, name: str = "out", seed: int = 0) -> dict:
    places = [tmp_path / name / output for output in OUTPUTS]
    evaluate(truth, answers, seed, *places)
    return dict(zip(OUTPUTS, places))


def metrics(tmp_path, truth, answers) -> dict:
    return json.loads(run(tmp_path, truth, answers)["metrics"].read_text())


def several(count: int = 5, classes: int = 1, size=(40, 56)):
    scenes = [scene(seed, *size, classes) for seed in range(count)]
    pairs = [whole(f"p/{i}", f"g{i // 2}", image, truth) for i, (image, truth, _) in enumerate(scenes)]
    return scenes, pairs, [answer(pair.id, probability) for pair, (_, _, probability) in zip(pairs, scenes)]


def units(truth, answers) -> Units:
    return Units(records.pairs(truth), records.predictions(answers))


def stored(probability: np.ndarray) -> np.ndarray:
    return np.minimum(np.floor(probability * 256), 255).astype(np.uint8)


def counted(pairs, probabilities, classes: int) -> scores.Scores:
    """The scores of these, without a detour over files."""
    found = scores.Scores([f"c{i}" for i in range(classes)])
    for pair, truth, probability in probabilities_of(pairs, probabilities):
        found.add(pair.id, pair.group, truth, probability)
    return found


def probabilities_of(pairs, scenes):
    return [(pair, truth, stored(probability)) for pair, (_, truth, probability) in zip(pairs, scenes)]


def same_but_for_names(rows: list[dict], expected: list[dict]) -> bool:
    return [{**row, "class": 0} for row in rows] == [{**row, "class": 0} for row in expected]


@pytest.mark.parametrize("classes", [1, 3])
def test_the_files_hold_the_scores_of_the_pictures(tmp_path, classes):
    names = [f"class {i}" for i in range(classes)]
    scenes, pairs, answers = several(classes=classes)
    paths = run(tmp_path, *write(tmp_path, pairs, answers, names, oracle=True), seed=3)
    found = json.loads(paths["metrics"].read_text())
    direct = counted(pairs, scenes, classes)
    assert found == {**direct.summary(3), "oracle": True} and found.keys() == KEYS
    table = pd.read_parquet(paths["table"]).to_dict("records")
    assert same_but_for_names(table, direct.rows())
    assert [row["class"] for row in table] == names * len(pairs)
    with open(paths["thresholds"], newline="") as file:
        curve = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert curve == direct.curve()
    with Image.open(paths["pictures"]) as picture:
        assert picture.format == "PNG" and picture.width > 600 and picture.height > 3 * 100


@QUICK
def test_the_scores_follow_from_counting_pixels(tmp_path):
    """Nothing of ours in between: one class, by hand."""
    scenes, pairs, answers = several()
    found = metrics(tmp_path, *write(tmp_path, pairs, answers))
    both = [(truth == 1, probability[0] >= 0.5) for _, truth, probability in scenes]
    ious = [(a & b).sum() / (a | b).sum() for a, b in both]
    tp, true, guessed = (sum(np.sum(x) for x in group) for group in zip(*[(a & b, a, b) for a, b in both]))
    assert found["iou_mean"] == pytest.approx(np.mean(ious), abs=1e-6)
    assert found["iou_pooled"] == pytest.approx(tp / (true + guessed - tp), abs=1e-6)
    assert found["dice_pooled"] == pytest.approx(2 * tp / (true + guessed), abs=1e-6)
    assert found["precision"] == pytest.approx(tp / guessed, abs=1e-6)
    assert found["recall"] == pytest.approx(tp / true, abs=1e-6)
    assert (found["pictures"], found["groups"]) == (5, 3)


@QUICK
@pytest.mark.parametrize("classes", [1, 3])
def test_a_prediction_that_is_the_truth_scores_one_everywhere(tmp_path, classes):
    scenes, pairs, _ = several(classes=classes)
    right = [truth == np.arange(1, classes + 1)[:, None, None] for _, truth, _ in scenes]
    answers = [answer(pair.id, np.float64(maps)) for pair, maps in zip(pairs, right)]
    paths = run(tmp_path, *write(tmp_path, pairs, answers, [f"c{i}" for i in range(classes)]))
    found = json.loads(paths["metrics"].read_text())
    assert {key: value for key, value in found.items() if value != 1.0} == {"pictures": 5, "groups": 3, "oracle": False}
    assert all((pd.read_csv(paths["thresholds"])[key] == 1).all() for key in ("iou", "precision", "recall"))
    table = pd.read_parquet(paths["table"])
    assert (table[["iou", "dice", "accuracy", "boundary_iou"]] == 1).all(axis=None)


@QUICK
def test_ignored_pixels_do_not_count(tmp_path):
    image, truth, probability = scene(0)
    ignored = np.zeros(truth.shape, bool)
    ignored[:, 20:33] = True
    masked = np.where(ignored, 255, truth).astype(np.uint8)
    nonsense = np.where(ignored, 1 - np.round(probability), probability)
    a = run(tmp_path, *write(tmp_path, [whole("p", "g", image, masked)], [answer("p", probability)]), "a")
    b = run(tmp_path, *write(tmp_path, [whole("p", "g", image, masked)], [answer("p", nonsense)]), "b")
    for output in ("metrics", "table", "thresholds"):
        assert a[output].read_bytes() == b[output].read_bytes()
    row = pd.read_parquet(a["table"]).iloc[0]
    assert row[["tp", "fp", "fn", "tn"]].sum() == (~ignored).sum()


def test_the_same_input_gives_the_same_bytes(tmp_path):
    _, pairs, answers = several(6)
    paths = write(tmp_path, pairs, answers)
    a, b = run(tmp_path, *paths, "a"), run(tmp_path, *paths, "b")
    assert all(a[output].read_bytes() == b[output].read_bytes() for output in OUTPUTS)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(OUTPUTS)


@QUICK
def test_the_seed_moves_the_interval_and_nothing_else(tmp_path):
    scenes = [scene(seed) for seed in range(9)]
    pairs = [whole(f"p/{i}", f"g{i}", image, truth) for i, (image, truth, _) in enumerate(scenes)]
    answers = [answer(pair.id, probability) for pair, (_, _, probability) in zip(pairs, scenes)]
    paths = write(tmp_path, pairs, answers)
    a, b = (json.loads(run(tmp_path, *paths, str(seed), seed)["metrics"].read_text()) for seed in (0, 1))
    assert {key for key in a if a[key] != b[key]} == {"iou_low", "iou_high"}


REORDERED = {
    "another order": lambda answers: answers[::-1],
    "one is missing": lambda answers: answers[:-1],
    "one too many": lambda answers: [*answers, answer("p/9", np.zeros((1, 40, 56)))],
    "other names": lambda answers: [Prediction(f"q{row.id}", row.probability, row.prompts) for row in answers],
    "none": lambda answers: [],
}


@pytest.mark.parametrize("change", REORDERED.values(), ids=REORDERED)
def test_answers_to_other_pictures_are_refused(tmp_path, change):
    _, pairs, answers = several(3)
    truth, answered = write(tmp_path, pairs, change(answers))
    with pytest.raises(UserError) as caught:
        run(tmp_path, truth, answered)
    assert str(caught.value).startswith(f"{answered}: not the answers to {truth}") and "dvc repro" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize(
    "classes, given, size", [(1, 1, (16, 15)), (1, 1, (15, 16)), (1, 3, (16, 16)), (3, 1, (16, 16))]
)
def test_an_answer_of_another_shape_is_refused_and_names_file_and_picture(tmp_path, classes, given, size, tiled):
    image, truth, probability = scene(0, classes=classes)
    places = windows(40, 56, 16, 4) if tiled else windows(32, 48, 16)
    pairs = [tile("s", image, truth, window) for window in places]
    answers = [answer(pair.id, probability[:, :16, :16]) for pair in pairs]
    answers[2] = answer(pairs[2].id, np.zeros((given, *size)))
    paths = write(tmp_path, pairs, answers, [f"c{i}" for i in range(classes)])
    with pytest.raises(UserError) as caught:
        run(tmp_path, *paths)
    assert str(caught.value).startswith(f"{paths[1]}: {pairs[2].id}: ") and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("which", ["truth", "answers"])
@pytest.mark.parametrize("how", ["gone", "cut", "other kind"])
def test_a_missing_or_damaged_container_is_named(tmp_path, which, how):
    _, pairs, answers = several(2)
    paths = dict(zip(("truth", "answers"), write(tmp_path, pairs, answers)))
    path = paths[which]
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        other = "answers" if which == "truth" else "truth"
        path.write_bytes(paths[other].read_bytes())
    with pytest.raises(UserError, match=f"^{path}: "):
        run(tmp_path, paths["truth"], paths["answers"])
    assert not (tmp_path / "out").exists()


def test_a_split_without_pictures_is_a_problem(tmp_path):
    with pytest.raises(UserError):
        run(tmp_path, *write(tmp_path, [], []))


def cut(tmp_path, places, scenes, keep=lambda window: True, of=None):
    """Containers of the tiles at `places`, each answered by the picture's own probabilities, or by `of(i, window)`."""
    pairs, answers = [], []
    for i, (image, truth, probability) in enumerate(scenes):
        for window in filter(keep, places):
            pairs.append(tile(f"s{i}", image, truth, window))
            answers.append(answer(pairs[-1].id, of(i, window) if of else window.of(probability)))
    return write(tmp_path, pairs, answers, [f"c{j}" for j in range(scenes[0][2].shape[0])])


TILINGS = {
    "overlapping": windows(40, 56, 16, 6),
    "moved back at the border": windows(40, 56, 24),
    "nearly all": windows(40, 56, 39, 38),
}


@QUICK
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("places", TILINGS.values(), ids=TILINGS)
def test_overlapping_tiles_are_counted_as_the_whole_picture(tmp_path, places, classes):
    scenes = [scene(seed, classes=classes) for seed in range(3)]
    tiled = cut(tmp_path, places, scenes)
    pairs = [whole(f"s{i}", f"gs{i}", image, truth) for i, (image, truth, _) in enumerate(scenes)]
    answers = [answer(pair.id, probability) for pair, (_, _, probability) in zip(pairs, scenes)]
    names = [f"c{j}" for j in range(classes)]
    expected = write(tmp_path, pairs, answers, names, names=("whole", "whole_answers"))
    a, b = run(tmp_path, *tiled, "tiles"), run(tmp_path, *expected, "whole")
    for output in ("metrics", "table", "thresholds"):
        assert a[output].read_bytes() == b[output].read_bytes()
    joined = units(*tiled)
    assert len(joined) == 3
    for i, (image, truth, probability) in enumerate(scenes):
        unit = joined[i]
        assert (unit.id, unit.group) == (f"s{i}", f"gs{i}")
        assert np.array_equal(unit.image, image) and np.array_equal(unit.truth, truth)
        assert np.array_equal(unit.probability, stored(probability)) and unit.probability.dtype == np.uint8


def test_tiles_that_disagree_are_blended(tmp_path):
    image, truth, _ = scene(0, 16, 24)
    places = windows(16, 24, 16, 8)
    assert [window.left for window in places] == [0, 8]
    black_and_white = lambda _, window: np.full((1, 16, 16), window.left / 8)
    paths = cut(tmp_path, places, [(image, truth, np.zeros((1, 16, 24)))], of=black_and_white)
    row = units(*paths)[0].probability[0, 8].astype(int)
    assert (row[:8] == 0).all() and (row[16:] == 255).all()
    assert (np.diff(row[7:17]) > 0).all(), "where both look, the one fades into the other"


def test_a_blended_probability_is_rounded_and_not_cut_off(tmp_path):
    image, ground_truth, _ = scene(0, 4, 3)
    pair = tile("s", image, ground_truth, Window(0, 0, 4, 3))
    maps = [np.tile(np.array(values) / 256, (1, 4, 1)) for values in ([127, 128, 7], [128, 129, 7])]
    found = units(*write(tmp_path, [pair] * 2, [answer(pair.id, probability) for probability in maps]))
    assert found[0].probability.tolist() == [[[128, 128, 7]] * 4], "127.5 and 128.5 go to the even one"


def test_masks_of_overlapping_tiles_have_numbers_of_their_own(tmp_path):
    image, ground_truth, _ = scene(0, 12, 20)
    places = windows(12, 20, 12, 4)
    assert [window.left for window in places] == [0, 8]
    masks = [  # of each tile, in its own pixels
        [(slice(1, 4), slice(1, 5)), (slice(6, 11), slice(2, 6))],
        [(slice(2, 7), slice(3, 9)), (slice(9, 11), slice(5, 11)), (slice(0, 1), slice(9, 12))],
    ]
    pairs, predictions = [tile("s", image, ground_truth, window) for window in places], []
    for pair, areas in zip(pairs, masks):
        found = []
        for rows, columns in areas:
            mask = np.zeros((12, 12), bool)
            mask[rows, columns] = True
            found.append(Segment(rle.encode(mask), mask.shape, (0, 0, 1, 1), 0.9, 0.97, (1.0, 2.0), (0, 0, 12, 12)))
        predictions.append(Prediction(pair.id, b"", "[]", to_json(found)))
    expected = np.zeros((12, 20), int)
    expected[1:4, 1:5], expected[6:11, 2:6] = 1, 2
    expected[2:7, 11:17], expected[9:11, 13:19], expected[0, 17:20] = 3, 4, 5
    assert np.array_equal(units(*write(tmp_path, pairs, predictions))[0].pieces, expected)


def test_tiles_without_overlap_stay_pictures_of_their_own(tmp_path):
    scenes = [scene(seed, 32, 48) for seed in range(2)]
    paths = cut(tmp_path, windows(32, 48, 16), scenes)
    found = units(*paths)
    assert len(found) == 12 and [found[i].id for i in (0, 1, 6)] == ["s0/r0c0", "s0/r0c16", "s1/r0c0"]
    assert np.array_equal(found[1].truth, scenes[0][1][:16, 16:32])
    assert metrics(tmp_path, *paths)["pictures"] == 12


@QUICK
def test_pixels_of_dropped_tiles_do_not_count(tmp_path):
    places = windows(40, 56, 16, 6)
    gone = places[5]
    scenes = [scene(seed) for seed in range(2)]
    paths = cut(tmp_path, places, scenes, keep=lambda window: window not in (gone, places[0], places[-1]))
    covered = np.zeros((40, 56), bool)
    for window in places:
        if window not in (gone, places[0], places[-1]):
            window.of(covered)[...] = True
    assert 0 < (~covered).sum() < covered.sum()
    found = run(tmp_path, *paths)
    table = pd.read_parquet(found["table"])
    assert (table[["tp", "fp", "fn", "tn"]].sum(axis=1) == covered.sum()).all()
    for i, (_, truth, probability) in enumerate(scenes):
        expected = scores.count(truth, stored(probability), 1, covered)[0]
        assert table.loc[i, list(scores.SPLIT_SIZES)].tolist() == expected.tolist()
        assert (units(*paths)[i].truth[~covered] == 255).all()


def test_if_one_picture_s_tiles_overlap_all_are_joined(tmp_path):
    """A picture of just the tiles' size has one tile; it is scored as a whole beside the joined ones."""
    large, small = scene(0, 40, 56), scene(1, 16, 16)
    pairs, answers = [], []
    for name, (image, truth, probability) in (("small", small), ("large", large)):
        for window in windows(*truth.shape, 16, 4):
            pairs.append(tile(name, image, truth, window))
            answers.append(answer(pairs[-1].id, window.of(probability)))
    found = units(*write(tmp_path, pairs, answers))
    assert [found[i].id for i in range(len(found))] == ["small", "large"]
    assert found[0].truth.shape == (16, 16) and found[1].truth.shape == (40, 56)


def test_tiles_of_a_picture_need_not_stand_together(tmp_path):
    scenes = [scene(seed) for seed in range(2)]
    places = windows(40, 56, 24)
    pairs = [tile(f"s{i}", scenes[i][0], scenes[i][1], window) for window in places for i in range(2)]
    of = {f"s{i}": probability for i, (_, _, probability) in enumerate(scenes)}
    answers = [answer(pair.id, Window(pair.top, pair.left, 24, 24).of(of[pair.source])) for pair in pairs]
    found = units(*write(tmp_path, pairs, answers))
    assert [found[i].id for i in range(len(found))] == ["s0", "s1"]
    assert all(np.array_equal(found[i].probability, stored(scenes[i][2])) for i in range(2))


def test_prompts_of_tiles_are_moved_to_the_picture_s_pixels(tmp_path):
    image, truth, probability = scene(0)
    asked = [
        {"target": 1, "points": [[1.5, 2.5], [0.5, 8.5]], "labels": [1, 0]},
        {"target": 1, "box": [1, 2, 10, 12]},
        {"target": 1, "text": "black spots"},
    ]
    pairs = [tile("s", image, truth, window) for window in windows(40, 56, 24)]
    answers = [answer(pair.id, Window(pair.top, pair.left, 24, 24).of(probability), asked) for pair in pairs]
    prompts = units(*write(tmp_path, pairs, answers))[0].prompts
    assert len(prompts) == 3 * len(pairs)
    for number, pair in enumerate(pairs):
        x, y = pair.left, pair.top
        assert prompts[3 * number : 3 * number + 3] == [
            {"target": 1, "points": [[x + 1.5, y + 2.5], [x + 0.5, y + 8.5]], "labels": [1, 0]},
            {"target": 1, "box": [x + 1, y + 2, x + 10, y + 12]},
            {"target": 1, "text": "black spots"},
        ]
    run(tmp_path, tmp_path / "truth.parquet", tmp_path / "answers.parquet")  # and the grid can draw them


def test_prompts_of_whole_pictures_stay_where_they_are(tmp_path):
    image, truth, probability = scene(0)
    asked = [{"target": 1, "box": [1.25, 2, 10, 12]}]
    found = units(*write(tmp_path, [whole("p", "g", image, truth)], [answer("p", probability, asked)]))
    assert found[0].prompts == asked


def test_a_gray_picture_is_scored_too(tmp_path):
    image, truth, probability = scene(0)
    paths = write(tmp_path, [whole("p", "g", image[..., 0], truth)], [answer("p", probability)])
    assert units(*paths)[0].image.shape == (40, 56, 3)
    assert metrics(tmp_path, *paths)["pictures"] == 1


@QUICK
@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_the_grid_shows_the_worst_the_median_and_the_best(tmp_path, count, monkeypatch):
    _, pairs, answers = several(count)
    shown, grid = [], run_figure.grid
    monkeypatch.setattr(run_figure, "grid", lambda panels, captions, *_: shown.extend(captions) or grid(panels, captions))
    table = pd.read_parquet(run(tmp_path, *write(tmp_path, pairs, answers))["table"]).sort_values(["iou"])
    ranked = [f"{row.id} · IoU {row.iou:.2f}" for row in table.itertuples()]
    assert shown == (ranked if count <= 3 else [ranked[0], ranked[(count - 1) // 2 + (count % 2 == 0)], ranked[-1]])


@QUICK
@pytest.mark.parametrize("tiled", [False, True])
def test_one_picture_at_a_time_is_held(tmp_path, tiled, monkeypatch):
    scenes = [scene(seed) for seed in range(8)]
    paths = cut(tmp_path, windows(40, 56, 24 if tiled else None), scenes)
    alive, most, add = weakref.WeakSet(), [], scores.Scores.add

    class Map(np.ndarray):  # a plain array does not tell when it goes
        __hash__ = object.__hash__

    def watched(self, id, group, truth, probability, valid=None):
        most.append(len(alive))
        return add(self, id, group, truth, probability, valid)

    unpack = records.unpack

    def seen(prediction, classes):
        maps = unpack(prediction, classes).view(Map)
        alive.add(maps)
        return maps

    monkeypatch.setattr(records, "unpack", seen)
    monkeypatch.setattr(scores.Scores, "add", watched)
    run(tmp_path, *paths)
    assert len(most) == 8 and max(most) <= 2, "the one at hand, and at most the one before"
