"""Records: what was written is read back, or refused; never anything else."""

import os
import random

import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from promptseg.core.errors import UserError
from promptseg.data import image_io, record_files, records
from promptseg.data.records import Prediction, Record, RecordWriter

METADATA = {"dataset": "em", "classes": ["mitochondrion", "é"], "licence": "CC0"}


def some_records(count, seed=0):
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 256, (7 + i % 3, 9, 3), np.uint8) for i in range(count)]
    return [
        Record(
            id=f"training/{i:03d}/r0c{i}",
            group=f"training/b{i // 4}",
            image=image_io.encode_png(image),
            mask=image_io.encode_png(image[..., 0] % 3),
            height=image.shape[0],
            width=image.shape[1],
            source=f"training/{i:03d}",
            top=0,
            left=9 * i,
            source_height=100,
            source_width=200,
        )
        for i, image in enumerate(images)
    ]


def write(path, rows, metadata=METADATA, kind=Record):
    with RecordWriter(path, kind, metadata) as out:
        for row in rows:
            out.add(row)
    return path


@pytest.fixture
def small_groups(monkeypatch):
    monkeypatch.setattr(record_files, "GROUP_BYTES", 1500)
    monkeypatch.setattr(record_files, "CACHED_GROUPS", 2)


def everything(path):
    """All that can be read from a split."""
    found = records.open_split(path)
    return list(found), found.metadata, len(found), found.column("id")


def refusal(path, read=everything):
    """The message of the UserError; one line that names the file."""
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return str(caught.value)


# --- round trip


def test_records_and_metadata_are_read_back(tmp_path, small_groups):
    rows = some_records(20)
    path = write(tmp_path / "a.parquet", rows)
    assert pq.ParquetFile(path).num_row_groups > 4
    assert everything(path) == (rows, METADATA, 20, [row.id for row in rows])


def test_records_are_read_in_any_order(tmp_path, small_groups):
    rows = some_records(20)
    found = records.open_split(write(tmp_path / "a.parquet", rows))
    for i in random.Random(0).choices(range(20), k=60):
        assert found[i] == rows[i]
    for i in (-1, 20):
        with pytest.raises(IndexError):
            found[i]


def test_a_split_may_be_empty(tmp_path):
    assert everything(write(tmp_path / "a.parquet", [])) == ([], METADATA, 0, [])


def test_the_writer_counts(tmp_path):
    with RecordWriter(tmp_path / "a.parquet", Record, {}) as out:
        for row in some_records(3):
            out.add(row)
    assert out.count == 3


def test_pixels_are_read_back(tmp_path):
    gray, mask = np.arange(12, dtype=np.uint8).reshape(3, 4), np.eye(3, 4, dtype=np.uint8)
    row = Record("a", "g", image_io.encode_png(gray), image_io.encode_png(mask), 3, 4, "a", 0, 0, 3, 4)
    (found,) = records.open_split(write(tmp_path / "a.parquet", [row]))
    np.testing.assert_array_equal(records.image(found), np.dstack([gray] * 3))
    np.testing.assert_array_equal(records.mask(found), mask)


def test_the_same_rows_give_the_same_bytes(tmp_path, small_groups):
    one = write(tmp_path / "1", some_records(20), METADATA).read_bytes()
    assert write(tmp_path / "2", some_records(20), dict(sorted(METADATA.items()))).read_bytes() == one
    assert write(tmp_path / "3", some_records(20, seed=1), METADATA).read_bytes() != one


def test_pandas_opens_it(tmp_path):
    rows = some_records(5)
    frame = pandas.read_parquet(write(tmp_path / "a.parquet", rows))
    assert list(frame.id) == [row.id for row in rows] and list(frame.image) == [row.image for row in rows]
    assert list(frame.columns) == list(vars(rows[0]))


def test_an_exception_in_the_block_leaves_no_file(tmp_path, small_groups):
    with pytest.raises(KeyError), RecordWriter(tmp_path / "a.parquet", Record, {}) as out:
        for row in some_records(20):
            out.add(row)
        raise KeyError("a bug")
    assert os.listdir(tmp_path) == []


