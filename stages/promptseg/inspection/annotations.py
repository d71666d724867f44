"""Annotation files, such as COCO's JSON, in a folder of images."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """Annotations of a folder.

    Attributes:
        title: of the format.
        pattern: of the files, for the folder reader's option `annotations`.
        images: pattern of the images, for its option `images`.
        classes: that the annotations name.
    """

    title: str
    pattern: str
    images: str
    classes: tuple[str, ...]


def find(folder: Path, files: list[str]) -> Found | None:
    """Find the annotations of a folder; None where there are none that are read.

    Args:
        folder: of the files.
        files: relative to it.
    """
    return None
