"""Arrow arrays from Python values without pandas, which `pyarrow.array` imports first (0.2 s)."""

import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def array(values: Sequence, kind: pa.DataType) -> pa.Array:
    """Return values as an array.

    Args:
        values: all str, bytes, int or float, as `kind` says; numbers may be None, which becomes null.
        kind: `string`, `binary`, or a type of numbers.

    Raises:
        OverflowError: a number does not fit its type, or strings have more than 2 GB together.
    """
    if kind not in (pa.string(), pa.binary()):
        given = np.array([value is not None for value in values], bool)
        numbers = np.array([0 if value is None else value for value in values], kind.to_pandas_dtype())
        validity = None if given.all() else pa.py_buffer(np.packbits(given, bitorder="little"))
        return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(numbers)])
    data = [value.encode() for value in values] if kind == pa.string() else values
    ends = [0, *itertools.accumulate(map(len, data))]
    if ends[-1] > np.iinfo(np.int32).max:
        raise OverflowError(f"a column of {ends[-1]} bytes")
    buffers = [None, pa.py_buffer(np.array(ends, np.int32)), pa.py_buffer(b"".join(data))]
    return pa.Array.from_buffers(kind, len(values), buffers)
