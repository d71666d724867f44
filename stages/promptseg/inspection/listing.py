"""What the names of a folder and its files say, before any is opened."""

import os
import re
import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath

import yaml

from promptseg.core.errors import UserError
from promptseg.data import file_kinds, file_names
from promptseg.data.file_names import IMAGE_SUFFIXES


def check_readable(folder: Path, files: list[str]) -> None:
    """Raise UserError for a file that is there and cannot be read, at which DVC would stop.

    Args:
        folder: of the files.
        files: relative to it, from `file_names.walk`.
    """
    for path in files:
        if not os.access(folder / path, os.R_OK):
            what = "a link to nothing" if (folder / path).is_symlink() else "no permission to read it"
            raise UserError(f"{folder / path}: {what}, and dvc needs every file of the folder; mend or remove it")


def linked_folders(folder: Path, files: list[str]) -> list[str]:
    """The linked folders that files are in, sorted. Arguments as of `check_readable`."""
    folders = {str(above) for path in files for above in PurePosixPath(path).parents}
    return sorted(path for path in folders if path != "." and (folder / path).is_symlink())


def nothing(folder: Path, files: list[str]) -> str:
    """What a folder holds that has no image with a mask."""
    if not files:
        return "the folder is empty"
    kinds = Counter(os.path.splitext(path)[1].lower() or "no suffix" for path in files)
    listed = ", ".join(f"{count:,} {suffix}" for suffix, count in kinds.most_common(4))
    if not file_names.with_suffix(files):
        first = file_kinds.refusal(folder / files[0])
        return f"no PNG, JPEG, TIFF or WebP images ({listed}); {files[0]}: {first}"
    return (
        f"no image has a mask ({listed}); expected images/NAME.png and masks/NAME.png, or NAME.png and NAME_mask.png; "
        "other patterns: datasets.<name>.options in params.yaml"
    )


def others(files: list[str]) -> str:
    """Files that are no images, by suffix."""
    suffixes = (os.path.splitext(path)[1].lower() for path in files)
    kinds = Counter(suffix for suffix in suffixes if suffix and suffix not in IMAGE_SUFFIXES)
    return ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(kinds.items()))


def dataset_name(folder: Path) -> str:
    """Derive the name of a dataset from that of its folder."""
    plain = unicodedata.normalize("NFKD", folder.resolve().name.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:20].strip("-") or "mine"
    # params.yaml would take 2024 for a number and no for a boolean.
    return name if name[0].isalpha() and isinstance(yaml.safe_load(name), str) else f"images-{name}"
