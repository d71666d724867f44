"""Your own pictures and masks, in whatever layout they lie: no code, a few lines in params.yaml.

    datasets:
      leaves:
        reader: folder
        source: ~/leaves
        options: {images: "images/{name}.*", masks: "masks/{name}.png", group: "(plant[0-9]+)_", classes: [spot]}

With nothing stated: images/<name>.<any> and masks/<name>.<any>, masks of 0/1 or 0/255, one class. Pictures are PNG,
JPEG or TIFF, masks PNG or TIFF (JPEG with a threshold); hidden files are passed over. How patterns are written stands
in parts/folder/patterns.py, what may be in a mask in parts/folder/labels.py.

Traps that it looks after: pairs go by name and never by order; what a mask's values mean is stated or exact, never
guessed; a group in two splits is refused, and CHECK_DUPLICATES lets preprocess look for near-duplicates across splits.
Where the folder has no split of its own, preprocess makes one out of whole groups.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PositiveInt, field_validator, model_validator

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import image_io, tiff_stack
from promptseg.data.tiff_stack import Stack
from promptseg.datasets import Sample
from promptseg.datasets.folder import pairing
from promptseg.datasets.folder.labelled import Masks
from promptseg.datasets.folder.labels import Labels, labels
from promptseg.datasets.folder.pairing import Found
from promptseg.datasets.folder.patterns import Pattern, split_of
from promptseg.datasets.folder.photo import photos

TITLE = "Your own pictures"
LICENCE = "yours to know: whoever gives the folder states it"
CITATION = "none: the user's own data"
ACCESS = "by hand"
CHECK_DUPLICATES = True

SPLITS = ("train", "val", "test")
_OPEN = 8  # stacks that are kept open


class Options(params.Settings):
    """Where the pictures and masks lie, which belong together, and what the masks' values mean."""

    images: str = "images/{name}.*"  # pattern of the pictures' paths in the folder
    masks: str = "masks/{name}.*"  # pattern of the masks'; what both call {name}, {split}, {word} must agree
    unpaired: Literal["error", "skip"] = "error"  # a picture without a mask, or a mask without a picture
    splits: dict[Literal["train", "val", "test"], str] | None = None  # regular expression on the paths of its pictures
    group: str | None = None  # regular expression on a path; what its (...) finds is never split; None: each by itself
    classes: Any = None  # names of 1, 2, ...; or name: id | [ids] | "#rrggbb" | [r, g, b]
    background: Any = None  # value or values, like those of a class; None: 0, or black
    ignore: Any = None  # value or values that count neither way; None: there are none
    values: Literal["ids", "colors"] | None = None  # what lists of three numbers are, where nothing else tells
    others: Literal["error", "background", "ignore"] = "error"  # what values mean that are not listed
    threshold: Annotated[int, Field(ge=1, le=255)] | None = None  # for one class with soft edges: it begins here
    window: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None  # black, white; 16-bit and float
    stack: bool = False  # each file is a multi-page TIFF, each page a picture (8-bit gray)
    block: PositiveInt | None = None  # pages of one group; None: a stack is one group

    @field_validator("images", "masks")
    @classmethod
    def _is_a_pattern(cls, text: str) -> str:
        Pattern(text)
        return text

    @field_validator("group")
    @classmethod
    def _finds_one_thing(cls, text: str | None) -> str | None:
        if text is not None and (found := _compiled(text)).groups != 1 and "group" not in found.groupindex:
            raise ValueError("it needs one (...) round what names the group, or (?P<group>...)")
        return text

    @field_validator("splits")
    @classmethod
    def _are_expressions(cls, splits: dict[str, str] | None) -> dict[str, str] | None:
        for text in (splits or {}).values():
            _compiled(text)
        return splits

    @model_validator(mode="after")
    def _hold_together(self):
        colors = self.meaning().colors  # raises where the options for masks contradict each other
        fields = Pattern(self.images).fields
        if Pattern(self.images).text == Pattern(self.masks).text:
            raise ValueError("images and masks are the same pattern; they must tell pictures from masks")
        if "split" in Pattern(self.masks).fields and "split" not in fields:
            raise ValueError("masks has {split} and images has not; write {split} in both, or * in masks")
        if self.splits is not None and "split" in fields:
            raise ValueError("splits: images has {split} already; give one of them")
        if self.window is not None and (self.stack or not self.window[0] < self.window[1]):
            raise ValueError("window: two numbers, the first the smaller; stacks are of 8 bits and need none")
        if self.block is not None and (self.group is not None or not self.stack):
            raise ValueError("block: it is for stack: true, and group says which stacks belong together as a whole")
        if self.stack and colors:
            raise ValueError("stack: the masks of a stack are gray; give ids and no colors")
        return self

    @property
    def ordered_groups(self) -> bool:
        """Whether neighbouring groups are alike, as blocks of one stack are."""
        return self.stack

    def meaning(self) -> Labels:
        """What the values in the masks mean. Raises ValueError."""
        return labels(self.classes, self.background, self.ignore, self.threshold, self.others, self.values)


