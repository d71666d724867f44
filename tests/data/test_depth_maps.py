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


@pytest.mark.parametrize("view, name", list(enumerate(VIEWS)))
def test_pixels_visibility_and_depth_equal_loops_over_points_and_pixels(points, view, name):
    found, axes = Views(SIZE).render(points), VIEWS[name]
    placed = [place(point, axes) for point in points.tolist()]
    reach = depth_maps.odd(SQUARE * SIZE) // 2
    visible = [depth >= nearest_before(placed, row, column, reach) - TOLERANCE for row, column, depth in placed]
    assert found.pixels[view].tolist() == [[row, column] for row, column, _ in placed]
    assert found.visible[view].tolist() == visible
    assert 0.2 < np.mean(visible) < 0.9, "nothing is hidden, or everything"
    buffer = depth_maps.z_buffer(*depth_maps.project(points, np.array(axes), SIZE), SIZE, 5)
    expected = [[nearest_before(placed, row, column, 2) for column in range(0, SIZE, 5)] for row in range(SIZE)]
    np.testing.assert_allclose(buffer[:, ::5], expected, atol=1e-6)
    assert np.cross(axes[0], axes[1]).tolist() == list(axes[2]), "axes are right-handed"
    assert found.maps[view].min() < 1e-6 and found.maps[view, 0, 0] == 1, "near is dark, the background white"
    assert found.maps.shape == (6, SIZE, SIZE) and found.maps.dtype == np.float32


def test_each_view_shows_its_own_side():
    """A point far out on each axis is nearest in its own view, in the center, and hidden from the opposite view."""
    outer = np.array([[0, 0, 1], [0, 0, -1], [-1, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32)
    found = Views(SIZE).render(outer)
    for view, opposite in enumerate((1, 0, 3, 2, 5, 4)):
        assert found.visible[view, view] and not found.visible[view, opposite]
        assert found.pixels[view, view].tolist() == [SIZE // 2, SIZE // 2]


def test_up_is_up_and_left_is_left():
    corner = np.array([[0.9, 0.9, 0.9], [-1, -1, -1]], np.float32)
    rows, columns = (Views(SIZE).render(corner).pixels[:, 0].T < SIZE // 2).tolist()
    assert list(VIEWS) == ["front", "back", "left", "right", "top", "bottom"]
    assert rows == [True] * 4 + [False, True], "high is above; the front is below from the top, above from the bottom"
    assert columns == [False, True, False, True, False, False]


def test_squares_have_a_center_and_shades_are_linear_in_depth():
    assert [depth_maps.odd(length) for length in (0.5, 1.9, 2.75, 11)] == [1, 1, 3, 11]
    nearest = np.full((9, 9), EMPTY, np.float32)
    nearest[:, :3], nearest[:, 6:] = 1, 0
    shades = depth_maps.depth_map(nearest, 0.2)  # so narrow that the centers do not change
    np.testing.assert_allclose(shades[4, [1, 4, 7]], [0, 1, 1 - (0.5 + BIAS) / (1 + BIAS)], atol=1e-5)
