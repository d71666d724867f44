"""Which options of the folder reader pair the images of a folder with annotation files, such as COCO's JSON."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from promptseg import annotations
from promptseg.core.errors import UserError
from promptseg.data import file_names
from promptseg.data.file_names import IMAGE_SUFFIXES
from promptseg.datasets.folder import annotated, annotation_files
from promptseg.datasets.folder.annotated import AnnotatedImages
from promptseg.datasets.folder.reader import Options
from promptseg.inspection import layouts

_LOOKED_AT = 20  # files of a suffix; others are of the same kind


@dataclass(frozen=True)
class AnnotationLayout:
    """Annotations of a folder.

    Attributes:
        title: of the format.
        images: pattern of the images, for the reader's option of that name.
        annotations: pattern of the annotation files, likewise.
        pairing: images with their annotations, and the classes that these name.
    """

    title: str
    images: str
    annotations: str
    pairing: AnnotatedImages


def find(folder: Path, files: list[str]) -> AnnotationLayout | None:
    """Find the patterns that pair the most images with annotations.

    Args:
        folder: of the files.
        files: relative to it, from `file_names.walk`.

    Returns:
        None where there are no annotations that are read.

    Raises:
        UserError: there are, and they cannot be read, or are of no image.
    """
    module, first = _recognized(folder, files)
    if module is None:
        return None
    best, problem = None, None
    for images, pattern in dict.fromkeys(_candidates(files, first, module)):
        try:
            found = annotated.pair(folder, Options(images=images, annotations=pattern, unpaired="skip"))
        except UserError as error:
            problem = problem or error
            continue
        if best is None or len(found.pairs) > len(best.pairing.pairs):
            best = AnnotationLayout(module.NAME, images, pattern, found)
        if not found.left_out:
            break
    if best is None and problem is not None:
        raise problem
    return best


def _recognized(folder: Path, files: list[str]) -> tuple[ModuleType | None, str]:
    """The format of the first annotation file that is read, and its path."""
    looked_at: dict[str, int] = {}
    for path in files:
        suffix = os.path.splitext(path)[1].lower()
        if suffix in IMAGE_SUFFIXES or looked_at.get(suffix, 0) >= _LOOKED_AT:
            continue
        looked_at[suffix] = looked_at.get(suffix, 0) + 1
        module = annotations.recognize(folder / path)
        if module is not None and not hasattr(module, "INSTEAD"):  # which says what to export instead
            return module, path
    return None, ""


def _candidates(files: list[str], first: str, module: ModuleType) -> Iterator[tuple[str, str]]:
    """Patterns of images and of annotations, the simplest first."""
    suffix = os.path.splitext(first)[1]
    patterns = [annotation_files.pattern_of(first, files)]
    patterns += [f"{home}{{name}}{suffix}" for home in _homes([path for path in files if path.endswith(suffix)])]
    for home in _homes(file_names.with_suffix(files)):
        yield from ((f"{home}{{name}}.*", pattern) for pattern in patterns)
    yield from (("{name:**}.*", pattern) for pattern in patterns)


def _homes(paths: list[str]) -> list[str]:
    """Folders of files, with a placeholder for the split, and a slash behind."""
    homes = {layouts.abstract(path.split("/")[:-1]) for path in paths if not any(char in path for char in "{}*?")}
    return sorted("".join(f"{part}/" for part in home) for home in homes)
