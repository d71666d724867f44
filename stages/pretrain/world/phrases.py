"""Referring phrases for a scene: positive ones with all their referents, and negative ones, which have none.

A phrase is made of some of an object's attributes, in the order of English. It refers to every object that has them
all. Objects for which that is uncertain, because they are partly hidden or have a color between two names, are ignored
in the mask; a phrase with more uncertain than certain pixels is not used.
"""

from dataclasses import dataclass

import numpy as np

from world.attributes import SHAPES, SLOTS, Attributes
from world.held_out import HELD_OUT, is_held_out
from world.scene import BACKGROUND, Scene

SLOT_OF = {word: slot for slot, words in SLOTS.items() for word in words}
ORDER = tuple(SLOTS)  # of the slots in a phrase
SYNONYMS = {
    "circle": ("circle", "disc"), "spot": ("spot", "dot"), "line": ("line", "strand"),
    BACKGROUND: (BACKGROUND, "ground"),
}  # fmt: skip
GENERIC_NOUNS = ("thing", "object")  # of a phrase without a shape, which never refers to a background region
PLACES = {
    "left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom",
    "middle": "in the middle",
}  # fmt: skip
TRIES = 12
GRAY_SHARE = 0.25  # how often "gray" may be used, as in many images all objects are gray
BACKGROUND_SHARE = 0.2  # share of phrases about a background region, where there are objects as well
IGNORED = 255  # in a mask, as in data.image_io
MIN_AREA = 0.002  # smallest visible object to make a phrase about, as a share of the image


@dataclass(frozen=True)
class Phrase:
    """A referring phrase.

    Attributes:
        text: in English.
        words: its attributes, at most one for each slot.
        objects: indices in `Scene.objects` of its referents; empty for a negative phrase.
        uncertain: indices of possible referents.
    """

    text: str
    words: tuple[str, ...]
    objects: tuple[int, ...]
    uncertain: tuple[int, ...] = ()

    def mask(self, scene: Scene) -> np.ndarray:
        """Mask of the referents, (h, w) uint8: 1 on them, IGNORED on uncertain ones, 0 elsewhere."""
        certain, uncertain = (
            scene.mask([id for index in indices for id in scene.objects[index].ids])
            for indices in (self.objects, self.uncertain)
        )
        return np.where(uncertain, np.uint8(IGNORED), certain.astype(np.uint8))


def sample_positive(
    rng: np.random.Generator, scene: Scene, attributes: list[Attributes], held_out: bool
) -> Phrase | None:
    """Sample a phrase about a random object of a scene.

    Args:
        rng: random generator.
        scene: the scene.
        attributes: of its objects.
        held_out: whether the phrase is a held-out pair of words, or has none.

    Returns:
        The phrase with all its referents; None where none was found.
    """
    candidates = [i for i, each in enumerate(attributes) if each.pixels >= MIN_AREA * scene.labels.size]
    if held_out:
        candidates = [i for i in candidates if _held_out_words(rng, attributes[i].certain)]
    background = rng.random() < BACKGROUND_SHARE
    preferred = [i for i in candidates if (scene.objects[i].shape == BACKGROUND) == background]
    candidates = preferred or ([] if held_out else candidates)
    for _ in range(TRIES if candidates else 0):
        index = candidates[rng.integers(len(candidates))]
        certain, background = attributes[index].certain, scene.objects[index].shape == BACKGROUND
        words = _held_out_words(rng, certain) if held_out else _words_of(rng, certain, background)
        if not words or is_held_out(words) != held_out:
            continue
        referents, uncertain = find_referents(words, scene, attributes)
        certain_pixels, uncertain_pixels = (
            sum(attributes[i].pixels for i in indices) for indices in (referents, uncertain)
        )
        if certain_pixels > uncertain_pixels:
            return Phrase(to_english(rng, words, len(referents) > 1), words, referents, uncertain)
    return None


