"""Several mask files of one image: which image a file belongs to, and files that the pattern of masks misses."""

import os
import re
from collections.abc import Callable

from promptseg.datasets.folder.patterns import CLASS, Pattern

_NUMBERED = re.compile(r"[ _.-]?\(?\d+\)?$")  # x_mask_1, x_mask-2, x_mask(3)
_SEPARATOR = re.compile(r"[ _.(-]")
_WORD = 3  # letters


def adopt(files: list[str], image_files: dict, mask_files: dict, pattern: Pattern) -> None:
    """Take x_mask_1.png for one more mask of the image of x_mask.png.

    Only where masks are named by more than their image: x_1.png could as well be the mask of an image that is missing.

    Args:
        files: in the folder.
        image_files: with the values of their placeholders; what is a mask is removed.
        mask_files: likewise; the masks that are found are added.
        pattern: of masks.
    """
    named = {os.path.splitext(path)[0]: path for path, values in mask_files.items() if CLASS not in values}
    named = {stem: path for stem, path in named.items() if not stem.endswith(mask_files[path]["name"])}
    with_mask = {values["name"] for values in mask_files.values()}
    suffixes = {os.path.splitext(path)[1].lower() for path in named.values()}
    for path in files:
        stem, suffix = os.path.splitext(path)
        first = named.get(_NUMBERED.sub("", stem))
        if first is None or suffix.lower() not in suffixes or path in mask_files:
            continue
        if path not in image_files or image_files[path]["name"] not in with_mask:
            image_files.pop(path, None)
            mask_files[path] = mask_files[first]


def values_with_image(
    path: str, values: dict[str, str], pattern: Pattern, has_image: Callable[[dict[str, str]], bool]
) -> dict[str, str]:
    """The placeholders of a mask whose pattern leaves open where the name ends: the longest name that an image has.

    Args:
        path: of the mask.
        values: by `Pattern.match`, where the name is as long as possible.
        pattern: of masks.
        has_image: whether an image has these values.
    """
    if has_image(values) or not (pattern.has_wildcards or CLASS in values):
        return values
    name = values["name"]
    for end in range(len(name) - 1, 0, -1):
        if name[end - 1].isdigit() and name[end].isdigit():
            continue  # p12 is not one more mask of p1
        shorter = has_image(values | {"name": name[:end]}) and pattern.match_named(path, name[:end])
        if shorter and has_image(shorter):
            return shorter
    return values


def are_siblings(path: str, other: str) -> bool:
    """Whether two files may be masks of one image: beside each other, and not the same in another format."""
    first, second = (os.path.splitext(each)[0] for each in (path, other))
    return os.path.dirname(first) == os.path.dirname(second) and first != second


def pattern_for(path: str, mask_files: dict, pattern: Pattern) -> str | None:
    """A pattern of masks that takes a file for one more mask of an image; None where no mask's name begins its own."""
    stem = os.path.splitext(path)[0]
    masks = {os.path.splitext(mask)[0] for mask in mask_files if mask != path}
    if not any(stem[: match.start()] in masks for match in _SEPARATOR.finditer(stem)):
        return None
    return _with_star(pattern, "*")


def pattern_of_several(expected: str, mask_files: dict, pattern: Pattern) -> str | None:
    """A pattern of masks that takes all whose names begin with that of the expected one; None where it has not two."""
    stem = os.path.splitext(expected)[0]
    marks = [path[len(stem)] for path in mask_files if path.startswith(stem) and _SEPARATOR.match(path[len(stem) :])]
    marks = [mark for mark in marks if mark != "."]
    return _with_star(pattern, f"{marks[0]}*") if len(marks) > 1 and len(set(marks)) == 1 else None


def _with_star(pattern: Pattern, star: str) -> str | None:
    before, dot, suffix = pattern.text.rpartition(".")
    return f"{before}{star}{dot}{suffix}" if before else None


def words(paths: tuple[str, ...]) -> set[str]:
    """What tells the masks of one image apart, where these are words: leaf and spot of x_leaf.png and x_spot_2.png."""
    stems = [os.path.splitext(path)[0] for path in paths]
    common = os.path.commonprefix(stems)
    start = max((match.end() for match in re.finditer(r"[ _.(/-]", common)), default=0)
    found = {_NUMBERED.sub("", stem[start:]) for stem in stems}
    return {word for word in found if len(word) >= _WORD and word.isalpha()}
