"""Frozen features, computed once for a picture and mapped into memory by whoever needs them next.

A cache folder belongs to one checkpoint (which says its precision), one container and one way of encoding; its name is
the digest of them all, so a cache made of anything else is never found. It is filled in chunks by all processes of a
torchrun and guarded by a lock against other stages. A row counts once its checksum is written, so a killed stage
leaves whole rows, and the next one goes on from there. Neither git nor DVC looks at it: it can be had again.
"""

import hashlib
import inspect
import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from promptseg.core import files, progress
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import Pool
from promptseg.data import records
from promptseg.data.records import RecordReader
from promptseg.nn import attention, batch_sizes, precision
from promptseg.nn.segmenter import Features, Segmenter

ROOM = 0.95  # of the free disk, which features may take
_PRESENT = 1 << 32  # a row's entry is this plus its CRC-32; 0 is a row that is not there


class AsNeeded:
    """Features computed each time they are asked for: for encoders that train, and for those that only scale."""

    def __init__(self, segmenter: Segmenter, pairs: RecordReader):
        self._segmenter, self._pairs = segmenter, pairs

    def __call__(self, indexes: list[int]) -> Features:
        """Features of these pictures, each (len(indexes), ...)."""
        return self._segmenter.encode([records.image(self._pairs[i]) for i in indexes])


class Cached:
    """Features out of a filled cache folder."""

    def __init__(self, folder: Path, device: torch.device):
        self._device = device
        about = json.loads((folder / "about.json").read_text())
        shapes, count = about["shapes"], about["count"]
        self._maps = {
            name: np.memmap(folder / f"{name}.f16", np.float16, "r", shape=(count, *shape))
            for name, shape in shapes.items()
        }
        self._sums = np.fromfile(folder / "rows.u64", np.uint64)
        self._checked = np.zeros(count, bool)
        self._folder = folder

    def __call__(self, indexes: list[int]) -> Features:
        """Features of these pictures, float32, each (len(indexes), ...). Raises UserError if one changed on disk."""
        for i in indexes:
            if not self._checked[i]:
                if _sum({name: rows[i] for name, rows in self._maps.items()}) != self._sums[i]:
                    raise UserError(f"{self._folder}: row {i} changed on disk; delete the folder and run again")
                self._checked[i] = True
        # Made floats by torch: numpy takes ten times as long for it, and a GPU is sent half the bytes.
        return {name: torch.from_numpy(rows[indexes]).to(self._device).float() for name, rows in self._maps.items()}


def features(
    segmenter: Segmenter, checkpoint: str, path: Path, pairs: RecordReader, cache: Path, processes: Processes
) -> Cached | AsNeeded:
    """The features of all pictures of a container: out of the cache, filled first where need be.

    checkpoint: digest of the weights that encode; path: the container's file; cache: the folder of all caches.
    Raises UserError if the disk has no room for them.
    """
    if not segmenter.CACHED or len(pairs) == 0:
        return AsNeeded(segmenter, pairs)
    made_by = _made_by(segmenter, checkpoint, path)
    folder = _folder(segmenter, made_by, cache)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.parent / f"{folder.name}.lock")
    if processes.main:
        lock.acquire()
        if not (folder / "about.json").exists():
            _lay_out(folder, segmenter, pairs, made_by)
    processes.wait()
    _fill(folder, segmenter, pairs, processes)
    processes.wait()
    if processes.main:
        lock.release()
    return Cached(folder, processes.device)


def missing(segmenter: Segmenter, checkpoint: str, path: Path, pairs: RecordReader, cache: Path) -> int:
    """How many pictures `features`, asked the same, would have to encode first."""
    if not segmenter.CACHED:
        return 0
    rows = _folder(segmenter, _made_by(segmenter, checkpoint, path), cache) / "rows.u64"
    there = np.count_nonzero(np.fromfile(rows, np.uint64)) if rows.is_file() else 0
    return len(pairs) - int(there)


def size(encoded: Features) -> int:
    """Bytes of these features in a cache."""
    return 2 * sum(values.numel() for values in encoded.values())


