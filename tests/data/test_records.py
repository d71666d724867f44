"""Records: what was written is read back, or refused; never anything else."""

import dataclasses
import os
import random
import subprocess
import sys

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from promptseg.core.errors import UserError
from promptseg.data import arrow_columns, image_io, record_files, records
from promptseg.data.records import Prediction, Record, RecordWriter

METADATA = {"dataset": "em", "classes": ["mitochondrion", "é"], "licence": "CC0"}


def some_records(count, seed=0):
    """Records of which each fourth has the image of the one before."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(count):
        if i % 4 < 3:
            image = rng.integers(0, 256, (7 + i % 3, 9, 3), np.uint8)
        files = image_io.encode_png(image), image_io.encode_png(image[..., 0] % 3)
        place = len(image), 9, f"training/{i:03d}", 0, 9 * i, 100, 200
        rows.append(Record(f"training/{i:03d}/r0c{i}", f"training/b{i // 4}", *files, *place, foreground=40 + i))
    return rows


def write(path, rows, metadata=METADATA, kind=Record):
    with RecordWriter(path, kind, metadata) as out:
        for row in rows:
            out.add(row)
    assert out.count == len(rows)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.parquet"


@pytest.fixture(autouse=True)
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


@pytest.mark.parametrize("count", [0, 20])
def test_records_and_metadata_are_read_back_in_any_order_and_pandas_opens_them(path, count):
    rows = some_records(count)
    write(path, rows)
    assert everything(path) == (rows, METADATA, count, [row.id for row in rows])
    found = records.open_split(path)
    for i in random.Random(0).choices(range(count), k=60) if count else ():
        assert found[i] == rows[i]
    for i in (-1, count):
        with pytest.raises(IndexError):
            found[i]
    frame = pandas.read_parquet(path)
    assert list(frame.id) == [row.id for row in rows] and list(frame.image) == [row.image for row in rows]
    assert list(frame.columns) == list(Record.__dataclass_fields__)
    assert (pq.ParquetFile(path).num_row_groups > 4) == (count == 20)


def test_pixels_are_read_back(path):
    gray, mask = np.arange(12, dtype=np.uint8).reshape(3, 4), np.eye(3, 4, dtype=np.uint8)
    png = image_io.encode_png(gray), image_io.encode_png(mask)
    row = Record("a", "g", *png, 3, 4, "a", 0, 0, 3, 4, foreground=3)
    (found,) = records.open_split(write(path, [row]))
    np.testing.assert_array_equal(records.image(found), np.dstack([gray] * 3))
    np.testing.assert_array_equal(records.mask(found), mask)


@pytest.mark.parametrize("length", [1000, 2_000_000])  # more than pyarrow's own limit of a dictionary
def test_an_image_that_rows_share_is_stored_once_in_a_group(path, monkeypatch, length):
    monkeypatch.setattr(record_files, "GROUP_BYTES", 8 * length)
    rows = [dataclasses.replace(row, image=bytes([i // 4]) * length) for i, row in enumerate(some_records(16))]
    assert everything(write(path, rows))[0] == rows
    assert pq.ParquetFile(path).num_row_groups == 2
    assert 4 * length < path.stat().st_size < 4 * length + 20_000


def test_the_same_rows_give_the_same_bytes(path):
    one = write(path, some_records(20)).read_bytes()
    assert write(path, some_records(20), dict(sorted(METADATA.items()))).read_bytes() == one
    assert write(path, some_records(20, seed=1)).read_bytes() != one


@pytest.mark.parametrize("failure", [KeyError, KeyboardInterrupt, None])
@pytest.mark.parametrize("before", [0, 2])
def test_an_exception_in_the_block_or_a_row_that_does_not_fit_leaves_what_was_there(path, failure, before):
    if before:
        write(path, some_records(before))
    good = some_records(20)
    with pytest.raises(failure or ValueError, match="seven"), RecordWriter(path, Record, {}) as out:
        for row in good:
            out.add(row)
        if failure:
            raise failure("seven")
        out.add(Record(**{**vars(good[0]), "height": "seven"}))
    assert os.listdir(path.parent) == (["a.parquet"] if before else [])
    assert not before or everything(path)[0] == some_records(before)


def outcomes(path, bits):
    """How many of these bits, flipped one at a time, had the file refused, and how many had it read as before."""
    intact, data = everything(path), path.read_bytes()
    refused = same = 0
    for bit in bits:
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = everything(path)
        except UserError:
            refused += 1
        else:
            assert found == intact
            same += 1
    path.write_bytes(data)
    return refused, same


def footer_of(path):
    data = path.read_bytes()
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def test_a_flipped_bit_is_refused_or_changes_nothing(path):
    """Page checksums do not cover the footer: it says where each page lies, and holds the names of the classes."""
    write(path, some_records(9))
    size, choose, at = path.stat().st_size, random.Random(0), path.read_bytes().index(b'"mitochondrion"')
    refused, same = outcomes(path, choose.sample(range(8 * footer_of(path)), 40))
    assert refused >= 30 and refused + same == 40
    refused, same = outcomes(path, choose.sample(range(8 * footer_of(path), 8 * size), 200))
    assert refused > 120 and refused + same == 200  # sizes, encodings and versions that no reader needs
    assert outcomes(path, range(8 * at, 8 * (at + 15), 7)) == (18, 0)
    at = path.read_bytes().index(b"id", footer_of(path))  # the schema: its type may become bytes
    refused, same = outcomes(path, range(8 * (at + 2), 8 * (at + 12)))
    assert refused + same == 80


def varint(value):
    """A Thrift field of an i64: its header, then the zigzag number in groups of seven bits."""
    value, data = 2 * value, b"\x26"
    while value > 127:
        data, value = data + bytes([128 | value & 127]), value >> 7
    return data + bytes([value])


def test_a_column_that_the_footer_takes_for_another_is_refused(path):
    """A page offset that leads to the whole pages of another column passes all checks of pages."""
    data = write(path, some_records(9)).read_bytes()
    start, group = footer_of(path), pq.ParquetFile(path).metadata.row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    offsets = {chunk.path_in_schema: varint(chunk.data_page_offset) for chunk in chunks}
    assert len(offsets["height"]) == len(offsets["width"]) and data.count(offsets["height"], start) == 1
    path.write_bytes(data[:start] + data[start:].replace(offsets["height"], offsets["width"]))
    file = pq.ParquetFile(path, page_checksum_verification=True)
    assert file.read_row_group(0).column("height").to_pylist() == [9] * group.num_rows, "pyarrow reads the width"
    assert "damaged" in refusal(path)
    assert "damaged" in refusal(path, lambda path: records.open_split(path).column("height"))


def test_a_truncated_file_and_anything_else_is_refused(path):
    data = write(path, some_records(9)).read_bytes()
    for keep in (0, 1, 4, 8, 100, len(data) // 2, len(data) * 9 // 10, -1, -4, -8, -9):
        path.write_bytes(data[:keep])
        refusal(path)
    for content in (b"<html></html>", b"PAR1", b"PAR1PAR1", b"PAR1" + bytes(40) + b"PAR1", bytes(99)):
        path.write_bytes(content)
        assert "not made by this project" in refusal(path)
    pandas.DataFrame([vars(row) for row in some_records(3)]).to_parquet(path)
    assert "not made by this project" in refusal(path)
    path.unlink()
    assert "not found" in refusal(path)
    refusal(path.parent)  # an empty folder


def test_thresholds_of_probabilities_hold_exactly():
    for dtype in (np.float32, np.float64):
        at = (np.arange(257) / 256).astype(dtype)
        between = np.random.default_rng(0).random(257, dtype)
        probability = np.clip([[np.nextafter(at, dtype(-1)), at, np.nextafter(at, dtype(2)), between]], 0, 1)
        values = records.unpack(Prediction("a", records.pack(probability), "[]"), 1)
        for t in range(256):
            np.testing.assert_array_equal(values >= t, probability >= t / 256)


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 5, 7), (21, 1, 1), (2, 64, 3)])
def test_maps_of_several_classes_lie_one_below_the_other(shape):
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    packed = records.pack(values / 256)
    np.testing.assert_array_equal(records.unpack(Prediction("a", packed, "[]"), shape[0]), values)
    np.testing.assert_array_equal(image_io.decode_image(packed), values.reshape(-1, shape[2]))


def test_predictions_are_read_back_and_are_not_records(path):
    rows = [Prediction(f"p{i}", records.pack(np.full((2, 3, 4), i / 10)), f'[{{"target": {i}}}]') for i in range(5)]
    found = records.open_predictions(write(path, rows, kind=Prediction))
    assert list(found) == rows and found.column("prompts") == [row.prompts for row in rows]
    refusal(path)
    refusal(write(path, some_records(1)), records.open_predictions)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shards_are_read_as_one_and_missed(tmp_path, count):
    rows, folder = some_records(20), tmp_path / "test.parquet"
    for number in range(count):
        write(records.shard_path(folder, number), rows[number::count], {**METADATA, records.SHARDS: count})
    ids = [row.id for number in range(count) for row in rows[number::count]]
    found, metadata, length, column = everything(folder)
    assert found == sorted(rows, key=lambda row: ids.index(row.id)) and length == 20 and column == ids
    assert metadata == {**METADATA, records.SHARDS: count}
    assert pandas.read_parquet(folder)["id"].tolist() == ids
    for number in range(count):
        shard = records.shard_path(folder, number)
        for elsewhere in (tmp_path / "gone", folder / f"{count:05d}.parquet"):  # missing, and with a wrong number
            shard.rename(elsewhere)
            if count > 1 or elsewhere.parent == tmp_path:
                assert "test.parquet: damaged" in refusal(folder)
            elsewhere.rename(shard)


@pytest.mark.parametrize(
    "values, kind",
    [
        (["", "a", "Straße"], pa.string()),
        ([b"", b"\x00\xff", b"abc"], pa.binary()),
        ([0, -1, 2**31 - 1], pa.int32()),
        ([0, -(2**63), 2**63 - 1], pa.int64()),
        ([0.0, -1.5, 1e300], pa.float64()),
    ],
)
def test_columns_are_arrays_as_pyarrow_makes_them(values, kind):
    made, expected = arrow_columns.array(values, kind), pa.array(values, kind)
    made.validate(full=True)
    assert made.equals(expected) and made.type == expected.type and made.null_count == 0
    assert [made.slice(1).to_pylist(), arrow_columns.array([], kind).to_pylist()] == [values[1:], []]


def test_a_column_refuses_numbers_that_do_not_fit_and_does_not_import_pandas(root):
    with pytest.raises(OverflowError):
        arrow_columns.array([2**31], pa.int32())
    code = (
        "import sys, pyarrow as pa; from promptseg.data import arrow_columns\n"
        "arrow_columns.array([1], pa.int32()), arrow_columns.array(['a'], pa.string())\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "stages")}, check=True, timeout=60)
