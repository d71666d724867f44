"""Offline stand-in for ModelNet40: generated point clouds in the official layout."""

from pathlib import Path

import numpy as np

from promptseg.datasets.modelnet40.reader import CLASS_FOLDERS, FOLDER, LISTS
from promptseg.synthetic import solids

POINTS = 1100  # per cloud; the official ones have 10,000
CLOUDS_PER_CLASS = 2  # in each split
OBJECTS = {
    "airplane": "turned/x90 0 0 -1 0 0 .06 .1 .12 .5 .14 1.7 0 2; ^plate/x90 0 0 .1 .05 .1 .3 1.1 -.2 1.1 -.4 .1 -.2; "
    "^plate/x90 0 .05 -.9 .03 0 .15 .4 -.05 .4 -.15 0 -.1; plate/y-90 0 .05 -.9 .03 -.1 0 .2 0 0 .45 -.15 .45",
    "bed": "box 0 .1 0 1.4 .35 2; box 0 .45 -.75 1 .12 .35; box 0 0 -1 1.4 1 .08; box 0 0 1 1.4 .5 .08",
    "bench": "box 0 .5 0 1.9 .08 .5; ^box .75 0 0 .1 .5 .5",
    "bookshelf": "^box .55 0 0 .05 1.8 .4; box 0 0 -.2 1.1 1.8 .02; box 0 0 0 1.1 .05 .4; box 0 .45 0 1.1 .05 .4; box "
    "0 .9 0 1.1 .05 .4; box 0 1.35 0 1.1 .05 .4; box 0 1.75 0 1.1 .05 .4",
    "bottle": "turned 0 0 0 0 0 .3 0 .3 .9 .1 1.3 .1 1.5 0 1.5",
    "bowl": "turned 0 0 0 0 0 .4 .08 .7 .4 .8 .75 .75 .75 .65 .42 .36 .14 0 .07",
    "car": "box 0 .15 0 .8 .4 2; box 0 .5 -.1 .7 .3 .9; ^^tube/z90 .44 .2 .62 .2 .12",
    "chair": "box/x-8 0 .75 -.4 .85 .9 .08; box 0 .7 0 .85 .1 .85; ^^box .38 0 .38 .08 .7 .08",
    "cone": "tube 0 .06 0 .42 1.6 .05; box 0 0 0 1.1 .06 1.1",
    "cup": "turned 0 0 0 0 0 .35 0 .45 .9 .41 .9 .32 .05 0 .05; hoop .4 .47 0 .25 .05 -90 90",
    "door": "box 0 0 0 .9 2 .08; ^box .5 0 0 .1 2.05 .14; box 0 2 0 1.1 .1 .14; ball .32 1 .08 .06 .06 .06",
    "guitar": "tube/x90 0 0 -.08 .47 .16; tube/x90 0 .5 -.08 .34 .16; box 0 .7 0 .1 1.1 .06; box 0 1.8 0 .2 .3 .06",
    "lamp": "tube 0 0 0 .3 .08; tube 0 .08 0 .04 1.2; turned 0 1.1 0 .48 0 .3 .5",
    "laptop": "box 0 0 0 1.5 .06 1; box/x-18 0 .05 -.5 1.5 1 .04",
    "monitor": "box 0 .45 0 1.5 .9 .08; box 0 0 -.06 .12 .5 .08; box 0 0 0 .6 .04 .4",
    "night_stand": "box 0 .2 0 .9 .8 .8; ^^box .38 0 .35 .08 .2 .08; ball 0 .4 .43 .05 .05 .05; ball 0 .75 .43 .05 "
    ".05 .05",
    "sofa": "box 0 0 0 1.8 .4 .9; ^box .95 0 0 .22 .6 .9; box 0 0 -.4 1.8 .9 .25",
    "stairs": "box 0 0 .5 1 .2 .25; box 0 0 .25 1 .4 .25; box 0 0 0 1 .6 .25; box 0 0 -.25 1 .8 .25; box 0 0 -.5 1 1 "
    ".25",
    "stool": "tube 0 1 0 .4 .1; ^^box/z10 .4 0 .25 .07 1 .07",
    "table": "box 0 .75 0 1.6 .08 1; ^^box .7 0 .4 .1 .75 .1",
    "vase": "turned 0 0 0 0 0 .25 0 .48 .5 .38 .9 .18 1.2 .26 1.5",
}  # fmt: skip


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
    for class_folder, text in OBJECTS.items():
        (root / class_folder).mkdir()
        for number in range(1, 2 * CLOUDS_PER_CLASS + 1):
            name = f"{class_folder}_{number:04d}"
            names["train" if number <= CLOUDS_PER_CLASS else "test"].append(name)
            positions, normals, _ = solids.points(rng, text, POINTS)
            positions -= positions.mean(axis=0)
            positions /= np.linalg.norm(positions, axis=1).max()  # the official clouds fill a ball of radius 1
            rows = np.concatenate([positions, normals], axis=1)
            lines = "".join(",".join(f"{value:.4f}" for value in row) + "\n" for row in rows)
            (root / class_folder / f"{name}.txt").write_bytes(lines.encode("ascii"))
    for split, list_name in LISTS.items():
        (root / list_name).write_bytes("".join(f"{name}\n" for name in names[split]).encode("ascii"))
    (root / "modelnet40_shape_names.txt").write_bytes("".join(f"{name}\n" for name in CLASS_FOLDERS).encode("ascii"))
