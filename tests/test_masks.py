"""Components, boxes, interior_points pixels and boundary bands, on hand-drawn masks and against slow written-out rules."""

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
    """Unions of a few rectangles: masks with an inside, which random pixels rarely have."""
    mask = np.zeros(draw(shapes), bool)
    for _ in range(draw(st.integers(0, 4))):
        y, x = draw(st.integers(0, mask.shape[0])), draw(st.integers(0, mask.shape[1]))
        mask[y : y + draw(st.integers(1, 24)), x : x + draw(st.integers(1, 24))] = True
    return mask


def drawn(*lines: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in line] for line in lines])


def depth_by_hand(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance of each pixel to the nearest pixel outside, looking at every pair."""
    framed = np.pad(mask, 1)
    outside = np.argwhere(~framed)
    depth = np.zeros(mask.shape)
    for y, x in np.argwhere(mask):
        depth[y, x] = np.sqrt(((outside - (y + 1, x + 1)) ** 2).sum(axis=1).min())
    return depth


def boundary_by_hand(mask: np.ndarray, ratio: float) -> np.ndarray:
    """Pixels from which a pixel outside is at most d steps of a king away (Cheng et al. 2021, mask_to_boundary)."""
    distance = max(1, int(round(ratio * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2))))
    framed = np.pad(mask, distance)
    band = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        band[y, x] = not framed[y : y + 2 * distance + 1, x : x + 2 * distance + 1].all()
    return band


def test_components_touch_at_corners_and_are_numbered_in_scan_order():
    mask = drawn("...#....", "#...#..#", ".#......", "......##")
    labels, count = masks.components(mask)
    expected = [[0, 0, 0, 1, 0, 0, 0, 0], [2, 0, 0, 0, 1, 0, 0, 3], [0, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 4, 4]]
    assert count == 4 and labels.dtype == np.int32
    np.testing.assert_array_equal(labels, expected)


@settings(deadline=None)
@given(anything)
def test_components_are_those_that_a_flood_finds(mask):
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


def test_components_of_nothing_and_of_everything():
    assert masks.components(np.zeros((3, 4), bool))[1] == 0
    labels, count = masks.components(np.ones((3, 4), bool))
    assert count == 1 and (labels == 1).all()


def test_box_covers_whole_pixels():
    assert masks.box(drawn("....", ".##.", "..#.")) == (1.0, 1.0, 3.0, 3.0)
    assert masks.box(np.ones((3, 5), bool)) == (0.0, 0.0, 5.0, 3.0)
    assert masks.box(drawn("...", "..#")) == (2.0, 1.0, 3.0, 2.0)
    assert masks.box(np.zeros((3, 5), bool)) is None


@settings(deadline=None)
@given(anything)
def test_box_is_tight(mask):
    found = masks.box(mask)
    if found is None:
        assert not mask.any()
        return
    x0, y0, x1, y1 = map(int, found)
    inside = mask[y0:y1, x0:x1]
    assert inside.sum() == mask.sum()
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_the_border_of_the_picture_is_outside():
    np.testing.assert_array_equal(masks.interior_points(np.ones((7, 7), bool), 1), [[3.5, 3.5]])


def test_deepest_goes_to_the_next_blob_before_it_returns_to_the_first():
    mask = np.zeros((20, 40), bool)
    mask[2:17, 2:17] = True  # depth 8 in its middle
    mask[5:14, 25:34] = True  # depth 5 in its middle
    np.testing.assert_array_equal(masks.interior_points(mask, 2), [[9.5, 9.5], [29.5, 9.5]])


def test_deepest_repeats_only_when_the_mask_runs_out():
    mask = drawn("....", ".##.", "....")
    np.testing.assert_array_equal(masks.interior_points(mask, 5), [[1.5, 1.5], [2.5, 1.5], [1.5, 1.5], [2.5, 1.5], [1.5, 1.5]])


def test_deepest_of_one_pixel_and_of_none():
    np.testing.assert_array_equal(masks.interior_points(drawn("..", ".#"), 1), [[1.5, 1.5]])
    assert masks.interior_points(np.zeros((4, 4), bool), 3).shape == (0, 2)
    assert masks.interior_points(np.ones((4, 4), bool), 0).shape == (0, 2)


@settings(deadline=None)
@given(blobs(), st.integers(1, 8))
def test_deepest_pixels_lie_inside_are_distinct_and_start_at_the_greatest_depth(mask, n):
    points = masks.interior_points(mask, n)
    if not mask.any():
        return
    assert points.shape == (n, 2)
    xs, ys = (points - 0.5).astype(int).T
    assert mask[ys, xs].all()
    assert len(set(zip(xs, ys, strict=True))) == min(n, mask.sum())
    depth = depth_by_hand(mask)
    assert depth[ys[0], xs[0]] == pytest.approx(depth.max())
    np.testing.assert_array_equal(points[: n - 1], masks.interior_points(mask, n - 1))  # asking for more changes none


@settings(deadline=None)
@given(st.one_of(blobs(), anything), st.sampled_from([0.001, 0.02, 0.1, 0.3]))
def test_boundary_is_the_band_of_the_paper(mask, ratio):
    np.testing.assert_array_equal(masks.boundary(mask, ratio), boundary_by_hand(mask, ratio))


def test_boundary_of_a_full_picture_runs_along_its_border():
    band = masks.boundary(np.ones((100, 100), bool))  # 0.02 * 141.4 rounds to 3
    expected = np.ones((100, 100), bool)
    expected[3:-3, 3:-3] = False
    np.testing.assert_array_equal(band, expected)


def test_masks_need_not_be_contiguous_and_stay_as_they_are():
    mask = np.asfortranarray(np.pad(np.ones((5, 3), bool), 2))
    before = mask.copy()
    assert masks.box(mask) == (2.0, 2.0, 5.0, 7.0)
    assert masks.components(mask)[1] == 1
    assert masks.boundary(mask[:, ::2]).any() and len(masks.interior_points(mask, 2)) == 2
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("wrong", [np.ones((2, 2), np.uint8), np.ones((1, 2, 2), bool), np.ones((0, 2), bool)])
@pytest.mark.parametrize("ask", [masks.components, masks.box, masks.boundary, lambda mask: masks.interior_points(mask, 1)])
def test_anything_but_a_mask_is_refused(ask, wrong):
    with pytest.raises(ValueError, match=r"a mask is bool \(h, w\)"):
        ask(wrong)
