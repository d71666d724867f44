"""Classes of ModelNet40 made of a few simple solids, without part labels; proportions are random."""

from collections.abc import Callable

import numpy as np

from promptseg.synthetic.point_clouds.surfaces import ball, box, mirrored, moved, rotated, tube, turned
from promptseg.synthetic.point_clouds.things import THINGS

Draw = Callable[[np.random.Generator], np.ndarray]


def bed(rng: np.random.Generator) -> np.ndarray:
    length = rng.uniform(1.9, 2.2)
    boards = [box(1.4, tall, 0.08, z=side * length / 2) for tall, side in ((rng.uniform(0.8, 1.1), -1), (0.5, 1))]
    return np.concatenate([box(1.4, 0.35, length, y=0.1), box(1.0, 0.12, 0.35, y=0.45, z=-0.38 * length), *boards])


def bench(rng: np.random.Generator) -> np.ndarray:
    width = rng.uniform(1.7, 2.2)
    return np.concatenate([box(width, 0.08, 0.5, y=0.5), mirrored(box(0.1, 0.5, 0.5, 0.4 * width))])


def bookshelf(rng: np.random.Generator) -> np.ndarray:
    width, tall, count = rng.uniform(0.9, 1.4), rng.uniform(1.6, 2.0), int(rng.integers(4, 6))
    boards = [box(width, 0.05, 0.4, y=tall * i / count) for i in range(count + 1)]
    return np.concatenate([*boards, mirrored(box(0.05, tall, 0.4, width / 2)), box(width, tall, 0.02, z=-0.2)])


def bottle(rng: np.random.Generator) -> np.ndarray:
    radius, tall = rng.uniform(0.25, 0.35), rng.uniform(0.8, 1.1)
    return turned([(0, 0), (radius, 0), (radius, tall), (0.1, tall + 0.35), (0.1, tall + 0.6), (0, tall + 0.6)])


def bowl(rng: np.random.Generator) -> np.ndarray:
    outer = ball(0.8, low=-90, high=rng.uniform(-15, 0))
    return np.concatenate([outer, 0.93 * outer])


def cone(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([tube(rng.uniform(0.35, 0.5), 1.6, top=0.05), box(1.1, 0.06, 1.1)])


def door(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([box(rng.uniform(0.8, 1.0), 2.0, 0.08), ball(0.06, x=0.32, y=1.0, z=0.08)])


def monitor(rng: np.random.Generator) -> np.ndarray:
    width = rng.uniform(1.3, 1.7)
    return np.concatenate([box(width, 0.9, 0.08, y=0.45), box(0.12, 0.5, 0.08, z=-0.06), box(0.6, 0.04, 0.4)])


def night_stand(rng: np.random.Generator) -> np.ndarray:
    width = rng.uniform(0.8, 1.0)
    knobs = [ball(0.05, y=height, z=0.45) for height in (0.4, 0.75)]
    legs = mirrored(np.concatenate([box(0.08, 0.2, 0.08, 0.4 * width, 0, side * 0.35) for side in (-1, 1)]))
    return np.concatenate([box(width, 0.8, 0.8, y=0.2), legs, *knobs])


def sofa(rng: np.random.Generator) -> np.ndarray:
    width = rng.uniform(1.6, 2.1)
    arms = mirrored(box(0.22, 0.6, 0.9, width / 2))
    return np.concatenate([box(width, 0.4, 0.9), arms, box(width, rng.uniform(0.8, 0.95), 0.25, z=-0.4)])


def stairs(rng: np.random.Generator) -> np.ndarray:
    count, wide = int(rng.integers(5, 8)), rng.uniform(0.8, 1.1)
    return np.concatenate([box(wide, 0.2 * (i + 1), 0.25, z=-0.25 * i) for i in range(count)])


def stool(rng: np.random.Generator) -> np.ndarray:
    tall = rng.uniform(0.8, 1.2)
    leg = moved(rotated(box(0.07, tall, 0.07, y=-tall), "z", 10), x=0.2, y=tall)
    return np.concatenate([tube(0.4, 0.1, y=tall), *(rotated(leg, "y", angle) for angle in (45, 135, 225, 315))])


def vase(rng: np.random.Generator) -> np.ndarray:
    belly, neck = rng.uniform(0.4, 0.55), rng.uniform(0.12, 0.25)
    return turned([(0, 0), (0.25, 0), (belly, 0.5), (0.8 * belly, 0.9), (neck, 1.2), (1.4 * neck, 1.5)])


def _whole(thing: str) -> Draw:
    return lambda rng: np.concatenate([surface for _, surface in THINGS[thing](rng)])


FURNITURE: dict[str, Draw] = {
    "bed": bed, "bench": bench, "bookshelf": bookshelf, "bottle": bottle, "bowl": bowl, "cone": cone, "door": door,
    "monitor": monitor, "night_stand": night_stand, "sofa": sofa, "stairs": stairs, "stool": stool, "vase": vase,
    **{name: _whole(name) for name in ("airplane", "car", "chair", "guitar", "lamp", "laptop", "table")},
    "cup": _whole("mug"),
}  # fmt: skip
