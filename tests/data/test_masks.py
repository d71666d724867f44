"""Components, regions, boxes, interior points and boundary bands, on small masks and against slow references."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from promptseg.data import masks

shapes = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
anything = arrays.arrays(bool, shapes)


@st.composite
def blobs(draw) -> np.ndarray:
    """Unions of a few rectangles: masks with an interior, which random pixels rarely have."""
    mask = np.zeros(draw(shapes), bool)
    for _ in range(draw(st.integers(0, 4))):
        y, x = draw(st.integers(0, mask.shape[0])), draw(st.integers(0, mask.shape[1]))
        mask[y : y + draw(st.integers(1, 24)), x : x + draw(st.integers(1, 24))] = True
    return mask


def parsed(*lines: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in line] for line in lines])


def cropped(mask: np.ndarray) -> np.ndarray:
    """A mask that is not empty, within its box."""
    ys, xs = np.nonzero(mask)
    return mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def reference_depth(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance of each pixel to the nearest pixel outside, over all pairs."""
    framed = np.pad(mask, 1)
    outside = np.argwhere(~framed)
    depth = np.zeros(mask.shape)
    for y, x in np.argwhere(mask):
        depth[y, x] = np.sqrt(((outside - (y + 1, x + 1)) ** 2).sum(axis=1).min())
    return depth


def reference_boundary(mask: np.ndarray, ratio: float) -> np.ndarray:
    """Pixels within Chebyshev distance d of a pixel outside (Cheng et al. 2021, mask_to_boundary)."""
    distance = max(1, int(round(ratio * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2))))
    framed = np.pad(mask, distance)
    band = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        band[y, x] = not framed[y : y + 2 * distance + 1, x : x + 2 * distance + 1].all()
    return band


def test_components_touch_at_corners_and_are_numbered_in_scan_order():
    mask = parsed("...#....", "#...#..#", ".#......", "......##")
    labels, count = masks.components(mask)
    expected = [[0, 0, 0, 1, 0, 0, 0, 0], [2, 0, 0, 0, 1, 0, 0, 3], [0, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 4, 4]]
    assert count == 4 and labels.dtype == np.int32
    np.testing.assert_array_equal(labels, expected)


