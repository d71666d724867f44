"""Memory-mapped on-disk cache of image embeddings.

A cache folder is named by a digest of all that decides what the features are: checkpoint (which states its precision),
split, transform, versions of torch and transformers, the instructions that the processor is held to, and the code that
encoding reaches. It is filled in chunks by all processes of a torchrun and guarded by a lock against other stages, as
far as a run needs it: the next run adds what it needs beside. A row counts once its checksum is written, so a killed
stage leaves whole rows and the next one continues there. Neither git nor DVC tracks it: it can be made again.
"""

import hashlib
import importlib.metadata
import inspect
import json
import math
import os
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from promptseg.core import files, fingerprint, portable, progress
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import records
from promptseg.data.records import RecordReader
from promptseg.nn import batch_sizes
from promptseg.nn.segmenter import Features, Segmenter

MAX_DISK_SHARE = 0.95  # of the free disk, which features may take
_PRESENT = 1 << 32  # a row's entry is this plus its CRC-32; 0 is a missing row


@dataclass(frozen=True)
class Source:
    """What is encoded.

    Attributes:
        path: of the split.
        records: of the split.
        checkpoint: digest of the weights that encode.
        cache: folder of all caches.
    """

    path: Path
    records: RecordReader
    checkpoint: str
    cache: Path


class OnTheFly:
    """Features computed at each access: for encoders that are trained, and for models that only scale pixels."""

    def __init__(self, segmenter: Segmenter, reader: RecordReader):
        self._segmenter, self._records = segmenter, reader

    def __call__(self, indexes: list[int]) -> Features:
        """Encode these records; tensors (len(indexes), ...) by name."""
        return self._segmenter.encode([records.image(self._records[i]) for i in indexes])


class Cached:
    """Features read from a filled cache folder."""

    def __init__(self, folder: Path, device: torch.device):
        self._device = device
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
        for i in indexes:
            if not self._checked[i]:
                if not self._sums[i]:
                    raise LookupError(f"{self._folder}: row {i} was not encoded")
                if _checksum({name: rows[i] for name, rows in self._maps.items()}) != self._sums[i]:
                    raise UserError(f"{self._folder}: row {i} changed on disk; delete the folder and run again")
                self._checked[i] = True
        # Converted by torch: numpy takes ten times as long for it, and a GPU is sent half the bytes.
        return {name: torch.from_numpy(rows[indexes]).to(self._device).float() for name, rows in self._maps.items()}


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
            _allocate(folder, segmenter, source.records, key)
    processes.wait()
    _fill(folder, segmenter, source.records, processes, frozenset(needed))
    processes.wait()
    if processes.main:
        lock.release()
    return Cached(folder, processes.device)


def count_missing(segmenter: Segmenter, source: Source, needed: Sequence[int] | None = None) -> int:
    """How many of the needed records (None: of all) `features` would have to encode first."""
    needed = range(len(source.records)) if needed is None else needed
    if not segmenter.CACHED:
        return 0
    rows = _folder(segmenter, cache_key(segmenter, source), source.cache) / "rows.u64"
    present = np.count_nonzero(np.fromfile(rows, np.uint64)[needed]) if rows.is_file() else 0
    return len(needed) - int(present)


def size(encoded: Features) -> int:
    """Bytes of these features in a cache."""
    return 2 * sum(values.numel() for values in encoded.values())


def cache_key(segmenter: Segmenter, source: Source) -> dict[str, str]:
    """All that decides what the features are, as strings by name."""
    return {
        "checkpoint": source.checkpoint,
        "split": files.sha256(source.path),
        "transform": repr(segmenter.transform),
        "code": _code_digest(segmenter),
        "torch": torch.__version__,
        "transformers": importlib.metadata.version("transformers"),
        "instructions": "avx2, one thread" if portable.held() else "those of the machine",
        "stored": "float16",
    }


def _code_digest(segmenter: Segmenter) -> str:
    """Digest of the code that encoding reaches; prompts and settings take no part in it."""
    starts = {Path(inspect.getfile(kind)) for kind in (type(segmenter), type(segmenter.transform), records)}
    packages = [fingerprint.PACKAGE / name for name in ("prompts", "core")]
    reached = fingerprint.closure(sorted(starts))
    return fingerprint.digest(path for path in reached if not any(path.is_relative_to(package) for package in packages))


