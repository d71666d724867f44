"""All annotations of a folder: which images they are of, and what classes they have."""

import functools
import ntpath
import os
import posixpath
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from promptseg.annotations.registry import formats, recognize
from promptseg.annotations.shapes import Annotated
from promptseg.core import progress
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError


@dataclass(frozen=True)
class Found:
    """The annotations of one image.

    Attributes:
        file: that they are in, relative to the folder.
        image: as `Annotated` has it.
        path: of the file.
        format: module of the file's format.
        kept: the annotations, where the file has those of several images; others are read again when they are needed,
            so that the masks of thousands of files are never in memory together.
    """

    file: str
    image: str
    path: Path
    format: ModuleType
    kept: Annotated | None = None

    @property
    def where(self) -> str:
        """The file, and the image where it has several, for messages."""
        return f"{self.path}, {self.image}" if self.kept is not None and self.image else str(self.path)

    def annotated(self) -> Annotated:
        """Read the annotations. Raises UserError where the file is damaged, or has changed."""
        if self.kept is not None:
            return self.kept
        found = list(self.format.read(self.path))
        if len(found) != 1:
            raise UserError(f"{self.path}: changed while it was in use; start again")
        return found[0]


@dataclass(frozen=True)
class Annotations:
    """The annotations in some files.

    Attributes:
        name: of their format.
        classes: in the files' own order where the format has one, else sorted.
        found: for each image, in the order of files and in them.
    """

    name: str
    classes: tuple[str, ...]
    found: tuple[Found, ...]

    def of_images(self, images: Sequence[str]) -> tuple[dict[str, Found], list[Found]]:
        """Find the image file of all annotations that name an image.

        The name is a path relative to the annotation file, to the folder or to a folder below it; where there is no
        such file, the only one of its base name.

        Args:
            images: paths of the image files relative to the folder, with `/`.

        Returns:
            The annotations by image file, and those whose image is not there.

        Raises:
            UserError: a name may be that of several files, or two annotations are of one.
        """
        by_path = {_normal(path): path for path in images}
        by_base: dict[str, list[str]] = {}
        for path in by_path:
            by_base.setdefault(posixpath.basename(path), []).append(path)
        matched: dict[str, Found] = {}
        rest = []
        for each in (found for found in self.found if found.image):
            if (path_of := _by_path(each, by_path, by_base)) is None:
                rest.append(each)
            else:
                _add(matched, by_path[path_of], each)
        unknown = []
        for each in rest:
            base = ntpath.basename(_normal(each.image))
            candidates = [path for path in by_base.get(base, ()) if by_path[path] not in matched]
            if len(candidates) > 1:
                raise _ambiguous(each, candidates)
            if candidates:
                _add(matched, by_path[candidates[0]], each)
            else:
                unknown.append(each)
        return matched, unknown


def index(folder: Path, files: Sequence[str]) -> Annotations:
    """Read the annotations in files, all of one format.

    The last index is kept and returned again while its files do not change.

    Args:
        folder: of the files.
        files: relative to the folder, with `/`.

    Raises:
        UserError: a file is damaged, of no known format or of another one than those before, or two formats are mixed.
    """
    stats = [os.stat(folder / file) for file in files]
    states = tuple((file, stat.st_size, stat.st_mtime_ns) for file, stat in zip(files, stats, strict=True))
    return _index(Path(folder), states)


@functools.lru_cache(maxsize=1)
def _index(folder: Path, states: tuple[tuple[str, int, int], ...]) -> Annotations:
    paths = {file: folder / file for file, _, _ in states}
    module = next((found for path in paths.values() if (found := recognize(path)) is not None), None)
    if module is None:
        known = ", ".join(each.NAME for each in formats() if not hasattr(each, "INSTEAD"))
        raise UserError(f"{next(iter(paths.values()))}: it is of no annotation format that is read: {known}")
    entries: list[Found] = []
    labels: dict[str, None] = {}
    own: dict[str, None] = {}
    skipped, of_file = 0, ""
    for file, path in paths.items():
        if path.suffix.lower() not in module.SUFFIXES or recognize(path) not in (module, None):
            other = recognize(path)
            what = other.NAME if other else "no annotation file"
            raise UserError(f"{path}: it is {what}, but other files are {module.NAME}; select files of one format")
        annotated = list(module.read(path))
        for each in annotated:
            entries.append(Found(file, each.image, path, module, each if len(annotated) > 1 else None))
            labels |= dict.fromkeys(shape.label for shape in each.shapes)
            skipped, of_file = skipped + each.skipped, of_file or (str(path) if each.skipped else "")
        names = module.classes(path) if hasattr(module, "classes") else None
        own |= dict.fromkeys(names or ())
    if skipped and Ranks().main:
        progress.write(f"note: {of_file}: lines and points are no areas; {skipped:,} annotations are left out")
    ordered = [*own, *sorted(labels.keys() - own.keys())]
    return Annotations(module.NAME, tuple(ordered), tuple(entries))


def _by_path(found: Found, by_path: dict[str, str], by_base: dict[str, list[str]]) -> str | None:
    """The image file that a name leads to as a path. Raises UserError where it may be several."""
    name = _normal(found.image)
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(_normal(found.file)), name))
    for path in (beside, name):
        if path in by_path:
            return path
    ends = [path for path in by_base.get(posixpath.basename(name), ()) if path.endswith(f"/{name}")]
    if len(ends) > 1:
        raise _ambiguous(found, ends)
    return ends[0] if ends else None


def _normal(path: str) -> str:
    """A path in one Unicode form, with `/` and without `.`."""
    return posixpath.normpath(unicodedata.normalize("NFC", path).replace("\\", "/"))


def _ambiguous(found: Found, candidates: list[str]) -> UserError:
    return UserError(
        f"{found.path}: its image {found.image!r} may be {candidates[0]} or {candidates[1]}; write the folder there, "
        "or select images of one folder by options.images"
    )


def _add(matched: dict[str, Found], image: str, found: Found) -> None:
    """Add the annotations of an image. Raises UserError where it has some already."""
    if (other := matched.setdefault(image, found)) is not found:
        which = f"{other.where} and {found.where}" if other.where != found.where else f"{found.path} twice"
        raise UserError(f"{which}: both annotate {image}; remove one, or select files by options.annotations")
