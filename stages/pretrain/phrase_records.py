"""Records of rendered images with a phrase, its mask, and a support image."""

import itertools
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from promptseg.data import image_io, records
from promptseg.data.records import Record
from settings import PhraseSplits
from world import rendering
from world.attributes import describe
from world.phrases import sample_negative, sample_positive

METADATA = {"classes": ["referent"], "dataset": "synthetic phrases"}
SUPPORT_CANDIDATES = 150  # preceding images, of which the last suitable one is the support image
NO_SUPPORT = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)  # the record is prompted by the phrase alone


def write(config: PhraseSplits, seed: int, name: str, out: Path) -> None:
    """Write the records of a split as a Parquet file.

    Args:
        config: number of records, kind of images, share of negative phrases.
        seed: of images and phrases.
        name: "train" or "val": with negative phrases; "test": the same, and each phrase has a held-out pair of words;
            "support": positive phrases about test images, each with a support image.
        out: Parquet file.
    """
    with records.RecordWriter(out, Record, METADATA) as writer:
        for record in itertools.islice(_records(config, seed, name), getattr(config, name)):
            writer.add(record)


def _records(config: PhraseSplits, seed: int, name: str) -> Iterator[Record]:
    split = "test" if name == "support" else name
    recent, negatives_due = deque(maxlen=SUPPORT_CANDIDATES), 0.0
    for index in itertools.count():
        image = describe(seed, split, index, config.kind)
        rng = np.random.default_rng((seed, rendering.SPLITS.index(split), index))
        sample = sample_negative if negatives_due >= 1 and name != "support" else sample_positive
        phrase = sample(rng, image, held_out=name == "test")
        support = phrase and phrase.support(reversed(recent))
        if phrase and (support or name != "support"):
            negatives_due += config.negative_share - (negatives_due >= 1)
            id, (height, width) = f"{name}/{index:06d}", image.scene.labels.shape
            arrays = (image.scene.image, phrase.mask(image.scene), *(support or NO_SUPPORT))
            pixels, mask, support_image, support_mask = map(image_io.encode_png, arrays)
            place = (id, 0, 0, height, width)  # a whole image and no tile
            more = (phrase.text, support_image, support_mask)
            foreground = int(np.count_nonzero(arrays[1]))
            yield Record(id, id, pixels, mask, height, width, *place, *more, foreground=foreground)
        recent.append(image)
