"""Colors of classes, and files that keep the colors that matter."""

import cv2
import numpy as np
import pytest
from PIL import Image
from promptseg.report import canvas


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)


def test_rare_colors_survive_the_palette(tmp_path):
    view = noise()
    outcomes = [canvas.TRUE_POSITIVE, canvas.FALSE_NEGATIVE, canvas.FALSE_POSITIVE, canvas.WRONG_CLASS]
    colors = [*outcomes, canvas.PAPER, canvas.INK]
    view[0, : len(colors)] = colors
    canvas.write_png(tmp_path / "a.png", view)
    with Image.open(tmp_path / "a.png") as file:
        assert (np.asarray(file.convert("RGB"))[0, : len(colors)] == colors).all()


def test_the_nearest_colors_of_a_palette_are_taken():
    view, colors = noise(), np.random.default_rng(1).integers(0, 256, (16, 3))
    image = canvas.with_palette(view, colors, 0)
    assert image.mode == "P" and {tuple(rgb) for _, rgb in image.convert("RGB").getcolors()} <= set(map(tuple, colors))
    found = np.asarray(image.convert("RGB"), int)
    nearest = np.linalg.norm(view[:, :, None].astype(int) - colors, axis=-1).min(axis=-1)
    assert (np.linalg.norm(found - view, axis=-1) - nearest).max() < 10


def test_further_colors_can_be_protected(tmp_path):
    view, colors = noise(), canvas.class_colors(60)[40:]
    view[0, : len(colors)] = colors
    canvas.write_png(tmp_path / "a.png", view, colors)
    with Image.open(tmp_path / "a.png") as file:
        assert (np.asarray(file.convert("RGB"))[0, : len(colors)] == colors).all()


@pytest.mark.parametrize(("count", "least"), [(6, 25), (18, 12), (182, 12), (254, 11)])
def test_colors_of_classes_differ_from_each_other_and_from_gray(count, least):
    colors = canvas.class_colors(count)
    assert colors.shape == (count, 3) and colors.dtype == np.uint8
    lab = cv2.cvtColor(colors[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab, axis=2) + 1000 * np.eye(count)
    assert apart.min() > least
    assert np.hypot(lab[:, 1], lab[:, 2]).min() > 15


def test_a_class_keeps_its_color_however_many_classes_there_are():
    most = canvas.class_colors(254)
    for count in (0, 1, 6, 18, 182, 254):
        colors = canvas.class_colors(count)
        assert len(colors) == count and (colors == most[:count]).all()


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
