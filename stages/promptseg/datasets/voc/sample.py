"""Offline stand-in for Pascal VOC 2012: rendered scenes in the official layout."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from promptseg.datasets.voc.palette import palette
from promptseg.datasets.voc.reader import CLASSES
from promptseg.datasets.voc.scene import scene

# Every class is in at least two scenes, so that in every fold all classes have support images.
SCENES = (  # place, classes
    ("air", ("aeroplane", "bird")),
    ("air", ("aeroplane", "aeroplane")),
    ("branch", ("bird",)),
    ("water", ("boat", "boat")),
    ("water", ("boat", "bird")),
    ("street", ("bus", "motorbike")),
    ("street", ("car", "bus")),
    ("street", ("car", "person", "bicycle")),
    ("street", ("motorbike", "pottedplant", "chair")),
    ("meadow", ("bicycle", "person")),
    ("meadow", ("cow", "cow")),
    ("meadow", ("sheep", "sheep", "dog")),
    ("meadow", ("horse", "person")),
    ("meadow", ("cow", "sheep")),
    ("meadow", ("horse", "dog")),
    ("room", ("sofa", "cat")),
    ("room", ("sofa", "tvmonitor", "person")),
    ("room", ("chair", "diningtable", "bottle")),
    ("room", ("diningtable", "bottle", "bottle")),
    ("room", ("tvmonitor", "pottedplant", "cat")),
    ("rails", ("train",)),
    ("rails", ("train", "person")),
)
COUNTS = {"train": 26, "val": 2 * len(SCENES)}
SIZES = ((300, 400), (300, 400), (280, 400), (375, 281))  # height, width; official images are 500 on the longer side


def write(folder: Path, seed: int) -> None:
    """Write 26 training and 44 validation images of the 20 classes; every fold has test samples of its classes.

    The layout is VOCdevkit/VOC2012/ with JPEGImages/<name>.jpg, SegmentationClass/<name>.png (palette PNG) and
    ImageSets/Segmentation/{train,val,trainval}.txt.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    numbers = {name: number for number, name in enumerate(CLASSES, 1)}
    root = Path(folder) / "VOCdevkit" / "VOC2012"
    images, masks, lists = root / "JPEGImages", root / "SegmentationClass", root / "ImageSets" / "Segmentation"
    for home in (images, masks, lists):
        home.mkdir(parents=True)
    listed: dict[str, list[str]] = {"train": [], "val": [], "trainval": []}
    ids = sorted(rng.choice(20_000, sum(COUNTS.values()), replace=False))
    planned = [(part, SCENES[i % len(SCENES)]) for part, count in COUNTS.items() for i in range(count)]
    for id, (part, (place, classes)) in zip(ids, (planned[i] for i in rng.permutation(len(planned)))):
        name = f"{2007 + id // 4000}_{id % 4000:06d}"
        size = SIZES[rng.integers(len(SIZES) if len(classes) < 3 else len(SIZES) - 1)]
        image, mask = scene(rng, place, classes, numbers, size)
        _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])
        (images / f"{name}.jpg").write_bytes(data.tobytes())
        indexed = Image.fromarray(mask)
        indexed.putpalette(palette().ravel().tolist())
        indexed.save(masks / f"{name}.png")
        for list_name in (part, "trainval"):
            listed[list_name].append(name)
    for list_name, names in listed.items():
        (lists / f"{list_name}.txt").write_bytes("".join(f"{name}\n" for name in names).encode())
