"""A user's own images and masks, in any layout: configured in params.yaml, without code.

    datasets:
      leaves:
        reader: folder
        source: ~/leaves
        options: {images: "images/{name}.*", masks: "masks/{name}.png", group: "(plant[0-9]+)_", classes: [spot]}

Default layout: images/<name>.<any> and masks/<name>.<any>, masks of 0/1 or 0/255, one class. Images are PNG, JPEG or
TIFF, masks PNG or TIFF (JPEG with a threshold); hidden files are ignored. patterns.py documents the patterns, labels.py
the values in masks.

Traps, and how they are avoided: files are paired by name and never by order; the meaning of mask values is stated or
unambiguous, never guessed; a group in two splits is an error, and CHECK_DUPLICATES makes preprocessing search for
near-duplicates across splits. Without a split of its own, a folder is split by whole groups in preprocessing.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, PositiveInt, field_validator, model_validator

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import image_io, tiff_stack
from promptseg.data.tiff_stack import Stack
from promptseg.datasets import Sample
from promptseg.datasets.folder import pairing
from promptseg.datasets.folder.labels import Labels, parse_labels
from promptseg.datasets.folder.mask_reader import MaskReader
from promptseg.datasets.folder.pairing import FilePair
from promptseg.datasets.folder.patterns import Pattern, split_of

TITLE = "Your own images"
LICENCE = "the user's own data: known to whoever provides the folder"
CITATION = "none: the user's own data"
ACCESS = "by hand"
CHECK_DUPLICATES = True

SPLITS = ("train", "val", "test")
_OPEN_STACKS = 8  # held open at a time


class Options(params.Settings):
    """Where images and masks are, how they pair, and what the values in masks mean."""

    images: str = "images/{name}.*"  # pattern of the images' paths within the folder
    masks: str = "masks/{name}.*"  # pattern of the masks' paths; placeholders in both patterns must agree
    unpaired: Literal["error", "skip"] = "error"  # for an image without mask, or a mask without image
    splits: dict[Literal["train", "val", "test"], str] | None = None  # regular expressions on the images' paths
    group: str | None = None  # regular expression on the image's path; its (...) is the group; None: one group each
    classes: Any = None  # names of 1, 2, ...; or name: id | [ids] | "#rrggbb" | [r, g, b]
    background: Any = None  # value or values, written like those of a class; None: 0, or black
    ignore: Any = None  # value or values that are excluded from training and scores; None: none
    values: Literal["ids", "colors"] | None = None  # what lists of three numbers are, where nothing else tells
    others: Literal["error", "background", "ignore"] = "error"  # meaning of values that are not listed
    threshold: Annotated[int, Field(ge=1, le=255)] | None = None  # smallest value of the only class, for soft edges
    window: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None  # black, white; 16-bit and float
    stack: bool = False  # each file is a multi-page TIFF, each page an image (8-bit gray)
    block: PositiveInt | None = None  # pages per group; None: a stack is one group

    @field_validator("images", "masks")
    @classmethod
    def _check_pattern(cls, text: str) -> str:
        Pattern(text)
        return text

    @field_validator("group")
    @classmethod
    def _check_group(cls, text: str | None) -> str | None:
        if text is not None and (regex := _compile(text)).groups != 1 and "group" not in regex.groupindex:
            raise ValueError("it needs one (...) around the name of the group, or (?P<group>...)")
        return text

    @field_validator("splits")
    @classmethod
    def _check_splits(cls, splits: dict[str, str] | None) -> dict[str, str] | None:
        for text in (splits or {}).values():
            _compile(text)
        return splits

    @model_validator(mode="after")
    def _check_consistency(self):
        colors = self.labels().colors  # raises where the options for masks contradict each other
        fields = Pattern(self.images).fields
        if Pattern(self.images).text == Pattern(self.masks).text:
            raise ValueError("images and masks are the same pattern; they must distinguish images from masks")
        if "split" in Pattern(self.masks).fields and "split" not in fields:
            raise ValueError("masks has {split} but images does not; write {split} in both, or * in masks")
        if self.splits is not None and "split" in fields:
            raise ValueError("splits: images has {split} already; remove one of them")
        if self.window is not None and (self.stack or not self.window[0] < self.window[1]):
            raise ValueError("window: two numbers, the smaller one first; stacks have 8 bits and need none")
        if self.block is not None and (self.group is not None or not self.stack):
            raise ValueError("block: only with stack: true and without group, which puts whole stacks into a group")
        if self.stack and colors:
            raise ValueError("stack: the masks of a stack are gray; give ids instead of colors")
        return self

    @property
    def ordered_groups(self) -> bool:
        """Whether neighboring groups are alike, as blocks of one stack are."""
        return self.stack

    def labels(self) -> Labels:
        """Combine the options about mask values. Raises ValueError where they contradict each other."""
        return parse_labels(self.classes, self.background, self.ignore, self.threshold, self.others, self.values)


class Entry(NamedTuple):
    """A pair of files with its split and group."""

    split: str | None
    group: str
    files: FilePair


def classes(options: Options = Options()) -> tuple[str, ...]:
    """Return the names of the mask values 1, 2, ..."""
    return options.labels().names


def download(folder: Path) -> None:
    """Raise UserError: a user's own images have no official source."""
    raise UserError(
        "folder: these are your own images: set datasets.<name>.raw in params.yaml to their folder, and "
        "datasets.<name>.options.images and .masks to the names of the files, such as images/{name}.jpg"
    )


