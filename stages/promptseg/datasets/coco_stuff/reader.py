"""COCO-Stuff 164k: images of COCO 2017 in which every pixel has one of 182 classes, things (91) and stuff (91).

Layout:
    {train2017,val2017}/<12 digits>.jpg                                      also below images/
    stuffthingmaps_trainval2017/{train2017,val2017}/<12 digits>.png          also stuffthingmaps/ or annotations/,
                                                                             or beside the images
and, as in image synthesis papers, {train,val}_img/ with {train,val}_label/ (*_inst/ is not read).
A label map is 8-bit gray and holds category id - 1 (0..181), or 255 where nothing was labeled. The class here is the
category id, so 0, background, never occurs. Eleven things (hat, mirror, ...) are in the list of names but in no map.

Traps: a few images are gray. `<id>_labelTrainIds.png`, which a toolbox writes beside the maps, uses other numbers and
is not read. The archive of the maps holds train2017 and val2017 without a common folder. Four of the things in no map
have the words of some stuff (desk, door, mirror, window): where text prompts for all classes compete, leave those out.

Split: train2017 is the training split, val2017 the test split; they share no images. Preprocessing takes a validation
split from train2017. Which images show the same scene is not published, so each is a group of its own, but for
near-duplicates, which are looked for.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets import Sample
from promptseg.datasets.official import check_pairs, file_sample
from promptseg.download import archives

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
WORDS = {
    **{name: name.split("-")[0] for name in STUFF if name.endswith(("-other", "-stuff"))},
    **{name: " ".join(reversed(name.split("-"))) for name in STUFF if name.startswith(("ceiling-", "floor-", "wall-"))},
    **{f"{base}-other": base for base in ("ceiling", "floor", "wall")},
    "playingfield": "playing field", "structural-other": "structure", "waterdrops": "water drops",
}  # fmt: skip
CHECK_DUPLICATES = True
SPLIT_SIZES = {"train": 118287, "test": 5000}

IMAGES_URL = "http://images.cocodataset.org/zips/{}.zip"  # 18 GB and 1 GB; the server has no certificate for this name
MAPS_URL = "http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip"
MAPS = "stuffthingmaps_trainval2017"  # 659 MB
SPLITS = {"train2017": "train", "val2017": "test"}
REQUIRED = {"train": "train2017"}
_read_mask = partial(image_io.read_mask, labels={value: value + 1 for value in range(len(CLASSES))} | {255: 255})
_IMAGE, _MAP = (re.compile(rf"([0-9]{{1,12}})\.{ending}") for ending in ("jpg", "png"))


def download(folder: Path) -> None:
    """Download and unpack the label maps, then the images, 20 GB in total.

    No checksums are published, but zip archives contain their own.

    Raises:
        UserError: one of them cannot be downloaded; the message says how to get it by hand.
    """
    archives.download(MAPS_URL, folder, home=folder / MAPS)
    for split in reversed(SPLITS):  # the small one first
        archives.download(IMAGES_URL.format(split), folder)


def read(folder: Path) -> Iterator[Sample]:
    """Read the images of train2017, then of val2017, by number.

    Args:
        folder: holds one of the layouts.

    Returns:
        Samples whose image is (h, w, 3) uint8, or (h, w) for a few, and whose mask is (h, w) uint8 of 1..182 and 255.

    Raises:
        UserError: at once, if images and label maps do not pair.
    """
    return (
        file_sample(id, SPLITS[split], id, images / f"{name}.jpg", maps / f"{name}.png", _read_mask)
        for split, images, maps, name in _find_pairs(Path(folder))
        for id in (f"{split}/{name}",)
    )


def _find_pairs(folder: Path) -> list[tuple[str, Path, Path, str]]:
    """Return (split, folder of the image, folder of the map, name) of each pair.

    The folders are shared objects, so that 123,287 pairs cost little more than their names. Raises UserError where one
    file lacks its counterpart.
    """
    pairs = []
    for split in SPLITS:
        short = split.removesuffix("2017")
        homes = (MAPS, f"{MAPS}/{MAPS}", "stuffthingmaps", "annotations", ".")
        images, image_names = _find_files(folder, _IMAGE, split, f"images/{split}", f"{split}/{split}", f"{short}_img")
        maps, map_names = _find_files(folder, _MAP, *(f"{home}/{split}" for home in homes), f"{short}_label")
        files = (lambda name, home=images: home / f"{name}.jpg"), (lambda name, home=maps: home / f"{name}.png")
        check_pairs(image_names, map_names, *files)
        pairs += [(split, images, maps, name) for name in sorted(image_names, key=lambda name: (int(name), name))]
    if not pairs:
        archives_needed = f"train2017.zip, val2017.zip and {MAPS}.zip"
        raise UserError(f"{folder}: no images in train2017 or val2017; unpack {archives_needed}")
    return pairs


def _find_files(folder: Path, pattern: re.Pattern, *candidates: str) -> tuple[Path, set[str]]:
    """Return the first candidate with matching files, or else the first, and their names without suffix."""
    for candidate in candidates:
        home = folder / candidate
        if home.is_dir():
            names = {match[1] for path in home.iterdir() if (match := pattern.fullmatch(path.name))}
            if names:
                return home, names
    return folder / candidates[0], set()
