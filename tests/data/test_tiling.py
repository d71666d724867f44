"""Windows and blending, on images of every size."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.data.tiling import Blender, Window, overlapping, weights, windows

SIDE = st.integers(1, 70)
no_deadline = settings(deadline=None)  # a busy machine is no failure


@st.composite
def cuts(draw):
    """Height, width, tile, overlap."""
    tile = draw(st.integers(2, 80))
    # at least a sixteenth of a tile as step, or one image could have thousands of windows
    overlap = draw(st.integers(0, tile - 1 - tile // 16))
    return draw(SIDE), draw(SIDE), tile, overlap


def noise(shape, dtype=np.float32, seed=0):
    values = np.random.default_rng(seed).random(shape, np.float32)
    return (values * 255).astype(np.uint8) if dtype == np.uint8 else values.astype(dtype)


def blended_tiles(image, cut):
    blender = Blender(*image.shape[1:], len(image))
    for window in cut:
        blender.add(window.of(image), window)
    return blender.result()


# --- windows


@no_deadline
@given(cuts())
def test_windows_cover_every_pixel_with_equal_sizes_in_reading_order(case):
    height, width, tile, overlap = case
    cut = windows(height, width, tile, overlap)
    count = np.zeros((height, width), int)
    for window in cut:
        window.of(count)[...] += 1
    assert count.min() >= 1
    assert {window[2:] for window in cut} == {(min(tile, height), min(tile, width))}
    assert cut == sorted(set(cut))
    assert overlapping(cut) == (count.max() > 1)


@no_deadline
@given(cuts())
def test_neighbours_share_the_overlap_and_the_last_two_at_least_that(case):
    height, width, tile, overlap = case
    cut = windows(height, width, tile, overlap)
    for extent, starts in ((height, {window.top for window in cut}), (width, {window.left for window in cut})):
        shared = [first + tile - second for first, second in itertools.pairwise(sorted(starts))]
        assert all(pixels == overlap for pixels in shared[:-1])
        assert all(pixels >= overlap for pixels in shared[-1:])
        assert max(starts) + min(tile, extent) == extent


@pytest.mark.parametrize(
    "args, count",
    [
        ((768, 1024, 256), 12),  # a slice of the electron microscopy stack
        ((256, 256, 256), 1),
        ((257, 256, 256), 2),
        ((100, 600, 256), 3),  # lower than a tile
        ((2858, 3999, 256, 64), 15 * 21),
        ((768, 1024, None), 1),
    ],
)
def test_count(args, count):
    assert len(windows(*args)) == count


def test_windows_by_hand():
    assert windows(4, 9, 4, 1) == [(0, 0, 4, 4), (0, 3, 4, 4), (0, 5, 4, 4)]
    assert windows(3, 5, None, 2) == [(0, 0, 3, 5)]
    assert windows(2, 3, 8, 7) == [(0, 0, 2, 3)]


def test_cut_windows_end_with_the_first_that_reaches_the_border():
    assert windows(16, 16, 16, 4, "cut") == [(0, 0, 16, 16)]
    assert windows(5, 18, 8, 3, "cut") == [(0, 0, 5, 8), (0, 5, 5, 8), (0, 10, 5, 8)]
    assert windows(5, 19, 8, 3, "cut") == [(0, 0, 5, 8), (0, 5, 5, 8), (0, 10, 5, 8), (0, 15, 5, 4)]


@no_deadline
@given(cuts(), st.sampled_from(["shift", "cut", "drop"]))
def test_each_window_has_new_pixels_whatever_the_border(case, border):
    height, width, tile, overlap = case
    covered = np.zeros((height, width), bool)
    for window in windows(height, width, tile, overlap, border):
        view = window.of(covered)
        assert not view.all()
        view[...] = True
    assert covered.all() or border == "drop"


def test_windows_hold_plain_ints():
    cut = windows(np.int64(50), np.int32(40), np.int64(16), np.uint8(4))
    assert {type(number) for window in cut for number in window} == {int}


@pytest.mark.parametrize(
    "args", [(0, 5, 4), (5, -1, 4), (5, 5, 0), (5, 5, -4), (5, 5, 4, 4), (5, 5, 4, 9), (5, 5, 4, -1), (0, 5, None)]
)
def test_invalid_sizes(args):
    with pytest.raises(ValueError):
        windows(*args)


def test_sizes_that_are_not_integers():
    with pytest.raises(TypeError):
        windows(50, 50, 16.0)


# --- Window


def test_views_not_copies():
    window = Window(1, 2, 3, 4)
    mask, image, probabilities = np.zeros((9, 8)), np.zeros((9, 8, 3)), np.zeros((2, 9, 8))
    window.of(mask)[...] = 1
    window.of_image(image)[...] = 1
    window.of(probabilities)[...] = 1
    assert (image == mask[..., None]).all() and (probabilities == mask).all()
    assert mask.sum() == 12 and mask[1:4, 2:6].all()
    assert window.of_image(mask).shape == window.of(mask).shape == (3, 4)


@pytest.mark.parametrize(
    "window", [(-1, 0, 3, 3), (0, -1, 3, 3), (7, 0, 3, 3), (0, 6, 3, 3), (0, 0, 0, 3), (0, 0, 3, 0)]
)
def test_a_window_outside_the_image(window):
    with pytest.raises(ValueError, match="9 x 8"):
        Window(*window).of(np.zeros((9, 8)))
    with pytest.raises(ValueError, match="9 x 8"):
        Window(*window).of_image(np.zeros((9, 8, 3)))
    with pytest.raises(ValueError, match="9 x 8"):
        Blender(9, 8, 1).add(np.zeros((1, *window[2:])), Window(*window))


def test_an_image_is_not_taken_for_maps():
    with pytest.raises(ValueError):
        Window(0, 0, 4, 4).of(np.zeros((9, 8, 3)))


# --- overlapping


@no_deadline
@given(st.lists(st.builds(Window, *[st.integers(0, 12)] * 2, *[st.integers(1, 6)] * 2), max_size=8))
def test_overlapping_agrees_with_counting(cut):
    count = np.zeros((20, 20), int)
    for window in cut:
        window.of(count)[...] += 1
    assert overlapping(iter(cut)) == (count.max() > 1)


def test_overlapping_windows_by_hand():
    assert not overlapping([])
    assert not overlapping([Window(0, 0, 4, 4), Window(0, 4, 4, 4), Window(4, 0, 4, 8)])
    assert not overlapping([Window(0, 4, 4, 4), Window(2, 0, 4, 4)])  # touch, the lower one to the left
    assert overlapping([Window(0, 0, 4, 4)] * 2)
    assert not overlapping([Window(0, 0, 4, 4), Window(1, 1, 0, 2)])  # no pixels, nothing shared


# --- weights


@no_deadline
@given(SIDE, SIDE)
def test_weights_are_positive_symmetric_and_fall_to_the_border(height, width):
    found = weights(height, width)
    assert found.shape == (height, width) and found.dtype == np.float32
    assert found.min() == found[0, 0] == 1
    assert found.max() == found[height // 2, width // 2]
    assert (found == found[::-1]).all() and (found == found[:, ::-1]).all()
    assert (weights(width, height) == found.T).all()
    assert (np.diff(found[: (height + 1) // 2], axis=0) > 0).all()
    assert (np.diff(found[:, : (width + 1) // 2], axis=1) > 0).all()


# --- Blender


@no_deadline
@given(cuts(), st.integers(1, 3), st.sampled_from([np.uint8, np.float16, np.float32]))
def test_tiles_of_an_image_blend_to_the_image(case, channels, dtype):
    height, width, tile, overlap = case
    image = noise((channels, height, width), dtype)
    values, covered = blended_tiles(image, windows(height, width, tile, overlap))
    assert values.dtype == np.float32 and covered.dtype == bool
    np.testing.assert_array_equal(values, image)
    assert covered.shape == (height, width) and covered.all()


@pytest.mark.parametrize("tile, overlap", [(1, 0), (7, 0), (7, 6), (16, 4), (33, 16), (70, 1), (None, 0)])
def test_tiles_of_an_image_blend_to_the_image_at_every_side_from_1_to_70(tile, overlap):
    for side in range(1, 71):
        for height, width in ((side, 71 - side), (side, 1), (1, side), (side, side)):
            image = noise((1, height, width))
            if tile == 1 or overlap == 6:
                image = image[:, :20, :20]  # a step of one pixel: thousands of windows
            values, covered = blended_tiles(image, windows(*image.shape[1:], tile, overlap))
            np.testing.assert_array_equal(values, image)
            assert covered.all()


@no_deadline
@given(cuts())
def test_tiles_of_float64_blend_to_the_image_up_to_float32_rounding(case):
    height, width, tile, overlap = case
    image = np.random.default_rng(1).random((1, height, width))
    values, _ = blended_tiles(image, windows(height, width, tile, overlap))
    np.testing.assert_allclose(values, image, rtol=2e-7)


@no_deadline
@given(cuts(), st.randoms(use_true_random=False))
def test_agrees_with_the_weighted_mean_in_any_order(case, random):
    height, width, tile, overlap = case
    cut = windows(height, width, tile, overlap)
    tiles = [noise((2, *window[2:]), seed=at) for at, window in enumerate(cut)]
    order = list(range(len(cut)))
    random.shuffle(order)
    blender = Blender(height, width, 2)
    for at in order:
        blender.add(tiles[at], cut[at])
    top, bottom = np.zeros((2, height, width)), np.zeros((height, width))
    for tile, window in zip(tiles, cut, strict=True):
        window.of(top)[...] += weights(*window[2:]) * tile.astype(float)
        window.of(bottom)[...] += weights(*window[2:])
    values, _ = blender.result()
    np.testing.assert_allclose(values, top / bottom, atol=1e-5)
    assert 0 <= values.min() and values.max() <= 1  # probabilities stay probabilities


@no_deadline
@given(st.data())
def test_a_seam_is_a_linear_ramp(data):
    tile = data.draw(st.integers(2, 40), "tile")
    overlap = data.draw(st.integers(1, tile // 2), "overlap")
    first, second = windows(2, 2 * tile - overlap, tile, overlap)
    blender = Blender(2, 2 * tile - overlap, 1)
    blender.add(np.zeros((1, *first[2:]), np.uint8), first)
    blender.add(np.ones((1, *second[2:]), np.uint8), second)
    rows = blender.result()[0][0]
    ramp = np.arange(1, overlap + 1) / (overlap + 1)
    expected = np.concatenate([np.zeros(tile - overlap), ramp, np.ones(tile - overlap)])
    np.testing.assert_allclose(rows, np.tile(expected, (2, 1)), atol=1e-6)


@pytest.mark.parametrize("overlap", range(1, 16))
def test_a_seam_is_monotone_whatever_the_overlap(overlap):
    first, second = Window(0, 0, 16, 16), Window(0, 16 - overlap, 16, 16)
    blender = Blender(16, 32 - overlap, 1)
    blender.add(np.full((1, 16, 16), 0.2), first)
    blender.add(np.full((1, 16, 16), 0.9), second)
    values = blender.result()[0][0]
    assert (np.diff(values, axis=1) >= 0).all()
    assert (np.diff(values[:, 15 - overlap : 17], axis=1) > 0).all()


def test_a_pixel_of_one_tile_has_exactly_its_value():
    first, second = Window(0, 0, 33, 33), Window(0, 20, 33, 33)
    tiles = noise((2, 1, 33, 33)) * np.float32(1 / 3)
    blender = Blender(40, 60, 1)
    blender.add(tiles[0], first)
    blender.add(tiles[1], second)
    values, covered = blender.result()
    np.testing.assert_array_equal(values[:, :33, :20], tiles[0][..., :20])
    np.testing.assert_array_equal(values[:, :33, 33:53], tiles[1][..., 13:])
    assert covered[:33, :53].all() and covered.sum() == 33 * 53
    assert not values[:, ~covered].any()


def test_windows_of_different_sizes_mix():
    image = noise((1, 20, 20))
    cut = [Window(0, 0, 20, 20), Window(3, 4, 7, 9), Window(0, 0, 20, 20)]
    np.testing.assert_array_equal(blended_tiles(image, cut)[0], image)


def test_masks_blend_to_shares():
    window = Window(0, 0, 4, 4)
    blender = Blender(4, 4, 1)
    for value in (True, False, True, True):
        blender.add(np.full((1, 4, 4), value), window)
    np.testing.assert_allclose(blender.result()[0], 0.75, atol=1e-6)


def test_tiles_are_not_modified():
    tile = noise((1, 4, 4))
    before = tile.copy()
    blender = Blender(4, 6, 1)
    blender.add(tile, Window(0, 0, 4, 4))
    blender.add(tile, Window(0, 2, 4, 4))
    np.testing.assert_array_equal(tile, before)


def test_the_result_cannot_be_written_to():
    values, _ = Blender(4, 4, 1).result()
    with pytest.raises(ValueError, match="read-only"):
        values[...] = 1


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (2, 4, 3), (2, 1, 1), (2, 1, 4, 4)])
def test_values_of_another_shape(shape):
    with pytest.raises(ValueError, match="expected"):
        Blender(9, 9, 2).add(np.zeros(shape), Window(0, 0, 4, 4))


@pytest.mark.parametrize("dtype", [np.int64, np.complex64, object])
def test_values_of_another_dtype(dtype):
    blender = Blender(9, 9, 2)
    with pytest.raises(TypeError, match="16 bits"):
        blender.add(np.zeros((2, 4, 4), dtype), Window(0, 0, 4, 4))
    assert not blender.result()[1].any()


@pytest.mark.parametrize("sizes", [(0, 4, 1), (4, 0, 1), (4, 4, 0), (-1, 4, 1)])
def test_a_blender_needs_pixels(sizes):
    with pytest.raises(ValueError, match="positive"):
        Blender(*sizes)
