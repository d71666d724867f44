"""Small things that many tests need. No test needs the network, a GPU, or files that are not in the project."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from promptseg.data import image_io, records

# Time limits of single examples say more about a busy machine than about the code.
settings.register_profile("promptseg", deadline=None, derandomize=True)
settings.load_profile("promptseg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def blobs(tmp_path):
    """Makes a container of pictures with one or two bright discs on a noisy ground, the discs being the mask."""

    def make(
        name: str, count: int, size: tuple[int, int] = (64, 64), seed: int = 0, empty: tuple[int, ...] = ()
    ) -> Path:
        rng = np.random.default_rng(seed)
        path = tmp_path / f"{name}.parquet"
        y, x = np.mgrid[: size[0], : size[1]]
        with records.RecordWriter(path, records.Record, {"classes": ["disc"], "dataset": "discs", "seed": 0}) as out:
            for i in range(count):
                mask = np.zeros(size, np.uint8)
                for _ in range(0 if i in empty else 1 + i % 2):
                    cx, cy, r = rng.uniform(12, size[1] - 12), rng.uniform(12, size[0] - 12), rng.uniform(6, 11)
                    mask[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = 1
                image = np.clip(90 + 90 * mask[..., None] + rng.normal(0, 12, (*size, 3)), 0, 255).astype(np.uint8)
                name_of = f"{name}/{i:03d}"
                files = image_io.encode_png(image), image_io.encode_png(mask)
                out.add(records.Record(name_of, f"g{i // 2}", *files, *size, name_of, 0, 0, *size))
        return path

    return make
