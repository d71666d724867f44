"""Components, regions, boxes, interior points and boundary bands, on small masks and against slow references."""

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from promptseg.data import masks

shapes = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)


@st.composite
def blobs(draw) -> np.ndarray:
    """Unions of a few rectangles: masks with an interior, which random pixels rarely have."""
    mask = np.zeros(draw(shapes), bool)
    for _ in range(draw(st.integers(0, 4))):
        y, x = draw(st.integers(0, mask.shape[0])), draw(st.integers(0, mask.shape[1]))
        mask[y : y + draw(st.integers(1, 24)), x : x + draw(st.integers(1, 24))] = True
    return mask


ANY = st.one_of(blobs(), arrays.arrays(bool, shapes))


def parsed(*lines: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in line] for line in lines])


def flood_filled(mask: np.ndarray) -> np.ndarray:
    """The 8-connected components, numbered in scan order."""
    labels = np.zeros(mask.shape, int)
    for start in map(tuple, np.argwhere(mask)):
        number = labels.max() + 1
        pending = [] if labels[start] else [start]
        while pending:
            y, x = pending.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not labels[y, x]:
                labels[y, x] = number
                pending += [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return labels


def depth_of(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance of each pixel inside to the nearest pixel outside, over all pairs."""
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    return np.array([np.sqrt(((outside - inside) ** 2).sum(axis=1).min()) for inside in np.argwhere(mask)])


def band_of(mask: np.ndarray, ratio: float) -> np.ndarray:
    """Pixels within Chebyshev distance d of a pixel outside (Cheng et al. 2021, mask_to_boundary)."""
    distance = max(1, int(round(ratio * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2))))
    framed = np.pad(mask, distance)
    band = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        band[y, x] = not framed[y : y + 2 * distance + 1, x : x + 2 * distance + 1].all()
    return band


@given(ANY)
@example(parsed("...#....", "#...#..#", ".#......", "......##"))  # three touch at corners
@example(parsed("####", "#...", "#.#.", "#..."))  # one within the box of another
@example(np.ones((3, 4), bool))
def test_regions_equal_a_flood_fill(mask):
    labels = flood_filled(mask)
    count = labels.max()
    instances, whole = masks.regions(mask, per_instance=True), masks.regions(mask, per_instance=False)
    assert len(instances) == count and len(whole) == mask.any()
    for number, region in enumerate(instances + whole, 1):
        full, inside = region.full(), region.mask
        np.testing.assert_array_equal(full, labels == number if number <= count else mask)
        assert full.dtype == inside.dtype == bool and full.shape == (region.height, region.width) == mask.shape
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any(), "not tight"
        box = region.left, region.top, region.left + inside.shape[1], region.top + inside.shape[0]
        assert masks.region_box(region) == masks.bounding_box(full) == box
        np.testing.assert_array_equal(masks.region_interior_points(region, 4), masks.interior_points(full, 4))


def test_a_box_covers_whole_pixels():
    assert masks.bounding_box(parsed("....", ".##.", "..#.")) == (1.0, 1.0, 3.0, 3.0)
    assert masks.bounding_box(np.ones((3, 5), bool)) == (0.0, 0.0, 5.0, 3.0)
    assert masks.bounding_box(np.zeros((3, 5), bool)) is None


TWO = np.zeros((20, 40), bool)
TWO[2:17, 2:17] = True  # depth 8 in its middle
TWO[5:14, 25:34] = True  # depth 5 in its middle


@pytest.mark.parametrize(
    "mask, n, points",
    [
        (np.ones((7, 7), bool), 1, [[3.5, 3.5]]),  # pixels beyond the image are outside
        (np.ones((9, 9), bool), 6, [[4.5, 4.5], [0.5, 0.5], [7.5, 0.5], [0.5, 7.5], [8.5, 7.5], [2.5, 2.5]]),
        (TWO, 2, [[9.5, 9.5], [29.5, 9.5]]),  # the next blob comes before a return to the first
        (parsed("....", ".##.", "...."), 5, [[1.5, 1.5], [2.5, 1.5]] * 2 + [[1.5, 1.5]]),  # when the mask runs out
        (parsed("..", ".#"), 1, [[1.5, 1.5]]),
        (np.zeros((4, 4), bool), 3, np.empty((0, 2))),
        (np.ones((4, 4), bool), 0, np.empty((0, 2))),
    ],
)
def test_interior_points_by_hand(mask, n, points):
    np.testing.assert_array_equal(masks.interior_points(mask, n), points)


@given(blobs(), st.integers(1, 8))
def test_interior_points_are_inside_distinct_and_start_at_the_greatest_depth(mask, n):
    points = masks.interior_points(mask, n)
    if not mask.any():
        return
    assert points.shape == (n, 2)
    pixels = [(int(y), int(x)) for x, y in points]
    assert len(set(pixels)) == min(n, mask.sum()) and all(mask[pixel] for pixel in pixels)
    depths = dict(zip(map(tuple, np.argwhere(mask)), depth_of(mask)))
    assert depths[pixels[0]] == pytest.approx(max(depths.values()))
    np.testing.assert_array_equal(points[: n - 1], masks.interior_points(mask, n - 1))  # a larger n changes none


@given(ANY, st.sampled_from([0.001, 0.02, 0.1, 0.3]))
@example(np.ones((100, 100), bool), 0.02)  # 0.02 * 141.4 rounds to 3
def test_the_boundary_is_the_band_of_the_paper_along_the_image_border_too(mask, ratio):
    np.testing.assert_array_equal(masks.boundary_band(mask, ratio), band_of(mask, ratio))
    if ratio == 0.02:
        np.testing.assert_array_equal(masks.boundary_band(mask), band_of(mask, ratio))


@given(st.integers(0, 2**32 - 1), st.sampled_from([(30, 40), (1, 50), (64, 3)]), st.sampled_from([0.02, 0.1]))
def test_the_bands_of_a_label_map_are_those_of_each_class_by_itself_whose_box_is_enough(seed, size, ratio):
    labels = np.random.default_rng(seed).integers(0, 4, (4, 4)).astype(np.uint8)
    labels = np.ascontiguousarray(cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST))
    labels[: size[0] // 4] = 0  # so that no box is the whole image
    alone = [masks.boundary_band(labels == label, ratio) for label in (1, 2, 3)]
    together = masks.boundary_band(labels, ratio)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(together, sum(label * band for label, band in enumerate(alone, start=1)))
    for label, band in enumerate(alone, start=1):
        np.testing.assert_array_equal(band, band_of(labels == label, ratio))


@pytest.mark.parametrize("wrong", [np.ones((2, 2), np.int32), np.ones((1, 2, 2), np.uint8), np.ones((0, 2), np.uint8)])
def test_bands_of_anything_but_masks_and_label_maps_are_refused(wrong):
    with pytest.raises(ValueError, match=r"a mask is bool \(h, w\)"):
        masks.boundary_band(wrong)


def test_masks_need_not_be_contiguous_and_stay_as_they_are():
    mask = np.asfortranarray(np.pad(np.ones((5, 3), bool), 2))
    before = mask.copy()
    assert masks.bounding_box(mask) == (2.0, 2.0, 5.0, 7.0)
    assert len(masks.regions(mask, per_instance=True)) == 1
    assert masks.boundary_band(mask[:, ::2]).any() and len(masks.interior_points(mask, 2)) == 2
    for per_instance in (False, True):
        (region,) = masks.regions(mask, per_instance)
        region.mask[:] = False
    np.testing.assert_array_equal(mask, before)


def test_points_of_a_region_are_those_of_its_full_mask_to_the_last_bit():
    """Symmetric shapes have pixels of equal depth, which OpenCV's rounding tells apart by their place in the image."""
    y, x = np.mgrid[:160, :300]
    mask = ((x - 71) / 40) ** 2 + ((y - 60) / 23) ** 2 < 1
    mask |= ((x - 201) / 31) ** 2 + ((y - 97) / 47) ** 2 < 1
    for region in masks.regions(mask, per_instance=True):
        np.testing.assert_array_equal(masks.region_interior_points(region, 7), masks.interior_points(region.full(), 7))


def test_a_region_without_pixels_has_neither_box_nor_points():
    region = masks.Region(2, 3, np.zeros((4, 5), bool), 10, 12)
    assert masks.region_box(region) is None and masks.region_interior_points(region, 3).shape == (0, 2)


def test_many_instances_take_no_more_memory_than_the_image():
    mask = np.zeros((200, 200), bool)
    mask[::2, ::2] = True
    masks.regions(mask[:10, :10], per_instance=True)  # imports and caches
    tracemalloc.start()
    found = masks.regions(mask, per_instance=True)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 10_000 and most < 1000 * len(found)  # at full size it were 40,000 bytes each


@pytest.mark.parametrize("wrong", [np.ones((2, 2), np.uint8), np.ones((1, 2, 2), bool), np.ones((0, 2), bool)])
@pytest.mark.parametrize(
    "function, args",
    [(masks.bounding_box, ()), (masks.interior_points, (1,))]
    + [(masks.regions, (per_instance,)) for per_instance in (False, True)],
)
def test_anything_but_a_mask_is_refused(function, args, wrong):
    with pytest.raises(ValueError, match=r"a mask is bool \(h, w\)"):
        function(wrong, *args)


def test_instances_are_regions_of_their_own_though_they_touch():
    instances = np.kron(np.array([[7, 7, 300], [2, 0, 300]]), np.ones((2, 2), int)).astype(np.uint16)
    mask = instances > 0
    mask[0, 0], mask[2, 3] = False, True  # a pixel of another class, and one that no instance has
    found = masks.regions(mask, True, instances)
    assert [(region.left, region.top, *region.mask.shape) for region in found] == [
        (0, 0, 2, 4), (4, 0, 4, 2), (0, 2, 2, 2), (3, 2, 1, 1),
    ]  # fmt: skip
    for region, number in zip(found, (7, 300, 2, 0), strict=True):
        np.testing.assert_array_equal(region.full(), mask & (instances == number))
    (whole,) = masks.regions(mask, False, instances)
    np.testing.assert_array_equal(whole.full(), mask)
    assert masks.regions(np.zeros((4, 6), bool), True, instances) == []


def test_many_touching_instances_take_the_memory_of_the_image():
    instances = np.arange(1, 2305, dtype=np.uint16).reshape(48, 48).repeat(20, 0).repeat(20, 1)
    tracemalloc.start()
    found = masks.regions(instances > 0, True, instances)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 2304 and all(region.mask.shape == (20, 20) for region in found)
    assert peak < 80 * instances.size  # a full mask of each instance would be 2304 bytes a pixel
