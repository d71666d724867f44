"""Records of rendered images with a phrase, its mask, and a support image."""

import itertools
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from promptseg.data import image_io, records
from promptseg.data.records import Record
from settings import PhraseSplits
from world import phrases, rendering
from world.attributes import Attributes, scene_attributes
from world.phrases import Phrase
from world.scene import Scene

METADATA = {"classes": ["referent"], "dataset": "synthetic phrases"}
SUPPORT_CANDIDATES = 150  # preceding images, of which the last suitable one is the support image
MIN_SUPPORT_AREA = 0.01  # of a support image that the referents must cover


def write(config: PhraseSplits, seed: int, name: str, out: Path) -> None:
    """Write the records of a split.

    Args:
        config: number of records, kind of images, share of negative phrases.
        seed: of images and phrases.
        name: "train" or "val": with negative phrases; "test": the same, and each phrase has a held-out pair of words;
            "support": positive phrases about test images, each with a support image.
        out: Parquet file.
    """
    with records.RecordWriter(out, Record, METADATA) as writer:
        for record in _records(config, seed, name):
            writer.add(record)
            if writer.count == getattr(config, name):
                return


def _records(config: PhraseSplits, seed: int, name: str) -> Iterator[Record]:
    split = "test" if name == "support" else name
    recent: deque[tuple[Scene, list[Attributes]]] = deque(maxlen=SUPPORT_CANDIDATES)
    negatives_due = 0.0
    for index in itertools.count():
        scene = rendering.render(seed, split, index, config.kind)
        attributes = scene_attributes(scene)
        rng = np.random.default_rng((seed, rendering.SPLITS.index(split), index))
        negative = negatives_due >= 1 and name != "support"
        sample = phrases.sample_negative if negative else phrases.sample_positive
        phrase = sample(rng, scene, attributes, name == "test")
        support = None if phrase is None else _support(phrase, recent)
        if phrase is not None and (name != "support" or support[1].any()):
            negatives_due += config.negative_share - (negatives_due >= 1)
            yield _record(f"{name}/{index:06d}", scene, phrase, support)
        recent.append((scene, attributes))


def _support(phrase: Phrase, recent: deque[tuple[Scene, list[Attributes]]]) -> tuple[np.ndarray, np.ndarray]:
    """The last image that shows certain referents of a phrase, and no uncertain ones, with their mask.

    Without one, a black image with an empty mask, for which the record is prompted by the phrase alone.
    """
    for scene, attributes in reversed(recent):
        certain, uncertain = phrases.find_referents(phrase.words, scene, attributes)
        pixels = sum(attributes[i].pixels for i in certain)
        if not uncertain and pixels >= MIN_SUPPORT_AREA * scene.labels.size:
            return scene.image, Phrase(phrase.text, phrase.words, certain).mask(scene)
    return np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)


def _record(id: str, scene: Scene, phrase: Phrase, support: tuple[np.ndarray, np.ndarray]) -> Record:
    height, width = scene.labels.shape
    return Record(
        id=id,
        group=id,
        image=image_io.encode_png(scene.image),
        mask=image_io.encode_png(phrase.mask(scene)),
        height=height,
        width=width,
        source=id,
        top=0,
        left=0,
        source_height=height,
        source_width=width,
        text=phrase.text,
        support_image=image_io.encode_png(support[0]),
        support_mask=image_io.encode_png(support[1]),
    )
