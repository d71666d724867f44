"""Words that hold for the things in an image, and phrases that refer to some of these.

The words are those that the built-in CLIP knows, within the limits that it was trained with.
"""

import itertools

import cv2
import numpy as np

from promptseg.synthetic import colors

ADJECTIVES = (("small", "large"), ("dark", "bright"), colors.NAMES, ("striped", "checkered"))
NOUNS = ("thing", "circle", "oval", "square", "rectangle", "triangle", "star", "ring", "crescent")
PLACES = {"left": "on the", "right": "on the", "top": "at the", "bottom": "at the", "middle": "in the"}
SLOTS = (*ADJECTIVES, NOUNS, tuple(PLACES))  # words of one slot exclude each other; in the order of a phrase
SLOT_OF = {word: slot for slot, words in enumerate(SLOTS) for word in words}
NOUN = SLOT_OF["thing"]

Words = tuple[set[str], set[str]]  # that certainly hold, and that may hold; the latter include the former


def find_words(image: np.ndarray, region: np.ndarray, nouns: list[str], texture: str, visible: float) -> Words:
    """Find the words for a thing.

    Args:
        image: (h, w, 3) uint8.
        region: the visible part of the thing, (h, w) bool.
        nouns: its noun, or those where it is about as wide as long and where it is not; empty: nothing is certain.
        texture: of it: "striped", "checkered" or "".
        visible: share of the thing that is visible.

    Returns:
        The words that certainly hold, and those that may hold.
    """
    at, color = np.argwhere(region), (image[region].mean(axis=0) / 255).astype(np.float32)
    (y, x), share = at.mean(axis=0) / region.shape, region.mean()
    tone, off = float(color @ colors.LUMA - (image @ colors.LUMA).mean() / 255), max(abs(x - 0.5), abs(y - 0.5))
    certain, possible = colors.color_names(color)
    for word, value, sure, perhaps in (
        ("small", -share, -0.01, -0.018), ("large", share, 0.07, 0.045), ("dark", -tone, 0.18, 0.05),
        ("bright", tone, 0.18, 0.05), ("left", -x, -0.36, -0.46), ("right", x, 0.64, 0.54), ("top", -y, -0.36, -0.46),
        ("bottom", y, 0.64, 0.54), ("middle", -off, -0.12, -0.2),
    ):  # fmt: skip
        certain |= {word} if value > sure else set()
        possible |= {word} if value > perhaps else set()
    if not nouns:
        return set(), possible | {"thing", *colors.NAMES}
    width, length = sorted(cv2.minAreaRect(at.astype(np.float32))[1])
    shapes = {nouns[0]} if width > 0.9 * length else {nouns[-1]} if width < 0.8 * length else set(nouns)
    if visible < 0.9:
        possible |= set(NOUNS)
    elif len(shapes) == 1:
        certain |= shapes
    certain |= {"thing", texture} - {""}
    return certain, possible | certain | shapes | ({"circle"} if "ring" in shapes else set())


def choose_phrases(rng: np.random.Generator, things: list[Words], count: int) -> list[tuple[dict, tuple[int, ...]]]:
    """Choose phrases with different referents, preferring those with several words or referents.

    Args:
        rng: random generator.
        things: the words for each thing.
        count: the largest number of phrases.

    Returns:
        For each phrase its name, attributes and relation_descriptions, as in PhraseCut, and the indices of all things
        that it refers to. It cannot mean any other thing, and has no more words than that takes.
    """
    found: dict[tuple[int, ...], list[tuple[str, ...]]] = {}
    for size, (certain, _) in itertools.product((1, 2, 3), things):
        for words in itertools.combinations(sorted(certain, key=lambda word: (SLOT_OF[word], word)), size):
            slots = {SLOT_OF[word] for word in words}
            if len(slots) == size and NOUN in slots and words[0] != "thing":
                meant, perhaps = (tuple(i for i, own in enumerate(things) if own[k].issuperset(words)) for k in (0, 1))
                if meant == perhaps and all(len(other) == size and other != words for other in found.get(meant, ())):
                    found.setdefault(meant, []).append(words)
    phrases = [(options[rng.integers(len(options))], meant) for meant, options in found.items()]
    ranks = [rng.uniform(0, 2) + (len(meant) > 1) + (len(words) > 1) for words, meant in phrases]
    return [(_structure(*phrases[i]), phrases[i][1]) for i in np.argsort(ranks)[: -count - 1 : -1]]


def _structure(words: tuple[str, ...], meant: tuple[int, ...]) -> dict:
    return {
        "name": next(word for word in words if SLOT_OF[word] == NOUN) + "s" * (len(meant) > 1),
        "attributes": [word for word in words if SLOT_OF[word] < NOUN],
        "relation_descriptions": [[PLACES[word], word] for word in words if word in PLACES],
    }
