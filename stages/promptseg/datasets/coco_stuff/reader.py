"""COCO-Stuff 164k: photos of COCO 2017 in which every pixel has one of 182 classes, things (80) and stuff (91).

Layout:
    {train2017,val2017}/<12 digits>.jpg                                      also below images/
    stuffthingmaps_trainval2017/{train2017,val2017}/<12 digits>.png          also stuffthingmaps/ or annotations/,
                                                                             or beside the photos
and, as image synthesis work has it, {train,val}_img/ with {train,val}_label/ (*_inst/ is never read).
A map holds category id - 1 (0..181), 255 where nothing was labelled, in 8-bit gray. Our class is the category id, so
that 0, background, never occurs. Eleven things (hat, mirror, ...) are in the list of names and in no map.

Traps: a few photos are gray. `<id>_labelTrainIds.png`, which a toolbox writes beside the maps, is another numbering and
never read. The maps' archive holds train2017 and val2017 without a folder round them.

Split: train2017 trains, val2017, whose photos are none of train2017's, tests; preprocess takes validation out of
train2017. Nothing is published on photos of one scene, so each is a group of its own.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets import Sample
from promptseg.datasets.coco_stuff.places import draw
from promptseg.download import archives, http

TITLE = "COCO-Stuff 164k"
LICENCE = "annotations CC BY 4.0; the photos are Flickr's, under its terms of use: cocodataset.org/#termsofuse"
CITATION = (
    "H. Caesar, J. Uijlings, V. Ferrari, COCO-Stuff: thing and stuff classes in context, CVPR 2018, arXiv:1612.03716; "
    "photos and things: T.-Y. Lin et al., Microsoft COCO: common objects in context, ECCV 2014, arXiv:1405.0312"
)
ACCESS = "automatic"
# Category ids 1 to 182 in order, from labels.txt of github.com/nightrome/cocostuff.
THINGS = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "street sign", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep",
    "cow", "elephant", "bear", "zebra", "giraffe", "hat", "backpack", "umbrella", "shoe", "eye glasses", "handbag",
    "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove",
    "skateboard", "surfboard", "tennis racket", "bottle", "plate", "wine glass", "cup", "fork", "knife", "spoon",
    "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake",
    "chair", "couch", "potted plant", "bed", "mirror", "dining table", "window", "desk", "toilet", "door", "tv",
    "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator",
    "blender", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush", "hair brush",
)  # fmt: skip
STUFF = (
    "banner", "blanket", "branch", "bridge", "building-other", "bush", "cabinet", "cage", "cardboard", "carpet",
    "ceiling-other", "ceiling-tile", "cloth", "clothes", "clouds", "counter", "cupboard", "curtain", "desk-stuff",
    "dirt", "door-stuff", "fence", "floor-marble", "floor-other", "floor-stone", "floor-tile", "floor-wood",
    "flower", "fog", "food-other", "fruit", "furniture-other", "grass", "gravel", "ground-other", "hill", "house",
    "leaves", "light", "mat", "metal", "mirror-stuff", "moss", "mountain", "mud", "napkin", "net", "paper",
    "pavement", "pillow", "plant-other", "plastic", "platform", "playingfield", "railing", "railroad", "river",
    "road", "rock", "roof", "rug", "salad", "sand", "sea", "shelf", "sky-other", "skyscraper", "snow", "solid-other",
    "stairs", "stone", "straw", "structural-other", "table", "tent", "textile-other", "towel", "tree", "vegetable",
    "wall-brick", "wall-concrete", "wall-other", "wall-panel", "wall-stone", "wall-tile", "wall-wood",
    "water-other", "waterdrops", "window-blind", "window-other", "wood",
)  # fmt: skip
CLASSES = THINGS + STUFF
SPLIT_SIZES = {"train": 118287, "test": 5000}

PHOTOS = "http://images.cocodataset.org/zips/{}.zip"  # 18 GB and 1 GB; the server has no certificate of this name
MAPS_URL = "http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip"
MAPS = "stuffthingmaps_trainval2017"  # 659 MB
SPLITS = {"train2017": "train", "val2017": "test"}
SAMPLE = {"train2017": 44, "val2017": 22}  # photos
_LABELS = {value: value + 1 for value in range(len(CLASSES))} | {255: 255}
_PHOTO, _MAP = (re.compile(rf"([0-9]{{1,12}})\.{ending}") for ending in ("jpg", "png"))


def download(folder: Path) -> None:
    """Fetch and unpack the maps, then the photos, 20 GB in all. No checksums are published; the zips carry their own.

    Raises UserError if one cannot be had.
    """
    for name, url, home in (
        (MAPS, MAPS_URL, folder / MAPS),
        *((split, PHOTOS.format(split), folder) for split in reversed(SPLITS)),  # the small one first
    ):
        archive = folder / f"{name}.zip"
        http.fetch(url, archive)
        archives.unpack(archive, home)
        archive.unlink()


def verify(folder: Path) -> None:
    """Raise UserError if a photo or a map is alone, or there is nothing to train on; a part of the data will do."""
    if "train2017" not in {split for split, *_ in _pairs(Path(folder))}:
        raise UserError(f"{folder}: no photos in train2017; copy some of it, with their maps, as well")


def read(folder: Path) -> Iterator[Sample]:
    """Pictures of train2017, then of val2017, by number. Raises UserError at once where names do not pair.

    image() is (h, w, 3) uint8 or, for a few, (h, w); mask() is (h, w) of 1..182 and 255.
    """
    return map(_picture, _pairs(Path(folder)))


def sample(folder: Path, seed: int) -> None:
    """Draw beaches, meadows, streets, lakes, snow and rooms, 256x192, with maps of every pixel."""
    rng = np.random.default_rng(seed)
    for split, count in SAMPLE.items():
        home, maps = folder / split, folder / MAPS / split
        home.mkdir(parents=True, exist_ok=True)
        maps.mkdir(parents=True, exist_ok=True)
        for place, number in enumerate(sorted(rng.choice(np.arange(1, 582000), count, replace=False))):
            photo, labels = draw(rng, place, {name: value for value, name in enumerate(CLASSES)})
            if place == 5:  # as a few of the real ones, saved in gray
                photo = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
            ordered = photo[..., ::-1] if photo.ndim == 3 else photo
            jpeg = cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
            (home / f"{number:012d}.jpg").write_bytes(jpeg.tobytes())
            (maps / f"{number:012d}.png").write_bytes(image_io.png(labels))


def _picture(pair: tuple[str, Path, Path, str]) -> Sample:
    split, photos, maps, name = pair
    photo = photos / f"{name}.jpg"
    return Sample(
        id=f"{split}/{name}",
        split=SPLITS[split],
        group=f"{split}/{name}",
        image=partial(image_io.read_image, photo),
        mask=partial(_mask, maps, name),
        file=photo,
    )


def _mask(maps: Path, name: str) -> np.ndarray:
    return image_io.read_mask(maps / f"{name}.png", _LABELS)


def _pairs(folder: Path) -> list[tuple[str, Path, Path, str]]:
    """(split, folder of its photos, folder of its maps, name) of each pair. Raises UserError where one is alone.

    Of 123,287 pairs the names alone are held; the folders are the same few objects.
    """
    pairs = []
    for split in SPLITS:
        short = split.removesuffix("2017")
        homes = (MAPS, f"{MAPS}/{MAPS}", "stuffthingmaps", "annotations", ".")
        photos, named = _found(folder, _PHOTO, split, f"images/{split}", f"{split}/{split}", f"{short}_img")
        maps, mapped = _found(folder, _MAP, *(f"{home}/{split}" for home in homes), f"{short}_label")
        for name in sorted(named ^ mapped)[:1]:
            if name in named:
                raise UserError(f"{photos / name}.jpg: no {name}.png in {maps or folder / MAPS / split}; unpack it again")
            raise UserError(f"{maps / name}.png: no {name}.jpg in {photos or folder / split}; unpack it, or delete this")
        pairs += [(split, photos, maps, name) for name in sorted(named, key=lambda name: (int(name), name))]
    if not pairs:
        raise UserError(f"{folder}: no photos in train2017 or val2017; unpack train2017.zip, val2017.zip and {MAPS}.zip")
    return pairs


def _found(folder: Path, pattern: re.Pattern, *places: str) -> tuple[Path | None, set[str]]:
    """The first of the places that holds files of that pattern, and their names without ending."""
    for place in places:
        home = folder / place
        if home.is_dir():
            names = {match[1] for path in home.iterdir() if (match := pattern.fullmatch(path.name))}
            if names:
                return home, names
    return None, set()
