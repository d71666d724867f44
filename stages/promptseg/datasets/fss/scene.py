"""Rendered scenes for the stand-in of FSS-1000: one object in clutter, 224x224.

The difficulty is that of real images: the object covers between a fourth and a twentieth of the image, the clutter has
its colors, often an object of another class is next to it, and it may be partly occluded.
Colors are RGB, float32, 1 is white.
"""

import cv2
import numpy as np

from promptseg.synthetic.colors import paint_color, shade, wood
from promptseg.synthetic.figure import Part, box, light, oval, paint, put, region, shadow, smooth, transform
from promptseg.synthetic.shapes import FIGURES, TURNS
from promptseg.synthetic.texture import noise, smoothstep

SIDE = 224
_GROUNDS = {  # dark and bright color of each
    "grass": ((0.16, 0.24, 0.08), (0.5, 0.58, 0.25)),
    "sand": ((0.6, 0.5, 0.36), (0.87, 0.79, 0.63)),
    "soil": ((0.22, 0.15, 0.1), (0.5, 0.38, 0.27)),
    "asphalt": ((0.3, 0.3, 0.31), (0.55, 0.55, 0.55)),
    "water": ((0.12, 0.26, 0.36), (0.45, 0.6, 0.68)),
    "leaves": ((0.28, 0.17, 0.06), (0.72, 0.48, 0.18)),
}
_BOTTLE = np.array([[-3, 10], [-3, -2], [-1, -6], [-1, -10], [1, -10], [1, -6], [3, -2], [3, 10]]) / 10
_OPEN = ("grass", "sand", "soil", "asphalt", "water", "leaves")
_FLAT = ("planks", "cloth", "tiles", "plain", *_OPEN)  # seen from above
_HOMES = {  # where an object is found nine times out of ten
    "hot_air_balloon": ("sky",), "sailing_boat": ("water_sky",), "fish": ("water", "planks", "plain", "sand"),
    "starfish": ("sand", "water", "soil"), "traffic_cone": ("asphalt_sky", "asphalt", "grass_sky"),
    "mushroom": ("grass_sky", "leaves", "soil_sky"), "maple_leaf": ("asphalt", "grass", "leaves", "planks"),
    "ladder": ("wall", "grass_sky", "bricks"), "bucket": ("grass_sky", "sand_sky", "wall", "bricks"),
    "umbrella": ("sand_sky", "grass_sky", "bricks", "asphalt_sky"), "coffee_mug": ("wall", "bricks", "planks"),
}  # fmt: skip


