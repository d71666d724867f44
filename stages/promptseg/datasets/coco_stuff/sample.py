"""Offline stand-in for COCO-Stuff: rendered landscapes, streets and rooms in the official layout."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.data import image_io
from promptseg.datasets.coco_stuff.reader import CLASSES, MAPS
from promptseg.synthetic import figures, materials
from promptseg.synthetic.canvas import Canvas
from promptseg.synthetic.colors import paint_color
from promptseg.synthetic.noise import noise

COUNTS = {"train2017": 44, "val2017": 22}
HEIGHT, WIDTH, UNLABELED = 192, 256, 255
# Backgrounds from back to front: class, material, mean upper edge and how far it leaves it, as shares of the height.
SKY, ROCKS = ("sky-other", "sky", 0, 0), ("mountain", "rock", 0.32, 0.22)
# Then figures: class, largest number, radius in heights, and where they stand: 0 is the last edge, 1 the lower border.
SCENES = (
    ((SKY, ("sea", "water", 0.4, 0.01), ("sand", "sand", 0.62, 0.08)),
     {"boat": ("boat", 2, 0.1, -0.5, -0.2), "person": ("person", 3, 0.2, 0, 1), "dog": ("dog", 2, 0.12, 0, 1),
      "umbrella": ("umbrella", 2, 0.18, 0, 1), "bird": ("bird", 2, 0.06, -1.5, -0.8)}),
    ((SKY, ROCKS, ("tree", "leaves", 0.42, 0.15), ("grass", "grass", 0.52, 0.06)),
     {"cow": ("cow", 2, 0.18, 0.2, 1), "sheep": ("sheep", 3, 0.12, 0.2, 1), "bush": ("bush", 3, 0.14, 0, 0.8),
      "person": ("person", 1, 0.2, 0.2, 1), "tree": ("tree", 2, 0.25, 0, 0.3)}),
    ((SKY, ("tree", "leaves", 0.38, 0.15), ("pavement", "paving", 0.55, 0), ("road", "asphalt", 0.7, 0.02)),
     {"building": ("building-other", 4, 0.3, -0.5, -0.35), "bush": ("bush", 2, 0.1, -0.3, -0.1),
      "car": ("car", 3, 0.2, 0, 0.9), "person": ("person", 2, 0.22, -0.2, 0.9), "dog": ("dog", 1, 0.1, -0.2, 0.9)}),
    ((("wall-other", "plaster", 0, 0), ("floor-wood", "planks", 0.62, 0)),
     {"tvmonitor": ("tv", 1, 0.15, -0.3, -0.1), "sofa": ("couch", 1, 0.28, 0.1, 0.4), "dog": ("dog", 2, 0.15, 0.3, 1),
      "pottedplant": ("potted plant", 2, 0.2, 0.1, 0.8), "person": ("person", 1, 0.35, 0.2, 1)}),
    ((SKY, ROCKS, ("tree", "leaves", 0.45, 0.08), ("river", "water", 0.52, 0.01), ("grass", "grass", 0.85, 0.08)),
     {"boat": ("boat", 3, 0.14, -1.5, -0.2), "bush": ("bush", 3, 0.14, 0, 1), "person": ("person", 1, 0.25, 0, 1)}),
    ((SKY, ROCKS, ("tree", "leaves", 0.45, 0.12), ("snow", "snow", 0.55, 0.08)),
     {"person": ("person", 3, 0.2, 0, 1), "dog": ("dog", 2, 0.12, 0, 1), "tree": ("tree", 3, 0.25, 0, 0.3)}),
    ((("wall-brick", "brick", 0, 0), ("carpet", "carpet", 0.6, 0)),
     {"sofa": ("couch", 1, 0.28, 0.1, 0.4), "chair": ("chair", 2, 0.2, 0.1, 0.8), "cat": ("cat", 2, 0.12, 0.3, 1),
      "diningtable": ("dining table", 1, 0.22, 0.2, 0.8), "pottedplant": ("potted plant", 2, 0.2, 0.1, 0.8)}),
)  # fmt: skip


def write(folder: Path, seed: int) -> None:
    """Write 44 training and 22 test images, 256x192; one of each split is gray.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    for split, count in COUNTS.items():
        home, maps = folder / split, folder / MAPS / split
        home.mkdir(parents=True)
        maps.mkdir(parents=True)
        for index, number in enumerate(sorted(rng.choice(np.arange(1, 582000), count, replace=False))):
            image, labels = scene(rng, *SCENES[index % len(SCENES)])
            pixels = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY if index == 5 else cv2.COLOR_RGB2BGR)
            jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
            (home / f"{number:012d}.jpg").write_bytes(jpeg.tobytes())
            (maps / f"{number:012d}.png").write_bytes(image_io.encode_png(labels))


def scene(rng: np.random.Generator, grounds: tuple, things: dict) -> tuple[np.ndarray, np.ndarray]:
    """Render an image, (192, 256, 3) uint8, and its label map, (192, 256) uint8."""
    canvas = Canvas(rng, HEIGHT, WIDTH)
    for name, material, top, wave in grounds:
        edge = top + rng.uniform(-0.08, 0.08) * (top > 0)
        materials.layer(canvas, material, CLASSES.index(name), edge, wave, 0.2)
        if name == "sky-other":
            thick = noise(rng, HEIGHT, WIDTH, 90, 4, 0.5) > rng.uniform(0.4, 0.8)
            canvas.cover(thick, materials.material(rng, "clouds", 0.15), CLASSES.index("clouds"))
    found = [
        (edge + (1 - edge) * rng.uniform(low, high), figure, CLASSES.index(name), radius)
        for place, (figure, (name, most, radius, low, high)) in enumerate(things.items())
        for _ in range(rng.integers(place == 0, most + 1))
    ]  # fmt: skip
    found += [(rng.uniform(edge, 1), "ball", UNLABELED, 0.04) for _ in range(rng.integers(3))]
    for foot, figure, label, radius in sorted(found):
        color = paint_color(rng) if figure not in ("tree", "bush") else (0.25, 0.36, 0.16) * rng.uniform(0.7, 1.3, 3)
        size = HEIGHT * radius * (0.5 + 0.5 * foot) * rng.uniform(0.8, 1.3)
        figures.draw(canvas, figure, (rng.uniform(0, WIDTH), foot * HEIGHT), size, color, label, foot=True)
    labels = canvas.labels.astype(np.uint8)
    # As between real superpixels, some borders are unlabeled.
    rim = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    labels[rim & (noise(rng, HEIGHT, WIDTH, 60, 2) > 0.55)] = UNLABELED
    return canvas.photograph(), labels
