"""Rendered images of leaves on the ground, with spots of four diseases, three images of each plant.

The clutter has the colors of leaves and spots: dry litter as brown as blight, pebbles as pale as mildew, grass as green
as the leaves, holes that show the ground, soil on the leaves.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from promptseg.data import image_io
from promptseg.datasets.folder.leaf import DISEASES, Leaf, Plant
from promptseg.synthetic.texture import noise, polygon, smoothstep

PLANTS, VIEWS = 15, 3
SIZES = ((320, 256), (336, 256), (288, 288))
LEAF, SPOT = (0x3C, 0x8C, 0x3C), (0xB4, 0x50, 0x1E)  # in the color masks
_GROUNDS = {
    "soil": ((0.2, 0.15, 0.11), (0.42, 0.33, 0.24)),
    "grass": ((0.1, 0.17, 0.06), (0.33, 0.42, 0.17)),
    "gravel": ((0.34, 0.33, 0.31), (0.62, 0.6, 0.57)),
    "mulch": ((0.22, 0.13, 0.07), (0.56, 0.4, 0.24)),
}
_LITTER = ((0.45, 0.29, 0.13), (0.33, 0.2, 0.1), (0.6, 0.42, 0.2), (0.52, 0.33, 0.2))
_SPOTS = {"blight": 3.5, "leaf spot": 8, "rust": 22, "mildew": 5}


def photos(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of every file: images/plant03_2.jpg (some .png), and its masks/ and labels/plant03_2.png."""
    for number in range(1, PLANTS + 1):
        disease = list(DISEASES)[number % len(DISEASES)]
        green = np.array((rng.uniform(0.16, 0.34), rng.uniform(0.4, 0.56), rng.uniform(0.1, 0.2)), np.float32)
        teeth = (rng.uniform(0.04, 0.09), int(rng.integers(14, 26))) if rng.random() < 0.6 else (0.3, 4)
        plant = Plant(
            green, rng.uniform(0.45, 0.8), teeth, int(rng.integers(7, 12)), disease, _SPOTS[disease], rng.random() * 0.9
        )
        ground = rng.choice(list(_GROUNDS))
        for view in range(1, VIEWS + 1):
            sick = (number, view) != (5, 3)  # one image of a leaf without a spot
            photo, leaf, spot = _photo(rng, plant, ground, SIZES[number % len(SIZES)], sick)
            name = f"plant{number:02d}_{view}"
            if number % 8 == 0:
                yield f"images/{name}.png", image_io.encode_png(photo)
            else:
                data = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
                yield f"images/{name}.jpg", data.tobytes()
            colors = np.zeros_like(photo)
            colors[leaf], colors[spot] = LEAF, SPOT
            yield f"masks/{name}.png", image_io.encode_png(spot.astype(np.uint8) * 255)
            yield f"labels/{name}.png", image_io.encode_png(colors)


def _photo(rng: np.random.Generator, plant: Plant, ground: str, size: tuple[int, int], sick: bool):
    """Render an image (h, w, 3) uint8 and the visible regions of leaf and spots, (h, w) bool each."""
    w, h = size
    y, x = np.mgrid[:h, :w].astype(np.float32)
    picture = _ground(rng, ground, h, w)
    leaf, spot = np.zeros((h, w), bool), np.zeros((h, w), bool)
    leaves = int(rng.integers(1, 4))
    for index in range(leaves):
        front = index == leaves - 1
        away = 0.08 if front else 0.32
        at = (w * (0.5 + rng.uniform(-away, away)), h * (0.5 + rng.uniform(-away, away)))
        length = h * (rng.uniform(0.8, 1.05) if front else rng.uniform(0.45, 0.75))
        one = Leaf(rng, plant, x, y, at, length, rng.uniform(0, 2 * np.pi), sick and (front or rng.random() < 0.6))
        picture *= (1 - one.shadow(int(rng.integers(4, 9))))[..., None]
        cover = _with_holes(rng, one)
        picture += (one.color - picture) * cover[..., None]
        seen = cover > 0.5
        leaf |= seen
        spot = np.where(seen, one.spot, spot)
    hidden = _in_front(rng, picture, plant)
    leaf, spot = leaf & ~hidden, spot & ~hidden
    return _camera(rng, picture), leaf, spot


