"""Rendered scenes for the stand-in of Pascal VOC: objects of one to four classes in a matching place."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from promptseg.datasets.voc import animals, things, vehicles
from promptseg.datasets.voc.paint import Canvas, Sketch, noise
from promptseg.datasets.voc.palette import IGNORED
from promptseg.datasets.voc.places import PLACES

RIM = 2  # pixels on each side of an outline that are ignored, as in the official masks


@dataclass(frozen=True)
class Kind:
    """How a class is rendered: size as a share of the image height at medium distance, half its width in units."""

    sketch: Callable[[np.random.Generator], Sketch]
    size: float
    half: float
    above: float = 0.0  # where its foot is above the place's ground, as a share of the image height


KINDS = {
    "aeroplane": Kind(vehicles.aeroplane, 0.85, 0.5), "bicycle": Kind(vehicles.bicycle, 0.46, 0.8),
    "bird": Kind(animals.bird, 0.62, 0.5), "boat": Kind(vehicles.boat, 0.5, 0.5),
    "bottle": Kind(things.bottle, 0.3, 0.16, 0.02), "bus": Kind(vehicles.bus, 0.5, 1.1),
    "car": Kind(vehicles.car, 0.27, 1.3), "cat": Kind(animals.cat, 0.36, 0.35), "chair": Kind(things.chair, 0.52, 0.3),
    "cow": Kind(animals.cow, 0.4, 0.6), "diningtable": Kind(things.diningtable, 0.36, 1.1),
    "dog": Kind(animals.dog, 0.34, 0.5), "horse": Kind(animals.horse, 0.5, 0.55),
    "motorbike": Kind(vehicles.motorbike, 0.42, 0.8), "person": Kind(animals.person, 0.6, 0.25),
    "pottedplant": Kind(things.pottedplant, 0.42, 0.4), "sheep": Kind(animals.sheep, 0.32, 0.55),
    "sofa": Kind(things.sofa, 0.4, 1.1, 0.05), "train": Kind(vehicles.train, 0.52, 0.5),
    "tvmonitor": Kind(things.tvmonitor, 0.27, 0.7, 0.1),
}  # fmt: skip
_GROUND = {  # between which heights feet stand, as shares of the image height from above
    "air": (0.3, 0.7), "branch": (0.73, 0.75), "water": (0.55, 0.88), "street": (0.74, 0.94), "meadow": (0.6, 0.94),
    "room": (0.76, 0.96), "rails": (0.8, 0.86),
}  # fmt: skip


def scene(
    rng: np.random.Generator, place: str, kinds: tuple[str, ...], numbers: dict[str, int], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Render an image (h, w, 3) RGB and its mask (h, w), uint8: 0 background, class numbers, 255 along every outline.

    numbers: class name to number; size: (height, width).
    """
    canvas = Canvas(rng, *size)
    ground, front = PLACES[place]
    ground(canvas)
    for kind, x, y, scale in _places(rng, place, kinds, size):
        _put(canvas, kind, x, y, scale, numbers[kind], place)
    if rng.random() < 0.6:
        front(canvas)
    return _camera(canvas), _outlined(canvas.labels)


def _places(rng: np.random.Generator, place: str, kinds: tuple[str, ...], size: tuple[int, int]) -> list[tuple]:
    """(class, x and y of its foot in pixels, pixels a unit), from far to near, side by side with some overlap."""
    height, width = size
    low, high = _GROUND[place]
    room = sum(KINDS[kind].half * KINDS[kind].size + 0.05 for kind in kinds) * 2 * height
    shrink = min(1.0, 1.1 * width / room) * (1.0 if len(kinds) > 1 else 1.15)
    left, placed = rng.uniform(0.0, 0.1) * width, []
    for kind in rng.permutation(kinds).tolist():
        about, depth = KINDS[kind], rng.random()
        share = 2 * (about.half * about.size + 0.05) * height / room
        x = left + (0.5 + rng.uniform(-0.12, 0.12)) * share * width
        left += share * width * 0.97
        y = (low + (high - low) * depth - about.above) * height
        scale = about.size * height * shrink * (0.85 + 0.4 * depth) * rng.uniform(0.9, 1.1)
        placed.append((depth, (kind, x, y, scale)))
    return [thing for _, thing in sorted(placed)]


def _put(canvas: Canvas, kind: str, x: float, y: float, scale: float, number: int, place: str) -> None:
    rng, about = canvas.rng, KINDS[kind]
    flip, tilt, half = bool(rng.random() < 0.5), rng.normal(0, 0.02), about.half * scale
    if kind == "aeroplane":
        tilt = rng.uniform(-0.3, 0.3)
    elif kind in ("bottle", "tvmonitor"):  # they stand on furniture that is no class
        stand, wood = Sketch(), (0.4 * rng.uniform(0.6, 1.5), 0.27, 0.17)
        wide = 1.15 * half / scale + 0.15
        stand.poly([(-wide, 0.04), (wide, 0.04), (0.9 * wide, 0.12), (-0.9 * wide, 0.12)], wood, relief=0.1)
        stand.box(-wide, -1.2, wide, 0.05, tuple(0.75 * c for c in wood), relief=0.2, grain=0.3)
        canvas.draw(stand, x, y, scale)
        y -= 0.06 * scale
    elif kind == "boat":
        canvas.shadow(x, y + 0.05 * scale, 1.1 * half, 0.14 * scale, 0.5)
    elif kind != "bird":
        canvas.shadow(x, y, 1.05 * half, 0.07 * scale + 3)
    sketch = animals.gull(rng) if kind == "bird" and place != "branch" else about.sketch(rng)
    if kind == "bird" and place != "branch":
        y, scale = 0.45 * y, 0.7 * scale
    canvas.draw(sketch, x, y, scale, number, flip, tilt)


def _outlined(labels: np.ndarray) -> np.ndarray:
    """The labels with 255 along every border between two of them."""
    kernel = np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)
    mask = labels.copy()
    mask[cv2.dilate(labels, kernel) != cv2.erode(labels, kernel)] = IGNORED
    return mask


def _camera(canvas: Canvas) -> np.ndarray:
    """Uneven light, a little blur, vignette, tint, exposure and grain; (h, w, 3) uint8."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    light = 0.82 + 0.36 * noise(rng, h, w, 0.7 * w, 2)
    far = ((canvas.x / w - 0.5) ** 2 + (canvas.y / h - 0.5) ** 2) * 2
    seen = cv2.GaussianBlur(canvas.colors, (0, 0), rng.uniform(0.5, 0.9))
    seen *= (light * (1.03 - 0.3 * far) * rng.uniform(0.95, 1.25))[..., None]
    seen *= (1 + rng.normal(0, 0.04, 3)).astype(np.float32)
    seen += rng.normal(0, rng.uniform(0.008, 0.025), (h, w, 1)).astype(np.float32)
    return (np.clip(seen, 0, 1) * 255 + 0.5).astype(np.uint8)
