"""What readers of official files share: where the files lie, which belong together, and the samples made of them."""

from collections.abc import Callable, Collection, Iterable
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.data.file_names import natural
from promptseg.datasets import Sample


def find_root(folder: Path, below: Iterable[str], parts: Collection[str], remedy: str) -> Path:
    """Find the folder that holds the files of a dataset.

    Args:
        folder: as it was given.
        below: candidates, relative to it; the first that fits counts.
        parts: names of files and folders of which it holds at least one.
        remedy: what is missing and what to do, for the message.

    Raises:
        UserError: none of the candidates fits.
    """
    for root in (Path(folder) / name for name in below):
        if any((root / part).exists() for part in parts):
            return root
    raise UserError(f"{folder}: {remedy}")


def with_subfolders(folder: Path, remedy: str = "give the folder into which the archive was unpacked") -> list[Path]:
    """List a folder and the folders in it, sorted and without hidden ones, as an archive may have one around its files.

    Args:
        folder: as it was given.
        remedy: what to do where it does not exist, for the message.

    Raises:
        UserError: it does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {remedy}")
    return [folder, *sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))]


def check_pairs(
    images: AbstractSet[Any], masks: AbstractSet[Any], image: Callable[[Any], Path], mask: Callable[[Any], Path]
) -> None:
    """Check that images and masks belong together.

    Args:
        images: names of the images that exist, or other keys.
        masks: those of the masks.
        image: the file of an image by its name.
        mask: the file of a mask by its name.

    Raises:
        UserError: an image has no mask, or a mask no image.
    """
    for name in sorted(images ^ masks, key=lambda name: natural(str(name)))[:1]:
        present, missing = (image(name), mask(name)) if name in images else (mask(name), image(name))
        single = present.name if present.name != missing.name else f"{present.parent.name}/{present.name}"
        what = "mask" if name in images else "image"
        raise UserError(f"{missing}: not found, the {what} of {single}; restore it, or delete {single}")


def file_sample(
    id: str,
    split: str | None,
    group: str,
    image: Path,
    mask: Path,
    read_mask: Callable[[Path], np.ndarray],
    **more: Any,
) -> Sample:
    """Make a sample of an image file and a mask file.

    Args:
        id: of the sample.
        split: of the sample.
        group: of the sample.
        image: its file.
        mask: its file.
        read_mask: reads that as (h, w) uint8.
        more: further attributes of the sample.
    """
    read_image = partial(image_io.read_image, image)
    return Sample(id, split, group, read_image, partial(read_mask, mask), file=image, sources=(image, mask), **more)
