"""Table of scores of a run (Parquet): a row for each image and class, and the summary of the run in its metadata."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from promptseg.core.errors import UserError
from promptseg.core.files import replacing

METADATA = b"promptseg"  # key of the JSON in the metadata of the file
_DIGEST = b"promptseg.sha256"  # of that JSON; page checksums cover the rows
_WHAT = "a table of scores"


class TableCounts(NamedTuple):
    """Counts of the images of a run.

    Attributes:
        ids: (images,) of the images, in the order of the table.
        groups: (images,) group of each image.
        classes: (K,) names of the classes.
        counts: (images, K, 3) int64: tp, fp and fn of each class.
    """

    ids: list[str]
    groups: list[str]
    classes: list[str]
    counts: np.ndarray


def write_table(path: Path, rows: list[dict], summary: dict) -> None:
    """Write the table of scores with page checksums; equal arguments give equal bytes.

    Args:
        path: file to write.
        rows: of `RunScores.rows`; a metric may be None.
        summary: of `run_summary.summarize`.

    Raises:
        UserError: there are no rows.
    """
    import pyarrow  # only stages that use the table should wait for it
    import pyarrow.parquet

    from promptseg.data import arrow_columns

    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    if not rows:
        raise UserError(f"{path}: no scores to write; check that the test split has images")
    text = json.dumps({"summary": summary}, sort_keys=True, allow_nan=False).encode()
    metadata = {METADATA: text, _DIGEST: hashlib.sha256(text).hexdigest()}
    kinds = {name: next((type(row[name]) for row in rows if row[name] is not None), float) for name in rows[0]}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in kinds.items()], metadata)
    columns = [arrow_columns.array([row[field.name] for row in rows], field.type) for field in schema]
    table = pyarrow.Table.from_arrays(columns, schema=schema)
    with replacing(path) as aside:
        pyarrow.parquet.write_table(table, aside, write_page_checksum=True)


def read_summary(path: Path) -> dict:
    """Read the summary of a run from its table of scores.

    Raises:
        UserError: the file is missing, damaged or not a table of scores.
    """
    import pyarrow.parquet

    from promptseg.data.parquet_integrity import user_errors

    with user_errors(path, _WHAT):
        metadata = pyarrow.parquet.read_schema(path).metadata
        if hashlib.sha256(metadata[METADATA]).hexdigest().encode() != metadata[_DIGEST]:
            raise ValueError("the summary changed")
        summary = json.loads(metadata[METADATA], parse_constant=_refuse)["summary"]
        if not isinstance(summary, dict):
            raise TypeError("the summary is no mapping")
        return summary


def read_counts(path: Path) -> TableCounts:
    """Read the counts of each image and class from a table of scores.

    Raises:
        UserError: the file is missing, damaged or not a table of scores.
    """
    import pyarrow.parquet

    from promptseg.data.parquet_integrity import user_errors

    columns = ["id", "group", "class", "tp", "fp", "fn"]
    with user_errors(path, _WHAT):
        table = pyarrow.parquet.read_table(path, columns=columns, page_checksum_verification=True).to_pydict()
        names = list(dict.fromkeys(table["class"]))
        step = len(names)
        counts = np.stack([np.array(table[name], np.int64).reshape(-1, step) for name in columns[3:]], axis=-1)
        return TableCounts(table["id"][::step], table["group"][::step], names, counts)


def _refuse(constant: str):
    raise ValueError(f"{constant} is no metric")
