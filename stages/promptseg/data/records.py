"""Pairs and predictions as Parquet: one row a picture; pandas opens them.

A run's predictions are one file. A prepared split is a folder of files, `test.parquet/00000.parquet` and so on, each of
some tens of megabytes, so that several processes can write it and no file grows with the dataset.

Pages carry checksums and are verified when read, since one flipped byte otherwise reads back silently different. They
do not cover the footer, which tells where each page lies and holds `about`: a digest of it stands in it, as its seal.
Rows are written in groups of a few megabytes, so that writing and reading take that much memory however many there are.
"""

import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from promptseg.core.errors import UserError
from promptseg.core.files import replacing
from promptseg.data import image_io

GROUP_BYTES = 4 << 20
CACHED_GROUPS = 16
PARTS = "parts"  # in `about` of a folder's files: how many there are
_KEY = b"promptseg"
_SEAL = b"promptseg.seal"
_SEAL_LENGTH = 64  # a sha256 in hex


@dataclass(frozen=True)
class Record:
    """A picture or a tile, and its mask.

    image: PNG or JPEG bytes; mask: PNG bytes, 0 background, i class i, 255 ignored.

    source: id of the whole picture that it was cut from; top, left: its corner there, in pixels; whole_height and
    whole_width: that picture's size, so that tiles can be put back together. text: what the mask shows, in words, where
    that differs from row to row. support_image, support_mask: another picture of the same class and its mask, for
    one-shot data. Both are empty where there are none.
    """

    id: str
    group: str
    image: bytes
    mask: bytes
    height: int
    width: int
    source: str
    top: int
    left: int
    whole_height: int
    whole_width: int
    text: str = ""
    support_image: bytes = b""
    support_mask: bytes = b""


@dataclass(frozen=True)
class Prediction:
    """A model's answer to one picture.

    probability: PNG of (classes * h, w) uint8, the classes' maps one below the other; value = min(255, floor(256 p)),
    so that p >= t exactly where value >= 256 t (of clouds, p is relative to the surest class). prompts: the prompts
    that were given, as JSON, for pictures of them.
    segments: automatic masks (`segments.to_json`); they have no classes, so probability is empty then. Otherwise "".
    """

    id: str
    probability: bytes
    prompts: str
    segments: str = ""


_TYPES = {str: pa.string(), bytes: pa.binary(), int: pa.int32()}


class RecordWriter:
    """Write rows of one kind to `path`: `with RecordWriter(path, Record, about) as out: out.add(pair)`.

    about: what holds for all rows (classes, provenance); kept as JSON in the file's metadata.
    The file appears when the block ends well. The same rows give the same bytes.
    """

    def __init__(self, path: Path, kind: type, about: dict):
        self._replacing = replacing(path)
        self._names = [field.name for field in fields(kind)]
        schema = pa.schema([(field.name, _TYPES[field.type]) for field in fields(kind)])
        self._schema = schema.with_metadata({_KEY: json.dumps(about, sort_keys=True, allow_nan=False)})
        self._rows, self._bytes, self.count = [], 0, 0

    def __enter__(self) -> "RecordWriter":
        self._aside = self._replacing.__enter__()
        # Pictures are compressed already; plain pages without a dictionary keep memory and time down.
        self._file = pq.ParquetWriter(
            self._aside,
            self._schema,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            write_page_checksum=True,
        )
        return self

    def add(self, row: Record | Prediction) -> None:
        values = [getattr(row, name) for name in self._names]
        self._rows.append(values)
        self._bytes += sum(len(value) for value in values if isinstance(value, (bytes, str)))
        self.count += 1
        if self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [pa.array(column, field.type) for column, field in zip(zip(*self._rows), self._schema)]
            self._file.write_table(pa.Table.from_arrays(columns, schema=self._schema))
            self._rows, self._bytes = [], 0

    def __exit__(self, *failure) -> None:
        try:
            if failure[0] is None:
                self._flush()
                self._file.add_key_value_metadata({_SEAL: b"-" * _SEAL_LENGTH})
            self._file.close()
            if failure[0] is None:
                _seal(self._aside)
        except BaseException as error:
            self._replacing.__exit__(type(error), error, error.__traceback__)
            raise
        self._replacing.__exit__(*failure)


