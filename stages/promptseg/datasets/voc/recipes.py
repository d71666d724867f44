"""What the drawn photos show, scene by scene, and how they are written in the official layout."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from promptseg.datasets.voc.palette import palette
from promptseg.datasets.voc.scene import scene

# Every class is in at least two of these, and so every fold has rows of its five classes with support in both lists.
SCENES = (
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
LISTS = {"train": 26, "val": 2 * len(SCENES)}
SIZES = ((300, 400), (300, 400), (280, 400), (375, 281))  # height, width; official photos are 500 on the longer side


def write(root: Path, rng: np.random.Generator, numbers: dict[str, int]) -> None:
    """Draw the scenes in mixed order into JPEGImages and SegmentationClass below `root`, and list them by name.

    numbers: from a class's name to its number.
    """
    photos, masks, lists = root / "JPEGImages", root / "SegmentationClass", root / "ImageSets" / "Segmentation"
    for folder in (photos, masks, lists):
        folder.mkdir(parents=True)
    listed: dict[str, list[str]] = {"train": [], "val": [], "trainval": []}
    places = sorted(rng.choice(20_000, sum(LISTS.values()), replace=False))
    wanted = [(part, SCENES[i % len(SCENES)]) for part, count in LISTS.items() for i in range(count)]
    for place, (part, (where, kinds)) in zip(places, (wanted[i] for i in rng.permutation(len(wanted)))):
        name = f"{2007 + place // 4000}_{place % 4000:06d}"
        size = SIZES[rng.integers(len(SIZES) if len(kinds) < 3 else len(SIZES) - 1)]
        image, mask = scene(rng, where, kinds, numbers, size)
        _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])
        (photos / f"{name}.jpg").write_bytes(data.tobytes())
        picture = Image.fromarray(mask)
        picture.putpalette(palette().ravel().tolist())
        picture.save(masks / f"{name}.png")
        for list_of in (part, "trainval"):
            listed[list_of].append(name)
    for part, names in listed.items():
        (lists / f"{part}.txt").write_bytes("".join(f"{name}\n" for name in names).encode())
