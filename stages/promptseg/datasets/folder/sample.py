"""Offline stand-in for a user's own images: rendered leaves with spots, in the default layout."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.data import image_io
from promptseg.synthetic import figures, materials
from promptseg.synthetic.canvas import Canvas, plain
from promptseg.synthetic.outlines import Outline

PLANTS, VIEWS = 15, 3
HEALTHY = (5, 3)  # plant and view of the image without a spot
SIZES = ((256, 320), (256, 336), (288, 288))  # height, width
LEAF_COLOR, SPOT_COLOR = (0x3C, 0x8C, 0x3C), (0xB4, 0x50, 0x1E)  # in the color masks
SPOT, LEAF = 1, 2  # labels; the leaves behind the first one have the following ones
# What lies on each ground, and how many; the colors of these things.
GROUNDS = {
    "soil": {"stone": 30, "scrap": 12, "twig": 5}, "grass": {"blade": 70, "scrap": 8},
    "gravel": {"stone": 60, "scrap": 9}, "litter": {"twig": 16, "scrap": 16, "stone": 5},
}  # fmt: skip
CLUTTER = {
    "stone": (0.6, 0.58, 0.54), "blade": (0.27, 0.43, 0.14), "twig": (0.55, 0.42, 0.24), "scrap": (0.5, 0.33, 0.17),
}  # fmt: skip
YELLOW = (0.74, 0.7, 0.2)
# Spots of a leaf, about; their radius as a share of the image height; colors of rim and core; opacity of the yellow
# around them, which is no part of a spot.
DISEASES = {
    "blight": (3, (0.055, 0.1), (0.2, 0.13, 0.08), (0.36, 0.25, 0.14), 0.6),
    "leaf spot": (8, (0.025, 0.045), (0.3, 0.16, 0.1), (0.66, 0.6, 0.48), 0.7),
    "rust": (22, (0.012, 0.022), (0.45, 0.2, 0.06), (0.62, 0.31, 0.08), 0.6),
    "mildew": (5, (0.035, 0.07), (0.7, 0.75, 0.68), (0.84, 0.86, 0.82), 0.0),
}


def write(folder: Path, seed: int) -> None:
    """Write 45 images of leaves with spots, three per plant, in the layout of the default options.

    The layout is images/plant<number>_<view>.jpg (some .png), masks/<name>.png with the spots as 255, and
    labels/<name>.png with leaf and spot in colors, for `masks: "labels/{name}.png"` and
    `classes: {leaf: "#3c8c3c", spot: "#b4501e"}`. `group: "(plant[0-9]+)_"` groups the images by plant.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    for place in ("images", "masks", "labels"):
        (folder / place).mkdir(parents=True)
    for number in range(1, PLANTS + 1):
        green = np.array((rng.uniform(0.16, 0.5), rng.uniform(0.4, 0.56), rng.uniform(0.1, 0.2)))
        figure, ground = rng.choice(("leaf", "oak_leaf", "toothed_leaf")), rng.choice(sorted(GROUNDS))
        for view in range(1, VIEWS + 1):
            canvas = Canvas(rng, *SIZES[number % len(SIZES)])
            disease = DISEASES[sorted(DISEASES)[number % len(DISEASES)]]
            _render(canvas, ground, figure, green, disease if (number, view) != HEALTHY else None)
            image, spot, name = canvas.photograph(), canvas.labels == SPOT, f"plant{number:02d}_{view}"
            suffix = ".png" if number % 8 == 0 else ".jpg"
            (folder / f"images/{name}{suffix}").write_bytes(cv2.imencode(suffix, image[..., ::-1])[1].tobytes())
            colors = np.zeros_like(image)
            colors[canvas.labels >= LEAF], colors[spot] = LEAF_COLOR, SPOT_COLOR
            (folder / f"masks/{name}.png").write_bytes(image_io.encode_png(spot.astype(np.uint8) * 255))
            (folder / f"labels/{name}.png").write_bytes(image_io.encode_png(colors))


def _render(canvas: Canvas, ground: str, figure: str, green: np.ndarray, disease: tuple | None) -> None:
    """Paint up to three leaves, clutter in the colors of leaves and spots below them, and some over them."""
    rng, side = canvas.rng, canvas.height
    materials.layer(canvas, ground, 0)

    def scatter(name: str, count: int, low: float, high: float) -> None:
        for _ in range(count):
            at, color = rng.uniform(0, (canvas.width, side)), np.array(CLUTTER[name]) * rng.uniform(0.6, 1.5)
            figures.draw(canvas, name, at, side * rng.uniform(low, high), color, 0, rng.uniform(-3.1, 3.1))

    for name, count in GROUNDS[ground].items():
        scatter(name, count, 0.02, 0.12 if name in ("blade", "twig") else 0.05)
    for label in range(LEAF + rng.integers(3), LEAF - 1, -1):
        front = label == LEAF
        away = np.array((canvas.width, side)) * rng.uniform(-1, 1, 2) * (0.08 if front else 0.35)
        size, center = side * rng.uniform(0.42, 0.55) * (1 if front else 0.7), away + (canvas.width / 2, side / 2)
        figures.draw(canvas, figure, center, size, green * rng.uniform(0.85, 1.15), label, rng.uniform(-3.1, 3.1))
        if disease:
            for _ in range(rng.poisson(disease[0]) + front):
                _infect(canvas, label, *disease[1:])
    scatter("blade", int(rng.integers(0, 4)), 0.2, 0.4)
    scatter("scrap", int(rng.integers(0, 8)), 0.01, 0.04)


def _infect(canvas: Canvas, label: int, size: tuple[float, float], rim: tuple, core: tuple, halo: float) -> None:
    """Paint a spot on the leaf with a label, where there is room for it."""
    rng, radius = canvas.rng, canvas.height * canvas.rng.uniform(*size)
    room = cv2.distanceTransform((canvas.labels == label).astype(np.uint8), cv2.DIST_L2, 3)
    y, x = rng.choice(np.argwhere(room >= min(1.4 * radius, 0.7 * room.max())))
    angle = np.linspace(0, 2 * np.pi, 40)
    waves = [rng.normal(0, 0.3 / k) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(1, 6)]
    rough = 1 + np.sum(waves, axis=0)
    loop = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.clip(rough / rough.max(), 0.3, 1)[:, None]
    radius = min(radius, room[y, x] / 1.4)
    for scale, color, value, opacity in ((1.4, YELLOW, label, halo), (1, rim, SPOT, 1), (0.75, core, SPOT, 0.9)):
        canvas.paint(Outline((loop,)), scale * radius, (x, y), plain(rng, color, 0.8), value, 1.0, opacity)