def sample_negative(
    rng: np.random.Generator, scene: Scene, attributes: list[Attributes], held_out: bool
) -> Phrase | None:
    """Sample a phrase without referents: of arbitrary words, or of words that hold in the scene but not together.

    Args, Returns: as of sample_positive.
    """
    present = sorted(set().union(*(each.certain for each in attributes)))
    for _ in range(TRIES):
        words = _random_words(rng, present if rng.random() < 0.5 and present else None)
        if words and is_held_out(words) == held_out and find_referents(words, scene, attributes) == ((), ()):
            return Phrase(to_english(rng, words, bool(rng.random() < 0.3)), words, ())
    return None


def find_referents(
    words: tuple[str, ...], scene: Scene, attributes: list[Attributes]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Find the indices of the objects that certainly have all these words, and of those that may have them."""
    possible = [
        i
        for i, (each, own) in enumerate(zip(scene.objects, attributes, strict=True))
        if own.pixels and (each.shape == BACKGROUND) == (BACKGROUND in words) and own.possible.issuperset(words)
    ]
    certain = tuple(i for i in possible if attributes[i].certain.issuperset(words))
    return certain, tuple(i for i in possible if i not in certain)


def to_english(rng: np.random.Generator, words: tuple[str, ...], plural: bool) -> str:
    """Put words into English, with random synonyms and article."""
    by_slot = {SLOT_OF[word]: word for word in words}
    shape = by_slot.get("shape")
    nouns = SYNONYMS.get(shape, (shape,)) if shape else GENERIC_NOUNS
    noun = nouns[rng.integers(len(nouns))]
    if plural:
        noun += "es" if noun.endswith(("s", "ch")) else "s"
    adjectives = [by_slot[slot] for slot in ORDER if slot in by_slot and slot not in ("shape", "place")]
    place = [PLACES[by_slot["place"]]] if "place" in by_slot else []
    article = "" if plural or rng.random() < 0.5 else "the " if rng.random() < 0.5 else "a "
    text = article + " ".join([*adjectives, noun, *place])
    return "an " + text[2:] if article == "a " and text[2] in "aeiou" else text


def _words_of(rng: np.random.Generator, certain: frozenset[str], background: bool) -> tuple[str, ...]:
    """One to four words of an object, one for each slot; always with the noun for a background region."""
    words = [word for word in sorted(certain) if word != BACKGROUND and (word != "gray" or rng.random() < GRAY_SHARE)]
    rng.shuffle(words)
    if rng.random() < 0.8:  # prefer other words to places
        words.sort(key=lambda word: SLOT_OF[word] == "place")
    chosen: dict[str, str] = {"shape": BACKGROUND} if background else {}
    count = rng.choice((1, 2, 2, 3)) + background
    shapes = [word for word in words if word in SHAPES]
    if shapes and rng.random() < 0.75:  # most phrases name the shape
        chosen["shape"] = shapes[0]
    for word in words:
        if len(chosen) < count and SLOT_OF[word] not in chosen and SLOT_OF[word] != "shape":
            chosen[SLOT_OF[word]] = word
    return tuple(chosen[slot] for slot in ORDER if slot in chosen)


def _held_out_words(rng: np.random.Generator, certain: frozenset[str]) -> tuple[str, ...]:
    """A held-out pair of an object's words; empty where it has none."""
    pairs = sorted(pair for pair in HELD_OUT if certain.issuperset(pair))
    return pairs[rng.integers(len(pairs))] if pairs else ()


def _random_words(rng: np.random.Generator, vocabulary: list[str] | None) -> tuple[str, ...]:
    """One to three words of different slots that can go together, of a vocabulary or of all words."""
    slots = [slot for slot in ORDER if vocabulary is None or any(SLOT_OF[word] == slot for word in vocabulary)]
    chosen = {}
    for slot in rng.permutation(slots)[: rng.integers(1, 4)]:
        words = [word for word in SLOTS[slot] if vocabulary is None or word in vocabulary]
        chosen[str(slot)] = words[rng.integers(len(words))]
    if {"width", "bend"} & chosen.keys():  # attributes of lines alone
        chosen["shape"] = "line"
    if set(chosen) == {"place"}:
        return ()
    return tuple(chosen[slot] for slot in ORDER if slot in chosen)
