"""PhraseCut (VGPhraseCut_v0): phrases about photographs of Visual Genome, and the region that each one names.

Layout:
    image_data_split.json                         a list of {image_id, url, width, height, split, ...}
    refer_train.json refer_val.json refer_test.json refer_miniv.json
        lists of tasks {task_id, image_id, ann_ids, instance_boxes, Polygons, phrase, phrase_structure};
        Polygons is [instance][polygon][[x, y], ...]
    images/<image_id>.jpg                         or VG_100K/, VG_100K_2/, as Visual Genome's own archives have them
They may lie in the given folder or in `VGPhraseCut_v0` below it. A Sample is a task: many share one photograph, and
their text differs. Photographs without a task (a quarter of Visual Genome) are left aside.

The mask is the union of all polygons of all instances, drawn as in the authors' `polygons_to_mask`: coordinates cut off
to whole pixels, each polygon filled by itself with its outline, what reaches out of the photograph clipped. A polygon
of fewer than 3 points is nothing. A task without any polygon has an empty mask, which is dropped and counted where
`min_foreground` says so, as everywhere.

The split is that of the files, and the group is the photograph: one that has tasks in two splits is refused. The
files of the validation split do not hold the tasks of `miniv`, 100 photographs for quick looks, so validation is both
together, as in the authors' table; a task that is in both (as in an older release) counts once.

The training tasks are 400 MB of JSON: they are read one by one, and of each only the phrase and 4 bytes a point stay.
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
from promptseg.datasets.phrasecut import gather, jsonlist, polygons, release
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
SPLIT_SIZES = {"train": 310816, "val": 20316, "test": 14354}  # of the authors' README; val with its 821 tasks of miniv

NAME = "VGPhraseCut_v0"
INFO = "image_data_split.json"
SPLITS = {  # in the order in which they are read: of twins in val and miniv, the first is kept
    "refer_train.json": "train", "refer_val.json": "val", "refer_miniv.json": "val", "refer_test.json": "test",
}  # fmt: skip
DRIVE = {  # ids of Google Drive, in the authors' download_dataset.py
    INFO: "1xB9eExJo35K3DQu8PnBWZ1q_OMoMl8-i",
    "refer_miniv.json": "1oLcTQ1blTIQyu5ZMelQN2HSniuQaxM4E",
    "refer_val.json": "1UyojArOFPlsSeNbA9fHWjCjOOU-OCohG",
    "refer_test.json": "1jrzXm1gcq6f5hNDeamZd0UmyyHUv61IZ",
    "refer_train.json": "1qx-0q6r9r0YUGpoyT0B8HJKmUFWQDSu7",
}
# Where Visual Genome keeps its photographs. Its old domain visualgenome.org has changed hands: never ask there.
HOSTS = ("cs.stanford.edu", "homes.cs.washington.edu")
HOMES = ("images", "VG_100K", "VG_100K_2")
BY_HAND = (
    "get Visual Genome's images.zip and images2.zip by way of homes.cs.washington.edu/~ranjay/visualgenome, put them "
    "beside the JSON files, and set datasets.phrasecut.source to that folder"
)
_ID = re.compile(r"[0-9A-Za-z_]{1,4000}")  # `<image_id>__<ann_id>_<ann_id>...`, one for each object
_MOST = 2**31 - 1


class Task(NamedTuple):
    """One phrase and its region; outlines: as `polygons.pack` gives them."""

    split: str
    image_id: int
    id: str
    phrase: str
    outlines: bytes


def download(folder: Path) -> None:
    """Fetch the JSON files from Google Drive and the photographs (11 GB) from the addresses in them.

    All goes to the cache folder first (PROMPTSEG_CACHE, or that of the user's system), which outlives a download that
    breaks off, and is moved to `folder` when it is whole. Raises UserError, with how many photographs are missing.
    """
    place = cache() / NAME
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        for name, id in DRIVE.items():
            if not (place / name).is_file():
                http.fetch(http.drive(id), place / name)
        try:
            sizes, needed = _sizes(place), {task.image_id for task in _tasks(place)}
        except UserError:  # Google Drive does not always announce a length, so that a cut can go unnoticed until here
            for name in DRIVE:
                (place / name).unlink()
            raise
        wanted = {}
        for entry in jsonlist.entries(place / INFO):
            id, url = entry["image_id"], entry.get("url")
            if id in needed:
                target = place / "images" / f"{id}.jpg"
                wanted[id] = gather.Wanted(url if isinstance(url, str) else "", target, sizes[id])
        gather.gather(wanted.values(), HOSTS, BY_HAND)
        (folder / NAME / "images").mkdir(parents=True, exist_ok=True)
        for path in [*(place / name for name in DRIVE), *(photo.path for photo in wanted.values())]:
            shutil.move(path, folder / NAME / path.relative_to(place))


def verify(folder: Path) -> None:
    """Raise UserError with the first thing that is wrong in the JSON files, or if a task lacks its photograph.

    A part of the official files is accepted if it has tasks to train on; photographs are opened when they are read.
    """
    root, tasks, _, _ = _load(folder)
    if not any(task.split == "train" for task in tasks):
        raise UserError(f"{root / 'refer_train.json'}: no tasks to train on; copy this official file as well")


def read(folder: Path) -> Iterator[Sample]:
    """Tasks in the order train, val, test, then by photograph and by the numbers in their ids.

    image() is (h, w, 3) or (h, w) uint8, mask() (h, w) with 1 in the region, text the phrase. Raises UserError as
    `verify`.
    """
    return _pictures(*_load(folder))


def sample(folder: Path, seed: int) -> None:
    """Draw 22 scenes of colored things with three or four phrases each; the same seed gives the same bytes."""
    release.write(folder / NAME, seed)


def _pictures(
    root: Path, tasks: list[Task], sizes: dict[int, tuple[int, int]], homes: dict[int, str]
) -> Iterator[Sample]:
    for split, image_id, id, phrase, outlines in tasks:
        group = str(image_id)
        path = root / homes[image_id] / f"{group}.jpg"
        mask = partial(polygons.draw, outlines, sizes[image_id])
        yield Sample(f"{group}/{id}", split, group, partial(image_io.read_image, path), mask, phrase, file=path)


def _load(folder: Path) -> tuple[Path, list[Task], dict[int, tuple[int, int]], dict[int, str]]:
    """Where the files are, the tasks in order, and of each photograph its size and its folder. Raises UserError."""
    folder = Path(folder)
    root = next((place for place in (folder, folder / NAME) if (place / INFO).is_file()), None)
    if root is None:
        raise UserError(f"{folder}: no {INFO}, nor in {NAME} below it; unpack or download the official files there")
    sizes, tasks, splits = _sizes(root), list(_tasks(root)), {}
    for task in tasks:
        if task.image_id not in sizes:
            raise UserError(f"{root / INFO}: no image {task.image_id}, which task {task.id} is about; restore the file")
        if splits.setdefault(task.image_id, task.split) != task.split:
            both = f"{splits[task.image_id]} and in {task.split}"
            raise UserError(f"{root}: image {task.image_id} has tasks in {both}; restore the official refer_*.json")
    homes = {}
    for home in HOMES:
        names = {entry.name for entry in os.scandir(root / home)} if (root / home).is_dir() else set()
        homes |= {id: home for id in splits if id not in homes and f"{id}.jpg" in names}
    missing = [id for id in splits if id not in homes]
    if missing:
        path = root / "images" / f"{missing[0]}.jpg"
        raise UserError(f"{path}: not found; {len(missing):,} photographs of {len(splits):,} are missing: {BY_HAND}")
    order = list(dict.fromkeys(SPLITS.values()))
    tasks.sort(key=lambda task: (order.index(task.split), task.image_id, _natural(task.id)))
    return root, tasks, sizes, homes


def _natural(id: str) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"[0-9]+", id)], id


def _sizes(root: Path) -> dict[int, tuple[int, int]]:
    """(width, height) of each photograph. Raises UserError."""
    sizes = {}
    for number, entry in enumerate(jsonlist.entries(root / INFO), 1):
        try:
            id = jsonlist.integer(entry, "image_id", 1, _MOST)
            size = jsonlist.integer(entry, "width", 1, 2**15), jsonlist.integer(entry, "height", 1, 2**15)
            if size[0] * size[1] > image_io.MAX_PIXELS:
                raise ValueError(f"{size[0]}x{size[1]} is more than {image_io.MAX_PIXELS:,} pixels")
            if sizes.setdefault(id, size) != size:
                raise ValueError(f"image {id} is there twice, with two sizes")
        except ValueError as error:
            raise UserError(f"{root / INFO}: entry {number}: {error}; restore the official file") from None
    return sizes


def _tasks(root: Path) -> Iterator[Task]:
    """The tasks of all files that are there. Raises UserError at the first that is wrong, and if there is none."""
    seen: dict[str, str] = {}
    for name, split in SPLITS.items():
        if not (root / name).is_file():
            continue  # a part of the official data
        for number, entry in enumerate(jsonlist.entries(root / name), 1):
            try:
                task = _task(split, entry)
            except ValueError as error:
                where = f"{root / name}: task {jsonlist.shown(entry.get('task_id'))} (entry {number})"
                raise UserError(f"{where}: {error}; restore the official file") from None
            if task.id not in seen:
                seen[task.id] = name
                yield task
            elif seen[task.id] == name or SPLITS[seen[task.id]] != split:
                raise UserError(
                    f"{root / name}: task {task.id} is in {seen[task.id]} as well; restore the official files"
                )
    if not seen:
        raise UserError(f"{root}: no tasks in {', '.join(SPLITS)}; download the official files again")


def _task(split: str, entry: dict) -> Task:
    """A task from its JSON. Raises ValueError with what is wrong in it."""
    image_id = jsonlist.integer(entry, "image_id", 1, _MOST)
    id, phrase = entry.get("task_id"), entry.get("phrase")
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise ValueError("its task_id is no text of letters, digits and _")
    if not isinstance(phrase, str) or not phrase.strip() or len(phrase) > 1000:
        raise ValueError(f"its phrase is {jsonlist.shown(phrase)}, not a few words")
    words = " ".join(phrase.split())
    if not words.isprintable():
        raise ValueError(f"its phrase {jsonlist.shown(phrase)} holds characters that cannot be shown")
    return Task(split, image_id, id, sys.intern(words), polygons.pack(entry.get("Polygons")))
