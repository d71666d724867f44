"""Phrases about a picture: true ones, with all that they mean, and false ones, which mean nothing in it.

A phrase is a few of a thing's words, put into the order of English. It means every thing that has them all. Where a
thing may or may not be meant, being half hidden or between two colors, no answer would be wrong: such things are told
apart from both, to be ignored, and a phrase that leaves more doubt than sense is not used.
"""

from dataclasses import dataclass

import numpy as np

from world.looks import SHAPES, SLOTS, Look
from world.pictures import AREA, Sample
from world.splits import HELD_OUT, held_out

SLOT = {word: slot for slot, words in SLOTS.items() for word in words}
ORDER = tuple(SLOTS)  # as they stand in a phrase
SYNONYMS = {"circle": ("circle", "disc"), "spot": ("spot", "dot"), "line": ("line", "strand"), AREA: (AREA, "ground")}
THINGS = ("thing", "object")  # what a phrase without a shape says; grounds are none
PLACES = {
    "left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom",
    "middle": "in the middle",
}  # fmt: skip
TRIES = 12
GRAY = 0.25  # how often a gray thing may be called so; in many pictures all are
GROUNDS = 0.2  # the share of phrases that are about a ground, where there are things as well
IGNORED = 255  # as in the project's containers
LEAST = 0.002  # of the picture must be seen of what a phrase means


@dataclass(frozen=True)
class Phrase:
    """text: in English; words: what it says, one a slot; things: places in `picture.things` of those that it means,
    none where it is false; doubtful: of those that it might mean."""

    text: str
    words: tuple[str, ...]
    things: tuple[int, ...]
    doubtful: tuple[int, ...] = ()

    def mask(self, picture: Sample) -> np.ndarray:
        """(h, w) uint8: 1 where a thing is that it means, 255 where one is that it might mean, and 0 elsewhere."""
        meant, doubtful = (
            picture.mask([id for thing in things for id in picture.things[thing].ids])
            for things in (self.things, self.doubtful)
        )
        return np.where(doubtful, np.uint8(IGNORED), meant.astype(np.uint8))


def true(rng: np.random.Generator, picture: Sample, looks: list[Look], held: bool) -> Phrase | None:
    """A phrase about a thing, chosen at random, and all others that it is true of; None where none was found.

    held: whether it is to say what no training phrase says, or only what they may.
    """
    seen = [i for i, look in enumerate(looks) if look.pixels >= LEAST * picture.labels.size]
    if held:
        seen = [i for i in seen if _kept_apart(rng, looks[i].sure)]
    ground = rng.random() < GROUNDS
    among = [i for i in seen if (picture.things[i].shape == AREA) == ground] or ([] if held else seen)
    for _ in range(TRIES if among else 0):
        one = among[rng.integers(len(among))]
        sure, ground = looks[one].sure, picture.things[one].shape == AREA
        words = _kept_apart(rng, sure) if held else _some(rng, sure, ground)
        if not words or held_out(words) != held:
            continue
        meant, doubtful = meaning(words, picture, looks)
        clear, unclear = (sum(looks[i].pixels for i in things) for things in (meant, doubtful))
        if clear > unclear:
            return Phrase(say(rng, words, len(meant) > 1), words, meant, doubtful)
    return None


def false(rng: np.random.Generator, picture: Sample, looks: list[Look], held: bool) -> Phrase | None:
    """A phrase that is true of nothing in the picture: half of them of words that nothing has, half of words that are
    all there, but not together."""
    there = sorted(set().union(*(look.sure for look in looks)))
    for _ in range(TRIES):
        words = _drawn(rng, there if rng.random() < 0.5 and there else None)
        if words and held_out(words) == held and meaning(words, picture, looks) == ((), ()):
            return Phrase(say(rng, words, bool(rng.random() < 0.3)), words, ())
    return None


def meaning(words: tuple[str, ...], picture: Sample, looks: list[Look]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The things that surely have all these words, and those that might."""
    there = [
        i
        for i, (thing, look) in enumerate(zip(picture.things, looks))
        if look.pixels and (thing.shape == AREA) == (AREA in words) and look.maybe.issuperset(words)
    ]
    meant = tuple(i for i in there if looks[i].sure.issuperset(words))
    return meant, tuple(i for i in there if i not in meant)


def say(rng: np.random.Generator, words: tuple[str, ...], many: bool) -> str:
    """The phrase in English, in one of the ways to say it."""
    by_slot = {SLOT[word]: word for word in words}
    noun = by_slot.get("shape")
    options = SYNONYMS.get(noun, (noun,)) if noun else THINGS
    said = options[rng.integers(len(options))]
    if many:
        said += "es" if said.endswith(("s", "ch")) else "s"
    before = [by_slot[slot] for slot in ORDER if slot in by_slot and slot not in ("shape", "place")]
    after = [PLACES[by_slot["place"]]] if "place" in by_slot else []
    article = "" if many or rng.random() < 0.5 else "the " if rng.random() < 0.5 else "a "
    text = article + " ".join([*before, said, *after])
    return "an " + text[2:] if article == "a " and text[2] in "aeiou" else text


def _some(rng: np.random.Generator, sure: frozenset[str], ground: bool) -> tuple[str, ...]:
    """One to four of a thing's words, one a slot; a ground's always with its noun."""
    words = [word for word in sorted(sure) if word != AREA and (word != "gray" or rng.random() < GRAY)]
    rng.shuffle(words)
    if rng.random() < 0.8:  # what it is comes before where it is
        words.sort(key=lambda word: SLOT[word] == "place")
    chosen: dict[str, str] = {"shape": AREA} if ground else {}
    wanted = rng.choice((1, 2, 2, 3)) + ground
    shapes = [word for word in words if word in SHAPES]
    if shapes and rng.random() < 0.75:  # a noun is what most phrases have
        chosen["shape"] = shapes[0]
    for word in words:
        if len(chosen) < wanted and SLOT[word] not in chosen and SLOT[word] != "shape":
            chosen[SLOT[word]] = word
    return tuple(chosen[slot] for slot in ORDER if slot in chosen)


def _kept_apart(rng: np.random.Generator, sure: frozenset[str]) -> tuple[str, ...]:
    """Two of a thing's words that no training phrase has together; none where there are no such two."""
    pairs = sorted(pair for pair in HELD_OUT if sure.issuperset(pair))
    return pairs[rng.integers(len(pairs))] if pairs else ()


def _drawn(rng: np.random.Generator, among: list[str] | None) -> tuple[str, ...]:
    """One to three words of different slots that may stand together, of all or of these."""
    slots = [slot for slot in ORDER if among is None or any(SLOT[word] == slot for word in among)]
    chosen = {}
    for slot in rng.permutation(slots)[: rng.integers(1, 4)]:
        words = [word for word in SLOTS[slot] if among is None or word in among]
        chosen[str(slot)] = words[rng.integers(len(words))]
    if {"width", "bend"} & chosen.keys():  # these are said of lines alone
        chosen["shape"] = "line"
    if set(chosen) == {"place"}:
        return ()
    return tuple(chosen[slot] for slot in ORDER if slot in chosen)
