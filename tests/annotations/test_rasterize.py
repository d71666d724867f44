"""Masks from shapes: pycocotools' pixels, order, holes, instances, and what is refused."""

import tracemalloc

import numpy as np
import pytest
from promptseg.annotations import run_lengths
from promptseg.annotations.rasterize import rasterize
from promptseg.annotations.shapes import Shape
from promptseg.data import rle
from pycocotools import mask as coco
from refusing import refused

RNG = np.random.default_rng(0)


def square(left, top, right, bottom) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


def drawn(*shapes: Shape, size=(6, 8), classes="ab") -> tuple[list, list]:
    labels = {name: label for label, name in enumerate(classes, 1)}
    mask, instances = rasterize(shapes, labels, *size, "a.json")
    assert mask.dtype == np.uint8 and instances.dtype == np.uint16 and mask.shape == instances.shape == size
    return mask.tolist(), instances.tolist()


def random_ring(case: int) -> np.ndarray:
    """Polygons of all kinds: small, beyond the image, through themselves, on whole and half pixels, far away."""
    points = RNG.uniform(-30, 80, (int(RNG.integers(3, 12)), 2))
    return [points, points.round(), points.round(1), points * 4 - 100, points / 9 + 20, points * 30][case % 6]


@pytest.mark.parametrize("size", [(40, 60), (61, 37), (1, 50), (50, 1)])
def test_polygons_have_the_pixels_that_pycocotools_gives_them(size):
    for case in range(300):
        rings = [random_ring(case) for _ in range(1 + case % 3)]
        encoded = coco.merge(coco.frPyObjects([ring.ravel().tolist() for ring in rings], *size))
        mask, instances = rasterize([Shape("a", tuple(rings))], {"a": 1}, *size, "a.json")
        np.testing.assert_array_equal(mask, coco.decode(encoded))
        np.testing.assert_array_equal(instances, mask)


