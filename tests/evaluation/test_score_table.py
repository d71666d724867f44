"""The table of scores: a row for each image and class, and the summary of the run in its metadata."""

import json

import numpy as np
import pandas
import pyarrow.parquet
import pytest
from promptseg.core.errors import UserError
from promptseg.evaluation.counts import COUNTS
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.score_table import read_summary, write_table

SUMMARY = {"iou_mean": 0.123456, "images": 3, "oracle": False}


def filled() -> list[dict]:
    scores = RunScores(["a", "b"])
    rng = np.random.default_rng(0)
    for name in ("b/2", "a/10", "a/9"):
        target = rng.integers(0, 3, (8, 9), dtype=np.uint8)
        scores.add(name, name[0], target, rng.integers(0, 256, (2, 8, 9), dtype=np.uint8))
    return scores.rows()


def test_the_table_has_one_row_an_image_and_class_in_the_order_of_the_images(tmp_path):
    write_table(tmp_path / "scores.parquet", filled(), SUMMARY)
    table = pandas.read_parquet(tmp_path / "scores.parquet")
    assert list(table.columns[:9]) == ["id", "group", "class", *COUNTS]
    assert list(table.columns[9:]) == ["iou", "dice", "accuracy", "precision", "recall", "boundary_iou"]
    assert list(zip(table["id"], table["class"], strict=True)) == [
        (name, label) for name in ("b/2", "a/10", "a/9") for label in "ab"
    ]
    assert (table[["tp", "fp", "fn", "tn"]].sum(axis=1) == 72).all()
    assert table.to_dict("records") == filled()
    assert table["tp"].dtype == np.int64 and table["iou"].dtype == np.float64


def test_the_summary_comes_back_with_its_types(tmp_path):
    write_table(tmp_path / "scores.parquet", filled(), SUMMARY)
    found = read_summary(tmp_path / "scores.parquet")
    assert found == SUMMARY and [type(found[key]) for key in SUMMARY] == [float, int, bool]
    metadata = pyarrow.parquet.read_schema(tmp_path / "scores.parquet").metadata
    assert json.loads(metadata[b"promptseg"]) == {"summary": SUMMARY}


def test_equal_rows_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write_table(tmp_path / name, filled(), SUMMARY)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_flipped_byte_in_the_table_is_noticed(tmp_path):
    path = tmp_path / "scores.parquet"
    write_table(path, filled(), SUMMARY)
    column = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(COUNTS.index("tp") + 3)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        pandas.read_parquet(path, page_checksum_verification=True)


def test_nothing_to_write_and_nan_are_refused(tmp_path):
    with pytest.raises(UserError, match="no scores to write"):
        write_table(tmp_path / "scores.parquet", [], SUMMARY)
    with pytest.raises(ValueError):
        write_table(tmp_path / "scores.parquet", filled(), {"iou_mean": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["missing", "truncated", "no summary", "not parquet", "nan"])
def test_a_damaged_table_is_named(tmp_path, damage):
    path = tmp_path / "run.parquet"
    write_table(path, filled(), SUMMARY)
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "not parquet":
        path.write_bytes(b"{}")
    else:
        table = pyarrow.table({"id": ["a"]})
        text = b'{"summary": {"iou_mean": NaN}}'
        table = table.replace_schema_metadata({b"promptseg": text}) if damage == "nan" else table
        pyarrow.parquet.write_table(table, path)
    with pytest.raises(UserError, match=f"^{path}: .*dvc repro"):
        read_summary(path)
