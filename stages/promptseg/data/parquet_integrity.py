"""Checksums of Parquet files beyond those of pages, kept in the key-value metadata.

Page checksums cover the pages. The footer says which pages belong to which column and holds schema and metadata; one
flipped bit there can make a reader return other values without an error. So a digest covers the metadata, the schema
and the row groups, and each column of each row group has a checksum of its values, compared when they are read.
(Comparing the places of the column chunks instead would need pyarrow's `RowGroupMetaData.column`, which ends the
process on some damaged footers.)
"""

import contextlib
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from promptseg.core.errors import UserError, of_system

METADATA = b"promptseg"  # key of the metadata's JSON
_CHECKSUMS = b"promptseg.checksums"  # of each row group: its number of rows, then a checksum for each column
_DIGEST = b"promptseg.sha256"


@contextlib.contextmanager
def user_errors(path: Path, what: str) -> Iterator[None]:
    """Turn what pyarrow raises on a bad file into a UserError.

    Args:
        path: of the file.
        what: it has to be, such as "a table of scores".
    """
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        damaged = UserError(f"{path}: damaged, or not {what}; delete it and run `dvc repro`")
        raise of_system(error, path) or damaged from error


def group_checksums(columns: list[tuple]) -> list[int]:
    """Compute the entry of a row group: its number of rows, and `checksum` of each of its columns."""
    return [len(columns[0]), *map(checksum, columns)]


def checksum(values: Iterable[int | str | bytes]) -> int:
    """Compute the CRC-32 of a column's values and their lengths."""
    crc = 0
    for value in values:
        if isinstance(value, int):
            value = value.to_bytes(8, "little", signed=True)
        data = value.encode() if isinstance(value, str) else value
        crc = zlib.crc32(data, zlib.crc32(len(data).to_bytes(8, "little"), crc))
    return crc


def write(writer: pq.ParquetWriter, schema: pa.Schema, groups: list[list[int]]) -> None:
    """Add digest and checksums to a file that is about to be closed.

    Args:
        writer: the file.
        schema: its schema, with the metadata's JSON under `METADATA`.
        groups: `group_checksums` of each row group.
    """
    text = json.dumps(groups).encode()
    writer.add_key_value_metadata({_CHECKSUMS: text, _DIGEST: _digest(schema.metadata[METADATA], schema, text)})


def read(file: pq.ParquetFile) -> list[dict[str, int]]:
    """Check the footer of a file and return the checksums of each row group by column.

    Raises:
        ValueError: the footer is not the one that was written.
        KeyError: the file was not written by promptseg.
    """
    footer, schema = file.metadata, file.schema_arrow
    text = footer.metadata[_CHECKSUMS]
    if footer.metadata[_DIGEST] != _digest(footer.metadata[METADATA], schema, text):
        raise ValueError("the digest of the footer differs")
    groups = json.loads(text)
    if [group[0] for group in groups] != [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]:
        raise ValueError("the row groups differ")
    return [dict(zip(schema.names, group[1:], strict=True)) for group in groups]


def _digest(metadata: bytes, schema: pa.Schema, checksums: bytes) -> bytes:
    columns = [[field.name, str(field.type), field.nullable] for field in schema]
    text = json.dumps([metadata.decode(), columns, checksums.decode()])
    return hashlib.sha256(text.encode()).hexdigest().encode()
