"""Figure of a run: the right colors in the right places, prompts where they belong, small files, equal bytes."""

import itertools
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from promptseg import prompts
from promptseg.evaluation.scored_images import ScoredImage
from promptseg.report import canvas, run_figure

SIDE = 160
COLUMN = SIDE + 4  # a view and the gap after it
ONE, TWO = ["fire"], ["cat", "dog"]
AGREEMENT = {
    "true positive": canvas.TRUE_POSITIVE, "false negative": canvas.FALSE_NEGATIVE,
    "false positive": canvas.FALSE_POSITIVE, "wrong class": canvas.WRONG_CLASS,
}  # fmt: skip


def panel(image, target, probability, given=(), mask_numbers=None) -> np.ndarray:
    """given: prompts as a prediction stores them."""
    parts = prompts.from_json(json.dumps(given))
    scored = ScoredImage("id", "group", image, target, probability, parts, mask_numbers=mask_numbers)
    return run_figure.panel(scored, [ONE, TWO][len(probability) - 1], SIDE)


def scene(classes=1):
    """A gray image, and target and prediction as two overlapping squares."""
    target, probability = np.zeros((SIDE, SIDE), np.uint8), np.zeros((classes, SIDE, SIDE), np.uint8)
    target[40:100, 40:100], probability[0, 60:120, 60:120] = 1, 250
    return np.full((SIDE, SIDE, 3), 100, np.uint8), target, probability


def nearest_tint(pixel) -> str:
    """The name of the color that a pixel of the agreement is tinted with; gray where it is not."""
    if np.ptp(pixel.astype(int)) < 8:
        return "gray"
    tints = {name: np.array(rgb, float) - min(rgb) for name, rgb in {**AGREEMENT, "pixel": pixel}.items()}
    tints = {name: tint / np.linalg.norm(tint) for name, tint in tints.items()}
    return max(AGREEMENT, key=lambda name: tints[name] @ tints["pixel"])


def prompted(given, size=(SIDE, SIDE), classes=1) -> np.ndarray:
    """The first view, with prompts."""
    image = np.full((*size, 3), 100, np.uint8)
    return panel(image, np.zeros(size, np.uint8), np.zeros((classes, *size), np.uint8), given)[:, :SIDE]


def changed(given, size=(SIDE, SIDE)):
    """Rows and columns of the pixels that prompts change."""
    return np.nonzero((prompted(given, size) != prompted([], size)).any(axis=-1))


def test_images_are_chosen_by_rank_from_worst_to_best_whatever_the_order():
    scores = [index / 10 for index in range(11)]
    assert run_figure.choose(scores, 5) == [0, 3, 5, 8, 10]
    assert run_figure.choose(scores[::-1], 5) == [10, 7, 5, 2, 0]
    assert run_figure.choose([0.5, 0.5], 4) == [0, 1]
    assert run_figure.choose([0.0] * 5, 1) == [2]
    assert run_figure.choose([], 4) == []


def test_images_without_ground_truth_are_not_ranked_and_only_fill_up():
    assert run_figure.choose([None, 0.9, None, 0.1, 0.5], 3) == [3, 4, 1]
    assert run_figure.choose([None, 0.9, None, None], 3) == [1, 0, 2]


@pytest.mark.parametrize("size", [(160, 160), (64, 64), (200, 500), (500, 200), (1, 900), (900, 1), (7, 3)])
def test_panel_has_one_size_and_keeps_the_aspect_ratio(size):
    found = panel(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8), np.zeros((1, *size), np.uint8))
    assert found.shape == (SIDE, 4 * SIDE + 12, 3) and found.dtype == np.uint8
    dark = (found[:, :SIDE] == 0).all(axis=-1)
    shown, scale = np.array([dark.any(1).sum(), dark.any(0).sum()]), SIDE / max(size)
    assert (np.abs(shown - np.maximum(1, np.array(size) * scale)) <= 1).all()


def test_agreement_shows_outcomes_in_their_places_by_the_threshold_of_the_scores():
    image, target, probability = scene(classes=2)
    target[75:90, 75:90], target[130:150, 60:120] = 2, 255
    probability[0, 60:70, 60:120], probability[0, 90:130, 60:120] = 127, 128
    view = panel(image, target, probability)[:, 3 * COLUMN :]
    places = {
        "true positive": [(72, 72), (95, 95)], "false negative": [(50, 50), (65, 65)], "false positive": [(110, 110)],
        "wrong class": [(80, 80)], "gray": [(20, 20)],
    }  # fmt: skip
    for name, pixels in places.items():
        assert {nearest_tint(view[pixel]) for pixel in pixels} == {name}
    ignored = view[132:148, 62:98]
    assert {nearest_tint(pixel) for pixel in ignored.reshape(-1, 3)} == {"gray"}
    assert 0.2 < (ignored == canvas.GRAY[0]).all(axis=-1).mean() < 0.5


def test_small_objects_survive_shrinking():
    target = np.zeros((5 * SIDE, 5 * SIDE), np.uint8)
    target[400:402, 400:402] = 1
    view = panel(np.zeros((*target.shape, 3), np.uint8), target, np.zeros((1, *target.shape), np.uint8))
    assert nearest_tint(view[80, 3 * COLUMN + 80]) == "false negative"


