"""Depth maps, against loops over points and pixels."""

import numpy as np
import pytest
from promptseg.data import depth_maps
from promptseg.data.depth_maps import BIAS, EMPTY, FILLED, SQUARE, TOLERANCE, VIEWS, Views

SIZE = 56


@pytest.fixture(scope="module")
def points():
    """A ball with a rod through it, with many hidden points."""
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(150, 3))
    ball *= 0.6 / np.linalg.norm(ball, axis=1, keepdims=True)
    rod = np.column_stack([rng.uniform(-1, 1, 80), rng.normal(0, 0.05, (80, 2))])
    return np.clip(np.concatenate([ball, rod]), -1, 1).astype(np.float32)


def place(point, axes):
    """Row, column and depth of one point, by the definition."""
    right, up, towards = (sum(a * b for a, b in zip(axis, point)) for axis in axes)
    return int((1 - FILLED * up) / 2 * SIZE), int((1 + FILLED * right) / 2 * SIZE), towards


def nearest_before(placed, row, column, reach):
    """Depth of the nearest point whose square covers a pixel."""
    covering = [depth for r, c, depth in placed if abs(r - row) <= reach and abs(c - column) <= reach]
    return max(covering, default=EMPTY)


@pytest.mark.parametrize("view", range(6))
def test_pixels_and_visibility_equal_a_loop_over_points(points, view):
    found = Views(SIZE).render(points)
    placed = [place(point, list(VIEWS.values())[view]) for point in points.tolist()]
    reach = depth_maps.odd(SQUARE * SIZE) // 2
    visible = [depth >= nearest_before(placed, row, column, reach) - TOLERANCE for row, column, depth in placed]
    assert found.pixels[view].tolist() == [[row, column] for row, column, _ in placed]
    assert found.visible[view].tolist() == visible
    assert 0.2 < np.mean(visible) < 0.9, "nothing is hidden, or everything"


@pytest.mark.parametrize("name", ["front", "top"])
def test_the_z_buffer_equals_a_loop_over_pixels(points, name):
    placed = [place(point, VIEWS[name]) for point in points.tolist()]
    pixels, depth = depth_maps.project(points, np.array(VIEWS[name]), SIZE)
    found = depth_maps.z_buffer(pixels, depth, SIZE, 5)
    expected = [[nearest_before(placed, row, column, 2) for column in range(SIZE)] for row in range(SIZE)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_each_view_shows_its_own_side():
    """A point far out on each axis is nearest in its own view, in the center, and hidden from the opposite view."""
    outer = np.array([[0, 0, 1], [0, 0, -1], [-1, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32)
    found = Views(SIZE).render(outer)
    for view, opposite in enumerate((1, 0, 3, 2, 5, 4)):
        assert found.visible[view, view] and not found.visible[view, opposite]
        assert found.pixels[view, view].tolist() == [SIZE // 2, SIZE // 2]


def test_up_is_up_and_left_is_left():
    corner = np.array([[0.9, 0.9, 0.9], [-1, -1, -1]], np.float32)
    rows, columns = Views(SIZE).render(corner).pixels[:, 0].T < SIZE // 2
    assert dict(zip(VIEWS, rows[:4])) == dict.fromkeys(list(VIEWS)[:4], True), "high points are in the upper half"
    assert not rows[4] and rows[5], "the front is below in the top view, and above in the bottom view"
    assert dict(zip(VIEWS, columns)) == {
        "front": False, "back": True, "left": False, "right": True, "top": False, "bottom": False,
    }  # fmt: skip


def test_axes_are_right_handed():
    for right, up, towards in VIEWS.values():
        assert np.cross(right, up).tolist() == list(towards)


def test_near_is_dark_and_the_background_is_white(points):
    found = Views(SIZE).render(points).maps
    assert found.shape == (6, SIZE, SIZE) and found.dtype == np.float32
    assert (found.min(axis=(1, 2)) < 1e-6).all() and (found[:, 0, 0] == 1).all()


def test_shades_are_linear_in_depth():
    nearest = np.full((9, 9), EMPTY, np.float32)
    nearest[:, :3], nearest[:, 6:] = 1, 0
    shades = depth_maps.depth_map(nearest, 0.2)  # so narrow that the centers do not change
    np.testing.assert_allclose(shades[4, [1, 4, 7]], [0, 1, 1 - (0.5 + BIAS) / (1 + BIAS)], atol=1e-5)
