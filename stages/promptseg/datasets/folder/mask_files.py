"""The masks of all images, each from one file or from several."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from promptseg.core.errors import UserError
from promptseg.datasets.folder import more_masks
from promptseg.datasets.folder.labels import Labels, parse_labels
from promptseg.datasets.folder.mask_reader import Mask, MaskReader
from promptseg.datasets.folder.mask_values import Notes
from promptseg.datasets.folder.merged_masks import Part, merge
from promptseg.datasets.folder.pairing import FilePair
from promptseg.datasets.folder.patterns import CLASS, Pattern

if TYPE_CHECKING:
    from promptseg.datasets.folder.reader import Options


def read_all(folder: Path, pairs: list[FilePair], options: "Options") -> list[Mask]:
    """The mask of each pair; nothing is decoded yet.

    Where any image has several masks, each file is an instance in all of them. Where paths name classes, instances are
    those of the files only if an image has several of one class, and else those that the files number.

    Raises:
        UserError: a path names a class that options.classes does not list, or may name classes.
    """
    labels, notes = options.labels(), Notes()
    if not any(len(pair.masks) > 1 or pair.classes[0] is not None for pair in pairs):
        reader = MaskReader(labels, options.instances, notes)
        return [reader.add_file(folder / pair.masks[0]) for pair in pairs]
    if options.instances is None:
        _check_words(folder, pairs)
    instances = any(len(set(pair.classes)) < len(pair.classes) for pair in pairs)
    readers = _readers(labels, options, False if instances else options.instances, notes)
    merged = []
    for pair in pairs:
        parts = []
        for path, name in zip(pair.masks, pair.classes, strict=True):
            if name not in readers:
                raise UserError(
                    f"{folder / path}: its class {name!r} is not in options.classes: {', '.join(labels.names)}"
                )
            label = None if name is None else labels.names.index(name) + 1
            parts.append(Part(readers[name].add_file(folder / path), label))
        merged.append(merge(parts, instances, notes))
    return merged


def _check_words(folder: Path, pairs: list[FilePair]) -> None:
    """Raise UserError where several images have masks of the same words, which may be classes."""
    unnamed = [pair for pair in pairs if pair.classes[0] is None]
    words = [(pair, more_masks.words(pair.masks)) for pair in unnamed if len(pair.masks) > 1]
    counts = Counter(word for _, found in words for word in found)
    for pair, found in words:
        if len(repeated := sorted(word for word in found if counts[word] > 1)) > 1:
            what = f"its masks, and those of other images, are named {' and '.join(repeated)}"
            remedy = "put {class} for it into options.masks, and list options.classes: [" + ", ".join(repeated) + "]"
            raise UserError(
                f"{folder / pair.image}: {what}; if these are classes, {remedy}; if each is an instance, set "
                "options.instances: true"
            )


def _readers(labels: Labels, options: "Options", numbered: bool | None, notes: Notes) -> dict[str | None, MaskReader]:
    """The reader of each class that paths may name; of None, that of all files.

    numbered: whether a file of a class numbers its instances; None: where it is unambiguous.
    """
    if CLASS not in Pattern(options.masks).fields:
        return {None: MaskReader(labels, False, notes)}

    def of_class(name: str) -> Labels:
        return parse_labels([name], options.background, options.ignore, options.threshold, options.others)

    return {name: MaskReader(of_class(name), numbered, notes) for name in labels.names}
