"""What the values in a user's masks mean: ids, several ids for one class, colors, or 0 / 255 for one class."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

IGNORED = 255
MAX_CLASSES = 253  # 254 and 255 have a meaning of their own in our masks


@dataclass(frozen=True)
class Labels:
    """names: of the classes 1, 2, ...; table: from a value or a color (r << 16 | g << 8 | b) to ours.

    colors: the table holds colors; binary: one class whose value is not stated, so that 0/1 and 0/255 both stand for
    background and the class; threshold: the least value that is the class; others: what an unlisted value means.
    """

    names: tuple[str, ...]
    table: dict[int, int]
    colors: bool
    binary: bool
    threshold: int | None
    others: str


def labels(classes, background=None, ignore=None, threshold=None, others="error", values=None) -> Labels:
    """The options of those names (see datasets/folder.py) as Labels. Raises ValueError, which names the option.

    A flat list of three numbers may be three ids or one color: `values` (ids | colors) or another entry decides.
    """
    classes = ["object"] if classes is None else classes
    if not isinstance(classes, (list, dict)) or not 0 < len(classes) <= MAX_CLASSES:
        raise ValueError(f"classes: a list of 1 to {MAX_CLASSES} names, or a mapping from names to values")
    names = list(classes)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"classes: {name!r} is no name; names that YAML takes for numbers or truth need quotes")
    if len(set(names)) < len(names):
        raise ValueError("classes: a name stands twice")
    given = {f"classes.{name}": value for name, value in classes.items()} if isinstance(classes, dict) else {}
    if threshold is not None and (len(names) > 1 or given or (background, ignore, others) != (None, None, "error")):
        raise ValueError("threshold: it is for one class; with it, leave out its value, background, ignore and others")
    given |= {key: value for key, value in (("background", background), ("ignore", ignore)) if value is not None}
    parsed = {key: list(_parse(key, value)) for key, value in given.items()}
    colors = _are_colors(parsed, values)
    listed = {key: _numbers(entries, colors) for key, entries in parsed.items()}
    if not isinstance(classes, dict):
        if colors:
            raise ValueError("classes: where masks hold colors, each class needs one: {leaf: '#3c8c3c'}")
        if len(names) > 1:
            listed |= {f"classes.{name}": [i] for i, name in enumerate(names, 1)}
    if any(not numbers for key, numbers in listed.items() if key.startswith("classes.")):
        raise ValueError("classes: a class has an empty list of values")
    if background is None and 0 not in listed.get("ignore", []):
        listed["background"] = [0]
    ids = {"background": 0, "ignore": IGNORED} | {f"classes.{name}": i for i, name in enumerate(names, 1)}
    table, owner = {}, {}
    for key, numbers in listed.items():
        for number in numbers:
            if owner.setdefault(number, key) != key:
                what = shown(number, colors)
                raise ValueError(f"{key}: {what} is {owner[number]} already (background is 0 or black unless stated)")
            table[number] = ids[key]
    return Labels(tuple(names), table, colors, len(names) == 1 and not isinstance(classes, dict), threshold, others)


def _parse(key: str, value, nested: bool = False) -> Iterator[tuple[str, object]]:
    """("id", n), ("color", code) or ("three", [a, b, c]) for each entry of an option."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and 0 <= value <= 255 and not nested:
        yield "id", value
    elif isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value):
        yield "color", int(value[1:], 16)
    elif isinstance(value, list) and value and all(type(part) is int and 0 <= part <= 255 for part in value):
        if nested and len(value) == 3:
            yield "color", value[0] << 16 | value[1] << 8 | value[2]
        elif nested:
            raise ValueError(f"{key}: {value} is no color; a color is [r, g, b] or '#rrggbb'")
        elif len(value) == 3:
            yield "three", value
        else:
            yield from (("id", part) for part in value)
    elif isinstance(value, list) and not nested:
        for part in value:
            yield from _parse(key, part, nested=True)
    else:
        hint = "; a color needs quotes: '#3c8c3c'" if value is None else ""
        raise ValueError(f"{key}: {value!r} is no id from 0 to 255, no '#rrggbb', and no list of them{hint}")


def _are_colors(parsed: dict[str, list], values: str | None) -> bool:
    kinds = {kind for entries in parsed.values() for kind, _ in entries}
    stated = {"id": "ids", "color": "colors"}
    says = {stated[kind] for kind in kinds & stated.keys()} | ({values} if values else set())
    if len(says) > 1:
        raise ValueError("classes, background and ignore: ids and colors are mixed; masks hold one or the other")
    if "three" in kinds and not says:
        raise ValueError("classes: a list of three numbers may be ids or a color; say values: ids or values: colors")
    return says == {"colors"}


def _numbers(entries: list, colors: bool) -> list[int]:
    numbers = []
    for kind, entry in entries:
        three = [entry[0] << 16 | entry[1] << 8 | entry[2]] if kind == "three" and colors else entry
        numbers += three if kind == "three" else [entry]
    return numbers


def shown(number: int, colors: bool) -> str:
    """A value or a color as the options have it."""
    return f"#{number:06x}" if colors else str(number)
