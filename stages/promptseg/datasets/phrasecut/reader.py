"""PhraseCut (VGPhraseCut_v0): referring phrases for images of Visual Genome, with the region of each phrase.

Layout:
    image_data_split.json                         a list of {image_id, url, width, height, split, ...}
    refer_train.json refer_val.json refer_test.json refer_miniv.json
        lists of tasks {task_id, image_id, ann_ids, instance_boxes, Polygons, phrase, phrase_structure};
        Polygons is [instance][polygon][[x, y], ...]
    images/<image_id>.jpg                         or VG_100K/, VG_100K_2/, as in Visual Genome's own archives
All of it may lie in the given folder or in `VGPhraseCut_v0` below it. A sample is a task: many share one image and
differ in their text. Images without a task (a quarter of Visual Genome) are not used.

The mask is the union of all polygons of all instances, rasterized as in the authors' `polygons_to_mask`: coordinates
truncated to whole pixels, each polygon filled separately including its outline and clipped to the image. Polygons of
fewer than 3 points are skipped. A task without polygons has an empty mask, which is used in the test alone, as in every
dataset.

Split: as in the files. The group is the image, and an image with tasks in two splits is an error.

Traps: the validation file lacks the tasks of `miniv`, a subset of 100 images, so the validation split is both files
together, as in the authors' table; a task in both (as in an older release) is used once. The training tasks are 400 MB
of JSON: they are parsed one by one, and only the phrase and 4 bytes per point of each are retained.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets import Sample
from promptseg.datasets.phrasecut import gather, jsonlist, polygons
from promptseg.download import http
from promptseg.download.partial import cache

TITLE = "PhraseCut"
LICENCE = (
    "no licence is stated for the phrases (github.com/ChenyunWu/PhraseCutDataset); Visual Genome: CC BY 4.0; "
    "its photographs come from Flickr with terms of their own"
)
CITATION = (
    "C. Wu, Z. Lin, S. Cohen, T. Bui, S. Maji, PhraseCut: language-based image segmentation in the wild, CVPR 2020, "
    "arXiv:2008.01187; R. Krishna et al., Visual Genome, International Journal of Computer Vision 123 (2017) 32-73, "
    "doi:10.1007/s11263-016-0981-7"
)
ACCESS = "automatic"
CLASSES = ("referred",)
SPLIT_SIZES = {"train": 310816, "val": 20316, "test": 14354}  # authors' README; val includes the 821 tasks of miniv

NAME = "VGPhraseCut_v0"
INFO = "image_data_split.json"
SPLITS = {  # in reading order: of a task in val and miniv, the first one is used
    "refer_train.json": "train", "refer_val.json": "val", "refer_miniv.json": "val", "refer_test.json": "test",
}  # fmt: skip
DRIVE = {  # Google Drive ids, from the authors' download_dataset.py
    INFO: "1xB9eExJo35K3DQu8PnBWZ1q_OMoMl8-i",
    "refer_miniv.json": "1oLcTQ1blTIQyu5ZMelQN2HSniuQaxM4E",
    "refer_val.json": "1UyojArOFPlsSeNbA9fHWjCjOOU-OCohG",
    "refer_test.json": "1jrzXm1gcq6f5hNDeamZd0UmyyHUv61IZ",
    "refer_train.json": "1qx-0q6r9r0YUGpoyT0B8HJKmUFWQDSu7",
}
# The hosts of Visual Genome's images. Its old domain visualgenome.org has changed hands: never download from there.
HOSTS = ("cs.stanford.edu", "homes.cs.washington.edu")
IMAGE_FOLDERS = ("images", "VG_100K", "VG_100K_2")
BY_HAND = (
    "get Visual Genome's images.zip and images2.zip by way of homes.cs.washington.edu/~ranjay/visualgenome, put them "
    "beside the JSON files, and set datasets.phrasecut.raw to that folder"
)
_ID = re.compile(r"[0-9A-Za-z_]{1,4000}")  # `<image_id>__<ann_id>_<ann_id>...`, one ann_id per instance
_MAX_ID = 2**31 - 1


class Task(NamedTuple):
    """A phrase and its region; `outlines` is packed by `polygons.pack`."""

    split: str
    image_id: int
    id: str
    phrase: str
    outlines: bytes


class Release(NamedTuple):
    """The files of a folder, checked."""

    root: Path
    tasks: list[Task]  # in reading order
    sizes: dict[int, tuple[int, int]]  # (width, height) by image id
    image_folders: dict[int, str]  # by image id


def download(folder: Path) -> None:
    """Download the JSON files from Google Drive and the images (11 GB) from the addresses in them.

    Everything goes to the cache folder first (PROMPTSEG_CACHE, or that of the user's system), so that an interrupted
    download can be resumed, and is moved to `folder` once complete.

    Raises:
        UserError: a file cannot be downloaded; the message says how many images are missing.
    """
    place = cache() / NAME
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        for name, id in DRIVE.items():
            if not (place / name).is_file():
                http.fetch(http.drive(id), place / name)
        try:
            sizes, needed = _read_sizes(place), {task.image_id for task in _read_tasks(place)}
        except UserError:  # Google Drive does not always announce a length, so truncation can go unnoticed until here
            for name in DRIVE:
                (place / name).unlink()
            raise
        wanted = {}
        for entry in jsonlist.entries(place / INFO):
            id, url = entry["image_id"], entry.get("url")
            if id in needed:
                path = place / "images" / f"{id}.jpg"
                wanted[id] = gather.Wanted(url if isinstance(url, str) else "", path, sizes[id])
        gather.gather(wanted.values(), HOSTS, BY_HAND)
        (folder / NAME / "images").mkdir(parents=True, exist_ok=True)
        for path in [*(place / name for name in DRIVE), *(image.path for image in wanted.values())]:
            shutil.move(path, folder / NAME / path.relative_to(place))


def verify(folder: Path) -> None:
    """Check the JSON files and that the image of every task exists; no image is decoded.

    A subset of the official files is accepted if it has training tasks.

    Raises:
        UserError: a JSON file is damaged, an image is missing, or there are no training tasks.
    """
    release = _load(folder)
    if not any(task.split == "train" for task in release.tasks):
        raise UserError(f"{release.root / 'refer_train.json'}: no training tasks; copy this official file as well")


def read(folder: Path) -> Iterator[Sample]:
    """Read the tasks in the order train, val, test, then by image and by the numbers in their ids.

    Args:
        folder: holds the official layout.

    Returns:
        Samples whose image is (h, w, 3) or (h, w) uint8, whose mask is (h, w) uint8 with 1 in the region, and whose
        text is the phrase.

    Raises:
        UserError: at once, if a JSON file is damaged or an image is missing.
    """
    return _samples(_load(folder))


def _samples(release: Release) -> Iterator[Sample]:
    """Yield a sample for each task."""
    for split, image_id, id, phrase, outlines in release.tasks:
        group = str(image_id)
        path = release.root / release.image_folders[image_id] / f"{group}.jpg"
        mask = partial(polygons.rasterize, outlines, release.sizes[image_id])
        image, sources = partial(image_io.read_image, path), (path, f"{release.root / INFO}, image {group}")
        yield Sample(f"{group}/{id}", split, group, image, mask, phrase, file=path, sources=sources)


def _load(folder: Path) -> Release:
    """Read the JSON files and find the images. Raises UserError."""
    folder = Path(folder)
    root = next((place for place in (folder, folder / NAME) if (place / INFO).is_file()), None)
    if root is None:
        raise UserError(f"{folder}: no {INFO} here or in {NAME} below; unpack or download the official files there")
    sizes, tasks = _read_sizes(root), list(_read_tasks(root))
    splits: dict[int, str] = {}
    for task in tasks:
        if task.image_id not in sizes:
            raise UserError(f"{root / INFO}: no image {task.image_id}, which task {task.id} refers to; restore it")
        if splits.setdefault(task.image_id, task.split) != task.split:
            both = f"{splits[task.image_id]} and in {task.split}"
            raise UserError(f"{root}: image {task.image_id} has tasks in {both}; restore the official refer_*.json")
    image_folders: dict[int, str] = {}
    for name in IMAGE_FOLDERS:
        files = {entry.name for entry in os.scandir(root / name)} if (root / name).is_dir() else set()
        image_folders |= {id: name for id in splits if id not in image_folders and f"{id}.jpg" in files}
    missing = [id for id in splits if id not in image_folders]
    if missing:
        path = root / "images" / f"{missing[0]}.jpg"
        raise UserError(f"{path}: not found; {len(missing):,} of {len(splits):,} images are missing: {BY_HAND}")
    order = list(dict.fromkeys(SPLITS.values()))
    tasks.sort(key=lambda task: (order.index(task.split), task.image_id, _natural(task.id)))
    return Release(root, tasks, sizes, image_folders)


def _natural(id: str) -> tuple[list[int], str]:
    """Sort key by the numbers in a task id."""
    return [int(number) for number in re.findall(r"[0-9]+", id)], id


def _read_sizes(root: Path) -> dict[int, tuple[int, int]]:
    """Read the (width, height) of each image. Raises UserError."""
    sizes: dict[int, tuple[int, int]] = {}
    for number, entry in enumerate(jsonlist.entries(root / INFO), 1):
        try:
            id = jsonlist.integer(entry, "image_id", 1, _MAX_ID)
            size = jsonlist.integer(entry, "width", 1, 2**15), jsonlist.integer(entry, "height", 1, 2**15)
            if size[0] * size[1] > image_io.MAX_PIXELS:
                raise ValueError(f"{size[0]}x{size[1]} is more than {image_io.MAX_PIXELS:,} pixels")
            if sizes.setdefault(id, size) != size:
                raise ValueError(f"image {id} is listed twice, with different sizes")
        except ValueError as error:
            raise UserError(f"{root / INFO}: entry {number}: {error}; restore the official file") from None
    return sizes


def _read_tasks(root: Path) -> Iterator[Task]:
    """Yield the tasks of all files that exist. Raises UserError for an invalid task, and if there is none."""
    file_of: dict[str, str] = {}
    for name, split in SPLITS.items():
        if not (root / name).is_file():
            continue  # a subset of the official data
        for number, entry in enumerate(jsonlist.entries(root / name), 1):
            try:
                task = _parse_task(split, entry)
            except ValueError as error:
                where = f"{root / name}: task {jsonlist.shown(entry.get('task_id'))} (entry {number})"
                raise UserError(f"{where}: {error}; restore the official file") from None
            first = file_of.get(task.id)
            if first is None:
                file_of[task.id] = name
                yield task
            elif first == name or SPLITS[first] != split:
                raise UserError(f"{root / name}: task {task.id} is in {first} as well; restore the official files")
    if not file_of:
        raise UserError(f"{root}: no tasks in {', '.join(SPLITS)}; download the official files again")


def _parse_task(split: str, entry: dict) -> Task:
    """Parse a task. Raises ValueError saying what is wrong with it."""
    image_id = jsonlist.integer(entry, "image_id", 1, _MAX_ID)
    id, phrase = entry.get("task_id"), entry.get("phrase")
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise ValueError("task_id is not a string of letters, digits and _")
    if not isinstance(phrase, str) or not phrase.strip() or len(phrase) > 1000:
        raise ValueError(f"phrase is {jsonlist.shown(phrase)}, not a few words")
    words = " ".join(phrase.split())
    if not words.isprintable():
        raise ValueError(f"phrase {jsonlist.shown(phrase)} has unprintable characters")
    return Task(split, image_id, id, sys.intern(words), polygons.pack(entry.get("Polygons")))
