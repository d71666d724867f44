"""Which patterns of the folder reader pair the images and masks of a folder."""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptseg.core.errors import UserError
from promptseg.data import file_names
from promptseg.datasets.folder import pairing
from promptseg.datasets.folder.pairing import Pairing
from promptseg.datasets.folder.patterns import CLASS, Pattern, split_of

MASK_WORDS = {
    "masks", "mask", "labels", "label", "annotations", "gt", "groundtruth", "ground_truth", "segmentation",
    "segmentations", "segmentationclass", "seg", "targets",
}  # fmt: skip
MASK_ENDS = re.compile(r"[ _.-](?:cp_)?(?:masks?|gt|groundtruth|ground_truth|labels?|seg|segmentation)$", re.I)
IMAGE_ENDS = re.compile(r"[ _.-](?:rgb|image|img|raw|input)$", re.I)
_NUMBER = re.compile(r"[ _.-]?\(?\d+\)?$")
_WORD = re.compile(r"_([A-Za-z]{3,})$")
_MAX_CLASSES = 30
_LEAST_PAIRED = 0.25  # pairs a file, below which what stands in the way of others is more likely the reason
_MAX_FOLDERS = 2  # placeholders for folders whose names differ

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Patterns that fit a folder.

    Attributes:
        images: pattern of the images' paths.
        masks: pattern of the masks' paths.
        classes: that the masks' paths name; empty where they name none.
        pairing: the files that belong together.
        unused: files with an image's suffix that are in no pair.
    """

    images: str
    masks: str
    classes: tuple[str, ...]
    pairing: Pairing
    unused: tuple[str, ...]


def find(folder: Path, files: list[str]) -> Layout | None:
    """Find the patterns that pair the most images with masks.

    Args:
        folder: of the files.
        files: relative to it, from `file_names.walk`.

    Returns:
        Of patterns that pair equally many, those that leave the fewest files unused, the simplest first; None where no
        image has a mask.

    Raises:
        UserError: no patterns can pair the files, as two share a name, or one has a format that is not read.
    """
    image_files = file_names.with_suffix(files)
    best, problem = None, None
    for images, masks in dict.fromkeys(_candidates(image_files)):
        try:
            found = _paired(folder, images, masks, image_files)
        except UserError as error:
            problem = problem or error
            continue
        if found is None:
            continue
        if best is None or _rank(found) > _rank(best):
            best = found
        if not found.unused:
            break
    if problem is not None and (best is None or len(best.pairing.pairs) < _LEAST_PAIRED * len(image_files)):
        raise problem
    return best


def _rank(layout: Layout) -> tuple[int, int]:
    return len(layout.pairing.pairs), -len(layout.unused)


def _paired(folder: Path, images: str, masks: str, image_files: list[str]) -> Layout | None:
    """The layout of two patterns; None where they pair nothing. Raises UserError as `find`."""
    try:
        of_images, of_masks = Pattern(images), Pattern(masks)
    except ValueError:
        return None
    if not any(map(of_masks.match, image_files)) or not any(map(of_images.match, image_files)):
        return None
    try:
        found = pairing.pair(folder, of_images, of_masks, skip_unpaired=True)
    except pairing.NoPair:
        return None
    used = {path for pair in found.pairs for path in (pair.image, *pair.masks)}
    classes = sorted({name for pair in found.pairs for name in pair.classes if name is not None})
    if CLASS in of_masks.fields and not 1 <= len(classes) <= _MAX_CLASSES:
        return None
    return Layout(images, masks, tuple(classes), found, tuple(path for path in image_files if path not in used))


def _candidates(image_files: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs of patterns, the simplest first."""
    folders: dict[Parts, list[str]] = {}
    for path in image_files:
        if not any(char in path for char in "{}*?\\"):
            *above, name = path.split("/")
            folders.setdefault(tuple(above), []).append(os.path.splitext(name)[0])
    homes = sorted({abstract(parts) for parts in folders})
    stems: dict[Parts, list[str]] = {}
    for parts, names in folders.items():
        stems.setdefault(abstract(parts), []).extend(names)
    pairs = [pair for mask in homes for pair in _image_homes(mask, homes)]
    for image, mask in [*_merged(pairs), *pairs]:
        yield from _of_homes(image, mask, stems)
    every = [stem for names in stems.values() for stem in names]
    for home, _ in _merged([(home, home) for home in homes]):
        yield from _beside(home, every, image_files)
    for home in homes:
        yield from _beside(home, stems[home], image_files)


