"""The world in the project's containers: a picture, a phrase, its mask, and another picture of what it means."""

import itertools
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from promptseg.data import image_io, records
from promptseg.data.records import Record
from settings import Phrases
from world import looks, phrases, scene
from world.looks import Look
from world.phrases import Phrase
from world.pictures import Sample

ABOUT = {"classes": ["what is meant"], "dataset": "a drawn world"}
REMEMBERED = 150  # pictures before a row's own, of which one may show what it means
SUPPORT = 0.01  # of a picture that must show it


def write(how: Phrases, seed: int, name: str, out: Path) -> None:
    """A container of as many rows as `how` says of that name.

    train, val: of these splits of the world, false phrases among them; test: every phrase has two words that never
    stand together in those; examples: of test pictures too, true phrases of which another picture shows an example.
    """
    with records.RecordWriter(out, Record, ABOUT) as writer:
        for row in _rows(how, seed, name):
            writer.add(row)
            if writer.count == getattr(how, name):
                return


def _rows(how: Phrases, seed: int, name: str) -> Iterator[Record]:
    split = "test" if name == "examples" else name
    memory: deque[tuple[Sample, list[Look]]] = deque(maxlen=REMEMBERED)
    due = 0.0  # of false phrases
    for number in itertools.count():
        picture = scene.draw(seed, split, number, how.kind)
        seen, rng = looks.looks(picture), np.random.default_rng((seed, scene.SPLITS.index(split), number))
        make = phrases.false if due >= 1 and name != "examples" else phrases.true
        phrase = make(rng, picture, seen, name == "test")
        support, shown = (None, None) if phrase is None else _shown(phrase, memory)
        if phrase is not None and (name != "examples" or shown.any()):
            due += how.absent - (due >= 1)
            yield _pair(f"{name}/{number:06d}", picture, phrase, support, shown)
        memory.append((picture, seen))


def _shown(phrase: Phrase, memory: deque) -> tuple[np.ndarray, np.ndarray]:
    """The last picture before that shows what a phrase means, and nothing doubtful, with its mask.

    Where there is none, a black one with an empty mask, of which the project asks by the phrase alone.
    """
    for picture, seen in reversed(memory):
        meant, doubtful = phrases.meaning(phrase.words, picture, seen)
        if not doubtful and sum(seen[i].pixels for i in meant) >= SUPPORT * picture.labels.size:
            return picture.image, Phrase(phrase.text, phrase.words, meant).mask(picture)
    return np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)


def _pair(id: str, picture: Sample, phrase: Phrase, support: np.ndarray, shown: np.ndarray) -> Record:
    height, width = picture.labels.shape
    return Record(
        id, id, image_io.png(picture.image), image_io.png(phrase.mask(picture)), height, width, id, 0, 0, height, width,
        phrase.text, image_io.png(support), image_io.png(shown),
    )  # fmt: skip
