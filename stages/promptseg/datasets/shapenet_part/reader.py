"""ShapeNetPart: point clouds of 16 categories of things, whose points are labelled with 50 parts.

Layout, at the given folder or below it:
    shapenetcore_partanno_segmentation_benchmark_v0_normal/
        <synset>/<id>.txt                                     lines of x y z nx ny nz part, 500 to 3,000 of them
        train_test_split/shuffled_{train,val,test}_file_list.json   ["shape_data/<synset>/<id>", ...]
        synsetoffset2category.txt                             names of the categories; not read

Parts are numbered 0 to 49 through all categories, the same in every release; the release does not name them. The names
here are those that PointCLIP V2's code lists, two of the lamp's apart, which it calls alike. A row's text is its
category: as is the rule for this set, the category is known when parts are asked for, and only its own parts are.

Of a file's points as many as options say are taken, evenly, and some twice where a file has fewer. The official lists
are the split. A listed cloud that is not there is left out (a part of the data); one in no list is not read.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import point_cloud_files, point_clouds
from promptseg.data.point_cloud_files import Options
from promptseg.datasets import Sample
from promptseg.synthetic.point_clouds.surfaces import points
from promptseg.synthetic.point_clouds.things import THINGS

TITLE = "ShapeNetPart"
LICENCE = "ShapeNet's terms of use, non-commercial research, on registration: shapenet.org/terms"
CITATION = (
    "L. Yi, V. G. Kim, D. Ceylan, I.-C. Shen, M. Yan, H. Su, C. Lu, Q. Huang, A. Sheffer, L. Guibas, A Scalable Active "
    "Framework for Region Annotation in 3D Shape Collections, SIGGRAPH Asia 2016, doi:10.1145/2980179.2980238"
)
ACCESS = "automatic"
KIND = point_clouds.KIND
SYNSETS = {
    "02691156": "airplane", "02773838": "bag", "02954340": "cap", "02958343": "car", "03001627": "chair",
    "03261776": "earphone", "03467517": "guitar", "03624134": "knife", "03636649": "lamp", "03642806": "laptop",
    "03790512": "motorbike", "03797390": "mug", "03948459": "pistol", "04099429": "rocket", "04225987": "skateboard",
    "04379243": "table",
}  # fmt: skip
_PARTS = (
    "body wing tail engine", "handle body", "crown visor", "roof hood wheel body", "back seat leg armrest",
    "earcup headband wire", "head neck body", "blade handle", "base shade canopy tube", "keyboard screen",
    "tank seat wheel handlebar light frame", "handle cup", "barrel handle trigger", "body fin nose", "wheel deck belt",
    "top leg drawer",
)  # fmt: skip
CLASSES_BY_CATEGORY = {
    category: tuple(f"{category} {part}" for part in names.split())
    for category, names in zip(SYNSETS.values(), _PARTS, strict=True)
}
CLASSES = tuple(name for names in CLASSES_BY_CATEGORY.values() for name in names)
SPLIT_SIZES = {"train": 12137, "val": 1870, "test": 2874}

FOLDER = "shapenetcore_partanno_segmentation_benchmark_v0_normal"
URL = f"https://shapenet.cs.stanford.edu/media/{FOLDER}.zip"
LISTS = {split: f"train_test_split/shuffled_{split}_file_list.json" for split in SPLIT_SIZES}
SAMPLED = 1500  # points of a cloud of the sample
PER_CATEGORY = {"train": 2, "val": 1, "test": 2}  # clouds of the sample


def download(folder: Path) -> None:
    """Fetch and unpack the archive (674 MB)."""
    point_cloud_files.download(URL, folder)


def verify(folder: Path, options: Options = Options()) -> None:
    """Raise UserError if a list is missing, damaged, or names a cloud of another list or of no category."""
    _listed(Path(folder))


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Clouds by split, then by category and id. Raises UserError at once where a list is wrong.

    image(): (points, 2, 3) uint8 (clouds.encode); mask(): (points, 2), the parts' numbers from 1.
    """
    root, listed = _listed(Path(folder))
    return (
        Sample(
            id=f"{SYNSETS[synset]}/{name}",
            split=split,
            group=f"{SYNSETS[synset]}/{name}",
            image=partial(point_cloud_files.cloud, root / synset / f"{name}.txt", 7, None, options.points),
            mask=partial(_mask, root / synset / f"{name}.txt", options.points),
            text=SYNSETS[synset],
        )
        for split, clouds_of in listed.items()
        for synset, name in clouds_of
    )


