"""Names of colors and objects, and the phrases that refer to them.

Phrases are composed as in PhraseCut: name, attributes, relations; a phrase that fits several objects refers to all.
"""

from dataclasses import dataclass, field

import numpy as np

COLORS = {
    "red": (0.72, 0.1, 0.09), "blue": (0.12, 0.26, 0.62), "green": (0.16, 0.46, 0.18), "yellow": (0.88, 0.72, 0.12),
    "orange": (0.9, 0.45, 0.08), "white": (0.88, 0.87, 0.84), "black": (0.08, 0.08, 0.09), "brown": (0.4, 0.24, 0.12),
    "gray": (0.48, 0.48, 0.49), "pink": (0.87, 0.48, 0.57), "purple": (0.42, 0.2, 0.5), "tan": (0.74, 0.6, 0.43),
}  # fmt: skip


@dataclass
class Thing:
    """An object that can be referred to. ids: its canvas ids; relation: such as ("on", "table")."""

    name: str
    attributes: tuple[str, ...]
    ids: set[int]
    relation: tuple[str, str] | None = None
    size: float = 0.0  # its height in pixels as drawn, for `small` and `large`
    place: float = field(default=0.5)  # its middle, as a share of the image width


@dataclass(frozen=True)
class Phrase:
    """A phrase with its components, and the indices of the objects that it refers to."""

    text: str
    name: str
    attributes: tuple[str, ...]
    relation: tuple[str, str] | None
    kind: str  # PhraseCut's `type`: name, attribute, relation
    things: tuple[int, ...]


def phrases(rng: np.random.Generator, things: list[Thing], count: int) -> list[Phrase]:
    """Select up to `count` phrases with different referents, preferring those that distinguish similar objects."""
    found: dict[tuple[int, ...], list[Phrase]] = {}
    for phrase in _candidates(things):
        found.setdefault(phrase.things, []).append(phrase)
    each = [options[rng.integers(len(options))] for options in found.values()]
    alike = {phrase.text: len([t for t in things if t.name == phrase.name]) - len(phrase.things) for phrase in each}
    rank = {phrase.text: (alike[phrase.text] > 0) + (len(phrase.things) > 1) + rng.uniform(0, 2.5) for phrase in each}
    chosen, names = [], []
    for phrase in sorted(each, key=lambda phrase: -rank[phrase.text]):
        if names.count(phrase.name) < 2 and len(chosen) < count:
            chosen.append(phrase)
            names.append(phrase.name)
    return chosen


def _candidates(things: list[Thing]) -> list[Phrase]:
    """Return every phrase that excludes an object of its name, and the plain name of each kind."""
    out = []
    for name in dict.fromkeys(thing.name for thing in things):
        kin = [i for i, thing in enumerate(things) if thing.name == name]
        options = {(): "name"}
        options |= {(word,): "attribute" for i in kin for word in things[i].attributes}
        for attributes, kind in options.items():
            named = tuple(i for i in kin if set(attributes) <= set(things[i].attributes))
            out.append(_phrase(name, attributes, None, kind, named))
        for relation in dict.fromkeys(things[i].relation for i in kin if things[i].relation):
            named = tuple(i for i in kin if things[i].relation == relation)
            out.append(_phrase(name, (), relation, "relation", named))
        if len(kin) > 1:
            out += _compared(name, kin, things)
    return out


def _compared(name: str, kin: list[int], things: list[Thing]) -> list[Phrase]:
    """Return phrases for the left, right, small or large object where the difference is clear."""
    out = []
    by_place, by_size = (sorted(kin, key=key) for key in (lambda i: things[i].place, lambda i: things[i].size))
    if len(kin) == 2 and things[by_place[1]].place - things[by_place[0]].place > 0.25:
        for i, word in zip(by_place, ("on the left", "on the right")):
            out.append(_phrase(name, (word,), None, "attribute", (i,)))
    for i, j, word in ((by_size[-1], by_size[-2], "large"), (by_size[0], by_size[1], "small")):
        if not 0.67 < things[i].size / things[j].size < 1.5:
            out.append(_phrase(name, (word,), None, "attribute", (i,)))
    return out


def _phrase(name: str, attributes: tuple, relation: tuple | None, kind: str, named: tuple[int, ...]) -> Phrase:
    """Compose a phrase: attributes before the name, those that begin with `on` after it, relations last."""
    before = [word for word in attributes if not word.startswith("on ")]
    after = [word for word in attributes if word.startswith("on ")]
    text = " ".join([*before, name, *after, *(relation or ())])
    return Phrase(text, name, attributes, relation, kind, named)