def verify(folder: Path, options: Options = Options()) -> None:
    """Check that files pair, that no group is in two splits, and that stacks can be opened; no pixels are decoded.

    Raises:
        UserError: for the first file that is wrong.
    """
    for _ in read(folder, options):
        pass


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Read the pairs in the order train, val, test, then by name in natural order (p9 before p10).

    Args:
        folder: of the user.
        options: layout and meaning of mask values.

    Returns:
        Samples whose image is (h, w) or (h, w, 3) uint8 and whose mask is (h, w) uint8. The id consists of the values
        of the placeholders: `images/{split}/{name}.png` gives train/p9, and a page of a stack training/007. The group
        is what options.group matches, by default the id (for a stack, its block).

    Raises:
        UserError: at once, as `verify`.
    """
    folder = Path(folder)
    pairs = pairing.pairs(folder, Pattern(options.images), Pattern(options.masks), options.unpaired == "skip")
    entries = [Entry(_split(folder, pair, options), _group(folder, pair, options), pair) for pair in pairs]
    entries.sort(key=lambda entry: SPLITS.index(entry.split or "train"))
    _check_groups(folder, entries)
    masks = MaskReader(options.labels())
    if not options.stack:
        window = (options.window[0], options.window[1]) if options.window else None
        return iter([_file_sample(folder, entry, masks, window) for entry in entries])
    open_stack = lru_cache(_OPEN_STACKS)(Stack)
    stacks = [_page_samples(folder, entry, masks, options.block, open_stack) for entry in entries]
    return (sample for samples in stacks for sample in samples)


def _compile(text: str) -> re.Pattern:
    """Compile a regular expression. Raises ValueError."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


def _id(pair: FilePair) -> str:
    """Join the values of the placeholders."""
    return "/".join(value for value in pair.values.values() if value)


def _split(folder: Path, pair: FilePair, options: Options) -> str | None:
    """Determine the split of a pair. Raises UserError where it is unknown or ambiguous."""
    if "split" in pair.values:
        split = split_of(pair.values["split"])
        if split is None:
            what = f"{pair.values['split']!r} is not a split such as train, val, test"
            remedy = "write {part} instead of {split} in images and masks, and assign the splits by options.splits"
            raise UserError(f"{folder / pair.image}: {what}; {remedy}")
        return split
    if not options.splits:
        return None
    matching = [split for split, text in options.splits.items() if re.search(text, pair.image)]
    if len(matching) > 1 or (not matching and "train" in options.splits):
        what = f"matches both {matching[0]} and {matching[1]}" if matching else "matches none"
        raise UserError(f"{folder / pair.image}: it {what} of options.splits; each image must be in one split")
    return matching[0] if matching else None


def _group(folder: Path, pair: FilePair, options: Options) -> str:
    """Determine the group of a pair. Raises UserError where options.group does not match."""
    if options.group is None:
        return _id(pair)
    match = re.search(options.group, pair.image)
    group = match and match["group" if "group" in match.re.groupindex else 1]
    if not group:
        what = f"options.group {options.group!r} does not match {pair.image}"
        remedy = "every image needs a group; correct it, or remove it if the images are unrelated"
        raise UserError(f"{folder / pair.image}: {what}; {remedy}")
    return group


def _check_groups(folder: Path, entries: list[Entry]) -> None:
    """Raise UserError where a group is in two splits."""
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.group, entry)
        if other.split != entry.split:
            where = f"is in {other.split} ({other.files.image}) and in {entry.split} ({entry.files.image})"
            remedy = "move one, or remove the split or options.group, whichever is wrong"
            raise UserError(f"{folder / entry.files.image}: group {entry.group!r} {where}; {remedy}")


def _file_sample(folder: Path, entry: Entry, masks: MaskReader, window: tuple[float, float] | None) -> Sample:
    """Make the sample of an image file and a mask file."""
    image, mask = folder / entry.files.image, folder / entry.files.mask
    return Sample(
        id=_id(entry.files),
        split=entry.split,
        group=entry.group,
        image=partial(image_io.read_image, image, window),
        mask=masks.add_file(mask),
        file=None if window else image,
        size=partial(image_io.image_size, image),
        sources=(image, mask),
    )


def _page_samples(
    folder: Path, entry: Entry, masks: MaskReader, block: int | None, open_stack: Callable[[Path], Stack]
) -> list[Sample]:
    """Make a sample for each page of a stack. open_stack: caches open stacks, not pages."""
    image, mask = folder / entry.files.image, folder / entry.files.mask
    tiff_stack.check_same_shape(open_stack(image), open_stack(mask))
    return [
        Sample(
            id=f"{_id(entry.files)}/{i:03d}",
            split=entry.split,
            group=f"{entry.group}/b{i // block:03d}" if block else entry.group,
            image=partial(_read_page, open_stack, image, i),
            mask=masks.add(partial(_read_page, open_stack, mask, i), f"{mask}, slice {i}"),
        )
        for i in range(len(open_stack(image)))
    ]


def _read_page(open_stack: Callable[[Path], Stack], path: Path, index: int) -> np.ndarray:
    return open_stack(path)[index]
