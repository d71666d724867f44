"""Point clouds in the place of pictures: nothing is lost on the way there and back, and bad files are named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from promptseg.core.errors import UserError
from promptseg.data import image_io, point_clouds, records
from promptseg.data.records import Record

LINE = "0.1000 -0.2000 0.3000 0.0000 1.0000 0.0000 4.000000\n"


@given(st.integers(0, 10_000), st.integers(2, 300), st.floats(1e-3, 1e3))
def test_coordinates_come_back_to_within_a_step_of_the_range(seed, count, size):
    points = size * np.random.default_rng(seed).normal(size=(count, 3)) + 7 * size
    picture = point_clouds.encode(points)
    assert picture.shape == (count, 2, 3) and picture.dtype == np.uint8
    extent = np.ptp(points, axis=0).max()
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    back = point_clouds.decode(picture).astype(np.float64) * extent / 2 + middle
    assert np.abs(back - points).max() <= extent / 65535


def test_the_largest_extent_fills_the_cube_and_the_others_keep_their_proportion():
    corners = point_clouds.decode(point_clouds.encode(np.array([[0, 0, 0], [4.0, 2, 1]])))
    np.testing.assert_allclose(corners, [[-1, -0.5, -0.25], [1, 0.5, 0.25]], atol=2e-5)


def test_a_container_gives_a_cloud_back_bit_by_bit(tmp_path):
    cloud = point_clouds.encode(np.random.default_rng(0).normal(size=(500, 3)))
    mask = point_clouds.mask(np.arange(500) % 50 + 1)
    with records.RecordWriter(tmp_path / "c", Record, {"kind": "cloud"}) as out:
        out.add(Record("a", "a", image_io.png(cloud), image_io.png(mask), 500, 2, "a", 0, 0, 500, 2))
    rows = records.pairs(tmp_path / "c")
    assert point_clouds.is_cloud(rows.about) and not point_clouds.is_cloud({"classes": ["disc"]})
    assert (records.image(rows[0]) == cloud).all() and (records.mask(rows[0]) == mask).all()


@pytest.mark.parametrize(("count", "wanted"), [(10, 4), (4, 10), (7, 7), (10_000, 2048)])
def test_points_are_taken_evenly_and_in_order(count, wanted):
    taken = point_clouds.evenly(count, wanted)
    assert len(taken) == wanted and taken[0] == 0 and taken.max() < count and (np.diff(taken) >= 0).all()
    assert set(np.diff(taken)) <= {count // wanted, count // wanted + 1}


def test_a_file_is_read_as_numpy_reads_it(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 7))
    np.savetxt(tmp_path / "a.txt", rows, "%.9f")
    np.testing.assert_allclose(point_clouds.read_text(tmp_path / "a.txt", 7, None), rows, atol=1e-8)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        (LINE + "0.1 0.2 0.3\n" + LINE, "line 2 should be 7 numbers, got '0.1 0.2 0.3'"),
        (LINE + LINE.replace("0.3000", "nan"), "line 2 should be 7 numbers"),
        (LINE + LINE.replace("0.3000", "inf"), "line 2 should be 7 numbers"),
        (LINE + LINE.replace("0.3000", "north"), "line 2 should be 7 numbers"),
        (LINE + LINE.replace(" ", ","), "line 2 should be 7 numbers"),
        (LINE + LINE[:-5], "it breaks off in line 2"),
        (LINE + LINE, "all its points are in one place"),
        ("\x1b[2J", r"line 1 should be 7 numbers, got '\\x1b\[2J'; fetch it again"),
        ("é", "no text of numbers"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_that_names_it(tmp_path, text, complaint):
    (tmp_path / "a.txt").write_text(text, "utf-8")
    with pytest.raises(UserError, match=f"a.txt: {complaint}") as raised:
        point_clouds.read_text(tmp_path / "a.txt", 7, None)
    assert str(raised.value).isprintable()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="a.txt: not found"):
        point_clouds.read_text(tmp_path / "a.txt", 7, None)