def abstract(parts: Sequence[str]) -> Parts:
    """Parts of a folder's path, with a placeholder for the split."""
    splits = [place for place, part in enumerate(parts) if split_of(part)]
    return tuple("{split}" if splits[:1] == [place] else part for place, part in enumerate(parts))


def _image_homes(mask: Parts, homes: list[Parts]) -> Iterator[tuple[Parts, Parts]]:
    """Folders whose images a folder may hold the masks of; the mask's folder is cut after the one that says so."""
    for place, part in enumerate(mask):
        if not _is_for_masks(part):
            continue
        for home in homes:
            beside = len(home) > place and home[:place] == mask[:place] and home != mask
            same_end = beside and home[place + 1 :] == mask[place + 1 : len(home)]
            if home == mask[:place] or (same_end and not _is_for_masks(home[place])):
                yield home, mask


def _is_for_masks(part: str) -> bool:
    return part.lower() in MASK_WORDS or MASK_ENDS.search(part) is not None


def _merged(pairs: list[tuple[Parts, Parts]]) -> list[tuple[Parts, Parts]]:
    """Pairs of folders of the same depths as one pair, with placeholders where their names differ."""
    merged = []
    for _, same in itertools.groupby(sorted(pairs, key=_depths), key=_depths):
        given = list(same)
        images, masks = (list(zip(*(pair[side] for pair in given), strict=True)) for side in (0, 1))
        varying = [place for place, names in enumerate(images) if len(set(names)) > 1]
        if not 0 < len(varying) <= _MAX_FOLDERS:
            continue
        fields = {place: f"{{folder{number or ''}}}" for number, place in enumerate(varying)}
        image = tuple(fields.get(place, names[0]) for place, names in enumerate(images))
        mask = tuple(
            fields[place] if place in fields and names == images[place] else names[0]
            for place, names in enumerate(masks)
        )
        merged.append((image, mask))
    return merged


def _depths(pair: tuple[Parts, Parts]) -> tuple[int, int]:
    return len(pair[0]), len(pair[1])


def _of_homes(image: Parts, mask: Parts, stems: dict[Parts, list[str]]) -> Iterator[tuple[str, str]]:
    """Patterns for images in one folder and masks in another one."""
    images = "/".join([*image, "{name}.*"])
    extra = len(mask) - len(image)
    if extra == 0 or (extra == 1 and image == mask[:-1]):
        names = stems.get(mask, [])
        inside = "/".join(mask)
        yield images, f"{inside}/{{name}}.*"
        for end in _ends(names, MASK_ENDS):
            yield images, f"{inside}/{{name}}{end}.*"
            yield f"{images.removesuffix('.*')}{_first_end(stems.get(image, []))}.*", f"{inside}/{{name}}{end}.*"
        if len({match[1] for name in names if (match := _WORD.search(_NUMBER.sub("", name)))}) in range(
            1, _MAX_CLASSES
        ):
            yield images, f"{inside}/{{name}}_{{class}}.*"
        yield images, f"{inside}/{{name}}_*.*"
    if extra in (1, 2):
        above = "/".join(mask[:-1])
        yield images, f"{above}/{{class}}/{{name}}.*"
        yield images, f"{above}/{{class}}/{{name}}_*.*"
        yield images, f"{above}/{{name}}/*.*"


def _beside(home: Parts, names: list[str], image_files: list[str]) -> Iterator[tuple[str, str]]:
    """Patterns for images and masks in one folder."""
    prefix = "".join(f"{part}/" for part in home)
    for end in _ends(names, MASK_ENDS):
        for own in ("", *_ends(names, IMAGE_ENDS)):
            yield f"{prefix}{{name}}{own}.*", f"{prefix}{{name}}{end}.*"
    for end in _ends([_NUMBER.sub("", name) for name in names if _NUMBER.search(name)], MASK_ENDS):
        yield f"{prefix}{{name}}.*", f"{prefix}{{name}}{end}*.*"
    suffixes = sorted({os.path.splitext(path)[1] for path in image_files})
    for mask in [suffix for suffix in suffixes if suffix.lower() in (".png", ".tif", ".tiff")]:
        for image in [suffix for suffix in suffixes if suffix != mask]:
            yield f"{prefix}{{name}}{image}", f"{prefix}{{name}}{mask}"


def _ends(names: list[str], ends: re.Pattern) -> list[str]:
    """What names end with, the most frequent first."""
    found = [match[0] for name in names if (match := ends.search(name))]
    return sorted(set(found), key=lambda end: (-found.count(end), end))


def _first_end(names: list[str]) -> str:
    return next(iter(_ends(names, IMAGE_ENDS)), "")
