"""Parquet files of records and predictions: writing in row groups, random access, checksums.

Checksums of pages, columns and footer (`parquet_integrity`) are verified when a file is opened and read, since one
flipped bit would otherwise be read back as different data. Rows are written in groups of a few megabytes, so that
memory does not depend on their number.
"""

import contextlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from promptseg.core.files import replacing
from promptseg.data import arrow_columns, parquet_integrity

GROUP_BYTES = 4 << 20
CACHED_GROUPS = 16
_DICTIONARY_BYTES = 2**30  # more than a group has
SHARDS = "shards"  # metadata key of a shard: how many the split has
_TYPES: dict[object, pa.DataType] = {str: pa.string(), bytes: pa.binary(), int: pa.int32()}


class RecordWriter:
    """Context manager that writes rows of one dataclass to a Parquet file, whole or not at all.

    `with RecordWriter(path, Record, metadata) as writer: writer.add(record)`. Equal rows give equal bytes.

    Args:
        path: file to write.
        kind: the dataclass of the rows, `records.Record` or `records.Prediction`. Values of a field whose metadata has
            `shared`, and that are equal, are stored once in a group.
        metadata: JSON-compatible facts about all rows (classes, provenance).

    Attributes:
        count: number of rows added so far.
    """

    def __init__(self, path: Path, kind: type, metadata: dict):
        self._replacing = replacing(path)
        self._names = [field.name for field in fields(kind)]
        self._shared = [field.name for field in fields(kind) if field.metadata.get("shared")]
        schema = pa.schema([(field.name, _TYPES[field.type]) for field in fields(kind)])
        text = json.dumps(metadata, sort_keys=True, allow_nan=False)
        self._schema = schema.with_metadata({parquet_integrity.METADATA: text})
        self._rows: list[list[str | bytes | int]] = []
        self._checksums: list[list[int]] = []
        self._bytes = self.count = 0

    def __enter__(self) -> "RecordWriter":
        with contextlib.ExitStack() as stack:
            # Images are compressed already. A dictionary has each value once; it is given up beyond its limit.
            self._file = pq.ParquetWriter(
                stack.enter_context(self._replacing),
                self._schema,
                compression="none",
                use_dictionary=self._shared,
                dictionary_pagesize_limit=_DICTIONARY_BYTES,
                write_statistics=False,
                write_page_checksum=True,
            )
            stack.pop_all()  # ended by `__exit__`; only a full disk ends it here
        return self

    def add(self, row: object) -> None:
        """Add a row."""
        values = [getattr(row, name) for name in self._names]
        self._rows.append(values)
        self._bytes += sum(len(value) for value in values if isinstance(value, (bytes, str)))
        self.count += 1
        if self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = list(zip(*self._rows))
            arrays = [arrow_columns.array(column, field.type) for column, field in zip(columns, self._schema)]
            self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            self._checksums.append(parquet_integrity.group_checksums(columns))
            self._rows, self._bytes = [], 0

    def __exit__(self, *failure) -> None:
        try:
            if failure[0] is None:
                self._flush()
                parquet_integrity.write(self._file, self._schema, self._checksums)
            self._file.close()
        except BaseException as error:
            self._replacing.__exit__(type(error), error, error.__traceback__)
            raise
        self._replacing.__exit__(*failure)


class RecordReader:
    """Random access to the rows of a Parquet file, or of a folder of shards; a few row groups are cached.

    `len(reader)`, `reader[i]` and iteration in order; threads may share a reader.

    Args:
        path: file or folder.
        kind: the dataclass of the rows, `records.Record` or `records.Prediction`.
        without: names of bytes columns that are left empty; without the images a random row is read 40 times as fast.

    Attributes:
        path: the file or folder.
        metadata: the dictionary that the writer was given.

    Raises:
        UserError: the file is missing, damaged or not written by promptseg, or a shard is missing.
    """

    def __init__(self, path: Path, kind: type, without: tuple[str, ...] = ()):
        self.path, self._kind = Path(path), kind
        with parquet_integrity.user_errors(self.path, "made by this project"):
            paths = sorted(self.path.glob("*.parquet")) if self.path.is_dir() else [self.path]
            files = [self._open(shard) for shard in paths]
            self._groups = [
                _Group(file, number, checksums)
                for file in files
                for number, checksums in enumerate(parquet_integrity.read(file))
            ]
            metadata = files[0].metadata.metadata[parquet_integrity.METADATA] if paths else b"{}"
            self.metadata: dict = json.loads(metadata)
            numbers = [int(shard.stem) for shard in paths[1:]]
            if len(paths) != self.metadata.get(SHARDS, 1) or numbers != [*range(1, len(paths))]:
                raise ValueError("shards are missing")
        self._starts = np.cumsum([0] + [group.file.metadata.row_group(group.number).num_rows for group in self._groups])
        self._empty = dict.fromkeys(without, b"")
        self._columns = [field.name for field in fields(kind) if field.name not in without]
        self._cache: OrderedDict[int, list] = OrderedDict()
        self._lock = threading.Lock()

    def _open(self, path: Path) -> pq.ParquetFile:
        file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
        if file.schema_arrow.names != [field.name for field in fields(self._kind)]:
            raise KeyError("columns")
        return file

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int):
        if not 0 <= index < len(self):
            raise IndexError(index)
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        with self._lock:
            row = self._rows(group)[index - self._starts[group]]
        return self._kind(**row, **self._empty)

    def __iter__(self) -> Iterator:
        return (self[i] for i in range(len(self)))

    def column(self, name: str) -> list:
        """Read one column of all rows; meant for the small ones."""
        with parquet_integrity.user_errors(self.path, "made by this project"):
            return [value for group in self._groups for value in group.columns([name])[0]]

    def _rows(self, group: int) -> list[dict]:
        if group in self._cache:
            self._cache.move_to_end(group)
        else:
            with parquet_integrity.user_errors(self.path, "made by this project"):
                columns = self._groups[group].columns(self._columns)
                self._cache[group] = [dict(zip(self._columns, values)) for values in zip(*columns)]
            if len(self._cache) > CACHED_GROUPS:
                self._cache.popitem(last=False)
        return self._cache[group]


class _Group(NamedTuple):
    """A row group: its file, its number there, and the checksums of its columns."""

    file: pq.ParquetFile
    number: int
    checksums: dict[str, int]

    def columns(self, names: list[str]) -> list[list]:
        """Read columns. Raises ValueError where a checksum differs."""
        table = self.file.read_row_group(self.number, names, use_threads=False)
        columns = [table.column(name).to_pylist() for name in names]
        if [*map(parquet_integrity.checksum, columns)] != [self.checksums[name] for name in names]:
            raise ValueError("the checksum of a column differs")
        return columns


def shard_path(folder: Path, number: int) -> Path:
    """Return the path of a shard in the folder of its split."""
    return folder / f"{number:05d}.parquet"