def _made_by(segmenter: Segmenter, checkpoint: str, path: Path) -> dict:
    """All that decides what the features are."""
    encoders = [part for part in segmenter.modules() if isinstance(part, Segmenter)]  # itself, and models in it
    kinds = [kind for each in encoders for kind in (_encoding_class(each), type(each.frame))]
    return {
        "checkpoint": checkpoint,
        "container": files.sha256(path),
        "frame": " ".join(repr(encoder.frame) for encoder in encoders),
        "code": [_code_digest(kind) for kind in (*kinds, attention.RelativeAttention, precision.HalfLinear)],
        "stored": "float16",
    }


def _folder(segmenter: Segmenter, made_by: dict, cache: Path) -> Path:
    name = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:16]
    return cache / f"{segmenter.NAME}-{name}"


def _lay_out(folder: Path, segmenter: Segmenter, pairs: RecordReader, made_by: dict) -> None:
    """Make the files, as long as they will be and empty; about.json comes last and says that they are there."""
    first = segmenter.encode([records.image(pairs[0])])
    shapes = {name: list(values.shape[1:]) for name, values in first.items()}
    needed, free = size(first) * len(pairs), shutil.disk_usage(folder).free
    if needed > ROOM * free:
        raise UserError(
            f"{folder}: the features of {len(pairs)} pictures take {needed / 1e9:.1f} GB and "
            f"{free / 1e9:.1f} GB are free; make room, link data/embeddings to a larger disk or lower scale.max_images"
        )
    for name, values in first.items():
        with open(folder / f"{name}.f16", "wb") as file:
            file.truncate(size({name: values}) * len(pairs))
    np.zeros(len(pairs), np.uint64).tofile(folder / "rows.u64")
    files.write_json(folder / "about.json", {"shapes": shapes, "count": len(pairs), "made_by": made_by})


def _fill(folder: Path, segmenter: Segmenter, pairs: RecordReader, processes: Processes) -> None:
    """Encode this process's share of what is not there yet."""
    shapes = json.loads((folder / "about.json").read_text())["shapes"]
    maps = {
        name: np.memmap(folder / f"{name}.f16", np.float16, "r+", shape=(len(pairs), *shape))
        for name, shape in shapes.items()
    }
    sums = np.memmap(folder / "rows.u64", np.uint64, "r+")
    # Whole chunks only: what an encoder gives for a picture may depend, in the last bit, on its company.
    together = max(1, batch_sizes.at_once(batch_sizes.PIXELS, processes.device) // segmenter.frame.size**2)
    missing = [chunk for chunk in processes.chunks(len(pairs), together) if not sums[list(chunk)].all()]
    with Pool(processes.cores) as pool:
        images = pool.in_order(lambda chunk: [records.image(pairs[i]) for i in chunk], missing)
        for chunk in progress.bar(missing, desc="encode", main=processes.main):
            encoded = segmenter.encode(next(images))
            rows = {name: values.to(torch.float16).cpu().numpy() for name, values in encoded.items()}
            if not all(np.isfinite(values).all() for values in rows.values()):
                raise UserError(
                    f"{pairs.path}: {segmenter.NAME} gives features beyond half precision for {pairs[chunk[0]].id}"
                )
            for place, index in enumerate(chunk):
                for name, values in rows.items():
                    maps[name][index] = values[place]
                sums[index] = _sum({name: values[place] for name, values in rows.items()})
    for written in (*maps.values(), sums):
        written.flush()


def _sum(row: dict[str, np.ndarray]) -> int:
    crc = 0
    for name in sorted(row):
        crc = zlib.crc32(np.ascontiguousarray(row[name]), crc)
    return _PRESENT + crc


def _encoding_class(segmenter: Segmenter) -> type:
    """The class that says how it encodes, which relatives may share."""
    return next(kind for kind in type(segmenter).__mro__ if "encode" in vars(kind))


def _code_digest(of_class: type) -> str:
    return files.sha256(Path(inspect.getfile(of_class)))
