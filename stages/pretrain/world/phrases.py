"""Referring phrases for a scene: positive ones with all their referents, and negative ones, which have none.

A phrase is made of some of an object's attributes, in the order of English. It refers to every object that has them
all. Objects for which that is uncertain, because they are partly hidden or have a color between two names, are ignored
in the mask; a phrase with more uncertain than certain pixels is not used. Some pairs of words occur together in test
phrases alone: a test of compositional generalization.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from promptseg.data.image_io import IGNORED
from promptseg.synthetic import colors

from world.attributes import SHAPES, SLOTS, DescribedImage
from world.scene import BACKGROUND, Scene

SLOT_OF = {word: slot for slot, words in SLOTS.items() for word in words}
ORDER = tuple(SLOTS)  # of the slots in a phrase
# One color and one texture for each shape, in steps that use every color and every texture.
HELD_OUT = frozenset(
    (words[(step * i + start) % len(words)], shape)
    for words, step, start in ((colors.NAMES, 5, 3), (SLOTS["texture"], 1, 0))
    for i, shape in enumerate(SHAPES)
)
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
MIN_AREA = 0.002  # smallest visible object to make a phrase about, as a share of the image
MIN_SUPPORT_AREA = 0.01  # of a support image that the referents must cover


@dataclass(frozen=True)
class Phrase:
    """A referring phrase, with indices in `Scene.objects`."""

    text: str  # in English
    words: tuple[str, ...]  # its attributes, at most one for each slot
    objects: tuple[int, ...]  # its referents; empty for a negative phrase
    uncertain: tuple[int, ...] = ()  # possible referents

    def mask(self, scene: Scene) -> np.ndarray:
        """Mask of the referents, (h, w) uint8: 1 on them, IGNORED on uncertain ones, 0 elsewhere."""
        certain, uncertain = (
            scene.mask([id for index in indices for id in scene.objects[index].ids])
            for indices in (self.objects, self.uncertain)
        )
        return np.where(uncertain, np.uint8(IGNORED), certain.astype(np.uint8))

    def support(self, images: Iterable[DescribedImage]) -> tuple[np.ndarray, np.ndarray] | None:
        """Find the first image with certain and no uncertain referents, (h, w, 3) uint8, and their mask (h, w)."""
        for image in images:
            certain, uncertain = image.referents(self.words)
            if not uncertain and image.pixels(certain) >= MIN_SUPPORT_AREA * image.scene.labels.size:
                return image.scene.image, Phrase(self.text, self.words, certain).mask(image.scene)
        return None


def is_held_out(words: tuple[str, ...]) -> bool:
    """Whether two of these words are a held-out pair."""
    return any((first, second) in HELD_OUT for first in words for second in words)


def sample_positive(rng: np.random.Generator, image: DescribedImage, held_out: bool) -> Phrase | None:
    """Sample a phrase about a random object, with all its referents; None where none was found.

    It is a held-out pair of words, or has none.
    """
    scene, attributes = image.scene, image.attributes
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
        if words and is_held_out(words) == held_out:
            referents, uncertain = image.referents(words)
            if image.pixels(referents) > image.pixels(uncertain):
                return Phrase(to_english(rng, words, len(referents) > 1), words, referents, uncertain)
    return None


def sample_negative(rng: np.random.Generator, image: DescribedImage, held_out: bool) -> Phrase | None:
    """Sample a phrase without referents: of arbitrary words, or of words that hold in the image but not together."""
    present = sorted(set().union(*(each.certain for each in image.attributes)))
    for _ in range(TRIES):
        words = _random_words(rng, present if rng.random() < 0.5 and present else None)
        if words and is_held_out(words) == held_out and image.referents(words) == ((), ()):
            return Phrase(to_english(rng, words, bool(rng.random() < 0.3)), words, ())
    return None


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
