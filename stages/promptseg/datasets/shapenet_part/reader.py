"""ShapeNetPart: point clouds of 16 categories of objects, each point labeled with one of 50 parts.

Layout, in the given folder or below it:
    shapenetcore_partanno_segmentation_benchmark_v0_normal/
        <synset>/<id>.txt                                     500 to 3,000 lines of x y z nx ny nz part
        train_test_split/shuffled_{train,val,test}_file_list.json   ["shape_data/<synset>/<id>", ...]
        synsetoffset2category.txt                             names of the categories; not read

Part labels run from 0 to 49 over all categories and are the same in every release, but the release does not name them.
The names here are those in the code of PointCLIP V2, except that two parts of the lamp, which share a name there, have
two. The text of a sample is its category: by the protocol of this dataset the category is known, and a sample is
prompted for the parts of its own category only.

Points are selected at regular steps along the file, as many as the option `points` says; some repeat if a file has
fewer. The official lists define the split. A listed cloud that is missing is left out, so that a subset of the data can
be used; a cloud in no list is not read.
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
from promptseg.datasets.official import find_root
from promptseg.download import archives

TITLE = "ShapeNetPart"
LICENCE = "ShapeNet's terms of use, non-commercial research, on registration: shapenet.org/terms"
CITATION = (
    "L. Yi, V. G. Kim, D. Ceylan, I.-C. Shen, M. Yan, H. Su, C. Lu, Q. Huang, A. Sheffer, L. Guibas, A Scalable Active "
    "Framework for Region Annotation in 3D Shape Collections, SIGGRAPH Asia 2016, doi:10.1145/2980179.2980238"
)
ACCESS = "automatic"
MODALITY = point_clouds.MODALITY
GROUP_UNIT = "point cloud"
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


def download(folder: Path) -> None:
    """Download and unpack the archive (674 MB).

    No checksums are published, and the server has refused many requests since 2023.

    Raises:
        UserError: it cannot be downloaded; the message says how to get it by hand.
    """
    archives.download(URL, folder)


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Read the clouds in the order of split, category and id.

    Args:
        folder: holds the official layout.
        options: number of points.

    Returns:
        Samples whose image is (points, 2, 3) uint8 from `point_clouds.encode`, whose mask is (points, 2) uint8 with
        the parts as 1..50, and whose text is the category.

    Raises:
        UserError: at once, if a list is missing, damaged, names a cloud twice or of another category, or none exists.
    """
    root, listed = _read_lists(Path(folder))
    return (
        Sample(
            id=f"{SYNSETS[synset]}/{name}",
            split=split,
            group=f"{SYNSETS[synset]}/{name}",
            image=partial(point_cloud_files.read_points, root / synset / f"{name}.txt", 7, None, options.points),
            mask=partial(_mask, root / synset / f"{name}.txt", options.points),
            text=SYNSETS[synset],
        )
        for split, clouds in listed.items()
        for synset, name in clouds
    )


def _mask(path: Path, count: int) -> np.ndarray:
    """Read the part labels of the selected points, (count, 2) uint8 of 1..50."""
    labels = point_clouds.read_text(path, 7, None)[:, 6]
    category = SYNSETS[path.parent.name]
    valid = [CLASSES.index(name) for name in CLASSES_BY_CATEGORY[category]]
    wrong = np.flatnonzero(~np.isin(labels, valid))
    if len(wrong):
        part = f"line {wrong[0] + 1}: part {labels[wrong[0]]:g}"
        expected = f"the parts of a {category} are {valid[0]} to {valid[-1]}"
        raise UserError(f"{path}: {part}, but {expected}; download it again")
    return point_clouds.mask(labels[point_clouds.evenly(len(labels), count)].astype(np.int64) + 1)


def _read_lists(folder: Path) -> tuple[Path, dict[str, list[tuple[str, str]]]]:
    """Return the folder of the synset folders, and {split: sorted [(synset, id)]} of the clouds that exist."""
    remedy = f"neither train_test_split nor {FOLDER}/train_test_split found; unpack {FOLDER}.zip"
    root = find_root(folder, ("", FOLDER), ["train_test_split"], remedy)
    listed = {}
    list_of: dict[tuple[str, str], str] = {}
    for split, list_name in LISTS.items():
        clouds = sorted(_read_names(root / list_name))
        for cloud in clouds:
            if cloud in list_of:
                again = "is listed twice" if list_of[cloud] == list_name else f"is also in {list_of[cloud]}"
                raise UserError(f"{root / list_name}: {'/'.join(cloud)} {again}; download it again")
            list_of[cloud] = list_name
        listed[split] = [(synset, name) for synset, name in clouds if (root / synset / f"{name}.txt").is_file()]
    if not any(listed.values()):
        raise UserError(f"{root}: none of the listed clouds exists; unpack {FOLDER}.zip again")
    return root, listed


def _read_names(path: Path) -> list[tuple[str, str]]:
    """Read the (synset, id) of every cloud in a list."""
    try:
        with open(path, "rb") as file:
            entries = json.loads(file.read())
        if not isinstance(entries, list):
            raise ValueError
        names = [str(entry).split("/")[1:] for entry in entries]
    except FileNotFoundError:
        raise UserError(f"{path}: not found; unpack {FOLDER}.zip again") from None
    except ValueError:  # not JSON, or not text
        raise UserError(f"{path}: not a JSON list of clouds; download it again") from None
    for name, entry in zip(names, entries):
        if len(name) != 2 or name[0] not in SYNSETS or not name[1].isprintable() or name[1] in ("", ".", ".."):
            raise UserError(f"{path}: {str(entry)[:60]!r} is not a cloud of ShapeNetPart; download it again")
    return [(synset, id) for synset, id in names]