def sample(folder: Path, seed: int) -> None:
    """Draw clouds of all 16 categories; half of the lamps hang and half stand."""
    rng = np.random.default_rng(seed)
    root = folder / FOLDER
    named: dict[str, list[str]] = {split: [] for split in LISTS}
    for synset, category in SYNSETS.items():
        (root / synset).mkdir(parents=True)
        for split in (split for split, count in PER_CATEGORY.items() for _ in range(count)):
            name = rng.bytes(16).hex()
            named[split].append(f"shape_data/{synset}/{name}")
            places, normals, parts = points(THINGS[category](rng), SAMPLED, rng)
            places -= (places.min(axis=0) + places.max(axis=0)) / 2
            places /= np.linalg.norm(np.ptp(places, axis=0))  # as the official ones: a box of diagonal 1
            rows = np.concatenate([places, normals], axis=1)
            lines = (" ".join(f"{value:.4f}" for value in row) + f" {part}.000000\n" for row, part in zip(rows, parts))
            (root / synset / f"{name}.txt").write_bytes("".join(lines).encode("ascii"))
    (root / "train_test_split").mkdir()
    for split, list_name in LISTS.items():
        rng.shuffle(named[split])
        (root / list_name).write_bytes(json.dumps(named[split]).encode("ascii"))
    lines = (f"{category.capitalize()}\t{synset}\n" for synset, category in SYNSETS.items())
    (root / "synsetoffset2category.txt").write_bytes("".join(lines).encode("ascii"))


def _mask(path: Path, count: int) -> np.ndarray:
    labels = point_clouds.read_text(path, 7, None)[:, 6]
    own = [CLASSES.index(name) for name in CLASSES_BY_CATEGORY[SYNSETS[path.parent.name]]]
    wrong = np.flatnonzero(~np.isin(labels, own))
    if len(wrong):
        what = f"part {labels[wrong[0]]:g} in line {wrong[0] + 1}, where those of a {SYNSETS[path.parent.name]} are"
        raise UserError(f"{path}: {what} {own[0]} to {own[-1]}; fetch it again")
    return point_clouds.mask(labels[point_clouds.evenly(len(labels), count)].astype(np.int64) + 1)


def _listed(folder: Path) -> tuple[Path, dict[str, list[tuple[str, str]]]]:
    """(where the synsets' folders lie, {split: [(synset, name)]} in order, of the clouds that are there)."""
    roots = (folder, folder / FOLDER)
    root = next((root for root in roots if (root / LISTS["test"]).parent.is_dir()), None)
    if root is None:
        raise UserError(f"{folder}: neither train_test_split nor {FOLDER}/train_test_split is there; unpack {FOLDER}.zip")
    listed, seen = {}, {}
    for split, list_name in LISTS.items():
        wanted = sorted(_names(root / list_name))
        for cloud in wanted:
            if cloud in seen:
                name = "/".join(cloud)
                raise UserError(f"{root / list_name}: {name} stands there twice, or in {seen[cloud]}; fetch it again")
            seen[cloud] = list_name
        listed[split] = [(synset, name) for synset, name in wanted if (root / synset / f"{name}.txt").is_file()]
    if not any(listed.values()):
        raise UserError(f"{root}: none of the clouds that the lists name is there; unpack {FOLDER}.zip again")
    return root, listed


def _names(path: Path) -> list[tuple[str, str]]:
    """(synset, name) of each cloud in a list. Raises UserError unless it is such a list."""
    try:
        with open(path, "rb") as file:
            entries = json.loads(file.read())
        if not isinstance(entries, list):
            raise ValueError
        names = [tuple(str(entry).split("/")[1:]) for entry in entries]
    except FileNotFoundError:
        raise UserError(f"{path}: not found; unpack {FOLDER}.zip again") from None
    except ValueError:  # no JSON, or no text
        raise UserError(f"{path}: no list of clouds in JSON; fetch it again") from None
    for name, entry in zip(names, entries):
        if len(name) != 2 or name[0] not in SYNSETS or not name[1].isprintable() or name[1] in ("", ".", ".."):
            raise UserError(f"{path}: {str(entry)[:60]!r} is no cloud of ShapeNetPart; fetch it again")
    return names
