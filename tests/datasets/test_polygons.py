"""Rasterization of polygons: union, clipping, agreement with Pillow, and errors for invalid polygons."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from promptseg.datasets.phrasecut import polygons

SQUARE = [[2, 2], [6, 2], [6, 6], [2, 6]]
OTHER = [[4, 4], [9, 4], [9, 8], [4, 8]]


def rasterized(instances, size=(12, 10)) -> np.ndarray:
    return polygons.rasterize(polygons.pack(instances), size)


def test_a_polygon_includes_its_outline_and_overlapping_ones_are_united():
    mask = rasterized([[SQUARE]])
    assert mask.shape == (10, 12) and mask.dtype == np.uint8
    assert mask.sum() == 25 and mask[2:7, 2:7].all()
    both = rasterized([[SQUARE, OTHER]])
    assert both[4:7, 4:7].all() and both.max() == 1 and both.sum() == 25 + 30 - 9
    assert (both == rasterized([[SQUARE], [OTHER]])).all()
    assert (rasterized([[SQUARE, SQUARE]]) == mask).all()


def test_coordinates_are_truncated_and_clipped_to_the_image():
    assert (rasterized([[[[2.9, 2.1], [6.99, 2.5], [6.5, 6.9], [2.2, 6.4]]]]) == rasterized([[SQUARE]])).all()
    mask = rasterized([[[[-30000, -5], [3, -5], [3, 30000], [-30000, 30000]]]])
    assert mask[:, :4].all() and not mask[:, 4:].any()
    assert not rasterized([[[[50, 50], [60, 50], [60, 60]]]]).any()
    assert polygons.pack([[[[-2.9, 32767], [1, 1], [2, 2]]]])[4:8] == np.array([-2, 32767], np.int16).tobytes()


def test_a_point_takes_four_bytes_and_degenerate_polygons_are_skipped():
    assert len(polygons.pack([[SQUARE], [SQUARE, SQUARE[:3]]])) == 4 * (4 + 4 + 3 + 3)
    for instances in ([], [[]], [[[]]], [[[[1, 1]]]], [[[[1, 1], [5, 5]]]]):
        assert polygons.pack(instances) == b"" and not rasterized(instances).any()
    assert (rasterized([[[[1, 1], [5, 5]], SQUARE], []]) == rasterized([[SQUARE]])).all()


def test_agrees_with_pillow():
    """The authors rasterize with Pillow: differences are few and only next to the outline."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        angles, radius = np.sort(rng.uniform(0, 2 * np.pi, 12)), rng.uniform(10, 45, 12)
        outline = np.stack([60 + radius * np.cos(angles), 50 + radius * np.sin(angles)], 1)
        canvas = Image.new("L", (120, 100))
        ImageDraw.Draw(canvas).polygon([(int(x), int(y)) for x, y in outline], fill=1, outline=1)
        theirs, ours = np.asarray(canvas), rasterized([[outline.tolist()]], (120, 100))
        rim = cv2.polylines(np.zeros_like(ours), [np.trunc(outline).astype(np.int32)], True, 1, 3)
        assert not ((theirs != ours) & (rim == 0)).any()
        assert (theirs & ours).sum() / (theirs | ours).sum() > 0.95


@pytest.mark.parametrize(
    "instances, words",
    [
        (None, "not nested"), ({}, "not nested"), ("x", "not nested"), ([7], "not nested"), ([[7]], "not nested"),
        ([[[1, 2, 3]]], "points"), ([[[[1, 2], [3, 4], [5]]]], "points"), ([[[[1, 2, 3]] * 3]], "points"),
        ([[[["1", "2"]] * 3]], "points"), ([[[[None, 1]] * 3]], "points"), ([[[[True, False]] * 3]], "points"),
        ([[[[10**400, 1]] * 3]], "points"), ([[[[[1, 2]]] * 3]], "points"),
        ([[[[1e999, 1]] * 3]], "finite"), ([[[[float("nan"), 1]] * 3]], "finite"),
        ([[[[32768, 1]] * 3]], "32767"), ([[[[1, -32768]] * 3]], "32767"), ([[[[1, -(2**63)]] * 3]], "32767"),
    ],
)  # fmt: skip
def test_invalid_polygons(instances, words):
    with pytest.raises(ValueError, match=words):
        polygons.pack(instances)