@settings(deadline=None)
@given(anything)
def test_components_equal_a_flood_fill(mask):
    labels, count = masks.components(mask)
    expected, found = np.zeros(mask.shape, int), 0
    for y, x in np.argwhere(mask):
        if expected[y, x]:
            continue
        found += 1
        pending = [(y, x)]
        while pending:
            y, x = pending.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not expected[y, x]:
                expected[y, x] = found
                pending += [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert count == found
    np.testing.assert_array_equal(labels, expected)


def test_components_of_empty_and_full_masks():
    assert masks.components(np.zeros((3, 4), bool))[1] == 0
    labels, count = masks.components(np.ones((3, 4), bool))
    assert count == 1 and (labels == 1).all()


def test_box_covers_whole_pixels():
    assert masks.bounding_box(parsed("....", ".##.", "..#.")) == (1.0, 1.0, 3.0, 3.0)
    assert masks.bounding_box(np.ones((3, 5), bool)) == (0.0, 0.0, 5.0, 3.0)
    assert masks.bounding_box(parsed("...", "..#")) == (2.0, 1.0, 3.0, 2.0)
    assert masks.bounding_box(np.zeros((3, 5), bool)) is None


@settings(deadline=None)
@given(anything)
def test_box_is_tight(mask):
    found = masks.bounding_box(mask)
    if found is None:
        assert not mask.any()
        return
    x0, y0, x1, y1 = map(int, found)
    inside = mask[y0:y1, x0:x1]
    assert inside.sum() == mask.sum()
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_pixels_beyond_the_image_are_outside():
    np.testing.assert_array_equal(masks.interior_points(np.ones((7, 7), bool), 1), [[3.5, 3.5]])


def test_interior_points_visit_the_next_blob_before_they_return_to_the_first():
    mask = np.zeros((20, 40), bool)
    mask[2:17, 2:17] = True  # depth 8 in its middle
    mask[5:14, 25:34] = True  # depth 5 in its middle
    np.testing.assert_array_equal(masks.interior_points(mask, 2), [[9.5, 9.5], [29.5, 9.5]])


def test_interior_points_repeat_only_when_the_mask_runs_out():
    mask = parsed("....", ".##.", "....")
    np.testing.assert_array_equal(
        masks.interior_points(mask, 5), [[1.5, 1.5], [2.5, 1.5], [1.5, 1.5], [2.5, 1.5], [1.5, 1.5]]
    )


def test_interior_points_of_one_pixel_and_of_none():
    np.testing.assert_array_equal(masks.interior_points(parsed("..", ".#"), 1), [[1.5, 1.5]])
    assert masks.interior_points(np.zeros((4, 4), bool), 3).shape == (0, 2)
    assert masks.interior_points(np.ones((4, 4), bool), 0).shape == (0, 2)


@settings(deadline=None)
@given(blobs(), st.integers(1, 8))
def test_interior_points_are_inside_distinct_and_start_at_the_greatest_depth(mask, n):
    points = masks.interior_points(mask, n)
    if not mask.any():
        return
    assert points.shape == (n, 2)
    xs, ys = (points - 0.5).astype(int).T
    assert mask[ys, xs].all()
    assert len(set(zip(xs, ys, strict=True))) == min(n, mask.sum())
    depth = reference_depth(mask)
    assert depth[ys[0], xs[0]] == pytest.approx(depth.max())
    np.testing.assert_array_equal(points[: n - 1], masks.interior_points(mask, n - 1))  # a larger n changes none


@settings(deadline=None)
@given(st.one_of(blobs(), anything), st.sampled_from([0.001, 0.02, 0.1, 0.3]))
def test_boundary_is_the_band_of_the_paper(mask, ratio):
    np.testing.assert_array_equal(masks.boundary_band(mask, ratio), reference_boundary(mask, ratio))


def test_boundary_of_a_full_mask_runs_along_the_image_border():
    band = masks.boundary_band(np.ones((100, 100), bool))  # 0.02 * 141.4 rounds to 3
    expected = np.ones((100, 100), bool)
    expected[3:-3, 3:-3] = False
    np.testing.assert_array_equal(band, expected)


def test_masks_need_not_be_contiguous_and_stay_as_they_are():
    mask = np.asfortranarray(np.pad(np.ones((5, 3), bool), 2))
    before = mask.copy()
    assert masks.bounding_box(mask) == (2.0, 2.0, 5.0, 7.0)
    assert masks.components(mask)[1] == 1
    assert masks.boundary_band(mask[:, ::2]).any() and len(masks.interior_points(mask, 2)) == 2
    np.testing.assert_array_equal(mask, before)


@settings(deadline=None)
@given(st.one_of(blobs(), anything))
def test_regions_of_instances_are_the_components_in_their_boxes(mask):
    labels, count = masks.components(mask)
    found = masks.regions(mask, per_instance=True)
    assert len(found) == count
    for number, region in enumerate(found, 1):
        full = region.full()
        np.testing.assert_array_equal(full, labels == number)
        assert full.dtype == region.mask.dtype == bool and full.shape == (region.height, region.width) == mask.shape
        assert (region.left, region.top) == masks.bounding_box(full)[:2] and region.mask.shape == cropped(full).shape


@settings(deadline=None)
@given(st.one_of(blobs(), anything))
def test_the_region_of_a_mask_is_the_mask_in_its_box(mask):
    found = masks.regions(mask, per_instance=False)
    assert len(found) == mask.any()
    for region in found:
        np.testing.assert_array_equal(region.full(), mask)
        np.testing.assert_array_equal(region.mask, cropped(mask))


@settings(deadline=None)
@given(st.one_of(blobs(), anything), st.booleans(), st.integers(0, 8))
def test_boxes_and_points_of_a_region_are_those_of_its_full_mask(mask, per_instance, n):
    for region in masks.regions(mask, per_instance):
        assert masks.region_box(region) == masks.bounding_box(region.full())
        np.testing.assert_array_equal(masks.region_interior_points(region, n), masks.interior_points(region.full(), n))


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
    mask = np.zeros((1000, 1000), bool)
    mask[::2, ::2] = True
    masks.regions(mask[:10, :10], per_instance=True)  # imports and caches
    tracemalloc.start()
    found = masks.regions(mask, per_instance=True)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 250_000 and most < 1000 * len(found)  # at full size it were a megabyte each


@pytest.mark.parametrize("per_instance", [False, True])
def test_regions_are_copies(per_instance):
    mask = parsed("....", ".##.", "....")
    (region,) = masks.regions(mask, per_instance)
    region.mask[:] = False
    assert mask.sum() == 2


@pytest.mark.parametrize("wrong", [np.ones((2, 2), np.uint8), np.ones((1, 2, 2), bool), np.ones((0, 2), bool)])
@pytest.mark.parametrize(
    "function", [
        masks.components, masks.bounding_box, masks.boundary_band, lambda mask: masks.interior_points(mask, 1),
        lambda mask: masks.regions(mask, False), lambda mask: masks.regions(mask, True),
    ],
)  # fmt: skip
def test_anything_but_a_mask_is_refused(function, wrong):
    with pytest.raises(ValueError, match=r"a mask is bool \(h, w\)"):
        function(wrong)
