"""Whether a folder has the official layout of a dataset that promptseg knows."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from promptseg import datasets, studies
from promptseg.core.errors import UserError
from promptseg.data import image_io

_TRIED = 8  # samples whose image and mask are decoded


@dataclass(frozen=True)
class Official:
    """A dataset whose official layout a folder has.

    Attributes:
        name: of its entry in the shipped study.
        title: of the reader.
        entry: keys of the entry, without `raw`.
        phrases: that the shipped study prompts for it by, the first ones first.
        others: readers that take the folder as well.
    """

    name: str
    title: str
    entry: dict[str, Any]
    phrases: tuple[str, ...]
    others: tuple[str, ...]


def recognize(folder: Path) -> Official | None:
    """Try the reader of each dataset: its `verify`, and some images and masks.

    Args:
        folder: of the user.

    Returns:
        None where no reader takes the folder. Of several, the one that comes first in the shipped study.

    Raises:
        UserError: the folder holds point clouds.
    """
    study = yaml.load(studies.text("published"), yaml.CSafeLoader)
    first: dict[str, str] = {}
    for name, entry in study["datasets"].items():
        first.setdefault(entry["reader"], name)
    readers = [reader for reader in first if reader != "folder" and _takes(datasets.load(reader), folder)]
    if not readers:
        return None
    reader, name = readers[0], first[readers[0]]
    module = datasets.load(reader)
    if getattr(module, "MODALITY", "image") != "image":
        raise UserError(f"{folder}: it looks like {module.TITLE}, point clouds; a study of these is written by hand")
    entry = {key: value for key, value in study["datasets"][name].items() if key != "raw"}
    searches = [entry for entry in study.get("search", {}).values() if entry["dataset"] == name]
    phrases = [phrase for entry in searches for phrase in entry.get("phrases", []) if isinstance(phrase, str)]
    phrases += [
        run["prompt"]["text"][0]
        for run in study["zero_shot"].values()
        if run["dataset"] == name and isinstance(run["prompt"].get("text"), list) and len(run["prompt"]["text"]) == 1
    ]
    return Official(name, module.TITLE, entry, tuple(dict.fromkeys(phrases)), tuple(readers[1:]))


def _takes(module: ModuleType, folder: Path) -> bool:
    """Whether a reader finds its files in a folder, and evenly spaced samples decode."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            datasets.verify(module, folder)
            samples = list(module.read(folder))
            for sample in samples[:: max(1, len(samples) // _TRIED)]:
                with contextlib.suppress(datasets.LeaveOut):
                    mask = sample.mask()
                    if len(datasets.classes(module)) < int(mask[mask < image_io.IGNORED].max(initial=0)):
                        return False
                    image_io.check_same_size(sample.image().shape, mask.shape, *sample.names)
    except (UserError, OSError):
        return False
    return bool(samples)
