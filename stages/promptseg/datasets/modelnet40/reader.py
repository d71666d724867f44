"""ModelNet40, resampled: point clouds of 40 kinds of things, each cloud of one kind, to tell which.

Layout, at the given folder or below it:
    modelnet40_normal_resampled/
        <kind>/<kind>_<number>.txt                  10,000 lines of x,y,z,nx,ny,nz, evenly spread over the CAD model
        modelnet40_train.txt, modelnet40_test.txt   names of clouds, one a line: airplane_0001
        modelnet40_shape_names.txt                  names of kinds; not read, nor are filelist.txt and modelnet10_*.txt

A mask is the cloud's kind at all its points. Of a file's points every n-th is taken, as many as options say; normals
are not used. The official lists are the split; preprocess takes its validation split out of train. Nothing says which
models are related: each is a group of its own.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import point_cloud_files, point_clouds
from promptseg.data.point_cloud_files import Options
from promptseg.datasets import Sample
from promptseg.synthetic.point_clouds.furniture import FURNITURE
from promptseg.synthetic.point_clouds.surfaces import points

TITLE = "ModelNet40, resampled with normals"
LICENCE = "models from the web, for academic research, rights with their authors: modelnet.cs.princeton.edu"
CITATION = (
    "Z. Wu, S. Song, A. Khosla, F. Yu, L. Zhang, X. Tang, J. Xiao, 3D ShapeNets: A Deep Representation for Volumetric "
    "Shapes, CVPR 2015, arXiv:1406.5670; resampled for C. R. Qi, L. Yi, H. Su, L. J. Guibas, PointNet++, NeurIPS 2017"
)
ACCESS = "automatic"
KIND, IS_CLASSIFICATION = point_clouds.KIND, True
KINDS = (
    "airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone", "cup", "curtain",
    "desk", "door", "dresser", "flower_pot", "glass_box", "guitar", "keyboard", "lamp", "laptop", "mantel", "monitor",
    "night_stand", "person", "piano", "plant", "radio", "range_hood", "sink", "sofa", "stairs", "stool", "table",
    "tent", "toilet", "tv_stand", "vase", "wardrobe", "xbox",
)  # fmt: skip
CLASSES = tuple(kind.replace("_", " ") for kind in KINDS)
SPLIT_SIZES = {"train": 9843, "test": 2468}

URL = "https://shapenet.cs.stanford.edu/media/modelnet40_normal_resampled.zip"
FOLDER = "modelnet40_normal_resampled"
LISTS = {"train": "modelnet40_train.txt", "test": "modelnet40_test.txt"}
SAMPLED, PER_KIND = 1100, 2  # points of a cloud of the sample; clouds of each kind in each split


def download(folder: Path) -> None:
    """Fetch and unpack the archive (1.7 GB)."""
    point_cloud_files.download(URL, folder)


def verify(folder: Path, options: Options = Options()) -> None:
    """Raise UserError if a list is missing or names what is not there, or nothing, or something twice."""
    _listed(Path(folder))


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Clouds by split, then by kind and number. Raises UserError at once where a listed one is missing.

    image(): (points, 2, 3) uint8 (clouds.encode); mask(): (points, 2), the kind's number.
    """
    root, listed = _listed(Path(folder))
    return (
        Sample(
            id=f"{kind}/{name}",
            split=split,
            group=f"{kind}/{name}",
            image=partial(point_cloud_files.cloud, root / kind / f"{name}.txt", 6, ",", options.points),
            mask=partial(_mask, KINDS.index(kind) + 1, options.points),
        )
        for split, names in listed.items()
        for kind, name in names
    )


def sample(folder: Path, seed: int) -> None:
    """Draw clouds of 21 of the 40 kinds, of fewer points than the official ones."""
    rng = np.random.default_rng(seed)
    names: dict[str, list[str]] = {split: [] for split in LISTS}
    root = folder / FOLDER
    root.mkdir(parents=True)
    for kind in sorted(FURNITURE):
        (root / kind).mkdir()
        for number in range(1, 2 * PER_KIND + 1):
            name = f"{kind}_{number:04d}"
            names["train" if number <= PER_KIND else "test"].append(name)
            places, normals, _ = points([(0, FURNITURE[kind](rng))], SAMPLED, rng)
            places -= places.mean(axis=0)
            places /= np.linalg.norm(places, axis=1).max()  # as the official ones: in a ball of radius 1
            rows = np.concatenate([places, normals], axis=1)
            text = "".join(",".join(f"{value:.4f}" for value in row) + "\n" for row in rows)
            (root / kind / f"{name}.txt").write_bytes(text.encode("ascii"))
    for split, list_name in LISTS.items():
        (root / list_name).write_bytes("".join(f"{name}\n" for name in names[split]).encode("ascii"))
    (root / "modelnet40_shape_names.txt").write_bytes("".join(f"{kind}\n" for kind in KINDS).encode("ascii"))


def _mask(number: int, count: int) -> np.ndarray:
    return point_clouds.mask(np.full(count, number))


def _listed(folder: Path) -> tuple[Path, dict[str, list[tuple[str, str]]]]:
    """(where the kinds' folders lie, {split: [(kind, name)]} in order)."""
    root = next((root for root in (folder, folder / FOLDER) if (root / LISTS["train"]).is_file()), None)
    if root is None:
        raise UserError(f"{folder}: neither {LISTS['train']} nor {FOLDER}/{LISTS['train']} is there; unpack {FOLDER}.zip")
    listed, seen = {}, {}
    for split, list_name in LISTS.items():
        names = _names(root / list_name)
        for name in names:
            if name in seen:
                raise UserError(f"{root / list_name}: {name} stands there twice, or in {seen[name]}; fetch it again")
            seen[name] = list_name
        pairs = sorted((name.rpartition("_")[0], name) for name in names)
        for kind, name in pairs:
            if kind not in KINDS:
                raise UserError(f"{root / list_name}: {name!r} is of no kind of ModelNet40; fetch it again")
            if not (root / kind / f"{name}.txt").is_file():
                raise UserError(f"{root / kind / name}.txt: not found, but {list_name} names it; unpack it again")
        listed[split] = pairs
    return root, listed


def _names(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            names = file.read().decode("ascii").split()
    except FileNotFoundError:
        raise UserError(f"{path}: not found; unpack {FOLDER}.zip again") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: no list of names; fetch it again") from None
    if not names:
        raise UserError(f"{path}: empty; fetch it again")
    return names
