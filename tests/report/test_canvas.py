"""Colors of classes, files that keep the colors that matter, and text."""

import cv2
import numpy as np
import pytest
from PIL import Image
from promptseg.report import canvas


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)


def test_rare_colors_and_further_ones_survive_the_palette(tmp_path):
    view, further = noise(), canvas.class_colors(60)[40:]
    outcomes = [canvas.TRUE_POSITIVE, canvas.FALSE_NEGATIVE, canvas.FALSE_POSITIVE, canvas.WRONG_CLASS]
    colors = [*outcomes, canvas.PAPER, canvas.INK, *further]
    view[0, : len(colors)] = colors
    canvas.write_png(tmp_path / "a.png", view, further)
    with Image.open(tmp_path / "a.png") as file:
        assert (np.asarray(file.convert("RGB"))[0, : len(colors)] == colors).all()


def test_the_nearest_colors_of_a_palette_are_taken():
    view, colors = noise(), np.random.default_rng(1).integers(0, 256, (16, 3))
    image = canvas.with_palette(view, colors, 0)
    assert image.mode == "P" and {tuple(rgb) for _, rgb in image.convert("RGB").getcolors()} <= set(map(tuple, colors))
    found = np.asarray(image.convert("RGB"), int)
    nearest = np.linalg.norm(view[:, :, None].astype(int) - colors, axis=-1).min(axis=-1)
    assert (np.linalg.norm(found - view, axis=-1) - nearest).max() < 10


@pytest.mark.parametrize(("count", "least"), [(6, 25), (18, 12), (182, 12), (254, 11)])
def test_colors_of_classes_differ_from_each_other_and_from_gray_however_many_there_are(count, least):
    colors = canvas.class_colors(count)
    assert (
        colors.shape == (count, 3) and colors.dtype == np.uint8 and (colors == canvas.class_colors(254)[:count]).all()
    )
    lab = cv2.cvtColor(colors[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab, axis=2) + 1000 * np.eye(count)
    assert apart.min() > least
    assert np.hypot(lab[:, 1], lab[:, 2]).min() > 15
    assert len(canvas.class_colors(0)) == 0


def test_text_is_cut_where_the_view_ends():
    view = np.full((20, 60, 3), 255, np.uint8)
    cut, words = canvas.text(view, "word " * 2000, (10, 0)), canvas.text(view, "word…", (10, 0))
    assert (view == 255).all() and (words[:, 10:45] == cut[:, 10:45]).mean() > 0.9 and (cut[:, 58:] == 255).all()


def test_wrapped_text_fits_the_width_but_for_the_last_line():
    words = "smoke and fire in a forest at night " * 4
    for size in (11, 22):
        lines = canvas.wrap(words, 150, 3, size)
        assert len(lines) == 3 and " ".join(lines).split() == words.split()
        assert all(canvas.length(line, size) <= 150 for line in lines[:2])
