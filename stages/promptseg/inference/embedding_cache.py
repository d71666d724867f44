"""Memory-mapped on-disk cache of image embeddings.

A cache folder is named by a digest of all that decides what the features are: checkpoint (which states its precision),
split, transform, versions of torch and transformers, the instructions that the processor is held to, and the code that
encoding reaches. It is filled in chunks by all processes of a torchrun and guarded by a lock against other stages, as
far as a run needs it: the next run adds what it needs beside. Records that share an image share its row. A row counts
once its checksum is written, so a killed stage leaves whole rows and the next one continues there. Neither git nor DVC
tracks it: it can be made again.
"""

import hashlib
import json
import math
import os
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from promptseg.core import files, progress
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import records
from promptseg.data.records import RecordReader
from promptseg.inference.embedding_source import Source, cache_key
from promptseg.nn import batch_sizes
from promptseg.nn.segmenter import Features, Segmenter

MAX_DISK_SHARE = 0.95  # of the free disk, which features may take
_PRESENT = 1 << 32  # a row's entry is this plus its CRC-32; 0 is a missing row


class OnTheFly:
    """Features computed at each access: for encoders that are trained, and for models that only scale pixels."""

    def __init__(self, segmenter: Segmenter, reader: RecordReader):
        self._segmenter, self._records = segmenter, reader

    def __call__(self, indexes: list[int]) -> Features:
        """Encode these records; tensors (len(indexes), ...) by name."""
        return self._segmenter.encode([records.image(self._records[i]) for i in indexes])


class Cached:
    """Features read from a filled cache folder."""

    def __init__(self, folder: Path, rows: np.ndarray, device: torch.device):
        self._rows, self._device = rows, device
        shapes, count = _about(folder)
        self._maps = {
            name: np.memmap(folder / f"{name}.f16", np.float16, "r", shape=(count, *shape))
            for name, shape in shapes.items()
        }
        self._sums = np.fromfile(folder / "rows.u64", np.uint64)
        self._checked = np.zeros(count, bool)
        self._folder = folder

    def __call__(self, indexes: list[int]) -> Features:
        """Read the features of these records, float32, each (len(indexes), ...).

        Raises:
            UserError: a row's checksum does not match.
            LookupError: a row was not among those that are needed.
        """
        chosen = self._rows[indexes]
        for i in chosen:
            if not self._checked[i]:
                if not self._sums[i]:
                    raise LookupError(f"{self._folder}: row {i} was not encoded")
                if _checksum({name: values[i] for name, values in self._maps.items()}) != self._sums[i]:
                    raise UserError(f"{self._folder}: row {i} changed on disk; delete the folder and run again")
                self._checked[i] = True
        # Converted by torch: numpy takes ten times as long for it, and a GPU is sent half the bytes.
        return {name: torch.from_numpy(values[chosen]).to(self._device).float() for name, values in self._maps.items()}


def features(
    segmenter: Segmenter, source: Source, processes: Processes, needed: Sequence[int] | None = None
) -> Cached | OnTheFly:
    """Features of the records of a split, encoded first where the cache lacks them.

    Args:
        segmenter: encodes.
        source: what is encoded, and where the cache is.
        processes: that share the work.
        needed: indexes of the records whose features are used; None: of all.

    Raises:
        UserError: the disk has no room for those of all records.
    """
    needed = range(len(source.records)) if needed is None else needed
    if not segmenter.CACHED or len(needed) == 0:
        return OnTheFly(segmenter, source.records)
    key = cache_key(segmenter, source)
    folder = _folder(segmenter, key, source.cache)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.parent / f"{folder.name}.lock")
    if processes.main:
        lock.acquire()
        if not (folder / "about.json").exists():
            _allocate(folder, segmenter, source, key)
    processes.wait()
    _fill(folder, segmenter, source, processes, frozenset(source.rows[needed].tolist()))
    processes.wait()
    if processes.main:
        lock.release()
    return Cached(folder, source.rows, processes.device)


def count_missing(segmenter: Segmenter, source: Source, needed: Sequence[int] | None = None) -> int:
    """How many images of the needed records (None: of all) `features` would have to encode first."""
    if not segmenter.CACHED:
        return 0
    rows = np.unique(source.rows if needed is None else source.rows[needed])
    sums = _folder(segmenter, cache_key(segmenter, source), source.cache) / "rows.u64"
    present = np.count_nonzero(np.fromfile(sums, np.uint64)[rows]) if sums.is_file() else 0
    return len(rows) - int(present)


def size(encoded: Features) -> int:
    """Bytes of these features in a cache."""
    return 2 * sum(values.numel() for values in encoded.values())


def _folder(segmenter: Segmenter, key: dict[str, str], cache: Path) -> Path:
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return cache / f"{segmenter.NAME}-{name}"


