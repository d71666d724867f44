"""The table of scores: a row for each image and class, and the summary of the run in its metadata."""

import hashlib
import json

import numpy as np
import pandas
import pyarrow.parquet
import pytest
from promptseg.core.errors import UserError
from promptseg.evaluation.counts import COUNTS
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.score_table import read_counts, read_summary, write_table

SUMMARY = {"iou_mean": 0.123456, "images": 3, "oracle": False}
NAMES = ("b/2", "a/10", "a/9")


@pytest.fixture
def rows() -> list[dict]:
    scores, rng = RunScores(["a", "b"]), np.random.default_rng(0)
    for name in NAMES:
        target = rng.integers(0, 3, (8, 9), dtype=np.uint8)
        scores.add(name, name[0], target, rng.integers(0, 256, (2, 8, 9), dtype=np.uint8))
    return scores.rows()


@pytest.fixture
def path(tmp_path, rows):
    write_table(tmp_path / "scores.parquet", rows, SUMMARY)
    return tmp_path / "scores.parquet"


def test_the_table_has_one_row_an_image_and_class_in_the_order_of_the_images(path, rows):
    table = pandas.read_parquet(path)
    measures = ["iou", "dice", "precision", "recall", "boundary_iou"]
    assert list(table.columns) == ["id", "group", "class", *COUNTS, *measures]
    assert list(zip(table["id"], table["class"], strict=True)) == [(name, label) for name in NAMES for label in "ab"]
    assert (table[["tp", "fp", "fn", "tn"]].sum(axis=1) == 72).all()
    assert table.to_dict("records") == rows
    assert table["tp"].dtype == np.int64 and table["iou"].dtype == np.float64


def test_a_metric_that_a_class_has_not_is_null(tmp_path, rows):
    changed = [row | {"iou": None} if row["class"] == "a" else row for row in rows]
    write_table(tmp_path / "scores.parquet", changed, SUMMARY)
    found = pandas.read_parquet(tmp_path / "scores.parquet")
    assert found["iou"].isna().tolist() == [True, False] * 3 and found["iou"].dtype == np.float64
    assert found["iou"].mean() == pytest.approx(np.mean([row["iou"] for row in rows if row["class"] == "b"]))
    assert pyarrow.parquet.read_table(tmp_path / "scores.parquet")["iou"].null_count == 3
    assert not found["dice"].isna().any()


def test_the_summary_comes_back_with_its_types_and_equal_rows_give_equal_bytes(path, rows):
    found = read_summary(path)
    assert found == SUMMARY and [type(found[key]) for key in SUMMARY] == [float, int, bool]
    metadata = pyarrow.parquet.read_schema(path).metadata
    assert json.loads(metadata[b"promptseg"]) == {"summary": SUMMARY}
    write_table(path.with_name("again"), rows, SUMMARY)
    assert path.with_name("again").read_bytes() == path.read_bytes()


def test_a_flipped_byte_in_the_table_is_noticed(path):
    counts, whole = read_counts(path).counts, path.read_bytes()
    column = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(COUNTS.index("tp") + 3)
    start, refused = column.dictionary_page_offset, 0
    for at in range(start, start + column.total_compressed_size):
        content = bytearray(whole)
        content[at] ^= 1
        path.write_bytes(content)
        try:
            np.testing.assert_array_equal(read_counts(path).counts, counts)
        except UserError as error:
            assert str(error).startswith(f"{path}: damaged")
            refused += 1
    assert refused > column.total_compressed_size / 2


def test_a_flipped_byte_in_the_summary_is_noticed(path):
    whole, refused = path.read_bytes(), 0
    for at in range(whole.index(b"ARROW:schema"), len(whole) - 8, 5):  # where it is found: text in base64
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            assert read_summary(path) == SUMMARY
        except UserError as error:
            assert str(error).startswith(f"{path}: damaged")
            refused += 1
    assert refused > 20


def test_nothing_to_write_and_nan_are_refused(tmp_path, rows):
    with pytest.raises(UserError, match="no scores to write"):
        write_table(tmp_path / "scores.parquet", [], SUMMARY)
    with pytest.raises(ValueError):
        write_table(tmp_path / "scores.parquet", rows, {"iou_mean": float("nan")})
    assert not list(tmp_path.iterdir())


def foreign(metadata: dict | None = None) -> bytes:
    """A Parquet file that is no table of scores."""
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a"]}).replace_schema_metadata(metadata), sink)
    return sink.getvalue().to_pybytes()


def signed(text: bytes) -> dict:
    return {b"promptseg": text, b"promptseg.sha256": hashlib.sha256(text).hexdigest()}


@pytest.mark.parametrize("damage", [
    lambda content: None,
    lambda content: content[:-20],
    lambda content: b"",
    lambda content: b"{}",
    lambda content: foreign(),
    lambda content: foreign({b"promptseg": b'{"summary": {"iou_mean": 1}}'}),
    lambda content: foreign(signed(b'{"summary": []}')),
    lambda content: foreign(signed(b'{"summary": {"iou_mean": NaN}}')),
], ids=["missing", "truncated", "empty", "not parquet", "no summary", "no digest", "list", "nan"])  # fmt: skip
def test_a_missing_or_damaged_table_is_named(path, damage):
    content = damage(path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{path}: (not found|damaged, or not a table of scores).*dvc repro"):
        read_summary(path)
