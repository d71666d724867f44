"""What a cache of image embeddings is of, and all that decides what its features are."""

import importlib.metadata
import inspect
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from promptseg.core import files, fingerprint, portable
from promptseg.data import records
from promptseg.data.records import RecordReader
from promptseg.nn.segmenter import Segmenter


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

    @cached_property
    def rows(self) -> np.ndarray:
        """Number of each record's image, (records,) int64: equal ones have one, in the order of their first record."""
        first: dict[str, int] = {}
        digests = self.records.column("image_digest")
        numbers = [first.setdefault(digest or f"{index}", len(first)) for index, digest in enumerate(digests)]
        return np.array(numbers, np.int64)


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
