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

Split: as in the files. The group is the image, and an image with tasks in two splits is an error. With the option
`phrases: unseen`, val and test have only the tasks whose phrase is of no training task, in any case and with any
punctuation: the others can be answered by what was learned of the very phrase.

Traps: the validation file lacks the tasks of `miniv`, a subset of 100 images, so the validation split is both files
together, as in the authors' table; a task in both (as in an older release) is used once. The training tasks are 400 MB
of JSON: they are parsed one by one, and only the phrase and 4 bytes per point of each are retained. A few photos have
another size than they were annotated in (the loader of CLIPSeg leaves out 17): their tasks are left out and counted.
Which photos show the same scene is not published, so near-duplicates are looked for.
"""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from filelock import FileLock

from promptseg.core.errors import UserError
from promptseg.core.params import Settings
from promptseg.data import image_io, json_stream
from promptseg.data.file_names import natural
from promptseg.datasets import LeaveOut, Sample
from promptseg.datasets.phrasecut import gather, polygons
from promptseg.datasets.phrasecut.annotations import INFO, SPLITS, Task, normalize, read_sizes, read_tasks
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
CHECK_DUPLICATES = True
SPLIT_SIZES = {"train": 310816, "val": 20316, "test": 14354}  # authors' README; val includes the 821 tasks of miniv

NAME = "VGPhraseCut_v0"
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


class Options(Settings):
    """Options of the reader.

    Attributes:
        phrases: of val and test, all or only those that no training task has.
    """

    phrases: Literal["all", "unseen"] = "all"


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
            sizes, needed = read_sizes(place), {task.image_id for task in read_tasks(place)}
        except UserError:  # Google Drive does not always announce a length, so truncation can go unnoticed until here
            for name in DRIVE:
                (place / name).unlink()
            raise
        wanted = {}
        for entry in json_stream.entries(place / INFO):
            id, url = entry["image_id"], entry.get("url")
            if id in needed:
                path = place / "images" / f"{id}.jpg"
                wanted[id] = gather.Wanted(url if isinstance(url, str) else "", path, sizes[id])
        gather.gather(wanted.values(), HOSTS, BY_HAND)
        (folder / NAME / "images").mkdir(parents=True, exist_ok=True)
        for path in [*(place / name for name in DRIVE), *(image.path for image in wanted.values())]:
            shutil.move(path, folder / NAME / path.relative_to(place))


def verify(folder: Path, options: Options = Options()) -> None:
    """Check the JSON files and that the image of every task exists; no image is decoded.

    A subset of the official files is accepted if it has training tasks.

    Raises:
        UserError: a JSON file is damaged, an image is missing, or there are no training tasks, or no unseen phrases.
    """
    release = _load(folder)
    left = {task.split for task in _selected(release.tasks, options)}
    if "test" not in left and "test" in {task.split for task in release.tasks}:
        raise UserError(f"{release.root}: every phrase of test is one of train; remove the option phrases")
    if not any(task.split == "train" for task in release.tasks):
        raise UserError(f"{release.root / 'refer_train.json'}: no training tasks; copy this official file as well")


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Read the tasks in the order train, val, test, then by image and by the numbers in their ids.

    Args:
        folder: holds the official layout.
        options: which phrases.

    Returns:
        Samples whose image is (h, w, 3) or (h, w) uint8, whose mask is (h, w) uint8 with 1 in the region, and whose
        text is the phrase. Where the image has another size than it was annotated in, `mask` raises LeaveOut.

    Raises:
        UserError: at once, if a JSON file is damaged or an image is missing.
    """
    release = _load(folder)
    return _samples(release._replace(tasks=_selected(release.tasks, options)))


def _selected(tasks: list[Task], options: Options) -> list[Task]:
    """The training tasks, and of the others those whose phrase the options ask for."""
    if options.phrases == "all":
        return tasks
    seen = {normalize(task.phrase) for task in tasks if task.split == "train"}
    return [task for task in tasks if task.split == "train" or normalize(task.phrase) not in seen]


def _read_mask(outlines: bytes, size: tuple[int, int], path: Path) -> np.ndarray:
    """Rasterize a region, (h, w) uint8 of 0 and 1. Raises LeaveOut where the file of the image has another size."""
    try:
        found = image_io.image_size(path)[::-1]
    except UserError:  # reading the image reports it
        found = size
    if found != size:
        actual, annotated = ("x".join(map(str, each)) for each in (found, size))
        raise LeaveOut(f"{path}: it is {actual}, but was annotated as {annotated}; it is left out")
    return polygons.rasterize(outlines, size)


def _samples(release: Release) -> Iterator[Sample]:
    for split, image_id, id, phrase, outlines in release.tasks:
        group = str(image_id)
        path = release.root / release.image_folders[image_id] / f"{group}.jpg"
        mask = partial(_read_mask, outlines, release.sizes[image_id], path)
        image, sources = partial(image_io.read_image, path), (path, f"{release.root / INFO}, image {group}")
        yield Sample(f"{group}/{id}", split, group, image, mask, phrase, file=path, sources=sources)


def _load(folder: Path) -> Release:
    """Read the JSON files and find the images. Raises UserError."""
    folder = Path(folder)
    root = next((place for place in (folder, folder / NAME) if (place / INFO).is_file()), None)
    if root is None:
        raise UserError(f"{folder}: no {INFO} here or in {NAME} below; unpack or download the official files there")
    sizes, tasks = read_sizes(root), list(read_tasks(root))
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
    tasks.sort(key=lambda task: (order.index(task.split), task.image_id, natural(task.id)))
    return Release(root, tasks, sizes, image_folders)
