"""Offline stand-in for ModelNet40: generated point clouds in the official layout."""

from pathlib import Path

import numpy as np

from promptseg.datasets.modelnet40.reader import CLASS_FOLDERS, FOLDER, LISTS
from promptseg.synthetic.point_clouds.furniture import FURNITURE
from promptseg.synthetic.point_clouds.surfaces import points

POINTS = 1100  # per cloud; the official ones have 10,000
CLOUDS_PER_CLASS = 2  # in each split


def write(folder: Path, seed: int) -> None:
    """Write 42 training and 42 test clouds of 21 of the 40 classes, with the official lists.

    The layout is modelnet40_normal_resampled/<class>/<class>_<number>.txt with modelnet40_train.txt and
    modelnet40_test.txt beside the class folders; numbers continue from train to test.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    names: dict[str, list[str]] = {split: [] for split in LISTS}
    root = folder / FOLDER
    root.mkdir(parents=True)
    for class_folder in sorted(FURNITURE):
        (root / class_folder).mkdir()
        for number in range(1, 2 * CLOUDS_PER_CLASS + 1):
            name = f"{class_folder}_{number:04d}"
            names["train" if number <= CLOUDS_PER_CLASS else "test"].append(name)
            positions, normals, _ = points([(0, FURNITURE[class_folder](rng))], POINTS, rng)
            positions -= positions.mean(axis=0)
            positions /= np.linalg.norm(positions, axis=1).max()  # the official clouds fill a ball of radius 1
            rows = np.concatenate([positions, normals], axis=1)
            text = "".join(",".join(f"{value:.4f}" for value in row) + "\n" for row in rows)
            (root / class_folder / f"{name}.txt").write_bytes(text.encode("ascii"))
    for split, list_name in LISTS.items():
        (root / list_name).write_bytes("".join(f"{name}\n" for name in names[split]).encode("ascii"))
    (root / "modelnet40_shape_names.txt").write_bytes("".join(f"{name}\n" for name in CLASS_FOLDERS).encode("ascii"))