def _ground(rng: np.random.Generator, kind: str, h: int, w: int) -> np.ndarray:
    """Ground with clutter on it, (h, w, 3) float32."""
    dark, bright = (np.array(color, np.float32) for color in _GROUNDS[kind])
    share = 0.55 * noise(rng, h, w, 0.3 * h, 6) + 0.45 * noise(rng, h, w, 5, 2)
    canvas = np.clip((dark + (bright - dark) * share[..., None]) * 255, 0, 255).astype(np.uint8)
    for _ in range({"grass": 260, "mulch": 60}.get(kind, 14)):  # blades of grass, straw
        straw = kind == "mulch" and rng.random() < 0.7
        color = np.array((0.62, 0.47, 0.25) if straw else (0.25, 0.42, 0.12)) * rng.uniform(0.55, 1.35)
        _blade(rng, canvas, color, rng.uniform(0.1, 0.4) * h, rng.uniform(1, 3.5))
    for _ in range({"gravel": 150, "soil": 45}.get(kind, 10)):  # pebbles, with a lit and a dark side
        at, radius = rng.uniform(0, (w, h)), rng.uniform(0.008, 0.045) * h
        color = np.array((0.62, 0.59, 0.55)) * rng.uniform(0.5, 1.45) * rng.uniform(0.93, 1.07, 3)
        turn = rng.uniform(0, 2 * np.pi, 9)
        for shift, tone in ((1.5, 0.35), (0.0, 0.8), (-0.22 * radius, 1.1)):
            size = radius * (1 if shift >= 0 else 0.62)
            angles = np.sort(turn)
            polygon(canvas, at + shift + size * np.stack([np.cos(angles), 0.75 * np.sin(angles)], -1), color * tone)
    for _ in range(int(rng.integers(5, 12))):  # dry litter
        _scrap(rng, canvas, np.array(_LITTER[rng.integers(4)]) * rng.uniform(0.7, 1.25), rng.uniform(0.03, 0.12) * h)
    ground = canvas.astype(np.float32) / 255
    return ground * (0.8 + 0.4 * noise(rng, h, w, 3, 1))[..., None]


def _with_holes(rng: np.random.Generator, leaf: Leaf) -> np.ndarray:
    """Return the coverage of a leaf with holes eaten by insects."""
    cover = leaf.shape
    if rng.random() < 0.6:
        eaten = noise(rng, leaf.h, leaf.w, 0.11 * leaf.h, 2)
        cover = cover * (1 - smoothstep(eaten, 0.93, 0.96))
    return cover


def _in_front(rng: np.random.Generator, picture: np.ndarray, plant: Plant) -> np.ndarray:
    """Draw blades, scraps and crumbs of soil over the leaves, in place; (h, w) bool where they are."""
    h = len(picture)
    before = np.clip(picture * 255, 0, 255).astype(np.uint8)
    canvas = before.copy()
    for _ in range(int(rng.integers(0, 4))):
        _blade(rng, canvas, plant.green * rng.uniform(0.7, 1.3, 3), rng.uniform(0.4, 0.9) * h, rng.uniform(2, 5))
    for _ in range(int(rng.integers(0, 3))):
        _scrap(rng, canvas, np.array(_LITTER[rng.integers(4)]), rng.uniform(0.03, 0.08) * h)
    for _ in range(int(rng.integers(0, 12))):
        _scrap(rng, canvas, np.array(_LITTER[1]) * rng.uniform(0.5, 1), rng.uniform(0.006, 0.014) * h)
    changed = (canvas != before).any(axis=2)
    picture[changed] = canvas[changed].astype(np.float32) / 255
    return changed


def _blade(rng: np.random.Generator, canvas: np.ndarray, color, length: float, width: float) -> None:
    """A bent blade of grass or straw that tapers."""
    h, w = canvas.shape[:2]
    t = np.linspace(0, 1, 9)[:, None]
    angle, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.8, 0.8)
    turn = angle + bend * t
    line = rng.uniform(-0.1, 1.1, 2) * (w, h) + length * t * np.hstack([np.cos(turn), np.sin(turn)])
    side = np.hstack([-np.sin(turn), np.cos(turn)]) * width * 0.5 * (1 - 0.85 * t)
    polygon(canvas, np.vstack([line + side, (line - side)[::-1]]), np.clip(color, 0, 1))
    polygon(canvas, np.vstack([line + side, line[::-1]]), np.clip(color * 1.25, 0, 1))


def _scrap(rng: np.random.Generator, canvas: np.ndarray, color, radius: float) -> None:
    """A crumpled piece: a few facets of one color in different light."""
    h, w = canvas.shape[:2]
    at, angles = rng.uniform(0, (w, h)), np.sort(rng.uniform(0, 2 * np.pi, 8))
    rim = at + (radius * rng.uniform(0.5, 1.2, 8))[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    polygon(canvas, rim, np.clip(color, 0, 1))
    for i in range(8):
        facet = np.stack([at, rim[i], rim[(i + 1) % 8]])
        polygon(canvas, facet, np.clip(color * rng.uniform(0.7, 1.3), 0, 1))


def _camera(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Uneven light, exposure, white balance, a little blur and noise: (h, w, 3) uint8."""
    h, w = picture.shape[:2]
    light = 0.72 + 0.6 * smoothstep(noise(rng, h, w, 0.8 * h, 3), 0.15, 0.85)  # sun through other leaves
    picture = picture * light[..., None] * rng.uniform(0.85, 1.2) * rng.uniform(0.94, 1.06, 3).astype(np.float32)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 0.9))
    picture += rng.normal(0, 0.012, (h, w, 1)).astype(np.float32)
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
