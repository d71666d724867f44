"""Offline stand-in for ShapeNetPart: generated point clouds in the official layout."""

import json
from pathlib import Path

import numpy as np

from promptseg.datasets.shapenet_part.reader import FOLDER, LISTS, SYNSETS
from promptseg.synthetic.point_clouds.surfaces import points
from promptseg.synthetic.point_clouds.things import THINGS

POINTS = 1500  # per cloud
CLOUDS_PER_CATEGORY = {"train": 2, "val": 1, "test": 2}


def write(folder: Path, seed: int) -> None:
    """Write 32 training, 16 validation and 32 test clouds of all 16 categories, with the official lists.

    The layout is shapenetcore_partanno_segmentation_benchmark_v0_normal/<synset>/<id>.txt with train_test_split/ and
    synsetoffset2category.txt beside the synset folders. Half of the lamps are ceiling lamps, half table lamps.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    root = folder / FOLDER
    listed: dict[str, list[str]] = {split: [] for split in LISTS}
    for synset, category in SYNSETS.items():
        (root / synset).mkdir(parents=True)
        for split in (split for split, count in CLOUDS_PER_CATEGORY.items() for _ in range(count)):
            name = rng.bytes(16).hex()
            listed[split].append(f"shape_data/{synset}/{name}")
            positions, normals, parts = points(THINGS[category](rng), POINTS, rng)
            positions -= (positions.min(axis=0) + positions.max(axis=0)) / 2
            positions /= np.linalg.norm(np.ptp(positions, axis=0))  # as in the official clouds: a box of diagonal 1
            rows = np.concatenate([positions, normals], axis=1)
            lines = (" ".join(f"{value:.4f}" for value in row) + f" {part}.000000\n" for row, part in zip(rows, parts))
            (root / synset / f"{name}.txt").write_bytes("".join(lines).encode("ascii"))
    (root / "train_test_split").mkdir()
    for split, list_name in LISTS.items():
        rng.shuffle(listed[split])
        (root / list_name).write_bytes(json.dumps(listed[split]).encode("ascii"))
    lines = (f"{category.capitalize()}\t{synset}\n" for synset, category in SYNSETS.items())
    (root / "synsetoffset2category.txt").write_bytes("".join(lines).encode("ascii"))
