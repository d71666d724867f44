"""Pictures with phrases, drawn as they are asked for: what is learned by words and by examples.

They come in groups. Of every phrase of a group it is known of which of its pictures it is true, so that all of them
count as examples or as what is none, and the picture that shows what a phrase means is another one of the group.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from promptseg.core.devices import Processes
from promptseg.nn.segmenter import Segmenter
from promptseg.training.training_split import Split
from settings import Told
from world import looks, phrases, scene
from world.looks import SLOTS, Look
from world.phrases import Phrase
from world.pictures import Sample

SHOWN = 0.01  # of a picture must show what it is an example of
PREPARED = ("darken", "blur", "crop")  # an example, or a thing cut out of its picture (networks/support.py)
BY_PLACE = frozenset(SLOTS["size"] + SLOTS["place"])  # words that say nothing of a thing cut out of its picture


@dataclass(frozen=True)
class Named:
    """What the loop calls a group when it must name it."""

    id: str


@dataclass(frozen=True)
class Seen:
    """A picture, or one thing of it, with all that can be said of it. mask: (h, w) bool of the thing, None: all."""

    picture: Sample
    looks: list[Look]
    mask: np.ndarray | None = None

    def holds(self, words: tuple[str, ...]) -> bool | None:
        """Whether a phrase of these words is true of something in it; None where one may say either."""
        meant, doubtful = phrases.meaning(words, self.picture, self.looks)
        return True if meant else None if doubtful else False


@dataclass(frozen=True)
class Group:
    """index: in its split; seed: for what is drawn at random about it; seen: its pictures; things: one thing of each,
    where there is any; phrases: of each picture, true ones and then false ones."""

    index: int
    seed: int
    seen: list[Seen]
    things: list[Seen]
    phrases: list[list[Phrase]]

    def shown(self, phrase: Phrase, of: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Another picture than that number which shows what a phrase means, and nothing doubtful: (h, w, 3) uint8 and
        its mask (h, w) bool."""
        for other in [*self.seen[of + 1 :], *self.seen[:of]]:
            meant, doubtful = phrases.meaning(phrase.words, other.picture, other.looks)
            if not doubtful and sum(other.looks[i].pixels for i in meant) >= SHOWN * other.picture.labels.size:
                return other.picture.image, Phrase(phrase.text, phrase.words, meant).mask(other.picture) == 1
        return None


def group(seed: int, split: str, number: int, how: Told) -> Group:
    """The group of that number: always the same, wherever it is drawn. No phrase says what is held out for the test."""
    rng = np.random.default_rng((seed, scene.SPLITS.index(split), number, how.group))
    seen, things, said = [], [], []
    for place in range(how.group):
        picture = scene.draw(seed, split, number * how.group + place, how.kind)
        seen.append(Seen(picture, looks.looks(picture)))
        if thing := _thing(rng, seen[-1]):
            things.append(thing)
        tried = [phrases.true(rng, picture, seen[-1].looks, False) for _ in range(how.true_phrases)]
        tried += [phrases.false(rng, picture, seen[-1].looks, False) for _ in range(how.false_phrases)]
        said.append(list({phrase.text: phrase for phrase in tried if phrase is not None}.values()))
    digest = hashlib.sha256(f"{seed}/{split}/{number}".encode()).digest()
    return Group(number, int.from_bytes(digest[:8], "big") >> 1, seen, things, said)


def _thing(rng: np.random.Generator, seen: Seen) -> Seen | None:
    """One of a picture's things that something sure can be said of, by itself."""
    known = [
        i
        for i, look in enumerate(seen.looks)
        if look.sure - BY_PLACE and look.pixels >= SHOWN / 4 * seen.picture.labels.size
    ]
    if not known:
        return None
    one = known[rng.integers(len(known))]
    thing, look = seen.picture.things[one], seen.looks[one]
    picture = Sample(seen.picture.image, seen.picture.labels, (thing,))
    return Seen(picture, [Look(look.sure - BY_PLACE, look.maybe | BY_PLACE, look.pixels)], picture.mask(thing.ids))


class Groups(Split):
    """`split`: of the world; epoch 1, 2, ... has groups of its own, epoch 0 those of number 0, 1, ..."""

    classes = ["what is meant"]

    def __init__(self, split: str, count: int, segmenter: Segmenter, how: Told, seed: int, processes: Processes):
        self.pairs = [Named(f"{split}/{i:06d}") for i in range(count)]
        self.device = processes.device
        self._segmenter, self._split, self._how, self._seed = segmenter, split, how, seed
        self._kept = None

    def take(self, index: int, epoch: int) -> Group:
        return group(self._seed, self._split, max(epoch - 1, 0) * len(self) + index, self._how)
