"""Windows and blending, on images of every size."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from promptseg.data.tiling import Blender, Window, weights, windows

SIDE = st.integers(1, 70)


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


def blended(size, *placed):
    """The blended image of (values, window), channel by channel, and what they cover."""
    blender = Blender(*size, len(placed[0][0]))
    for values, window in placed:
        blender.add(values, window)
    return blender.result()


def blended_tiles(image, cut):
    return blended(image.shape[1:], *[(window.of(image), window) for window in cut])


@given(cuts())
def test_windows_cover_every_pixel_in_reading_order_and_share_the_overlap(case):
    height, width, tile, overlap = case
    cut = windows(height, width, tile, overlap)
    count = np.zeros((height, width), int)
    for window in cut:
        window.of(count)[...] += 1
    assert count.min() >= 1
    assert {window[2:] for window in cut} == {(min(tile, height), min(tile, width))} and cut == sorted(set(cut))
    for extent, starts in ((height, {window.top for window in cut}), (width, {window.left for window in cut})):
        shared = [first + tile - second for first, second in itertools.pairwise(sorted(starts))]
        assert all(pixels == overlap for pixels in shared[:-1]) and all(pixels >= overlap for pixels in shared[-1:])
        assert max(starts) + min(tile, extent) == extent


@given(cuts(), st.sampled_from(["shift", "cut", "drop"]))
def test_each_window_has_new_pixels_whatever_the_border(case, border):
    height, width, tile, overlap = case
    covered = np.zeros((height, width), bool)
    for window in windows(height, width, tile, overlap, border):
        view = window.of(covered)
        assert not view.all()
        view[...] = True
    assert covered.all() or border == "drop"


@pytest.mark.parametrize(
    "args, expected",
    [
        ((4, 9, 4, 1), [(0, 0, 4, 4), (0, 3, 4, 4), (0, 5, 4, 4)]),
        ((3, 5, None, 2), [(0, 0, 3, 5)]),
        ((2, 3, 8, 7), [(0, 0, 2, 3)]),
        ((16, 16, 16, 4, "cut"), [(0, 0, 16, 16)]),
        ((5, 18, 8, 3, "cut"), [(0, 0, 5, 8), (0, 5, 5, 8), (0, 10, 5, 8)]),
        ((5, 19, 8, 3, "cut"), [(0, 0, 5, 8), (0, 5, 5, 8), (0, 10, 5, 8), (0, 15, 5, 4)]),
        ((4, 9, 4, 1, "drop"), [(0, 0, 4, 4), (0, 3, 4, 4)]),
        ((4, 10, 4, 1, "drop"), [(0, 0, 4, 4), (0, 3, 4, 4), (0, 6, 4, 4)]),
        ((768, 1024, 256), 12),  # a slice of the electron microscopy stack
        ((257, 256, 256), 2),
        ((100, 600, 256), 3),  # lower than a tile
        ((2858, 3999, 256, 64), 15 * 21),
    ],
)
def test_windows_by_hand(args, expected):
    found = windows(*args)
    assert expected == (len(found) if isinstance(expected, int) else found)


def test_windows_hold_plain_ints():
    cut = windows(np.int64(50), np.int32(40), np.int64(16), np.uint8(4))
    assert {type(number) for window in cut for number in window} == {int}
    with pytest.raises(TypeError):
        windows(50, 50, 16.0)


@pytest.mark.parametrize(
    "args, message",
    [
        ((0, 5, 4), "0 x 5 has no pixels"), ((5, -1, 4), "no pixels"), ((0, 5, None), "no pixels"),
        ((5, 5, 0), "must be positive"), ((5, 5, -4), "must be positive"), ((5, 5, 4, -1), "must not be negative"),
        ((5, 5, 4, 4), "must be smaller than tile"), ((5, 5, 4, 9), "must be smaller"), ((5, 5, 4, 0, "x"), "unknown"),
    ],
)  # fmt: skip
def test_invalid_sizes_and_borders_are_refused(args, message):
    with pytest.raises(ValueError, match=message):
        windows(*args)


def test_windows_give_views_not_copies():
    window = Window(1, 2, 3, 4)
    mask, image, probabilities = np.zeros((9, 8)), np.zeros((9, 8, 3)), np.zeros((2, 9, 8))
    window.of(mask)[...] = window.of_image(image)[...] = window.of(probabilities)[...] = 1
    assert (image == mask[..., None]).all() and (probabilities == mask).all()
    assert mask.sum() == 12 and mask[1:4, 2:6].all()
    assert window.of_image(mask).shape == window.of(mask).shape == (3, 4)
    with pytest.raises(ValueError):
        Window(0, 0, 4, 4).of(image)  # not taken for maps


@pytest.mark.parametrize("at", [(-1, 0, 3, 3), (0, -1, 3, 3), (7, 0, 3, 3), (0, 6, 3, 3), (0, 0, 0, 3), (0, 0, 3, 0)])
def test_a_window_outside_the_image_is_refused(at):
    window = Window(*at)
    for call, array in (
        (window.of, np.zeros((9, 8))),
        (window.of_image, np.zeros((9, 8, 3))),
        (lambda values: Blender(9, 8, 1).add(values, window), np.zeros((1, *at[2:]))),
    ):
        with pytest.raises(ValueError, match="9 x 8"):
            call(array)


@given(SIDE, SIDE)
def test_weights_are_positive_symmetric_and_fall_to_the_border(height, width):
    found = weights(height, width)
    assert found.shape == (height, width) and found.dtype == np.float32
    assert found.min() == found[0, 0] == 1 and found.max() == found[height // 2, width // 2]
    assert (found == found[::-1]).all() and (found == found[:, ::-1]).all()
    assert (weights(width, height) == found.T).all()
    assert (np.diff(found[: (height + 1) // 2], axis=0) > 0).all()
    assert (np.diff(found[:, : (width + 1) // 2], axis=1) > 0).all()


@given(cuts(), st.integers(1, 3), st.sampled_from([np.uint8, np.float16, np.float32, np.float64]))
@example((12, 17, 1, 0), 1, np.float32)
@example((20, 17, 7, 6), 1, np.float32)
@example((40, 31, None, 0), 1, np.float32)
def test_tiles_of_an_image_blend_to_the_image(case, channels, dtype):
    height, width, tile, overlap = case
    image = noise((channels, height, width), dtype)
    if dtype == np.float64:
        image += 1e-9
    values, covered = blended_tiles(image, windows(height, width, tile, overlap))
    assert values.dtype == np.float32 and covered.dtype == bool
    np.testing.assert_allclose(values, image, rtol=2e-7 if dtype == np.float64 else 0)
    assert covered.shape == (height, width) and covered.all()


@given(cuts(), st.randoms(use_true_random=False))
def test_blending_is_the_weighted_mean_in_any_order(case, random):
    height, width, tile, overlap = case
    placed = [(noise((2, *at[2:]), seed=i), at) for i, at in enumerate(windows(height, width, tile, overlap))]
    top, bottom = np.zeros((2, height, width)), np.zeros((height, width))
    for values, window in placed:
        window.of(top)[...] += weights(*window[2:]) * values.astype(float)
        window.of(bottom)[...] += weights(*window[2:])
    random.shuffle(placed)
    values, _ = blended((height, width), *placed)
    np.testing.assert_allclose(values, top / bottom, atol=1e-5)
    assert 0 <= values.min() and values.max() <= 1  # probabilities stay probabilities


@pytest.mark.parametrize("overlap", [1, 2, 7, 8, 9, 15])
def test_a_seam_is_monotone_and_linear_up_to_half_a_tile(overlap):
    size = 2, 32 - overlap
    (values,), _ = blended(
        size,
        (np.zeros((1, 2, 16), np.uint8), Window(0, 0, 2, 16)),
        (np.ones((1, 2, 16), np.uint8), Window(0, 16 - overlap, 2, 16)),
    )
    assert (np.diff(values, axis=1) >= 0).all() and (np.diff(values[:, 15 - overlap : 17], axis=1) > 0).all()
    if overlap <= 8:
        ramp = np.arange(1, overlap + 1) / (overlap + 1)
        expected = np.concatenate([np.zeros(16 - overlap), ramp, np.ones(16 - overlap)])
        np.testing.assert_allclose(values, np.tile(expected, (2, 1)), atol=1e-6)


def test_a_pixel_of_one_tile_has_exactly_its_value_and_tiles_stay_as_they_are():
    tiles = noise((2, 1, 33, 33)) * np.float32(1 / 3)
    before = tiles.copy()
    values, covered = blended((40, 60), (tiles[0], Window(0, 0, 33, 33)), (tiles[1], Window(0, 20, 33, 33)))
    np.testing.assert_array_equal(tiles, before)
    np.testing.assert_array_equal(values[:, :33, :20], tiles[0][..., :20])
    np.testing.assert_array_equal(values[:, :33, 33:53], tiles[1][..., 13:])
    assert covered[:33, :53].all() and covered.sum() == 33 * 53 and not values[:, ~covered].any()
    with pytest.raises(ValueError, match="read-only"):
        values[...] = 1


def test_windows_of_different_sizes_mix_and_masks_blend_to_shares():
    image, whole = noise((1, 20, 20)), Window(0, 0, 20, 20)
    np.testing.assert_array_equal(blended_tiles(image, [whole, Window(3, 4, 7, 9), whole])[0], image)
    votes = [(np.full((1, 20, 20), value), whole) for value in (True, False, True, True)]
    np.testing.assert_allclose(blended((20, 20), *votes)[0], 0.75, atol=1e-6)


SHAPES = (4, 4), (1, 4, 4), (2, 4, 3), (2, 1, 1), (2, 1, 4, 4)


@pytest.mark.parametrize(
    "sizes, values, error, message",
    [
        *[((9, 9, 2), np.zeros(s), ValueError, "expected") for s in SHAPES],
        *[((9, 9, 2), np.zeros((2, 4, 4), kind), TypeError, "16 bits") for kind in (np.int64, np.complex64, object)],
        *[(sizes, None, ValueError, "positive") for sizes in ((0, 4, 1), (4, 0, 1), (4, 4, 0), (-1, 4, 1))],
    ],
)
def test_a_blender_needs_pixels_and_values_of_its_shape_and_range(sizes, values, error, message):
    with pytest.raises(error, match=message):
        Blender(*sizes).add(values, Window(0, 0, 4, 4))