class RecordReader:
    """Rows by index, out of a file or a folder of files, read a row group at a time; a few groups are kept.

    len(c), c[i], iteration in order; c.about: the dictionary that the writer was given. Threads may share it.
    without: columns of bytes that are left empty; without the pictures a row taken at random is read 40 times as fast.
    Raises UserError when the file is missing, is none of ours, its checksums do not hold, or one of a folder is gone.
    """

    def __init__(self, path: Path, kind: type, without: tuple[str, ...] = ()):
        self.path, self._kind = Path(path), kind
        with self._guard():
            paths = sorted(self.path.glob("*.parquet")) if self.path.is_dir() else [self.path]
            self._files = [self._open(part) for part in paths]
            self.about = json.loads(self._files[0].schema_arrow.metadata[_KEY]) if paths else {}
            numbers = [int(part.stem) for part in paths[1:]]
            if len(paths) != self.about.get(PARTS, 1) or numbers != [*range(1, len(paths))]:
                raise ValueError("parts are missing")
        self._places = [(file, group) for file in self._files for group in range(file.num_row_groups)]
        sizes = [file.metadata.row_group(group).num_rows for file, group in self._places]
        self._starts = np.cumsum([0] + sizes)
        self._empty = dict.fromkeys(without, b"")
        self._columns = [field.name for field in fields(kind) if field.name not in without]
        self._groups: OrderedDict[int, list] = OrderedDict()
        self._lock = threading.Lock()

    def _open(self, path: Path) -> pq.ParquetFile:
        _check_seal(path)
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
        """One column of all rows; meant for the small ones."""
        with self._guard():
            return [value for file in self._files for value in file.read(columns=[name]).column(name).to_pylist()]

    def _rows(self, group: int) -> list[dict]:
        if group in self._groups:
            self._groups.move_to_end(group)
        else:
            with self._guard():
                file, place = self._places[group]
                self._groups[group] = file.read_row_group(place, self._columns, use_threads=False).to_pylist()
            if len(self._groups) > CACHED_GROUPS:
                self._groups.popitem(last=False)
        return self._groups[group]

    def _guard(self) -> "_Guard":
        return _Guard(self.path)


def _seal(path: Path) -> None:
    with open(path, "r+b") as file:
        at, _, digest = _read_seal(file)
        file.seek(at)
        file.write(digest)


def _check_seal(path: Path) -> None:
    with open(path, "rb") as file:
        _, seal, digest = _read_seal(file)
    if seal != digest:
        raise ValueError("the footer is not what was written")


def _read_seal(file: BinaryIO) -> tuple[int, bytes, bytes]:
    """Where a file's seal stands, what it is, and what it should be, a digest of the rest of the footer."""
    file.seek(-8, os.SEEK_END)
    start = file.seek(-8 - int.from_bytes(file.read(4), "little"), os.SEEK_END)
    footer = file.read()
    at = footer.rindex(_SEAL) + len(_SEAL) + 2  # between the two stand the seal's type and length, a byte each
    seal, rest = footer[at : at + _SEAL_LENGTH], footer[:at] + footer[at + _SEAL_LENGTH :]
    return start + at, seal, hashlib.sha256(rest).hexdigest().encode()


class _Guard:
    """Turns what pyarrow raises on a bad file into one line."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is not None and issubclass(kind, FileNotFoundError):
            raise UserError(f"{self._path}: not found; `dvc repro` makes it") from None
        if kind is not None and issubclass(kind, (pa.ArrowException, OSError, KeyError, TypeError, ValueError)):
            raise UserError(
                f"{self._path}: damaged, or not made by this project; delete it and run `dvc repro`"
            ) from error


def part(folder: Path, number: int) -> Path:
    """The path of one file of a split that is a folder."""
    return folder / f"{number:05d}.parquet"


def pairs(path: Path, without: tuple[str, ...] = ()) -> RecordReader:
    """A split of a prepared dataset: rows are Record."""
    return RecordReader(path, Record, without)


def predictions(path: Path) -> RecordReader:
    """The answers of one run: rows are Prediction."""
    return RecordReader(path, Prediction)


def image(pair: Record) -> np.ndarray:
    """The pair's picture: (h, w, 3) uint8."""
    return image_io.rgb(image_io.decode(pair.image))


def mask(pair: Record) -> np.ndarray:
    """The pair's mask: (h, w) uint8."""
    return image_io.decode(pair.mask)


def support(pair: Record) -> tuple[np.ndarray, np.ndarray]:
    """The pair's support picture, (h, w, 3) uint8, and its mask, (h, w) uint8. Raises UserError where it has none."""
    if not pair.support_image:
        raise UserError(f"{pair.id}: the dataset has no support picture for it, as support: true needs; ask by text")
    return image_io.rgb(image_io.decode(pair.support_image)), image_io.decode(pair.support_mask)


def pack(probability: np.ndarray) -> bytes:
    """(k, h, w) float in [0, 1] -> the bytes of Prediction.probability."""
    values = np.minimum(np.floor(probability * 256.0), 255).astype(np.uint8)
    return image_io.png(values.reshape(-1, values.shape[-1]))


def unpack(prediction: Prediction, classes: int) -> np.ndarray:
    """The prediction's maps: (classes, h, w) uint8."""
    values = image_io.decode(prediction.probability)
    return values.reshape(classes, -1, values.shape[-1])
