"""Groups that the names of images suggest: plates, patients, clips, whose images must not be split."""

import os
import re
from dataclasses import dataclass

_SEPARATOR = re.compile(r"[ _.-]")
_FEWEST = 3  # groups; two are seldom what tells images apart
_LARGEST_SHARE = 0.5  # groups of all images; more groups have one image each, mostly


@dataclass(frozen=True)
class Groups:
    """Groups of images.

    Attributes:
        pattern: regular expression on the image's path, for the reader's option `group`.
        count: number of groups.
        largest: images of the largest one.
        source: "names" or "--group".
    """

    pattern: str
    count: int
    largest: int
    source: str = "names"


def find(paths: list[str]) -> Groups | None:
    """Find the coarsest groups that names suggest: a beginning that ends with a number and several images share.

    Args:
        paths: of the images, relative to the folder.

    Returns:
        None where no beginning divides the images into at least three groups of two images on average.
    """
    for pattern in (*_of_folders(paths), *_of_names(paths)):
        found = measure(pattern, paths)
        if found is not None and _FEWEST <= found.count <= _LARGEST_SHARE * len(paths):
            return found
    return None


def measure(pattern: str, paths: list[str], source: str = "names") -> Groups | None:
    """Count the groups of a pattern; None where it does not match every path."""
    regex = re.compile(pattern)
    sizes: dict[str, int] = {}
    for path in paths:
        match = regex.search(path)
        if match is None:
            return None
        group = match["group" if "group" in regex.groupindex else 1]
        sizes[group] = sizes.get(group, 0) + 1
    return Groups(pattern, len(sizes), max(sizes.values(), default=0), source)


def _of_names(paths: list[str]) -> list[str]:
    """A pattern for each number of leading tokens: plate12_ and plate12_well3_ of plate12_well3_0001.png."""
    names = [os.path.splitext(path.rsplit("/", 1)[-1])[0] for path in paths]
    tokens = [_SEPARATOR.split(name) for name in names]
    patterns = []
    for count in range(1, min(map(len, tokens), default=0)):
        if not all(re.search(r"\d", each[count - 1]) for each in tokens):
            continue
        inner = ""
        for place in range(count):
            ends = {name[len("_".join(each[: place + 1]))] for name, each in zip(names, tokens, strict=True)}
            inner += _shape([each[place] for each in tokens])
            end = re.escape(ends.pop()) if len(ends) == 1 else _SEPARATOR.pattern
            inner += end if place < count - 1 else ""
        text = f"({inner}){end}"
        # Without an anchor it is easier to read; with one it cannot match further back.
        patterns.append(text if _begins(text, paths) else f"(?:^|/){text}")
    return patterns


def _begins(text: str, paths: list[str]) -> bool:
    """Whether a pattern without an anchor matches where the name begins."""
    matches = ((re.search(text, path), path.rfind("/") + 1) for path in paths)
    return all(match is not None and match.start(1) == start for match, start in matches)


def _shape(words: list[str]) -> str:
    """A regular expression for words: letters that all share are kept, numbers are open."""
    shapes = {"[0-9]+".join(map(re.escape, re.split(r"\d+", word))) for word in words}
    return shapes.pop() if len(shapes) == 1 else "[^/ _.-]+"


def _of_folders(paths: list[str]) -> list[str]:
    """A pattern for the folder whose name has a number and differs between images."""
    depths = {path.count("/") for path in paths}
    if len(depths) != 1:
        return []
    patterns = []
    for place in range(depths.pop()):
        names = [path.split("/")[place] for path in paths]
        if len(set(names)) > 1 and all(re.search(r"\d", name) for name in names):
            patterns.append("^" + "[^/]+/" * place + "([^/]+)/")
    return patterns
