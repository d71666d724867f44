"""Arrays as pyarrow makes them, without pandas."""

import subprocess
import sys

import pyarrow as pa
import pytest
from promptseg.data import arrow_columns

VALUES = [
    (["", "a", "Straße"], pa.string()),
    ([b"", b"\x00\xff", b"abc"], pa.binary()),
    ([0, -1, 2**31 - 1], pa.int32()),
    ([0, -(2**63), 2**63 - 1], pa.int64()),
    ([0.0, -1.5, 1e300], pa.float64()),
]


@pytest.mark.parametrize("values, kind", VALUES)
def test_arrays_are_those_of_pyarrow(values, kind):
    made, expected = arrow_columns.array(values, kind), pa.array(values, kind)
    made.validate(full=True)
    assert made.equals(expected) and made.type == expected.type and made.null_count == 0
    assert [made.slice(1).to_pylist(), arrow_columns.array([], kind).to_pylist()] == [values[1:], []]


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(OverflowError):
        arrow_columns.array([2**31], pa.int32())


def test_pandas_is_not_imported(root):
    code = (
        "import sys, pyarrow as pa; from promptseg.data import arrow_columns\n"
        "arrow_columns.array([1], pa.int32()), arrow_columns.array(['a'], pa.string())\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "stages")}, check=True, timeout=60)
