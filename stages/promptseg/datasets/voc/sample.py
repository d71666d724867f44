"""Offline stand-in for Pascal VOC 2012: rendered scenes in the official layout."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from promptseg.datasets.voc.palette import palette
from promptseg.datasets.voc.reader import CLASSES
from promptseg.synthetic import colors, figures, materials
from promptseg.synthetic.canvas import Canvas

# Materials, each from a row on down (as a share of the height), and the classes in front of them. Every class is in at
# least two scenes, so that in every fold all classes have support images.
SCENES = (
    ({"sky": 0}, ("aeroplane", "bird")), ({"clouds": 0}, ("aeroplane", "aeroplane")), ({"leaves": 0}, ("bird",)),
    ({"sky": 0, "water": 0.4}, ("boat", "boat")), ({"clouds": 0, "water": 0.3}, ("boat", "bird")),
    ({"brick": 0, "asphalt": 0.6}, ("bus", "motorbike")), ({"plaster": 0, "asphalt": 0.5}, ("car", "bus")),
    ({"plaster": 0, "paving": 0.5}, ("car", "person", "bicycle")),
    ({"brick": 0, "paving": 0.6}, ("motorbike", "chair")),
    ({"sky": 0, "leaves": 0.2, "grass": 0.4}, ("bicycle", "person")), ({"sky": 0, "grass": 0.3}, ("cow", "cow")),
    ({"clouds": 0, "grass": 0.3}, ("sheep", "sheep", "dog")), ({"leaves": 0, "grass": 0.4}, ("horse", "person")),
    ({"rock": 0, "grass": 0.3}, ("cow", "sheep")), ({"sky": 0, "soil": 0.4}, ("horse", "dog")),
    ({"plaster": 0, "carpet": 0.6}, ("sofa", "cat")), ({"plaster": 0, "planks": 0.6}, ("sofa", "tvmonitor", "person")),
    ({"tiles": 0, "planks": 0.6}, ("chair", "diningtable", "bottle")),
    ({"tiles": 0, "carpet": 0.6}, ("diningtable", "bottle")),
    ({"plaster": 0, "tiles": 0.6}, ("tvmonitor", "pottedplant", "cat")), ({"sky": 0, "gravel": 0.5}, ("train",)),
    ({"leaves": 0, "gravel": 0.5}, ("train", "person", "pottedplant")),
)  # fmt: skip
COUNTS = {"train": 26, "val": 2 * len(SCENES)}
SIZES = ((300, 400), (280, 400), (375, 281))  # height, width; official images are 500 on the longer side


def write(folder: Path, seed: int) -> None:
    """Write 26 training and 44 validation images of the 20 classes; every fold has test samples of its classes.

    The layout is VOCdevkit/VOC2012/ with JPEGImages/<name>.jpg, SegmentationClass/<name>.png (palette PNG) and
    ImageSets/Segmentation/{train,val,trainval}.txt. As in the official masks, a border of 255 surrounds each object.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    root = Path(folder) / "VOCdevkit" / "VOC2012"
    homes = [root / name for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")]
    for home in homes:
        home.mkdir(parents=True)
    ids = iter(sorted(rng.choice(20_000, sum(COUNTS.values()), replace=False)))
    listed: dict[str, list[str]] = {"trainval": []}
    for split, count in COUNTS.items():
        listed[split] = []
        for index in range(count):
            id = next(ids)
            name = f"{2007 + id // 4000}_{id % 4000:06d}"
            image, mask = _scene(rng, *SCENES[index % len(SCENES)])
            (homes[0] / f"{name}.jpg").write_bytes(cv2.imencode(".jpg", image[..., ::-1])[1].tobytes())
            indexed = Image.fromarray(mask)
            indexed.putpalette(palette().ravel().tolist())
            indexed.save(homes[1] / f"{name}.png")
            for names in (listed[split], listed["trainval"]):
                names.append(name)
    for split, names in listed.items():
        (homes[2] / f"{split}.txt").write_bytes("".join(f"{name}\n" for name in names).encode())


def _scene(rng: np.random.Generator, grounds: dict, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Render an image, (h, w, 3) uint8, and its mask, (h, w) uint8; later objects stand in front."""
    h, w = SIZES[rng.integers(len(SIZES))]
    canvas = Canvas(rng, h, w)
    for name, top in grounds.items():
        materials.layer(canvas, name, 0, top, 0.03 * (top > 0))
    feet = np.sort(rng.uniform(0.72, 0.97, len(names))) * h
    columns = (rng.permutation(len(names)) + rng.uniform(0.3, 0.7, len(names))) * w / len(names)
    for name, x, y in zip(names, columns, feet, strict=True):
        radius = rng.uniform(0.2, 0.38) * min(h, 1.3 * w / len(names))
        flying, color = name in ("aeroplane", "bird"), colors.paint_color(rng)
        at = (x, 0.6 * y if flying else y)
        figures.draw(canvas, name, at, radius, color, CLASSES.index(name) + 1, foot=not flying)
    mask = canvas.labels.astype(np.uint8)
    rim = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    return canvas.photograph(), np.where(rim, np.uint8(255), mask)