def classes(options: Options = Options()) -> tuple[str, ...]:
    """What 1, 2, ... in the masks mean."""
    return options.meaning().names


def download(folder: Path) -> None:
    """Raise UserError: there is no official source of a user's own pictures."""
    raise UserError(
        "folder: these are your own pictures: set datasets.<name>.source in params.yaml to their folder, and "
        "datasets.<name>.options.images and .masks to how the files are named, such as images/{name}.jpg"
    )


def verify(folder: Path, options: Options = Options()) -> None:
    """Raise UserError with the first thing that does not pair, is in two splits, or is no stack; decodes no pixels."""
    for _ in read(folder, options):
        pass


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """A Sample for each pair, train before val before test, by name as people sort them (p9 before p10).

    The id is made of what the placeholders hold: `images/{split}/{name}.png` gives train/p9, a page of a stack
    training/007. The group is what options.group finds, else the id (of a stack: its block). Raises UserError at once.
    """
    found = pairing.pairs(folder, Pattern(options.images), Pattern(options.masks), options.unpaired == "skip")
    told = [(*_split_and_group(folder, pair, options), pair) for pair in found]
    told.sort(key=lambda entry: SPLITS.index(entry[0] or "train"))
    _check_groups(folder, told)
    masks = Masks(options.meaning())
    opened = lru_cache(_OPEN)(Stack)
    make = partial(_pages, options.block, opened) if options.stack else partial(_picture, options.window)
    pictures = [make(Path(folder), *entry, masks) for entry in told]
    return (picture for some in pictures for picture in some)


def sample(folder: Path, seed: int) -> None:
    """Draw 45 photos of leaves with spots, three of each plant, in the layout of the default options.

    masks/ marks the spots with 255; labels/ has both leaf and spot, in colors: `masks: "labels/{name}.png"`,
    `classes: {leaf: "#3c8c3c", spot: "#b4501e"}`. Group them with `group: "(plant[0-9]+)_"`.
    """
    for place, data in photos(np.random.default_rng(seed)):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(data)


def _compiled(text: str) -> re.Pattern:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None


def _id(pair: Found) -> str:
    return "/".join(value for value in pair.values.values() if value)


def _split_and_group(folder: Path, pair: Found, options: Options) -> tuple[str | None, str]:
    split, group, path = None, _id(pair), pair.image
    if "split" in pair.values:
        split = split_of(pair.values["split"])
        if split is None:
            mend = "write {part} in place of {split} in images and masks, and say which is which in options.splits"
            raise UserError(
                f"{Path(folder) / path}: {pair.values['split']!r} is no split such as train, val, test; {mend}"
            )
    elif options.splits:
        fits = [split for split, text in options.splits.items() if re.search(text, path)]
        if len(fits) > 1 or (not fits and "train" in options.splits):
            what = f"both {fits[0]} and {fits[1]} match it" if fits else "none matches it"
            raise UserError(f"{Path(folder) / path}: {what} of options.splits; each picture belongs to one split")
        split = fits[0] if fits else None
    if options.group is not None:
        match = re.search(options.group, path)
        group = match and match["group" if "group" in match.re.groupindex else 1]
        if not group:
            mend = "each picture needs a group; correct it, or leave it out if each stands by itself"
            raise UserError(f"{Path(folder) / path}: options.group {options.group!r} finds nothing in {path}; {mend}")
    return split, group


def _check_groups(folder: Path, told: list[tuple[str | None, str, Found]]) -> None:
    first: dict[str, tuple[str | None, Found]] = {}
    for split, group, pair in told:
        other, twin = first.setdefault(group, (split, pair))
        if other != split:
            where = f"is in {other} ({twin.image}) and in {split} ({pair.image})"
            mend = "move one, or leave out the split or options.group, whichever is wrong"
            raise UserError(f"{Path(folder) / pair.image}: group {group!r} {where}; {mend}")


def _picture(window: list[float] | None, folder: Path, split, group: str, pair: Found, masks: Masks) -> list[Sample]:
    image = folder / pair.image
    read = partial(image_io.read_image, image, tuple(window) if window else None)
    file = None if window else image
    return [Sample(_id(pair), split, group, read, masks.file(folder / pair.mask), file=file)]


def _pages(block: int | None, opened: Callable[[Path], Stack], folder: Path, split, group: str, pair: Found, masks):
    """A Sample for each page of a stack; `opened` keeps some stacks open and no pages."""
    image, mask = folder / pair.image, folder / pair.mask
    tiff_stack.check_pair(opened(image), opened(mask))
    return [
        Sample(
            id=f"{_id(pair)}/{i:03d}",
            split=split,
            group=f"{group}/b{i // block:03d}" if block else group,
            image=partial(_page, opened, image, i),
            mask=masks.add(partial(_page, opened, mask, i), f"{mask}, slice {i}"),
        )
        for i in range(len(opened(image)))
    ]


def _page(opened: Callable[[Path], Stack], path: Path, index: int) -> np.ndarray:
    return opened(path)[index]
