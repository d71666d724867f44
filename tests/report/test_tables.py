"""Tables: columns of numbers read from CSV files, and bad files named."""

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.report import tables


def test_the_named_columns_are_read_in_any_order(tmp_path):
    (tmp_path / "run.csv").write_text("a,phase,b\n1,train,0.5\n2,train,\n3,train,nan\n")
    columns = tables.read_columns(tmp_path / "run.csv", ("b", "a"))
    assert list(columns) == ["b", "a"]
    np.testing.assert_array_equal(columns["b"], [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(columns["a"], [1, 2, 3])


def test_a_table_without_rows_has_empty_columns(tmp_path):
    (tmp_path / "run.csv").write_text("a,b\n")
    assert tables.read_columns(tmp_path / "run.csv", ("a",))["a"].tolist() == []


@pytest.mark.parametrize(("content", "words"), [
    ("", "Empty"), ("a\n1\n", "'b'"), ("a,b\n1,x\n", "conversion error .*'x'"), ("a,b\n1,\xff\n", "conversion error"),
    ("a,b\n1\n", "Expected 2 columns"),
])  # fmt: skip
def test_bad_files_are_named_in_one_line(tmp_path, content, words):
    (tmp_path / "run.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=rf"run\.csv: .*{words}.*; delete it and run `dvc repro`$") as error:
        tables.read_columns(tmp_path / "run.csv", ("a", "b"))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"run\.csv: not found; `dvc repro` makes it"):
        tables.read_columns(tmp_path / "run.csv", ("a",))


def test_rows_are_written_with_empty_fields(tmp_path):
    tables.write_rows(tmp_path / "a.csv", ["a", "b"], [{"a": 1, "b": None}, {"b": "x,y"}])
    assert (tmp_path / "a.csv").read_bytes() == b'a,b\n1,\n,"x,y"\n'
