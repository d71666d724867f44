"""Point clouds encoded as images: encoding is lossless to half a step, and errors name the damaged file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from promptseg.core.errors import UserError
from promptseg.data import image_io, point_clouds, records
from promptseg.data.records import Record

LINE = "0.1000 -0.2000 0.3000 0.0000 1.0000 0.0000 4.000000\n"


@given(st.integers(0, 10_000), st.integers(2, 300), st.floats(1e-3, 1e3))
def test_decode_inverts_encode_to_within_one_step(seed, count, size):
    points = size * np.random.default_rng(seed).normal(size=(count, 3)) + 7 * size
    image = point_clouds.encode(points)
    assert image.shape == (count, 2, 3) and image.dtype == np.uint8
    extent = np.ptp(points, axis=0).max()
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    decoded = point_clouds.decode(image).astype(np.float64) * extent / 2 + middle
    assert np.abs(decoded - points).max() <= extent / 65535


def test_the_largest_extent_fills_the_cube_and_proportions_are_preserved():
    corners = point_clouds.decode(point_clouds.encode(np.array([[0, 0, 0], [4.0, 2, 1]])))
    np.testing.assert_allclose(corners, [[-1, -0.5, -0.25], [1, 0.5, 0.25]], atol=2e-5)


def test_a_split_stores_point_clouds_bit_for_bit(tmp_path):
    cloud = point_clouds.encode(np.random.default_rng(0).normal(size=(500, 3)))
    mask = point_clouds.mask(np.arange(500) % 50 + 1)
    with records.RecordWriter(tmp_path / "c", Record, {"modality": "point_cloud"}) as out:
        png = image_io.encode_png(cloud), image_io.encode_png(mask)
        out.add(Record("a", "a", *png, 500, 2, "a", 0, 0, 500, 2, foreground=mask.size))
    stored = records.open_split(tmp_path / "c")
    assert point_clouds.is_point_cloud(stored.metadata)
    assert not any(map(point_clouds.is_point_cloud, ({"classes": ["disc"]}, {"modality": "image"})))
    assert (records.image(stored[0]) == cloud).all() and (records.mask(stored[0]) == mask).all()
    assert (mask == np.arange(500)[:, None] % 50 + 1).all()


@pytest.mark.parametrize(("count", "wanted"), [(10, 4), (4, 10), (7, 7), (10_000, 2048)])
def test_points_are_selected_at_regular_steps_in_order(count, wanted):
    indices = point_clouds.evenly(count, wanted)
    assert len(indices) == wanted and indices[0] == 0 and indices.max() < count and (np.diff(indices) >= 0).all()
    assert set(np.diff(indices)) <= {count // wanted, count // wanted + 1}


def test_read_text_agrees_with_numpy(tmp_path):
    values = np.random.default_rng(0).normal(size=(20, 7))
    for delimiter in (None, ","):
        np.savetxt(tmp_path / "a.txt", values, "%.9f", delimiter or " ")
        np.testing.assert_allclose(point_clouds.read_text(tmp_path / "a.txt", 7, delimiter), values, atol=1e-8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "not found"),
        ("", "the file is empty"),
        (LINE + "0.1 0.2 0.3\n" + LINE, "line 2: expected 7 numbers, got '0.1 0.2 0.3'"),
        (LINE + LINE.replace("0.3000", "nan"), "line 2: expected 7 numbers"),
        (LINE + LINE.replace("0.3000", "inf"), "line 2: expected 7 numbers"),
        (LINE + LINE.replace("0.3000", "north"), "line 2: expected 7 numbers"),
        (LINE + LINE.replace(" ", ","), "line 2: expected 7 numbers"),
        (LINE + LINE[:-5], "truncated in line 2"),
        (LINE + LINE, "all points coincide"),
        ("\x1b[2J", r"line 1: expected 7 numbers, got '\\x1b\[2J'; download it again"),
        ("é", "not a text file of numbers"),
    ],
)
def test_a_damaged_file_is_an_error_of_one_line_that_names_it(tmp_path, text, message):
    if text is not None:
        (tmp_path / "a.txt").write_text(text, "utf-8")
    with pytest.raises(UserError, match=f"a.txt: {message}") as raised:
        point_clouds.read_text(tmp_path / "a.txt", 7, None)
    assert str(raised.value).isprintable()
