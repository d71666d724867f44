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


def scored(image, target, probability, given=()) -> ScoredImage:
    """given: prompts as a prediction stores them."""
    return ScoredImage("id", "group", image, target, probability, prompts.from_json(json.dumps(given)))


def scene(height=SIDE, width=SIDE, classes=1):
    """A gray image, and target and prediction as two overlapping squares."""
    image = np.full((height, width, 3), 100, np.uint8)
    target = np.zeros((height, width), np.uint8)
    probability = np.zeros((classes, height, width), np.uint8)
    target[40:100, 40:100] = 1
    probability[0, 60:120, 60:120] = 250
    return image, target, probability


def smooth_noise(height, width, seed, sigma):
    values = np.random.default_rng(seed).random((height, width), np.float32)
    return cv2.normalize(cv2.GaussianBlur(values, (0, 0), sigma), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def nearest_tint(pixel, colors):
    """The name of the color that a pixel of the agreement is tinted with; gray where it is not."""
    if np.ptp(pixel.astype(int)) < 8:
        return "gray"
    tints = {name: np.array(rgb, float) - min(rgb) for name, rgb in {**colors, "pixel": pixel}.items()}
    tints = {name: tint / np.linalg.norm(tint) for name, tint in tints.items()}
    return max(colors, key=lambda name: tints[name] @ tints["pixel"])


AGREEMENT = {
    "true positive": canvas.TRUE_POSITIVE, "false negative": canvas.FALSE_NEGATIVE,
    "false positive": canvas.FALSE_POSITIVE, "wrong class": canvas.WRONG_CLASS,
}  # fmt: skip


def agreement(*given, classes=ONE):
    return run_figure.panel(scored(*given), classes, SIDE)[:, 3 * COLUMN :]


def prompted(given, size=(SIDE, SIDE), classes=ONE):
    """The first view, with prompts and without."""
    image = np.full((*size, 3), 100, np.uint8)
    empty = np.zeros(size, np.uint8), np.zeros((len(classes), *size), np.uint8)
    return [run_figure.panel(scored(image, *empty, entries), classes, SIDE)[:, :SIDE] for entries in (given, [])]


def changed(views):
    """Rows and columns of the pixels that a prompt changed."""
    return np.nonzero((views[0] != views[1]).any(axis=-1))


# --- choose


def test_images_are_chosen_by_rank_from_worst_to_best_whatever_the_order():
    scores = [(index, index / 10) for index in range(11)]
    assert run_figure.choose(scores, 5) == [0, 3, 5, 8, 10]
    assert run_figure.choose(scores[::-1], 5) == [0, 3, 5, 8, 10]


def test_choice_of_few_ties_and_one():
    assert run_figure.choose([(3, 0.5), (1, 0.5)], 4) == [1, 3]
    assert run_figure.choose([(i, 0.0) for i in range(5)], 1) == [2]
    assert run_figure.choose([], 4) == []


# --- panel


@pytest.mark.parametrize("size", [(160, 160), (64, 64), (200, 500), (500, 200), (1, 900), (900, 1), (7, 3)])
def test_panel_has_one_size_and_keeps_the_aspect_ratio(size):
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    empty = np.zeros((height, width), np.uint8)
    panel = run_figure.panel(scored(image, empty, empty[None]), ONE, SIDE)
    assert panel.shape == (SIDE, 4 * SIDE + 12, 3) and panel.dtype == np.uint8
    dark = (panel[:, :SIDE] == 0).all(axis=-1)
    scale = SIDE / max(height, width)
    assert abs(dark.any(1).sum() - max(1, height * scale)) <= 1 and abs(dark.any(0).sum() - max(1, width * scale)) <= 1


def test_agreement_shows_outcomes_in_their_places():
    view = agreement(*scene())
    places = {"true positive": (80, 80), "false negative": (50, 50), "false positive": (110, 110), "gray": (20, 20)}
    assert {name: nearest_tint(view[place], AGREEMENT) for name, place in places.items()} == {n: n for n in places}


def test_agreement_tells_a_wrong_class_from_a_true_positive():
    image, target, probability = scene(classes=2)
    target[70:90, 70:90] = 2
    view = agreement(image, target, probability, classes=TWO)
    assert nearest_tint(view[80, 80], AGREEMENT) == "wrong class"
    assert nearest_tint(view[65, 65], AGREEMENT) == "true positive"


def test_agreement_has_the_threshold_of_the_scores():
    image, target, probability = scene()
    probability[0, 60:80, 60:120], probability[0, 80:120, 60:120] = 127, 128
    view = agreement(image, target, probability)
    assert nearest_tint(view[70, 70], AGREEMENT) == "false negative"
    assert nearest_tint(view[90, 90], AGREEMENT) == "true positive"


def test_ignored_pixels_are_hatched_and_never_an_error():
    image, target, probability = scene()
    target[100:120, 60:120] = 255
    region = agreement(image, target, probability)[102:118, 62:98]
    assert {nearest_tint(pixel, AGREEMENT) for pixel in region.reshape(-1, 3)} == {"gray"}
    assert 0.2 < (region == canvas.GRAY[0]).all(axis=-1).mean() < 0.5


def test_small_objects_survive_shrinking():
    image, target = np.zeros((1600, 1600, 3), np.uint8), np.zeros((1600, 1600), np.uint8)
    target[800:804, 800:804] = 1
    view = agreement(image, target, np.zeros((1, 1600, 1600), np.uint8))
    assert nearest_tint(view[80, 80], AGREEMENT) == "false negative"


def test_prediction_is_shaded_by_probability_and_outlined_at_the_threshold():
    image, target, probability = scene()
    probability[:] = 0
    probability[0, 20:60, 20:60], probability[0, 100:140, 100:140] = 60, 240
    view = run_figure.panel(scored(image, target, probability), ONE, SIDE)[:, 2 * COLUMN :][:, :SIDE].astype(int)
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
        for a, b in itertools.combinations(range(len(lab)), 2):
            assert np.linalg.norm(lab[a] - lab[b]) > 20, (kind, a, b)


def test_automatic_masks_are_outlined_in_the_first_view():
    image, target, probability = scene()
    numbers = np.zeros((SIDE, SIDE), np.int32)
    numbers[20:60, 20:60], numbers[30:40, 30:40] = 1, 2
    masked = ScoredImage("id", "group", image, target, probability, [], mask_numbers=numbers)
    view = run_figure.panel(masked, ONE, SIDE)[:, :SIDE]
    white = (view == 255).all(axis=-1)
    assert white[20, 20:60].all() and white[30, 30:40].all() and not white[45:55, 45:55].any()


# --- prompts


@pytest.mark.parametrize(("size", "point", "place"), [
    ((160, 160), (40.5, 100.5), (40, 100)),
    ((320, 320), (81.0, 201.0), (40, 100)),
    ((80, 160), (40.5, 60.5), (40, 60)),
    ((160, 80), (20.5, 100.5), (20, 100)),
])  # fmt: skip
def test_points_are_rings_around_their_place(size, point, place):
    rows, columns = changed(prompted([{"target": 1, "points": [point], "labels": [1]}], size))
    assert (round(columns.mean()), round(rows.mean())) == place
    assert np.ptp(rows) == np.ptp(columns) <= 14


def test_negative_points_are_crosses_and_both_have_a_rim():
    ring, cross = (prompted([{"target": 1, "points": [[80.5, 80.5]], "labels": [label]}])[0] for label in (1, 0))
    assert (cross[80, 80] == 255).all() and (ring[80, 80] < 255).all()
    for view in ring, cross:
        assert (view == 255).all(axis=-1).any() and (view < 30).all(axis=-1).any()


def test_boxes_are_outlines_and_the_box_of_a_whole_image_stays_visible():
    rows, columns = changed(prompted([{"target": 1, "box": [20, 30, 120, 90]}]))
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == pytest.approx((20, 120, 30, 90), abs=3.5)
    assert not ((rows > 40) & (rows < 80) & (columns > 30) & (columns < 110)).any()
    view, _ = prompted([{"target": 1, "box": [0, 0, 160, 160]}])
    assert (view[0, 80] > 200).all() and (view[-1, 80] > 200).all() and (view[80, 0] > 200).all()


def test_phrases_are_below_the_image_or_at_its_bottom():
    rows, _ = changed(prompted([{"target": 1, "text": "fire"}], size=(80, 160)))
    assert 80 <= rows.min() < rows.max() < 100
    rows, _ = changed(prompted([{"target": 1, "text": "fire"}] * 20))  # as for many tiles; it is written once
    assert rows.min() >= 140
    rows, _ = changed(prompted([{"target": 1, "text": "smoke and fire " * 30}]))
    assert rows.min() >= 125  # two lines at most


def test_prompts_have_the_color_of_their_class_where_there_are_several():
    view, _ = prompted([{"target": 2, "points": [[80.5, 80.5]], "labels": [1]}], classes=TWO)
    assert (view == canvas.ORANGE).all(axis=-1).any()


@pytest.mark.parametrize("text", ["<script>\n\t", "", "Feuer ∂ 火 🔥", "x" * 10_000])
def test_any_text_can_be_drawn(text):
    assert prompted([{"target": 1, "text": text}])[0].shape == (SIDE, SIDE, 3)


# --- grid and file


def four_rows(classes=ONE):
    rows, captions = [], []
    for seed in range(4):
        gray = smooth_noise(256, 256, seed, 4)
        target = (smooth_noise(256, 256, seed + 10, 15) > 190).astype(np.uint8)
        probability = np.stack([smooth_noise(256, 256, seed + 20 + k, 15) for k in range(len(classes))])
        rows.append(run_figure.panel(scored(np.repeat(gray[..., None], 3, 2), target, probability), classes))
        captions.append(f"testing/{seed:03d}/r0c1 · IoU 0.1{seed}")
    return run_figure.grid(rows, captions, classes)


def test_file_is_small_indexed_and_equal_each_time(tmp_path):
    view = four_rows()
    run_figure.write_png(tmp_path / "a.png", view)
    run_figure.write_png(tmp_path / "b.png", four_rows())
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").stat().st_size < 200_000
    with Image.open(tmp_path / "a.png") as file:
        assert file.mode == "P" and file.info.keys() <= {"transparency"}
        written = np.asarray(file.convert("RGB")).astype(int)
    assert written.shape == view.shape
    assert np.abs(written - view).mean() < 4


def test_legend_names_classes_only_where_there_are_several():
    one, two = four_rows(ONE), four_rows(TWO)
    present = [(view[-40:] == canvas.ORANGE).all(axis=-1).any() for view in (one, two)]
    assert present == [False, True]
    assert one.shape[1] == 4 * SIDE + 12 + 16


def test_legend_can_be_limited_to_some_classes():
    row = np.zeros((SIDE, 4 * SIDE + 12, 3), np.uint8)
    names = ["cat", "dog", "cow"]
    some = run_figure.grid([row], ["a"], names, {1, 3})
    colors = canvas.class_colors(3)
    assert [(some[-40:] == color).all(axis=-1).any() for color in colors] == [True, False, True]


def test_grid_needs_a_caption_for_each_panel():
    with pytest.raises(ValueError):
        run_figure.grid([np.zeros((SIDE, 4 * SIDE + 12, 3), np.uint8)], [])