def _allocate(folder: Path, segmenter: Segmenter, source: Source, key: dict[str, str]) -> None:
    """Create the files in full length and empty; about.json comes last and marks them as complete."""
    first = segmenter.encode([records.image(source.records[0])])
    shapes = {name: list(values.shape[1:]) for name, values in first.items()}
    count = int(source.rows.max()) + 1
    needed, free = size(first) * count, shutil.disk_usage(folder).free
    if needed > MAX_DISK_SHARE * free:
        raise UserError(
            f"{folder}: the features of {count} images take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are "
            "free; free some space, link data/embeddings to a larger disk or lower scale.max_images"
        )
    for name, values in first.items():
        path = folder / f"{name}.f16"
        path.write_bytes(b"")
        os.truncate(path, size({name: values}) * count)  # unlike a file's method it names the file where it fails
    (folder / "rows.u64").write_bytes(bytes(np.zeros(count, np.uint64)))
    files.write_json(folder / "about.json", {"shapes": shapes, "count": count, "key": key})


def _about(folder: Path) -> tuple[dict[str, list[int]], int]:
    """Shape of each feature of a row, and the number of rows. Raises UserError where the files are not as written."""
    try:
        about = json.loads((folder / "about.json").read_text())
        shapes, count = about["shapes"], about["count"]
        sizes = {f"{name}.f16": 2 * count * math.prod(shape) for name, shape in shapes.items()} | {
            "rows.u64": 8 * count
        }
        whole = all((folder / name).stat().st_size >= size for name, size in sizes.items())
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError):
        whole = False
    if not whole:
        raise UserError(f"{folder}: damaged; delete the folder and run again")
    return shapes, count


def _fill(folder: Path, segmenter: Segmenter, source: Source, processes: Processes, needed: frozenset[int]) -> None:
    """Encode this process's share of the missing rows that are needed."""
    reader, (shapes, count) = source.records, _about(folder)
    maps = {
        name: np.memmap(folder / f"{name}.f16", np.float16, "r+", shape=(count, *shape))
        for name, shape in shapes.items()
    }
    sums = np.memmap(folder / "rows.u64", np.uint64, "r+")
    if not any(processes.gather(any(not sums[row] for row in needed))):
        return
    _, firsts = np.unique(source.rows, return_index=True)  # the first record of each row
    # Whole chunks only: the last bit of an image's features may depend on the batch that it is in.
    chunks = _chunks(source, _batch_size(segmenter, reader, processes))[processes.rank :: processes.world]
    missing = [chunk for chunk in chunks if any(not sums[row] and row in needed for row in chunk)]
    with ThreadPool(processes.cores) as pool:
        images = pool.map_ordered(lambda chunk: [records.image(reader[firsts[row]]) for row in chunk], missing)
        for chunk in progress.bar(missing, desc="encode", main=processes.main):
            encoded = segmenter.encode(next(images))
            half = {name: values.to(torch.float16) for name, values in encoded.items()}
            # The extremes are NaN where any value is; asked value by value, this takes ten times as long.
            if not all(torch.stack(values.aminmax()).isfinite().all() for values in half.values()):
                name, id = segmenter.NAME, reader[firsts[chunk[0]]].id
                raise UserError(f"{reader.path}: features of {name} exceed half precision, first in the batch of {id}")
            rows = {name: values.cpu().numpy() for name, values in half.items()}
            for position, row in enumerate(chunk):
                for name, values in rows.items():
                    maps[name][row] = values[position]
                sums[row] = _checksum({name: values[position] for name, values in rows.items()})
    for written in maps.values():
        written.flush()
    sums.flush()


def _batch_size(segmenter: Segmenter, reader: RecordReader, processes: Processes) -> int:
    """Number of images that are encoded at a time, the same in all processes."""
    first = records.image(reader[0])
    size = batch_sizes.images(lambda: segmenter.encode([first]), segmenter.transform.size, processes.device)
    return min(processes.gather(size))


def _chunks(source: Source, size: int) -> list[list[int]]:
    """Rows that are encoded in one batch.

    They depend on the split alone, so that the bytes do not depend on which run came first; and no batch mixes images
    with and without foreground in any record, so that none of the latter is encoded for a run that needs the former.
    """
    foreground = np.bincount(source.rows, np.array(source.records.column("foreground")))
    kinds = (np.flatnonzero(foreground > 0).tolist(), np.flatnonzero(foreground == 0).tolist())
    return [kind[start : start + size] for kind in kinds for start in range(0, len(kind), size)]


def _checksum(row: dict[str, np.ndarray]) -> int:
    crc = 0
    for name in sorted(row):
        crc = zlib.crc32(np.ascontiguousarray(row[name]).data, crc)
    return _PRESENT + crc
