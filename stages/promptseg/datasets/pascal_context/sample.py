"""Offline stand-in for Pascal Context: rendered landscapes, streets and rooms in the official layout."""

import io
from pathlib import Path

import cv2
import numpy as np

from promptseg.datasets.coco_stuff.reader import CLASSES as RENDERED
from promptseg.datasets.coco_stuff.sample import SCENES, scene
from promptseg.datasets.pascal_context.reader import NUMBERS

COUNTS = {"train": 42, "val": 21}
OTHER = 455  # a label that is none of the 59 classes
# What the scenes show under other names; what is in neither, such as bushes, has a label beyond the 59.
NAMES = {
    "sky-other": "sky", "clouds": "sky", "sea": "water", "river": "water", "sand": "ground", "pavement": "sidewalk",
    "wall-other": "wall", "wall-brick": "wall", "floor-wood": "floor", "carpet": "floor", "building-other": "building",
    "tv": "tvmonitor", "couch": "sofa", "potted plant": "pottedplant", "dining table": "table",
}  # fmt: skip
# As scipy writes it, without the date.
HEADER = b"MATLAB 5.0 MAT-file Platform: posix"


def write(folder: Path, seed: int) -> None:
    """Write 42 training and 21 validation images, 256x192, with their label maps as .mat files.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    root, maps = Path(folder) / "VOCdevkit" / "VOC2010", Path(folder) / "trainval"
    for home in (root / "JPEGImages", root / "ImageSets" / "Main", maps):
        home.mkdir(parents=True)
    (folder / "labels.txt").write_bytes("".join(f"{number}: {name}\n" for name, number in NUMBERS.items()).encode())
    table = np.full(256, OTHER, np.uint16)
    for number, name in enumerate(RENDERED):
        table[number] = NUMBERS.get(NAMES.get(name, name), OTHER)
    table[255] = 0
    ids = iter(sorted(rng.choice(12_000, sum(COUNTS.values()), replace=False)))
    for split, count in COUNTS.items():
        names = []
        for index in range(count):
            id = next(ids)
            names.append(f"{2008 + id // 4000}_{id % 4000:06d}")
            image, labels = scene(rng, *SCENES[index % len(SCENES)])
            jpeg = cv2.imencode(".jpg", image[..., ::-1])[1]
            (root / "JPEGImages" / f"{names[-1]}.jpg").write_bytes(jpeg.tobytes())
            (maps / f"{names[-1]}.mat").write_bytes(_mat(table[labels]))
        (root / "ImageSets" / "Main" / f"{split}.txt").write_bytes("".join(f"{name}\n" for name in names).encode())


def _mat(labels: np.ndarray) -> bytes:
    from scipy.io import savemat

    buffer = io.BytesIO()
    savemat(buffer, {"LabelMap": labels}, do_compression=True)
    return HEADER.ljust(116) + buffer.getvalue()[116:]
