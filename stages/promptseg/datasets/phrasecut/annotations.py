"""The tasks of PhraseCut, parsed one by one from its JSON files."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from promptseg.core.errors import UserError
from promptseg.data import image_io, json_stream
from promptseg.datasets.phrasecut import polygons

INFO = "image_data_split.json"
SPLITS = {  # in reading order: of a task in val and miniv, the first one is used
    "refer_train.json": "train", "refer_val.json": "val", "refer_miniv.json": "val", "refer_test.json": "test",
}  # fmt: skip
_ID = re.compile(r"[0-9A-Za-z_]{1,4000}")  # `<image_id>__<ann_id>_<ann_id>...`, one ann_id per instance
_MAX_ID = 2**31 - 1


class Task(NamedTuple):
    """A phrase and its region; `outlines` is packed by `polygons.pack`."""

    split: str
    image_id: int
    id: str
    phrase: str
    outlines: bytes


def normalize(phrase: str) -> str:
    """Reduce a phrase to its words in lower case, so that `Red ball.` and `red  ball` are one."""
    return " ".join(re.findall(r"[^\W_]+", phrase.casefold()))


def read_sizes(root: Path) -> dict[int, tuple[int, int]]:
    """Read the (width, height) of each image. Raises UserError."""
    sizes: dict[int, tuple[int, int]] = {}
    for number, entry in enumerate(json_stream.entries(root / INFO), 1):
        try:
            id = integer(entry, "image_id", 1, _MAX_ID)
            size = integer(entry, "width", 1, 2**15), integer(entry, "height", 1, 2**15)
            if size[0] * size[1] > image_io.MAX_PIXELS:
                raise ValueError(f"{size[0]}x{size[1]} is more than {image_io.MAX_PIXELS:,} pixels")
            if sizes.setdefault(id, size) != size:
                raise ValueError(f"image {id} is listed twice, with different sizes")
        except ValueError as error:
            raise UserError(f"{root / INFO}: entry {number}: {error}; restore the official file") from None
    return sizes


def read_tasks(root: Path) -> Iterator[Task]:
    """Yield the tasks of all files that exist. Raises UserError for an invalid task, and if there is none."""
    file_of: dict[str, str] = {}
    for name, split in SPLITS.items():
        if not (root / name).is_file():
            continue  # a subset of the official data
        for number, entry in enumerate(json_stream.entries(root / name), 1):
            try:
                task = _parse_task(split, entry)
            except ValueError as error:
                where = f"{root / name}: task {shown(entry.get('task_id'))} (entry {number})"
                raise UserError(f"{where}: {error}; restore the official file") from None
            first = file_of.get(task.id)
            if first is None:
                file_of[task.id] = name
                yield task
            elif first == name or SPLITS[first] != split:
                raise UserError(f"{root / name}: task {task.id} is in {first} as well; restore the official files")
    if not file_of:
        raise UserError(f"{root}: no tasks in {', '.join(SPLITS)}; download the official files again")


def integer(entry: dict, key: str, low: int, high: int) -> int:
    """Get an integer from an entry.

    Args:
        entry: a JSON object.
        key: of the integer.
        low: smallest valid value.
        high: largest valid value.

    Raises:
        ValueError: the value is missing or invalid; the message shows it.
    """
    value = entry.get(key)
    if type(value) is not int or not low <= value <= high:  # not isinstance: True is an int
        raise ValueError(f"{key} is {shown(value)}, not an integer from {low} to {high}")
    return value


def shown(value: object) -> str:
    """Format any value in at most 40 printable characters, for error messages."""
    text = "missing" if value is None else ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _parse_task(split: str, entry: dict) -> Task:
    """Parse a task. Raises ValueError saying what is wrong with it."""
    image_id = integer(entry, "image_id", 1, _MAX_ID)
    id, phrase = entry.get("task_id"), entry.get("phrase")
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise ValueError("task_id is not a string of letters, digits and _")
    if not isinstance(phrase, str) or not phrase.strip() or len(phrase) > 1000:
        raise ValueError(f"phrase is {shown(phrase)}, not a few words")
    words = " ".join(phrase.split())
    if not words.isprintable():
        raise ValueError(f"phrase {shown(phrase)} has unprintable characters")
    return Task(split, image_id, id, sys.intern(words), polygons.pack(entry.get("Polygons")))
