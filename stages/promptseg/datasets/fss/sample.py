"""Offline stand-in for FSS-1000: rendered everyday objects in the official layout."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.datasets.fss.reader import FOLDER, LIST
from promptseg.synthetic import figures, materials
from promptseg.synthetic.canvas import Canvas
from promptseg.synthetic.colors import paint_color

SIDE = 224  # pixels
IMAGES_PER_CLASS = 6
TEST_CLASSES = ("bucket", "coffee_mug", "fish", "guitar", "key", "wooden_spoon")  # all are in the official list
FLAT = ("planks", "tiles", "carpet", "grass", "sand", "soil", "asphalt", "litter", "gravel", "paving")  # from above
# The largest rotation of each class, radians, and the backgrounds behind it: one material, or two, one above the other.
CLASSES = {
    "banana": (3.1, FLAT), "bucket": (0.15, ("leaves/grass", "sky/sand", "brick/paving", "plaster/soil")),
    "coffee_mug": (0.15, ("plaster/planks", "brick/planks", "tiles/planks")), "guitar": (3.1, FLAT),
    "fish": (0.5, ("water", "planks", "sand")), "hot_air_balloon": (0.15, ("sky", "clouds", "sky/leaves")),
    "key": (3.1, FLAT), "ladder": (0.4, ("plaster/paving", "brick/asphalt", "leaves/grass")), "maple_leaf": (3.1, FLAT),
    "mushroom": (0.3, ("leaves/grass", "leaves/litter", "soil/grass")), "pencil": (3.1, FLAT),
    "sailing_boat": (0.15, ("sky/water", "clouds/water")), "starfish": (3.1, ("sand", "water", "gravel")),
    "traffic_cone": (0.15, ("sky/asphalt", "brick/asphalt", "leaves/paving")), "wooden_spoon": (3.1, FLAT),
    "umbrella": (0.5, ("sky/sand", "brick/asphalt", "leaves/grass")),
}  # fmt: skip
CLUTTER = ("ball", "bottle", "scrap", "stone", "twig")


def write(folder: Path, seed: int) -> None:
    """Write 96 images of 16 classes, 224x224, with masks in the three encodings of the official files.

    The layout is fewshot_data/<class>/<number>.jpg and .png, and fss_test_set.txt with 6 of the classes.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    for name in sorted(CLASSES):
        home = folder / FOLDER / name
        home.mkdir(parents=True)
        for index, number in enumerate(sorted(rng.choice(np.arange(1, 11), IMAGES_PER_CLASS, replace=False))):
            image, mask = _scene(rng, name)
            (home / f"{number}.jpg").write_bytes(cv2.imencode(".jpg", image[..., ::-1])[1].tobytes())
            (home / f"{number}.png").write_bytes(_encode_mask(mask, index % 3))
    (folder / LIST).write_bytes("\r\n".join(TEST_CLASSES).encode("ascii"))


def _scene(rng: np.random.Generator, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Render an object in clutter, often with one of another class beside it: image and mask (224, 224) uint8."""
    canvas, (turn, backgrounds), color = Canvas(rng, SIDE, SIDE), CLASSES[name], paint_color(rng)
    for index, material in enumerate(backgrounds[rng.integers(len(backgrounds))].split("/")):
        materials.layer(canvas, material, 0, index * rng.uniform(0.35, 0.7), 0.03 * index)
    size, center = SIDE * rng.uniform(0.22, 0.42), SIDE * rng.uniform(0.36, 0.64, 2)

    def add(figure: str, distance: float, radius: float, most: float) -> None:
        """Paint what is no object of the class; half of it has the color of the object."""
        angle = rng.uniform(0, 2 * np.pi)
        at = center + distance * np.array([np.cos(angle), np.sin(angle)])
        tint = color * rng.uniform(0.8, 1.2) if rng.random() < 0.5 else paint_color(rng)
        figures.draw(canvas, figure, at, radius, tint, 0, rng.uniform(-most, most))

    for figure in rng.choice(CLUTTER, rng.integers(3, 7)):
        add(figure, SIDE * rng.uniform(0.2, 0.6), rng.uniform(10, 30), 3.1)
    if rng.random() < 0.6:
        other = rng.choice(sorted(CLASSES.keys() - {name}))
        add(other, 0.6 * size + SIDE * rng.uniform(0.15, 0.25), SIDE * rng.uniform(0.14, 0.28), CLASSES[other][0])
    figures.draw(canvas, name, center, size, color, 1, rng.uniform(-turn, turn))
    if rng.random() < 0.4:  # it is partly occluded
        add(rng.choice(CLUTTER), 0.7 * size, size * rng.uniform(0.3, 0.5), 3.1)
    return canvas.photograph(), (canvas.labels * 255).astype(np.uint8)


def _encode_mask(mask: np.ndarray, encoding: int) -> bytes:
    """Encode a mask as PNG: noisy RGBA with soft edges, RGB of 0 and 1, or gray of 0 and 255."""
    soft = cv2.GaussianBlur(mask, (0, 0), 0.6)
    noisy = np.dstack([np.clip(soft, 4, 251), soft, soft, np.full_like(soft, 255)])
    return cv2.imencode(".png", (noisy, np.dstack([mask // 255] * 3), mask)[encoding])[1].tobytes()