def draw(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Render an image (224, 224, 3) uint8 and the coverage of its object (224, 224) uint8 with soft edges."""
    homes = _HOMES.get(kind, _FLAT)
    picture = _background(rng, homes[rng.integers(len(homes))] if rng.random() < 0.9 else "plain")
    parts = FIGURES[kind](rng)
    towards = tuple(rng.normal(0, 0.4, 2) + (-0.7, -0.7))
    size, turn = SIDE * rng.uniform(0.2, 0.44), rng.uniform(-1, 1) * TURNS[kind]
    place = rng.uniform(0.5 * SIDE - 34, 0.5 * SIDE + 34, 2)
    for part in _clutter(rng, [part.color for part in parts], rng.integers(2, 6)):
        _lay(rng, picture, [part], np.eye(2, 3), towards)
    if rng.random() < 0.6:  # another class, off to one side
        other = [name for name in FIGURES if name != kind][rng.integers(len(FIGURES) - 1)]
        away = rng.uniform(0, 2 * np.pi)
        where = 0.5 * SIDE + SIDE * rng.uniform(0.36, 0.5) * np.array([np.cos(away), np.sin(away)])
        matrix = transform(SIDE * rng.uniform(0.14, 0.28), rng.uniform(-1, 1) * TURNS[other], where)
        _lay(rng, picture, FIGURES[other](rng), matrix, towards)
    matrix = transform(size, turn, place, rng.choice((-1, 1)) * rng.uniform(0.8, 1), rng.normal(0, 0.08))
    cover = _lay(rng, picture, parts, matrix, towards)
    for part in _before(rng, place, size):
        cover = cover * (1 - _lay(rng, picture, [part], np.eye(2, 3), towards))
    cover = np.clip(cv2.GaussianBlur(cover, (0, 0), 0.5) * 2.5 - 0.75, 0, 1)  # real masks' rims are a pixel wide
    return _camera(rng, picture), (cover * 255 + 0.5).astype(np.uint8)


def _lay(rng, picture: np.ndarray, parts: list[Part], matrix: np.ndarray, towards) -> np.ndarray:
    """Paint a figure with its shadow, lit and weathered; returns its coverage (h, w)."""
    color, cover = paint(parts, matrix, SIDE, SIDE)
    at = region(cover, 24)
    part, inside = picture[at], cover[at]
    shadow(part, inside, (-6 * towards[0], -6 * towards[1]), rng.uniform(2, 7), rng.uniform(0.15, 0.5))
    color = light(color[at], inside, towards, rng.uniform(0.3, 0.8), rng.uniform(2.5, 6))
    color *= (0.8 + 0.4 * noise(rng, *inside.shape, rng.uniform(12, 60), 4))[..., None]
    put(part, color, inside)
    return cover


def _clutter(rng, colors: list, count: int) -> list[Part]:
    """Stones, boxes, sticks and bottles, in pixels; half of them in a color that the object has too."""
    parts = []
    for _ in range(count):
        color = colors[rng.integers(len(colors))] if rng.random() < 0.5 else paint_color(rng, 0.6)
        color = shade(color, rng.uniform(0.7, 1.2))
        at, r = rng.uniform(0, SIDE, 2), rng.uniform(8, 34)
        form = rng.integers(4)
        if form == 0:
            outline = smooth(at + oval(0, 0, r, r * rng.uniform(0.5, 1), n=8)[:-1] + rng.normal(0, 0.16 * r, (7, 2)))
            parts.append(Part(outline, color))
        elif form == 1:
            parts.append(Part(box(-r, -0.6 * r, r, 0.6 * r) @ _turn(rng) + at, color))
        elif form == 2:
            stick = np.array([[-2.2, 0], [0, rng.normal(0, 0.2)], [2.2, 0]])
            parts.append(Part(stick * r @ _turn(rng) + at, color, rng.uniform(2, 6)))
        else:
            parts.append(Part(_BOTTLE * (1.3 * r) @ _turn(rng, 0.3) + at, color))
    return parts


def _before(rng, place: np.ndarray, size: float) -> list[Part]:
    """What covers a part of the object in a third of the photos: blades of grass, or the edge of a thing."""
    if rng.random() > 0.35:
        return []
    if rng.random() < 0.5:
        color = shade((0.35, 0.45, 0.15), rng.uniform(0.6, 1.4))
        feet = rng.uniform(place[0] - size, place[0] + size, rng.integers(3, 8))
        tips = np.stack([feet + rng.normal(0, 14, len(feet)), place[1] + rng.uniform(-0.3, 0.7, len(feet)) * size], 1)
        return [Part(np.array([[x - 2, SIDE], tip, [x + 3, SIDE]]), color) for x, tip in zip(feet, tips)]
    middle = place + size * rng.uniform(0.55, 0.95) * np.array([rng.choice((-1, 1)), rng.uniform(-1, 1)])
    outline = smooth(middle + oval(0, 0, 0.4 * size, 0.4 * size, n=7)[:-1] + rng.normal(0, 0.08 * size, (6, 2)))
    return [Part(outline, paint_color(rng, 0.6))]


def _turn(rng, most: float = np.pi) -> np.ndarray:
    angle = rng.uniform(-most, most)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _background(rng, name: str) -> np.ndarray:
    """(224, 224, 3): a ground seen from above, or, with `_sky`, up to a horizon; a wall with a table; or sky alone."""
    ground, _, above = name.partition("_")
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    if ground == "sky":
        return _sky(rng)
    if ground in ("wall", "bricks"):
        picture = _pattern(rng, "bricks" if ground == "bricks" else "plain", x, y)
        table = _pattern(rng, "planks", x, y)
        edge = SIDE * rng.uniform(0.6, 0.8)
        return np.where((y > edge)[..., None], table, picture * (0.85 + 0.15 * smoothstep(edge - y, 0, 30))[..., None])
    picture = _ground(rng, ground) if ground in _GROUNDS else _pattern(rng, ground, x, y)
    if above:
        edge = SIDE * rng.uniform(0.25, 0.6)
        sky = _sky(rng)
        if ground != "water":  # bushes along the horizon
            tall = 10 + 34 * noise(rng, 3, SIDE, 30, 4)[1]
            bush = _ground(rng, "grass") * rng.uniform(0.5, 0.9)
            sky = np.where((y > edge - tall)[..., None], bush, sky)
        picture = np.where((y > edge)[..., None], picture * (0.8 + 0.2 * smoothstep(y, edge, SIDE))[..., None], sky)
    return picture.astype(np.float32)


def _ground(rng, name: str) -> np.ndarray:
    dark, bright = (np.array(c, np.float32) for c in _GROUNDS[name])
    stretch = {"grass": 2.5, "water": 0.25}.get(name, 1.0)
    grain = {"leaves": 16, "water": 26, "sand": 5}.get(name, 7)
    mix = 0.6 * noise(rng, SIDE, SIDE, grain, 3, stretch) + 0.4 * noise(rng, SIDE, SIDE, 70, 3)
    mix += rng.normal(0, 0.06, mix.shape).astype(np.float32)
    return dark + (bright - dark) * smoothstep(mix, 0.2, 0.8)[..., None]


def _sky(rng) -> np.ndarray:
    top = np.array([(0.25, 0.45, 0.8), (0.55, 0.65, 0.75), (0.75, 0.5, 0.45)][rng.integers(3)], np.float32)
    fade = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
    sky = top + (np.float32([0.9, 0.9, 0.88]) - top) * fade * 0.8
    clouds = smoothstep(noise(rng, SIDE, SIDE, 90, 5), 0.5, 0.9)[..., None] * rng.uniform(0.3, 1)
    return sky + (np.float32([0.97, 0.97, 0.97]) - sky) * clouds


def _pattern(rng, name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Planks, checked cloth, tiles, bricks, or a plain wall that is brighter on one side."""
    base = np.array(wood(rng) if name == "planks" else paint_color(rng, 0.5), np.float32)
    grain = noise(rng, SIDE, SIDE, 60, 4)
    if name == "planks":
        wide = rng.uniform(26, 60)
        grain = 0.6 * noise(rng, SIDE, SIDE, 90, 6, 0.12) + 0.4 * rng.random(16)[(y // wide).astype(int)]
        gap = (y % wide < 1.6) * 0.45
    elif name == "cloth":
        step = rng.uniform(14, 34)
        gap = 0.22 * ((x % (2 * step) < step).astype(np.float32) + (y % (2 * step) < step))
    elif name in ("tiles", "bricks"):
        base = np.float32([0.6, 0.33, 0.25]) * rng.uniform(0.8, 1.2) if name == "bricks" else base
        wide, tall = (34, 15) if name == "bricks" else (rng.uniform(30, 60),) * 2
        shifted = x + (y // tall % 2) * wide / 2 * (name == "bricks")
        each = rng.random((32, 32), np.float32)[(y // tall).astype(int), (shifted // wide).astype(int)]
        grain = 0.5 * grain + 0.5 * each
        gap = ((shifted % wide < 2) | (y % tall < 2)) * -0.35
    else:
        gap = 0.4 * (x / SIDE - 0.5) * rng.choice((-1, 1))
    return base * (0.7 + 0.6 * grain - gap)[..., None].astype(np.float32)


def _camera(rng, picture: np.ndarray) -> np.ndarray:
    """Uneven light, tint, blur and grain; (224, 224, 3) uint8."""
    lamp = 0.8 + 0.4 * noise(rng, SIDE, SIDE, 200, 1)
    seen = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.9)) * lamp[..., None] * (1 + rng.normal(0, 0.05, 3))
    seen = seen * rng.uniform(0.75, 1.15) + rng.normal(0, rng.uniform(0.008, 0.025), (SIDE, SIDE, 1))
    return (np.clip(seen, 0, 1) * 255 + 0.5).astype(np.uint8)
