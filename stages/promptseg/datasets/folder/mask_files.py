"""The masks of all images, each from one file or from several."""

from pathlib import Path
from typing import TYPE_CHECKING

from promptseg.core.errors import UserError
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
    those of the files only if an image has several of one class.

    Raises:
        UserError: a path names a class that options.classes does not list.
    """
    labels, notes = options.labels(), Notes()
    if not any(len(pair.masks) > 1 or pair.classes[0] is not None for pair in pairs):
        reader = MaskReader(labels, options.instances, notes)
        return [reader.add_file(folder / pair.masks[0]) for pair in pairs]
    instances = any(len(set(pair.classes)) < len(pair.classes) for pair in pairs)
    readers = _readers(labels, options, notes)
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


def _readers(labels: Labels, options: "Options", notes: Notes) -> dict[str | None, MaskReader]:
    """The reader of each class that paths may name; of None, that of all files."""
    if CLASS not in Pattern(options.masks).fields:
        return {None: MaskReader(labels, False, notes)}

    def of_class(name: str) -> Labels:
        return parse_labels([name], options.background, options.ignore, options.threshold, options.others)

    return {name: MaskReader(of_class(name), False, notes) for name in labels.names}
