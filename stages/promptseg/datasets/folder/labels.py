"""Meaning of the values in a user's masks: ids, several ids per class, colors, or 0 and 255 for one class."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

IGNORED = 255
MAX_CLASSES = 253  # 254 and 255 are reserved in masks


@dataclass(frozen=True)
class Labels:
    """Mapping from the values in mask files to labels.

    Attributes:
        names: of the classes 1, 2, ...
        table: from a value or a color (r << 16 | g << 8 | b) to 0 background, 1.. class, 255 ignored.
        colors: whether the keys of `table` are colors.
        binary: one class whose value is not stated, so that both 0/1 and 0/255 mean background and the class.
        threshold: the smallest value of the class in masks with soft edges, if any.
        others: meaning of values that are not listed: "error", "background" or "ignore".
    """

    names: tuple[str, ...]
    table: dict[int, int]
    colors: bool
    binary: bool
    threshold: int | None
    others: str


def parse_labels(classes, background=None, ignore=None, threshold=None, others="error", values=None) -> Labels:
    """Combine the reader options of the same names.

    Args:
        classes: list of names, or mapping from names to values; None for one class "object".
        background: value or values; None for 0 or black.
        ignore: value or values that are excluded from training and scores.
        threshold: smallest value of the only class.
        others: see `Labels`.
        values: "ids" or "colors", what a flat list of three numbers is where no other entry tells.

    Raises:
        ValueError: the options are invalid or contradict each other; the message names the option.
    """
    classes = ["object"] if classes is None else classes
    if not isinstance(classes, (list, dict)) or not 0 < len(classes) <= MAX_CLASSES:
        raise ValueError(f"classes: a list of 1 to {MAX_CLASSES} names, or a mapping from names to values")
    names = list(classes)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"classes: {name!r} is not a name; quote names that YAML reads as numbers or booleans")
    if len(set(names)) < len(names):
        raise ValueError("classes: a name is listed twice")
    stated = {f"classes.{name}": value for name, value in classes.items()} if isinstance(classes, dict) else {}
    if threshold is not None and (len(names) > 1 or stated or (background, ignore, others) != (None, None, "error")):
        raise ValueError(
            "threshold: only for one class, without a value of its own and without background, ignore and others"
        )
    stated |= {key: value for key, value in (("background", background), ("ignore", ignore)) if value is not None}
    parsed = {key: list(_parse(key, value)) for key, value in stated.items()}
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
    binary = len(names) == 1 and not isinstance(classes, dict)
    return Labels(tuple(names), _table(listed, names, colors), colors, binary, threshold, others)


def _table(listed: dict[str, list[int]], names: list[str], colors: bool) -> dict[int, int]:
    """Build `Labels.table` from the values of each option. Raises ValueError where two options share a value."""
    ids = {"background": 0, "ignore": IGNORED} | {f"classes.{name}": i for i, name in enumerate(names, 1)}
    table: dict[int, int] = {}
    option_of: dict[int, str] = {}
    for key, numbers in listed.items():
        for number in numbers:
            if option_of.setdefault(number, key) != key:
                value = shown(number, colors)
                raise ValueError(
                    f"{key}: {value} is {option_of[number]} already (background is 0 or black unless stated)"
                )
            table[number] = ids[key]
    return table


def _parse(key: str, value, nested: bool = False) -> Iterator[tuple[str, object]]:
    """Yield ("id", n), ("color", code) or ("three", [a, b, c]) for each entry of an option."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and 0 <= value <= 255 and not nested:
        yield "id", value
    elif isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value):
        yield "color", int(value[1:], 16)
    elif isinstance(value, list) and value and all(type(part) is int and 0 <= part <= 255 for part in value):
        if nested and len(value) == 3:
            yield "color", value[0] << 16 | value[1] << 8 | value[2]
        elif nested:
            raise ValueError(f"{key}: {value} is not a color; a color is [r, g, b] or '#rrggbb'")
        elif len(value) == 3:
            yield "three", value
        else:
            yield from (("id", part) for part in value)
    elif isinstance(value, list) and not nested:
        for part in value:
            yield from _parse(key, part, nested=True)
    else:
        hint = "; a color needs quotes: '#3c8c3c'" if value is None else ""
        raise ValueError(f"{key}: {value!r} is not an id from 0 to 255, a color '#rrggbb', or a list of them{hint}")


def _are_colors(parsed: dict[str, list], values: str | None) -> bool:
    """Decide whether masks hold colors or ids. Raises ValueError if the options do not tell."""
    kinds = {kind for entries in parsed.values() for kind, _ in entries}
    plural = {"id": "ids", "color": "colors"}
    stated = {plural[kind] for kind in kinds & plural.keys()} | ({values} if values else set())
    if len(stated) > 1:
        raise ValueError("classes, background and ignore: ids and colors are mixed; masks hold one or the other")
    if "three" in kinds and not stated:
        raise ValueError("classes: a list of three numbers may be ids or a color; set values: ids or values: colors")
    return stated == {"colors"}


def _numbers(entries: list, colors: bool) -> list[int]:
    """Flatten the parsed entries of an option to ids or color codes."""
    numbers: list[int] = []
    for kind, entry in entries:
        three = [entry[0] << 16 | entry[1] << 8 | entry[2]] if kind == "three" and colors else entry
        numbers += three if kind == "three" else [entry]
    return numbers


def shown(number: int, colors: bool) -> str:
    """Format a value as in the options.

    Args:
        number: an id or a color code.
        colors: which of them.
    """
    return f"#{number:06x}" if colors else str(number)