def _folder(segmenter: Segmenter, key: dict[str, str], cache: Path) -> Path:
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return cache / f"{segmenter.NAME}-{name}"


def _allocate(folder: Path, segmenter: Segmenter, reader: RecordReader, key: dict[str, str]) -> None:
    """Create the files in full length and empty; about.json comes last and marks them as complete."""
    first = segmenter.encode([records.image(reader[0])])
    shapes = {name: list(values.shape[1:]) for name, values in first.items()}
    needed, free = size(first) * len(reader), shutil.disk_usage(folder).free
    if needed > MAX_DISK_SHARE * free:
        raise UserError(
            f"{folder}: the features of {len(reader)} images take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are "
            "free; free some space, link data/embeddings to a larger disk or lower scale.max_images"
        )
    for name, values in first.items():
        path = folder / f"{name}.f16"
        path.write_bytes(b"")
        os.truncate(path, size({name: values}) * len(reader))  # unlike a file's method it names the file where it fails
    (folder / "rows.u64").write_bytes(bytes(np.zeros(len(reader), np.uint64)))
    files.write_json(folder / "about.json", {"shapes": shapes, "count": len(reader), "key": key})


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


def _fill(
    folder: Path, segmenter: Segmenter, reader: RecordReader, processes: Processes, needed: frozenset[int]
) -> None:
    """Encode this process's share of the missing rows that are needed."""
    shapes, _ = _about(folder)
    maps = {
        name: np.memmap(folder / f"{name}.f16", np.float16, "r+", shape=(len(reader), *shape))
        for name, shape in shapes.items()
    }
    sums = np.memmap(folder / "rows.u64", np.uint64, "r+")
    if not any(processes.gather(any(not sums[index] for index in needed))):
        return
    # Whole chunks only: the last bit of an image's features may depend on the batch that it is in.
    chunks = _chunks(reader, _batch_size(segmenter, reader, processes))[processes.rank :: processes.world]
    missing = [chunk for chunk in chunks if any(not sums[index] and index in needed for index in chunk)]
    with ThreadPool(processes.cores) as pool:
        images = pool.map_ordered(lambda chunk: [records.image(reader[i]) for i in chunk], missing)
        for chunk in progress.bar(missing, desc="encode", main=processes.main):
            encoded = segmenter.encode(next(images))
            half = {name: values.to(torch.float16) for name, values in encoded.items()}
            # The extremes are NaN where any value is; asked value by value, this takes ten times as long.
            if not all(torch.stack(values.aminmax()).isfinite().all() for values in half.values()):
                name, id = segmenter.NAME, reader[chunk[0]].id
                raise UserError(f"{reader.path}: features of {name} exceed half precision, first in the batch of {id}")
            rows = {name: values.cpu().numpy() for name, values in half.items()}
            for position, index in enumerate(chunk):
                for name, values in rows.items():
                    maps[name][index] = values[position]
                sums[index] = _checksum({name: values[position] for name, values in rows.items()})
    for written in maps.values():
        written.flush()
    sums.flush()


def _batch_size(segmenter: Segmenter, reader: RecordReader, processes: Processes) -> int:
    """Number of images that are encoded at a time, the same in all processes."""
    first = records.image(reader[0])
    size = batch_sizes.images(lambda: segmenter.encode([first]), segmenter.transform.size, processes.device)
    return min(processes.gather(size))


def _chunks(reader: RecordReader, size: int) -> list[list[int]]:
    """Indexes of the records that are encoded in one batch.

    They depend on the split alone, so that the bytes do not depend on which run came first; and no batch mixes records
    with and without foreground, so that none of the latter is encoded for a run that needs the former.
    """
    foreground = np.array(reader.column("foreground"))
    kinds = (np.flatnonzero(foreground > 0).tolist(), np.flatnonzero(foreground == 0).tolist())
    return [kind[start : start + size] for kind in kinds for start in range(0, len(kind), size)]


def _checksum(row: dict[str, np.ndarray]) -> int:
    crc = 0
    for name in sorted(row):
        crc = zlib.crc32(np.ascontiguousarray(row[name]).data, crc)
    return _PRESENT + crc
