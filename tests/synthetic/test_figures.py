"""Figures, materials and noise of the drawing kit."""

import numpy as np
import pytest
from promptseg.synthetic import figures, materials
from promptseg.synthetic.canvas import Canvas, plain
from promptseg.synthetic.noise import noise, ridge, smoothstep
from promptseg.synthetic.outlines import Outline

SQUARE = Outline((np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float),))
COLOR = (0.2, 0.3, 0.4)


@pytest.fixture
def canvas():
    canvas = Canvas(np.random.default_rng(0), 100, 120)
    canvas.cover(np.ones((100, 120), bool), lambda h, w: np.ones((h, w, 3), np.float32), 0)
    return canvas


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_is_labeled_where_it_changes_the_image_and_fits_its_square(canvas, name):
    assert all(tone in figures.TONES or 0 < float(tone) < 2 for _, tone in figures.parts(name))
    figures.draw(canvas, name, (60, 50), 40, COLOR, 7)
    y, x = np.nonzero(canvas.labels == 7)
    assert len(y) > 100 and abs(x - 60).max() <= 56 and abs(y - 50).max() <= 56
    assert max(np.ptp(x), np.ptp(y)) > 50  # it fills the square in one direction
    changed = abs(canvas.image - 1).max(axis=2) > 0.02
    assert changed[canvas.labels == 7].mean() > 0.9 and set(np.unique(canvas.labels)) == {0, 7}


def test_a_standing_figure_ends_at_its_foot_and_a_layer_covers_from_its_row_on(canvas):
    figures.draw(canvas, "person", (60, 90), 30, COLOR, 1, foot=True)
    assert 86 <= np.nonzero(canvas.labels)[0].max() <= 93
    materials.layer(canvas, "grass", 2, 0.4)
    assert not (canvas.labels[:40] == 2).any() and (canvas.labels[41:] == 2).all()


def test_a_mirrored_shape_has_two_outlines_and_tones_are_colors_or_factors():
    (left, tone), (right, other) = figures._parse(["^oval:.5", ".4", "0", ".1", ".2"])
    assert tone == other == ".5" and np.allclose(left.loops[0] * (-1, 1), right.loops[0])
    assert left.loops[0][:, 0].max() <= -0.3 + 1e-9 and right.width is None
    ((stroke, tone),) = figures._parse(["line", ".2", "0", "0", "1", "1"])
    assert stroke.width == 0.2 and tone == "1" and stroke.loops[0].tolist() == [[0, 0], [1, 1]]
    assert (stroke.stroke(50), stroke.stroke(1)) == (10, 2)


def test_paint_counts_the_pixels_outside_the_canvas_too(canvas):
    surface = plain(canvas.rng, np.array((1.0, 0.0, 0.0)), 0.0)
    assert canvas.paint(SQUARE, 10, (0, 0), surface, 3) == 21 * 21  # both edges belong to it
    assert np.count_nonzero(canvas.labels == 3) == 11 * 11
    assert canvas.paint(SQUARE, 10, (-500, 0), surface, 4) > 0 and not (canvas.labels == 4).any()
    canvas.paint(SQUARE, 10, (60, 50), surface, 5, opacity=0.5)
    assert canvas.image[50, 60] == pytest.approx((1, 0.5, 0.5), abs=0.2)


@pytest.mark.parametrize("name", materials.MATERIALS)
def test_a_material_lies_between_its_two_colors(name):
    dark, bright = (np.array(color, np.float32) for color in materials.MATERIALS[name][:2])
    pixels = materials.material(np.random.default_rng(1), name)(90, 110)
    assert pixels.shape == (90, 110, 3) and pixels.dtype == np.float32
    assert (pixels >= dark - 1e-5).all() and (pixels <= bright + 1e-5).all()
    assert np.ptp(pixels[..., 0]) > 0.5 * (bright[0] - dark[0])


def test_noise_has_its_mean_deviation_and_grain():
    rng = np.random.default_rng(2)
    coarse, fine = noise(rng, 200, 300, 60, 3), noise(rng, 200, 300, 6, 3)
    for field in (coarse, fine):
        assert field.min() >= 0 and field.max() <= 1
        assert field.mean() == pytest.approx(0.5, abs=0.02) and field.std() == pytest.approx(0.22, abs=0.03)
    assert abs(np.diff(fine)).mean() > 4 * abs(np.diff(coarse)).mean()
    tall = noise(rng, 200, 300, 8, 1, 6.0)
    assert abs(np.diff(tall, axis=1)).mean() > 3 * abs(np.diff(tall, axis=0)).mean()
    assert abs(ridge(rng, 300, 10.0)).max() <= 10
    assert smoothstep(np.array([0.0, 1.0, 2.0, 3.0, 9.0]), 1.0, 3.0).tolist() == [0, 0, 0.5, 1, 1]
