"""Pairs of files with their ids, splits and groups."""

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from promptseg.core.errors import UserError
from promptseg.datasets.folder.pairing import FilePair
from promptseg.datasets.folder.patterns import split_of

if TYPE_CHECKING:
    from promptseg.datasets.folder.reader import Options

SPLITS = ("train", "val", "test")


class Entry(NamedTuple):
    """A pair of files with its split and group."""

    split: str | None
    group: str
    files: FilePair


def entries(folder: Path, pairs: list[FilePair], options: "Options") -> list[Entry]:
    """Give each pair its split and group: in the order train, val, test.

    Raises:
        UserError: a split or group is unknown or ambiguous, or a group is in two splits.
    """
    found = [Entry(_split(folder, pair, options), _group(folder, pair, options), pair) for pair in pairs]
    found.sort(key=lambda entry: SPLITS.index(entry.split or "train"))
    _check_groups(folder, found)
    return _blocks(found, options) if options.block and not options.stack else found


def id_of(pair: FilePair) -> str:
    """Join the values of the placeholders."""
    return "/".join(value for value in pair.values.values() if value)


def _split(folder: Path, pair: FilePair, options: "Options") -> str | None:
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


def _group(folder: Path, pair: FilePair, options: "Options") -> str:
    """Determine the group of a pair. Raises UserError where options.group does not match."""
    if options.group is None:
        return id_of(pair)
    match = re.search(options.group, pair.image)
    group = match and match["group" if "group" in match.re.groupindex else 1]
    if not group:
        what = f"options.group {options.group!r} does not match {pair.image}"
        remedy = "every image needs a group; correct it, or remove it if the images are unrelated"
        raise UserError(f"{folder / pair.image}: {what}; {remedy}")
    return group


def _blocks(found: list[Entry], options: "Options") -> list[Entry]:
    """Make every `block` consecutive images of a group (of all, without options.group) a group, as of a stack."""
    counts: Counter[str] = Counter()
    blocks = []
    for entry in found:
        volume = entry.group if options.group else entry.split or ""
        number = counts[volume] // (options.block or 1)
        blocks.append(entry._replace(group=f"{volume}/b{number:03d}".removeprefix("/")))
        counts[volume] += 1
    return blocks


def _check_groups(folder: Path, entries: list[Entry]) -> None:
    """Raise UserError where a group is in two splits."""
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.group, entry)
        if other.split != entry.split:
            where = f"is in {other.split} ({other.files.image}) and in {entry.split} ({entry.files.image})"
            remedy = "move one, or remove the split or options.group, whichever is wrong"
            raise UserError(f"{folder / entry.files.image}: group {entry.group!r} {where}; {remedy}")
