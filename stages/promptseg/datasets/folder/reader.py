"""A user's own images and masks, in any layout: configured in params.yaml, without code.

    datasets:
      leaves:
        reader: folder
        source: ~/leaves
        options: {images: "images/{name}.*", masks: "masks/{name}.png", group: "(plant[0-9]+)_", classes: [spot]}

Default layout: images/<name>.<any> and masks/<name>.<any>, masks of 0/1 or 0/255, one class. Images are PNG, JPEG or
TIFF, masks PNG or TIFF (JPEG with a threshold); hidden files are ignored, links are followed. patterns.py documents the
patterns, labels.py the values in masks. Several masks of an image are its instances ("{name}/masks/*.png",
"{name}_mask*.png") or, with {class} in their pattern, its classes; masks that number instances are read as such. With
options.annotations, masks and instances are drawn from annotation files (`promptseg.annotations`).

Traps, and how they are avoided: files are paired by name and never by order; the meaning of mask values is stated or
unambiguous, never guessed; a group in two splits is an error, and CHECK_DUPLICATES makes preprocessing search for
near-duplicates across splits. Without a split of its own, a folder is split by whole groups in preprocessing.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets import Sample
from promptseg.datasets.folder import annotated, entries, mask_files, pairing, stacks
from promptseg.datasets.folder.annotated import AnnotatedImages
from promptseg.datasets.folder.entries import Entry
from promptseg.datasets.folder.labels import Labels, parse_labels
from promptseg.datasets.folder.mask_reader import Mask, MaskReader
from promptseg.datasets.folder.patterns import CLASS, Pattern

TITLE = "Your own images"
LICENCE = "the user's own data: known to whoever provides the folder"
CITATION = "none: the user's own data"
ACCESS = "by hand"
CHECK_DUPLICATES = True
# Photos of different scenes correlate by 0.71 at most, X-rays of different patients by 0.94, frames of a clip by more.
CLIP_CORRELATION = 0.95

# Options that say what masks hold, or that the files are stacks.
_OF_MASKS = ("masks", "background", "ignore", "values", "others", "instances", "threshold", "stack")


class Options(params.Settings):
    """Where images and masks are, how they pair, and what the values in masks mean."""

    images: str = "images/{name}.*"  # pattern of the images' paths within the folder
    masks: str = "masks/{name}.*"  # pattern of the masks' paths; placeholders in both patterns must agree
    annotations: str | None = None  # instead of masks: a file in the folder (annotations.json), or a pattern of files
    unpaired: Literal["error", "skip"] = "error"  # for an image without mask, or a mask without image
    splits: dict[Literal["train", "val", "test"], str] | None = None  # regular expressions on the images' paths
    group: str | None = None  # regular expression on the image's path; its (...) is the group; None: one group each
    classes: Any = None  # names of 1, 2, ...; or name: id | [ids] | "#rrggbb" | [r, g, b]
    background: Any = None  # value or values, written like those of a class; None: 0, or black
    ignore: Any = None  # value or values that are excluded from training and scores; None: none
    values: Literal["ids", "colors"] | None = None  # what lists of three numbers are, where nothing else tells
    others: Literal["error", "background", "ignore"] = "error"  # meaning of values that are not listed
    instances: bool | None = None  # each value is an instance of the file's one class; None: where it is unambiguous
    threshold: Annotated[int, Field(ge=1, le=255)] | None = None  # smallest value of the only class, for soft edges
    window: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None  # black, white; 16-bit and float
    stack: bool = False  # each file is a TIFF stack, each of its slices an image
    block: PositiveInt | None = None  # neighbors per group, in a stack or in the order of the numbered names
    contained: dict[str, str] = {}  # {inner class: outer class}: {spot: leaf} makes spots belong to the leaf as well

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

    @field_validator("annotations")
    @classmethod
    def _check_annotations(cls, text: str | None) -> str | None:
        if text is not None:
            # The pattern of one file has no placeholder, but is a path within the folder all the same.
            Pattern(text if annotated.is_pattern(text) else text + "/{name}")
        return text

    @model_validator(mode="after")
    def _check_consistency(self):
        if self.annotations is not None:
            of_masks = [key for key in _OF_MASKS if key in self.model_fields_set]
            if of_masks:
                raise ValueError(f"{of_masks[0]}: not with annotations, which stand instead of masks; remove one")
            if self.classes is not None and not isinstance(self.classes, list):
                raise ValueError("classes: with annotations a list of names that they have, or none for all")
        colors = self.labels().colors  # raises where the options for masks contradict each other
        fields = Pattern(self.images).fields
        if Pattern(self.images).text == Pattern(self.masks).text:
            raise ValueError("images and masks are the same pattern; they must distinguish images from masks")
        if "split" in Pattern(self.masks).fields and "split" not in fields:
            raise ValueError("masks has {split} but images does not; write {split} in both, or * in masks")
        if self.splits is not None and "split" in fields:
            raise ValueError("splits: images has {split} already; remove one of them")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError("window: two numbers, the smaller one first")
        if self.block is not None and self.group is not None and self.stack:
            raise ValueError("block: not with group, which puts whole stacks into a group; remove one of them")
        if self.stack and colors:
            raise ValueError("stack: the masks of a stack are gray; give ids instead of colors")
        by_class = CLASS in Pattern(self.masks).fields
        if self.stack and by_class:
            raise ValueError("stack: {class} in masks is for single images")
        if CLASS in fields or (by_class and not isinstance(self.classes, list)):
            raise ValueError("{class} stands in masks alone, and classes lists its names: [leaf, spot]")
        alone = (by_class or self.labels().binary) and (self.threshold, self.others) == (None, "error")
        if self.instances and not alone:
            raise ValueError(
                "instances: only for one class or {class} in masks, without a value of its own, threshold and others"
            )
        if self.annotations is None or self.classes is not None:
            self.check_contained(self.labels().names)
        return self

    def check_contained(self, names: tuple[str, ...]) -> None:
        """Raise ValueError where `contained` names what is not among these classes."""
        for name in (*self.contained, *self.contained.values()):
            if name not in names:
                raise ValueError(f"contained: {name!r} is not among classes: {', '.join(names)}")

    @property
    def ordered_groups(self) -> bool:
        """Whether neighboring groups are alike, as blocks of one stack or volume are."""
        return self.block is not None

    @property
    def contained_in(self) -> dict[str, str]:
        """The inner classes, each with the class that it lies in."""
        return self.contained

    @property
    def group_unit(self) -> str:
        """What a group is."""
        if self.block and not self.stack:
            return f"block of {self.block} consecutive images"
        if self.group is not None:
            return "images of one name"
        if not self.stack:
            return "image"
        return f"block of {self.block} slices within one stack" if self.block else "stack"

    def labels(self) -> Labels:
        """Combine the options about mask values. Raises ValueError where they contradict each other."""
        return parse_labels(self.classes, self.background, self.ignore, self.threshold, self.others, self.values)


def classes(options: Options = Options()) -> tuple[str, ...]:
    """Return the names of the mask values 1, 2, ... Raises UserError where only the annotation files tell them."""
    if options.annotations is not None and options.classes is None:
        raise UserError("options.annotations: the classes are those of the files; list them in options.classes")
    return options.labels().names


def classes_in(folder: Path, options: Options = Options()) -> tuple[str, ...]:
    """Return `classes`, or those of the annotation files in a folder. Raises UserError where these are damaged."""
    if options.annotations is None or options.classes is not None:
        return classes(options)
    if not Path(folder).is_dir():
        what = "folder not found, and only its annotation files name the classes"
        raise UserError(f"{folder}: {what}; correct datasets.<name>.raw, or list them in options.classes")
    return annotated.read_classes(Path(folder), options)


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
        is what options.group matches, by default the id; with options.block it is the block of a stack, or of the
        images of one group (by default, of one split) in their order.

    Raises:
        UserError: at once, as `verify`.
    """
    folder = Path(folder)
    pairs = _pair(folder, options)
    found = entries.entries(folder, pairs.pairs, options)
    window = (options.window[0], options.window[1]) if options.window else None
    if options.stack:
        return stacks.read_all(folder, found, MaskReader(options.labels(), options.instances), options.block, window)
    if isinstance(pairs, AnnotatedImages):
        images = [entry.files.image for entry in found]
        masks = [annotated.mask(folder / image, pairs.found[image], pairs.classes) for image in images]
    else:
        masks = mask_files.read_all(folder, [entry.files for entry in found], options)
    return iter([_file_sample(folder, entry, mask, window) for entry, mask in zip(found, masks, strict=True)])


def left_out(folder: Path, options: Options = Options()) -> list[str]:
    """List the files that `read` leaves out: those without counterpart, where options.unpaired is skip."""
    return _pair(Path(folder), options).left_out


def _pair(folder: Path, options: Options) -> pairing.Pairing | AnnotatedImages:
    if options.annotations is not None:
        return annotated.pair(folder, options)
    return pairing.pair(folder, Pattern(options.images), Pattern(options.masks), options.unpaired == "skip")


def _compile(text: str) -> re.Pattern:
    """Compile a regular expression. Raises ValueError."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


def _file_sample(folder: Path, entry: Entry, mask: Mask, window: tuple[float, float] | None) -> Sample:
    """Make the sample of an image file."""
    image = folder / entry.files.image
    return Sample(
        id=entries.id_of(entry.files),
        split=entry.split,
        group=entry.group,
        image=partial(image_io.read_image, image, window),
        mask=mask,
        file=None if window else image,
        size=partial(image_io.image_size, image),
        sources=(image, mask.where),
        instances=mask.instances,
    )
