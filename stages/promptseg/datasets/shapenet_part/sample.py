"""Offline stand-in for ShapeNetPart: generated point clouds in the official layout."""

import json
from pathlib import Path

import numpy as np

from promptseg.datasets.shapenet_part.reader import FOLDER, LISTS, SYNSETS
from promptseg.synthetic import solids

POINTS = 1500  # per cloud
CLOUDS_PER_CATEGORY = {"train": 2, "val": 1, "test": 2}
OBJECTS = {  # with the official numbers of the parts; | separates variants
    "airplane": "0:turned/x90 0 0 -1 0 0 .05 .05 .13 .6 .15 1.6 .08 1.9 0 2; 1:^plate/x90 0 0 0 .04 .1 .3 1 -.1 1 -.3 "
    ".1 -.2; 2:^plate/x90 0 .05 -.85 .03 .03 .12 .4 -.05 .4 -.15 .03 -.1; 2:plate/y-90 0 .05 -.85 .03 -.12 0 .15 0 "
    "-.05 .4 -.17 .4; 3:^tube/x90 .45 -.13 -.05 .08 .35",
    "bag": "4:hoop 0 .85 0 .3 .03 0 180; 5:box 0 0 0 1.1 .85 .4",
    "cap": "6:turned 0 0 0 .6 0 .57 .2 .45 .4 .25 .54 0 .6; 7:plate/x95 0 .02 .4 .03 -.5 0 .5 0 .35 .5 0 .65 -.35 .5",
    "car": "8:box 0 .8 -.1 .7 .03 .8; 9:box 0 .55 .68 .72 .02 .6; 10:^^tube/z90 .46 .19 .62 .19 .12; 11:box 0 .15 0 "
    ".8 .4 2; 11:box 0 .55 -.1 .7 .25 .8",
    "chair": "12:box/x-8 0 .8 -.42 .9 .9 .07; 13:box 0 .75 0 .9 .1 .9; 14:^^box .4 0 .4 .08 .75 .08; 15:^box .45 .8 "
    ".3 .06 .3 .06; 15:^box .45 1.1 0 .07 .06 .75",
    "earphone": "16:^tube/z90 .75 0 0 .25 .15; 17:hoop 0 0 0 .68 .05 0 180; 18:tube .68 -1 0 .02 .8",
    "guitar": "19:box 0 1.75 0 .2 .3 .06; 20:box 0 .7 0 .1 1.05 .06; 21:tube/x90 0 0 -.08 .46 .17; 21:tube/x90 0 .5 "
    "-.08 .34 .17",
    "knife": "22:plate 0 0 0 .02 0 0 .75 0 1.1 .2 0 .2; 23:box -.35 .02 0 .7 .16 .1",
    "lamp": "24:tube 0 0 0 .3 .08; 25:turned 0 1.1 0 .45 0 .3 .5; 27:tube 0 .08 0 .035 1.2 | 25:turned 0 0 0 .45 0 .2 "
    ".4; 26:tube 0 1.7 0 .2 .06; 27:tube 0 .4 0 .02 1.3",
    "laptop": "28:box 0 0 0 1.5 .06 1; 29:box/x-15 0 .05 -.5 1.5 1 .04",
    "motorbike": "30:box 0 .62 .2 .24 .2 .4; 31:box 0 .65 -.3 .22 .1 .55; 32:hoop/y90 0 .38 .72 .3 .08 0 360; "
    "32:hoop/y90 0 .38 -.72 .3 .08 0 360; 33:tube/z90 .35 .97 .45 .03 .7; 34:ball 0 .85 .62 .1 .1 .1; 35:box 0 .3 0 "
    ".25 .3 .7; 35:box/x-25 0 .38 .72 .1 .65 .06",
    "mug": "36:hoop .45 .48 0 .27 .05 -90 90; 37:turned 0 0 0 0 0 .45 0 .45 .95 .41 .95 .41 .05 0 .05",
    "pistol": "38:box .4 -.04 0 1.3 .26 .16; 39:box/z-17 -.2 -.66 0 .26 .7 .14; 40:hoop .3 -.16 0 .14 .02 0 360",
    "rocket": "41:tube 0 0 0 .19 1.4; 42:^^plate/y45 0 0 0 .03 .17 0 .5 -.15 .5 .1 .17 .4; 43:turned 0 1.4 0 .19 0 "
    ".13 .25 0 .5",
    "skateboard": "44:^^tube/z90 .27 .08 .64 .08 .1; 45:box 0 .24 0 .5 .04 1.5; 45:box/x-20 0 .29 .87 .5 .04 .3; "
    "45:box/x20 0 .29 -.87 .5 .04 .3; 46:box 0 .28 .5 .54 .03 .12; 46:box 0 .28 -.5 .54 .03 .12",
    "table": "47:box 0 .8 0 1.6 .07 .95; 48:^^box .72 0 .4 .12 .8 .12; 49:box .3 .3 0 .5 .5 .8",
}  # fmt: skip


def write(folder: Path, seed: int) -> None:
    """Write 32 training, 16 validation and 32 test clouds of all 16 categories, with the official lists.

    The layout is shapenetcore_partanno_segmentation_benchmark_v0_normal/<synset>/<id>.txt with train_test_split/ and
    synsetoffset2category.txt beside the synset folders. Lamps are table lamps and ceiling lamps in turn.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    root = folder / FOLDER
    listed: dict[str, list[str]] = {split: [] for split in LISTS}
    splits = [split for split, count in CLOUDS_PER_CATEGORY.items() for _ in range(count)]
    for synset, category in SYNSETS.items():
        (root / synset).mkdir(parents=True)
        variants = OBJECTS[category].split("|")
        for index, split in enumerate(splits):
            name = rng.bytes(16).hex()
            listed[split].append(f"shape_data/{synset}/{name}")
            positions, normals, parts = solids.points(rng, variants[index % len(variants)], POINTS)
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