def test_prediction_is_shaded_by_probability_and_outlined_at_the_threshold():
    image, target, probability = scene()
    probability[:] = 0
    probability[0, 20:60, 20:60], probability[0, 100:140, 100:140] = 60, 240
    view = panel(image, target, probability)[:, 2 * COLUMN :].astype(int)
    assert view[120, 120, 1] - view[120, 120, 0] > view[40, 40, 1] - view[40, 40, 0] > 10  # greener
    assert (view[100, 110] == 255).all() and (view[20, 30] < 255).all()


def test_colors_differ_for_every_kind_of_color_vision():
    # Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
    kinds = {
        "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "tritan": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
        "none": np.eye(3),
    }
    linear = (np.array(list(AGREEMENT.values()), np.float32) / 255) ** 2.2
    for kind, matrix in kinds.items():
        perceived = np.clip(linear @ np.array(matrix, np.float32).T, 0, 1) ** (1 / 2.2)
        lab = cv2.cvtColor(perceived[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]
        for a, b in itertools.combinations(lab, 2):
            assert np.linalg.norm(a - b) > 20, kind


def test_automatic_masks_are_outlined_in_the_first_view():
    numbers = np.zeros((SIDE, SIDE), np.int32)
    numbers[20:60, 20:60], numbers[30:40, 30:40] = 1, 2
    white = (panel(*scene(), mask_numbers=numbers)[:, :SIDE] == 255).all(axis=-1)
    assert white[20, 20:60].all() and white[30, 30:40].all() and not white[45:55, 45:55].any()


@pytest.mark.parametrize(("size", "point", "place"), [
    ((160, 160), (40.5, 100.5), (40, 100)),
    ((320, 320), (81.0, 201.0), (40, 100)),
    ((80, 160), (40.5, 60.5), (40, 60)),
    ((160, 80), (20.5, 100.5), (20, 100)),
])  # fmt: skip
def test_points_are_rings_around_their_place(size, point, place):
    rows, columns = changed([{"target": 1, "points": [point], "labels": [1]}], size)
    assert (round(columns.mean()), round(rows.mean())) == place
    assert np.ptp(rows) == np.ptp(columns) <= 14


def test_boxes_are_outlines_inside_the_image_and_phrases_below_it():
    rows, columns = changed([{"target": 1, "box": [20, 30, 120, 90]}])
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == pytest.approx((20, 121, 30, 91), abs=3.5)
    assert not ((rows > 40) & (rows < 80) & (columns > 30) & (columns < 110)).any()
    view = prompted([{"target": 1, "box": [0, 0, 159, 159]}])
    assert (view[0, 80] > 200).all() and (view[-1, 80] > 200).all() and (view[80, 0] > 200).all()
    rows, _ = changed([{"target": 1, "text": "fire"}], size=(80, 160))
    assert 80 <= rows.min() < rows.max() < 100


def test_prompts_have_the_color_of_their_class_where_there_are_several():
    view = prompted([{"target": 2, "points": [[80.5, 80.5]], "labels": [1]}], classes=2)
    assert (view == canvas.ORANGE).all(axis=-1).any()


@pytest.mark.parametrize("text", ["<script>\n\t", "", "Feuer ∂ 火 🔥", "x" * 10_000])
def test_any_text_can_be_drawn(text):
    assert prompted([{"target": 1, "text": text}]).shape == (SIDE, SIDE, 3)


def test_file_is_small_indexed_and_equal_each_time(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(3):  # smooth noise
        noise = [cv2.GaussianBlur(rng.random((200, 200), np.float32), (0, 0), sigma) for sigma in (4, 15, 15)]
        gray, target, probability = (cv2.normalize(values, None, 0, 255, cv2.NORM_MINMAX) for values in noise)
        rows.append(panel(np.uint8(gray)[..., None].repeat(3, 2), np.uint8(target > 190), np.uint8(probability)[None]))
    view = run_figure.grid(rows, ["testing/r0c1 · IoU 0.1"] * 3, ONE)
    for name in "ab":
        run_figure.write_png(tmp_path / name, view)
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes() and len(content) < 150_000
    with Image.open(tmp_path / "a") as file:
        assert file.mode == "P" and file.info.keys() <= {"transparency"}
        written = np.asarray(file.convert("RGB")).astype(int)
    assert written.shape == view.shape and np.abs(written - view).mean() < 4


def test_legend_names_classes_only_where_there_are_several_and_may_be_limited_to_some():
    row, names = panel(*scene()), ["cat", "dog", "cow"]
    for given, shown in (
        ((ONE,), []), ((names,), [0, 1, 2]), ((names, {1, 3}), [0, 2]),
    ):  # fmt: skip
        view = run_figure.grid([row], ["a"], *given)
        legend = view[view.shape[0] - 40 :]
        assert view.shape[1] == 4 * SIDE + 12 + 16
        colors = canvas.class_colors(3)
        assert [i for i in range(3) if (legend == colors[i]).all(axis=-1).any()] == shown


def test_grid_needs_a_caption_for_each_panel():
    with pytest.raises(ValueError):
        run_figure.grid([np.zeros((SIDE, 4 * SIDE + 12, 3), np.uint8)], [])
