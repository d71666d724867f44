"""Outlines of synthetic objects, by their rasters."""

import cv2
import numpy as np
from promptseg.synthetic.outlines import Outline, rasterize
from world.outlines import OUTLINES, STRANDS


def test_rasters_are_binary_and_lie_around_their_center():
    for sample in OUTLINES.values():
        mask, left, top = rasterize(sample(np.random.default_rng(0)), 40, 100.5, 60.5)
        assert set(np.unique(mask)) == {0, 1}
        y, x = np.nonzero(mask)
        assert np.hypot(x + left + 0.5 - 100.5, y + top + 0.5 - 60.5).max() < 40 * 2.2


def test_outlines_have_the_shape_of_their_name():
    """Share of a bounding shape that they fill, and number of holes."""

    def filled_share(mask, shape):
        (contour, *_), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        bounding_area = {
            "circle": lambda: np.pi * cv2.minEnclosingCircle(contour)[1] ** 2,
            "oval": lambda: np.pi / 4 * np.prod(cv2.minAreaRect(contour)[1]),
            "triangle": lambda: cv2.minEnclosingTriangle(contour)[0],
            "hull": lambda: cv2.contourArea(cv2.convexHull(contour)),
        }
        sides = cv2.minAreaRect(contour)[1]
        return mask.sum() / bounding_area.get(shape, lambda: np.prod(sides))(), sides

    for seed in range(8):
        masks = {shape: rasterize(OUTLINES[shape](np.random.default_rng(seed)), 50, 80, 80)[0] for shape in OUTLINES}
        for shape in ("circle", "oval", "triangle", "square", "rectangle"):
            share, sides = filled_share(masks[shape], shape)
            assert share > 0.9, shape
            elongated = max(sides) / min(sides) > 1.4
            assert elongated == (shape in ("oval", "rectangle")) or shape == "triangle", shape
        for shape in ("star", "cross", "crescent"):
            assert filled_share(masks[shape], "hull")[0] < 0.85, shape
        for shape, holes in (("ring", 1), ("grid", 4)):
            _, tree = cv2.findContours(masks[shape], cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            assert (tree[0, :, 3] >= 0).sum() >= holes, shape
        for shape in STRANDS:
            assert filled_share(masks[shape], "rectangle")[0] < 0.75 or shape == "line", shape


def test_square_covers_the_expected_pixels():
    square = Outline((np.array([(-1.0, -1), (1, -1), (1, 1), (-1, 1)]),))
    mask, left, top = rasterize(square, 10, 30, 20)
    y, x = np.nonzero(mask)
    assert abs(x.min() + left - 20) <= 1 and abs(x.max() + left - 39) <= 1
    assert abs(y.min() + top - 10) <= 1 and abs(y.max() + top - 29) <= 1
