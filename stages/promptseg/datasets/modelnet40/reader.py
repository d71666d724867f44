"""ModelNet40, resampled: point clouds of 40 classes of objects, for classification.

Layout, in the given folder or in `modelnet40_normal_resampled` below it:
    modelnet40_normal_resampled/
        <class>/<class>_<number>.txt                10,000 lines of x,y,z,nx,ny,nz, uniform over the CAD model
        modelnet40_train.txt, modelnet40_test.txt   names of clouds, one per line: airplane_0001
        modelnet40_shape_names.txt                  names of the classes; not read
filelist.txt and modelnet10_*.txt are not read either.

Every point of a mask has the class of the cloud. Points are selected at regular steps along the file, as many as the
option `points` says; normals are not used. The official lists define the split; preprocessing takes a validation split
from train. It is not published which models are related, so each is a group of its own.
"""

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

TITLE = "ModelNet40, resampled with normals"
LICENCE = "models from the web, for academic research, rights with their authors: modelnet.cs.princeton.edu"
CITATION = (
    "Z. Wu, S. Song, A. Khosla, F. Yu, L. Zhang, X. Tang, J. Xiao, 3D ShapeNets: A Deep Representation for Volumetric "
    "Shapes, CVPR 2015, arXiv:1406.5670; resampled for C. R. Qi, L. Yi, H. Su, L. J. Guibas, PointNet++, NeurIPS 2017"
)
ACCESS = "automatic"
MODALITY = point_clouds.MODALITY
IS_CLASSIFICATION = True
GROUP_UNIT = "point cloud"
CLASS_FOLDERS = (
    "airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone", "cup", "curtain",
    "desk", "door", "dresser", "flower_pot", "glass_box", "guitar", "keyboard", "lamp", "laptop", "mantel", "monitor",
    "night_stand", "person", "piano", "plant", "radio", "range_hood", "sink", "sofa", "stairs", "stool", "table",
    "tent", "toilet", "tv_stand", "vase", "wardrobe", "xbox",
)  # fmt: skip
CLASSES = tuple(name.replace("_", " ") for name in CLASS_FOLDERS)
SPLIT_SIZES = {"train": 9843, "test": 2468}

URL = "https://shapenet.cs.stanford.edu/media/modelnet40_normal_resampled.zip"
FOLDER = "modelnet40_normal_resampled"
LISTS = {"train": "modelnet40_train.txt", "test": "modelnet40_test.txt"}


def download(folder: Path) -> None:
    """Download and unpack the archive (1.7 GB).

    No checksums are published, and the server has refused many requests since 2023.

    Raises:
        UserError: it cannot be downloaded; the message says how to get it by hand.
    """
    archives.download(URL, folder)


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Read the clouds in the order of split, class and number.

    Args:
        folder: holds the official layout.
        options: number of points.

    Returns:
        Samples whose image is (points, 2, 3) uint8 from `point_clouds.encode` and whose mask is (points, 2) uint8,
        the class of the cloud.

    Raises:
        UserError: at once, if a list is missing, empty, names a missing file, or names one twice.
    """
    root, listed = _read_lists(Path(folder))
    return (
        Sample(
            id=f"{class_folder}/{name}",
            split=split,
            group=f"{class_folder}/{name}",
            image=partial(point_cloud_files.read_points, root / class_folder / f"{name}.txt", 6, ",", options.points),
            mask=partial(_mask, CLASS_FOLDERS.index(class_folder) + 1, options.points),
        )
        for split, clouds in listed.items()
        for class_folder, name in clouds
    )


def _mask(number: int, count: int) -> np.ndarray:
    return point_clouds.mask(np.full(count, number))


def _read_lists(folder: Path) -> tuple[Path, dict[str, list[tuple[str, str]]]]:
    """Return the folder of the class folders, and {split: sorted [(class folder, name)]}."""
    remedy = f"neither {LISTS['train']} nor {FOLDER}/{LISTS['train']} found; unpack {FOLDER}.zip"
    root = find_root(folder, ("", FOLDER), [LISTS["train"]], remedy)
    listed = {}
    list_of: dict[str, str] = {}
    for split, list_name in LISTS.items():
        names = _read_names(root / list_name)
        for name in names:
            if name in list_of:
                again = "is listed twice" if list_of[name] == list_name else f"is also in {list_of[name]}"
                raise UserError(f"{root / list_name}: {name} {again}; download it again")
            list_of[name] = list_name
        clouds = sorted((name.rpartition("_")[0], name) for name in names)
        for class_folder, name in clouds:
            if class_folder not in CLASS_FOLDERS:
                raise UserError(f"{root / list_name}: {name!r} is not of a class of ModelNet40; download it again")
            if not (root / class_folder / f"{name}.txt").is_file():
                path = root / class_folder / f"{name}.txt"
                raise UserError(f"{path}: not found, but listed in {list_name}; unpack {FOLDER}.zip again")
        listed[split] = clouds
    return root, listed


def _read_names(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            names = file.read().decode("ascii").split()
    except FileNotFoundError:
        raise UserError(f"{path}: not found; unpack {FOLDER}.zip again") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a list of names; download it again") from None
    if not names:
        raise UserError(f"{path}: the list is empty; download it again")
    return names