def test_a_pixel_belongs_to_a_polygon_that_its_center_is_in():
    mask, _ = drawn(Shape("a", (np.array([(1, 1), (5.2, 1), (1, 5.2)]),)))
    assert mask == [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0, 0, 0],
        [0, 1, 1, 1, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    mask, _ = drawn(Shape("a", (square(-5, 4, 2, 99),)))
    assert mask == [[0] * 8] * 4 + [[1, 1] + [0] * 6] * 2
    assert not np.any(drawn(Shape("a", (square(20, 20, 30, 30), square(-9, 0, -3, 4)))))


def test_later_shapes_lie_on_top_and_holes_show_what_is_below():
    below, ring = Shape("b", (square(0, 0, 8, 3),)), (square(1, 0, 7, 6),)
    mask, instances = drawn(below, Shape("a", ring, holes=(square(3, 1, 5, 9), square(6, 5, 9, 9))))
    assert mask == [
        [2, 1, 1, 1, 1, 1, 1, 2],
        [2, 1, 1, 2, 2, 1, 1, 2],
        [2, 1, 1, 2, 2, 1, 1, 2],
        [0, 1, 1, 0, 0, 1, 1, 0],
        [0, 1, 1, 0, 0, 1, 1, 0],
        [0, 1, 1, 0, 0, 1, 0, 0],
    ]
    assert (np.array(instances) == np.array([0, 2, 1])[np.array(mask)]).all()


def test_a_ring_that_runs_back_over_its_own_bridge_leaves_a_hole():
    ring = np.array([(0, 0), (7, 0), (7, 5), (0, 5), (0, 0), (2, 2), (2, 4), (5, 4), (5, 2), (2, 2)], float)
    mask, _ = drawn(Shape("a", (ring,)))
    assert mask == [[1] * 7 + [0]] * 2 + [[1, 1, 0, 0, 0, 1, 1, 0]] * 2 + [[1] * 7 + [0], [0] * 8]


def test_shapes_of_one_number_and_class_are_one_instance():
    shapes = [
        Shape("a", (square(0, 0, 1, 1),), instance=7), Shape("a", (square(2, 0, 3, 1),)),
        Shape("b", (square(4, 0, 5, 1),), instance=7), Shape("a", (square(6, 0, 7, 1),), instance=7),
    ]  # fmt: skip
    mask, instances = drawn(*shapes)
    assert mask[0] == [1, 0, 1, 0, 2, 0, 1, 0] and instances[0] == [1, 0, 2, 0, 3, 0, 1, 0]


def test_ignored_shapes_and_those_of_other_classes_are_no_instances():
    shapes = [
        Shape("a", (square(0, 0, 6, 1),)),
        Shape("b", (square(1, 0, 2, 1),)),
        Shape("a", (square(3, 0, 4, 1),), ignored=True),
        Shape("a", (square(5, 0, 7, 1),)),
    ]
    mask, instances = drawn(*shapes, classes="a")
    assert mask[0] == [1, 0, 1, 255, 1, 1, 1, 0] and instances[0] == [1, 0, 1, 0, 1, 2, 2, 0]


def test_masks_lie_where_they_are_said_to_and_are_cut():
    area = np.array([[1, 1], [0, 1]], bool)
    shapes = [Shape("a", mask=area, top=-1, left=2), Shape("b", mask=area, top=5, left=7), Shape("a", mask=area, top=9)]
    mask, _ = drawn(*shapes)
    assert mask[0] == [0, 0, 0, 1, 0, 0, 0, 0] and mask[5] == [0] * 7 + [2] and not np.any(mask[1:5])


def test_run_lengths_are_decoded_in_their_box():
    for size in ((6, 8), (1, 9), (9, 1), (50, 70)):
        for share in (0, 0.02, 0.5, 1):
            expected = RNG.random(size) < share
            area, top, left = run_lengths.crop(rle.encode(expected))
            whole = np.zeros(size, bool)
            whole[top : top + area.shape[0], left : left + area.shape[1]] = area
            np.testing.assert_array_equal(whole, expected)
            assert not area.size or (area[0].any() and area[-1].any() and area[:, 0].any() and area[:, -1].any())
    mask, _ = drawn(Shape("b", rle=run_lengths.from_counts([7, 3, 38], 6, 8)))
    assert [row[1] for row in mask] == [0, 2, 2, 2, 0, 0] and np.sum(mask) == 6


@pytest.mark.parametrize(
    "shape, words",
    [
        (Shape("a", (np.zeros((2, 2)),), at="shape 3"), "a.json: shape 3: a polygon of 2 points has no area"),
        (Shape("a", (square(0, 0, 5, 5),), holes=(np.zeros((1, 2)),)), "a.json: a polygon of 1 point has no area"),
        (Shape("a", (square(0, 0, np.nan, 5),)), "its coordinates are no pixels of an image of 6 x 8"),
        (Shape("a", (square(0, 0, 1e9, 5),)), "its coordinates are no pixels"),
        (Shape("a", rle=run_lengths.from_counts([70], 7, 10)), "of 7 x 10 pixels, but the image is 6 x 8"),
        (Shape("a", rle={"size": [6, 8], "counts": "1"}), "its run lengths do not fill 6 x 8 pixels"),
        (Shape("a", rle={"size": [6, 8], "counts": "~~"}), "its run lengths are damaged"),
        (Shape("a", rle={"size": [6, 8], "counts": "P"}), "its run lengths are damaged"),
        (Shape("a", rle={"size": [6, 8], "counts": ""}), "its run lengths are damaged"),
        (Shape("a", rle={"size": [6, 8], "counts": "1é1"}), "its run lengths are damaged"),
        (Shape("a", rle={"size": [6, 8], "counts": "PPPPPPPP0"}), "its run lengths are damaged"),
    ],
)  # fmt: skip
def test_what_is_no_area_of_the_image_is_refused(shape, words):
    refused(lambda: drawn(shape), "a.json: ", words)


def test_more_instances_than_16_bits_tell_apart_are_refused():
    dots = [Shape("a", mask=np.ones((1, 1), bool), at=f"annotation {number}") for number in range(1, 65_537)]
    assert drawn(*dots[:-1], size=(1, 1))[1] == [[65_535]]
    refused(lambda: drawn(*dots), "annotation 65536: the image has more than 65,535 instances", "cut it")


def test_memory_is_that_of_a_shape_and_not_of_shapes_times_image():
    angles = np.linspace(0, 2 * np.pi, 30)
    circle = 8 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    shapes = [Shape("a", (circle + RNG.uniform(10, 990, 2),)) for _ in range(300)]
    tracemalloc.start()
    mask, instances = rasterize(shapes, {"a": 1}, 1000, 1000, "a.json")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mask.any() and instances.max() == 300 and peak < 5e6  # 3 MB are the mask and the instances
