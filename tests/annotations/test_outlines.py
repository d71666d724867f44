"""Outlines: ellipses as exact as pixels need, and nesting by the even-odd rule."""

import numpy as np
import pytest
from promptseg.annotations import outlines


def square(left: float, top: float, side: float) -> np.ndarray:
    return outlines.rectangle(left, top, left + side, top + side)


@pytest.mark.parametrize(("x_radius", "y_radius"), [(0.5, 0.5), (3, 40), (1000, 700), (20000, 20000)])
def test_an_ellipse_is_within_a_fiftieth_of_a_pixel_and_has_few_points(x_radius, y_radius):
    points = outlines.ellipse(0, 0, x_radius, y_radius)
    assert ((points / (x_radius, y_radius)) ** 2).sum(axis=1) == pytest.approx(np.ones(len(points)))
    middles = (points + np.roll(points, -1, axis=0)) / 2
    gaps = (1 - np.linalg.norm(middles / (x_radius, y_radius), axis=1)) * max(x_radius, y_radius)
    assert gaps.max() <= 0.02 and len(points) <= 2500


@pytest.mark.parametrize("radius", [1e9, 1e17, 1e300])
def test_an_ellipse_larger_than_any_image_has_few_points_too(radius):
    assert len(outlines.ellipse(0, 0, radius, 3)) < 10_000


@pytest.mark.parametrize("degrees", [0, 30, 90, -45, 400])
def test_what_is_turned_keeps_its_center_and_its_sides(degrees):
    corners = outlines.rectangle(2, 1, 10, 5, degrees)
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    assert sides == pytest.approx([8, 4, 8, 4]) and corners.mean(axis=0) == pytest.approx([6, 3])


def test_rings_are_nested_by_the_even_odd_rule_in_any_order_and_direction():
    outer, hole, island, pond, beside = (
        square(0, 0, 20),
        square(2, 2, 16),
        square(4, 4, 8),
        square(5, 5, 2),
        square(30, 0, 4),
    )
    rings = [pond, beside, hole[::-1], island, outer]
    found = outlines.nested(rings)
    assert [[id(ring), *map(id, holes)] for ring, holes in found] == [
        [id(beside)], [id(island), id(pond)], [id(outer), id(rings[2])],
    ]  # fmt: skip


def test_holes_that_touch_the_outline_and_areas_that_touch_each_other_are_told_apart():
    outer, hole, other = square(0, 0, 10), np.array([(0, 5), (5, 3), (5, 7)], float), square(10, 10, 9)
    found = outlines.nested([outer, hole, other])
    assert [(ring is outer, len(holes)) for ring, holes in found] == [(True, 1), (False, 0)]
