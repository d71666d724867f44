"""Readers on real data, where PROMPTSEG_REAL_DATA names a folder of their folders."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg import datasets

HOME = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent"))
VOC_LABELS = {"2011_000003": {0, 5, 15, 255}, "2011_000006": {0, 9, 15, 18, 255}, "2011_000025": {0, 6, 7}}


def is_of_voc(sample, image, mask) -> bool:
    with Image.open(HOME / f"voc2012/SegmentationClass/{sample.id}.png") as file:
        return VOC_LABELS[sample.id] == set(np.unique(mask).tolist()) and np.array_equal(file, mask)


def is_of_fss(sample, image, mask) -> bool:
    support = sample.support()
    return 0.01 < mask.mean() < 0.6 and support[1].any() and not np.array_equal(support[0], image)


def is_of_pets(sample, image, mask) -> bool:
    return sample.split in ("train", "test") and set(np.unique(mask)) == {0, 1 if sample.id[0].isupper() else 2, 255}


def is_one_class(sample, image, mask) -> bool:
    return set(np.unique(mask).tolist()) <= {0, 1}


@pytest.mark.parametrize(
    "name, folder, step, holds",
    [
        ("cityscapes", "cityscapes", 97, lambda sample, image, mask: image.shape == (1024, 2048, 3)),
        ("cityscapes_pairs", "cityscapes_pairs", 50, lambda sample, image, mask: np.mean(mask != 255) > 0.6),
        ("coco_stuff", "coco_stuff", 2, lambda sample, image, mask: mask.min() > 0 and (mask != 255).any()),
        ("fires", "fires", 15, is_one_class),
        ("fss", "fss1000", 2, is_of_fss),
        ("lucchi_pp", "lucchi_pp", 20, is_one_class),
        ("pets", "oxford_iiit_pet", 1, is_of_pets),
        ("phrasecut", "phrasecut", 50, lambda sample, image, mask: sample.text),
        ("qata", "qata", 50, lambda sample, image, mask: mask.any()),
        ("voc", "voc2012", 1, is_of_voc),
    ],
)
def test_real_data(name, folder, step, holds):
    if not (HOME / folder).is_dir():
        pytest.skip(f"PROMPTSEG_REAL_DATA names no folder with {folder}")
    reader = datasets.load(name)
    datasets.verify(reader, HOME / folder)
    samples = list(reader.read(HOME / folder))
    assert samples and len({sample.id for sample in samples}) == len(samples)
    for sample in samples[::step]:
        image, mask = sample.image(), sample.mask()
        assert image.shape[:2] == mask.shape and holds(sample, image, mask), sample.id