def test_an_exception_in_the_block_leaves_the_file_that_was_there(tmp_path):
    path = write(tmp_path / "a.parquet", some_records(2))
    with pytest.raises(KeyboardInterrupt), RecordWriter(path, Record, {}) as out:
        out.add(some_records(3)[2])
        raise KeyboardInterrupt
    assert everything(path)[0] == some_records(2) and os.listdir(tmp_path) == ["a.parquet"]


def test_a_row_that_does_not_fit_leaves_no_file(tmp_path):
    row = Record(**{**vars(some_records(1)[0]), "height": "seven"})
    with pytest.raises(Exception, match="seven"), RecordWriter(tmp_path / "a.parquet", Record, {}) as out:
        out.add(row)
    assert os.listdir(tmp_path) == []


# --- damage


def flipped(data, bits):
    """The bytes with one bit turned, for each of these bits."""
    for bit in bits:
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def outcomes(path, intact, variants):
    """How many variants of a file were refused, and how many were read as before; anything else fails the test."""
    refused = same = 0
    for variant in variants:
        path.write_bytes(variant)
        try:
            found = everything(path)
        except UserError:
            refused += 1
        else:
            assert found == intact
            same += 1
    return refused, same


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(tmp_path, small_groups):
    path = write(tmp_path / "a.parquet", some_records(30))
    intact, data = everything(path), path.read_bytes()
    bits = random.Random(0).sample(range(8 * len(data)), 60)
    refused, same = outcomes(path, intact, flipped(data, bits))
    assert refused >= 45 and refused + same == 60  # sizes, encodings and versions that no reader needs


def test_a_flipped_bit_in_the_footer_is_refused_or_changes_nothing(tmp_path, small_groups):
    """Page checksums do not cover the footer: it says where each page lies, and holds the names of the classes."""
    path = write(tmp_path / "a.parquet", some_records(9))
    intact, data = everything(path), path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    bits = random.Random(0).sample(range(8 * start, 8 * len(data)), 2000)
    refused, same = outcomes(path, intact, flipped(data, bits))
    assert refused > 1200 and refused + same == 2000  # sizes, encodings and versions that no reader needs


def test_a_column_that_the_footer_takes_for_another_is_refused(tmp_path, small_groups):
    """A page offset that leads to the whole pages of another column passes all checks of pages."""
    path = write(tmp_path / "a.parquet", some_records(9))
    intact, data = everything(path), path.read_bytes()
    group = pq.ParquetFile(path).metadata.row_group(0)
    chunks = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    offsets = {name: varint(chunk.data_page_offset) for name, chunk in chunks.items()}
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    assert len(offsets["height"]) == len(offsets["width"]) and data.count(offsets["height"], start) == 1
    path.write_bytes(data[:start] + data[start:].replace(offsets["height"], offsets["width"]))
    file = pq.ParquetFile(path, page_checksum_verification=True)
    assert file.read_row_group(0).column("height").to_pylist() == [9] * group.num_rows, "pyarrow reads the width"
    assert "damaged" in refusal(path) and intact[0][0].height == 7
    assert "damaged" in refusal(path, lambda path: records.open_split(path).column("height"))


def varint(value):
    """A Thrift field of an i64: its header, then the zigzag number in groups of seven bits."""
    value, data = 2 * value, b"\x26"
    while value > 127:
        data, value = data + bytes([128 | value & 127]), value >> 7
    return data + bytes([value])


def test_a_flipped_bit_in_the_metadata_is_refused(tmp_path):
    path = write(tmp_path / "a.parquet", some_records(2))
    intact, data = everything(path), path.read_bytes()
    at = data.index(b'"mitochondrion"')
    assert outcomes(path, intact, flipped(data, range(8 * at, 8 * (at + 15)))) == (120, 0)


@pytest.mark.parametrize("keep", [0, 1, 4, 8, 100, 0.5, 0.9, -1, -4, -8, -9])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = write(tmp_path / "a.parquet", some_records(9))
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    refusal(path)


@pytest.mark.parametrize("content", [b"<html></html>", b"PAR1", b"PAR1PAR1", b"PAR1" + bytes(40) + b"PAR1", bytes(99)])
def test_anything_but_parquet_is_refused(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    assert "not made by this project" in refusal(tmp_path / "a.parquet")


def test_a_parquet_of_pandas_is_refused(tmp_path):
    pandas.DataFrame([vars(row) for row in some_records(3)]).to_parquet(tmp_path / "a.parquet")
    assert "not made by this project" in refusal(tmp_path / "a.parquet")


def test_predictions_are_not_records(tmp_path):
    path = write(tmp_path / "a.parquet", [Prediction("a", b"", "[]")], kind=Prediction)
    refusal(path)
    refusal(write(tmp_path / "b.parquet", some_records(1)), records.open_predictions)


def test_a_missing_file_is_not_found(tmp_path):
    assert "not found" in refusal(tmp_path / "a.parquet")
    refusal(tmp_path)  # a folder


# --- probabilities

PROBABILITY = st.floats(0, 1, width=32)


@given(st.lists(PROBABILITY, min_size=1, max_size=12), st.integers(0, 255))
def test_thresholds_hold_exactly(values, k):
    probability = np.array(values, np.float32).reshape(1, 1, -1)
    values = records.unpack(Prediction("a", records.pack(probability), "[]"), 1)
    np.testing.assert_array_equal(values >= k, probability >= k / 256)


@given(st.integers(0, 256), st.sampled_from([np.float32, np.float64]))
def test_thresholds_hold_exactly_at_and_next_to_them(k, dtype):
    at = dtype(k / 256)
    probability = np.clip(np.array([np.nextafter(at, dtype(-1)), at, np.nextafter(at, dtype(2))], dtype), 0, 1)
    found = records.unpack(Prediction("a", records.pack(probability.reshape(1, 1, 3)), "[]"), 1)
    for t in range(max(0, k - 1), min(255, k + 1) + 1):
        np.testing.assert_array_equal(found.ravel() >= t, probability >= t / 256)


@pytest.mark.parametrize("classes, height, width", [(1, 5, 7), (3, 5, 7), (21, 1, 1), (2, 64, 3)])
def test_maps_of_several_classes_lie_one_below_the_other(classes, height, width):
    values = np.random.default_rng(0).integers(0, 256, (classes, height, width), np.uint8)
    packed = records.pack(values / 256)
    np.testing.assert_array_equal(records.unpack(Prediction("a", packed, "[]"), classes), values)
    np.testing.assert_array_equal(image_io.decode_image(packed), values.reshape(classes * height, width))


def test_predictions_are_read_back(tmp_path):
    rows = [Prediction(f"p{i}", records.pack(np.full((2, 3, 4), i / 10)), f'[{{"target": {i}}}]') for i in range(5)]
    found = records.open_predictions(write(tmp_path / "a.parquet", rows, kind=Prediction))
    assert list(found) == rows and found.column("prompts") == [row.prompts for row in rows]


# --- shards


def write_shards(folder, rows, count):
    for number in range(count):
        write(records.shard_path(folder, number), rows[number::count], {**METADATA, records.SHARDS: count})
    return folder


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shards_are_read_as_one(tmp_path, small_groups, count):
    rows = some_records(20)
    found = records.open_split(write_shards(tmp_path / "test.parquet", rows, count))
    expected = [row for number in range(count) for row in rows[number::count]]
    assert list(found) == expected and len(found) == 20
    assert found.column("id") == [row.id for row in expected]
    assert found.metadata == {**METADATA, records.SHARDS: count}
    assert pandas.read_parquet(tmp_path / "test.parquet")["id"].tolist() == [row.id for row in expected]


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_missing_shard_is_refused(tmp_path, gone):
    folder = write_shards(tmp_path / "test.parquet", some_records(9), 3)
    records.shard_path(folder, gone).unlink()
    assert "test.parquet: damaged" in refusal(folder)


def test_a_shard_with_a_wrong_number_is_refused(tmp_path):
    folder = write_shards(tmp_path / "test.parquet", some_records(9), 2)
    records.shard_path(folder, 1).rename(folder / "00002.parquet")
    assert "test.parquet: damaged" in refusal(folder)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "test.parquet").mkdir()
    assert "test.parquet: damaged" in refusal(tmp_path / "test.parquet")
