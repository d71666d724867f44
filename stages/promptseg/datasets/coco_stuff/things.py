"""Things in the scenes: people, animals, vehicles, furniture; each a list of Parts.

Figures stand on y = 1 with their top near -1, x to the right, unless they fly. `THINGS[name](rng)` samples one.
"""

import numpy as np

from promptseg.synthetic.colors import paint_color, shade, wood
from promptseg.synthetic.figure import Part, box, oval, points, smooth
from promptseg.synthetic.shapes import FIGURES

SKINS = ((0.9, 0.72, 0.6), (0.72, 0.52, 0.38), (0.45, 0.3, 0.2), (0.82, 0.62, 0.48))
DARK = (0.08, 0.08, 0.09)


def person(rng) -> list[Part]:
    """Standing, walking or reaching, from the front or from the side."""
    skin = shade(SKINS[rng.integers(4)], rng.uniform(0.85, 1.1))
    shirt, trousers, hair = paint_color(rng), paint_color(rng, 0.5), shade((0.3, 0.2, 0.12), rng.uniform(0.3, 2))
    stride, bare = rng.uniform(0.05, 0.3), rng.random() < 0.4
    parts = []
    for side in (-1, 1):
        knee = (side * stride * 0.7 + rng.normal(0, 0.03), 0.5)
        foot = (side * stride + rng.normal(0, 0.03), 0.96)
        parts.append(Part(points((side * 0.08, 0.05), knee), trousers, 0.19))
        parts.append(Part(points(knee, foot), skin if bare else trousers, 0.13))
        parts.append(Part(points(foot, (foot[0] + 0.1, 0.97)), DARK, 0.1))
    shoulders = rng.uniform(0.2, 0.26)
    torso = points((-shoulders, -0.58), (shoulders, -0.58), (0.19, 0.12), (-0.19, 0.12))
    for side in (-1, 1):
        lift = rng.choice((0.0, 0.0, 0.6))
        elbow = (side * (shoulders + 0.1), -0.25 - lift * 0.6)
        hand = (side * (shoulders + rng.uniform(0, 0.2)), 0.02 - lift * 1.4)
        parts += [Part(points((side * shoulders, -0.5), elbow), shirt, 0.12), Part(points(elbow, hand), skin, 0.09)]
    return [
        *parts,
        Part(smooth(torso, 1), shirt),
        Part(points((0, -0.68), (0, -0.56)), skin, 0.12),
        Part(oval(0, -0.85, 0.145, 0.17), hair),
        Part(oval(0, -0.81, 0.115, 0.13), skin),
    ]


def _beast(rng, color, long: float, leg: float, neck: float, muzzle: float, tail) -> list[Part]:
    """A four-legged animal from the side, its head to the right; patches of a second color on some."""
    belly = 1 - leg
    body = smooth(points((-long, belly - 0.55), (long, belly - 0.6), (long * 1.05, belly - 0.1), (-long, belly)))
    legs = [
        Part(points((x, belly - 0.15), (x + rng.normal(0, 0.05), 0.97)), shade(color, tone), 0.14)
        for x, tone in ((-long * 0.75, 0.7), (long * 0.7, 0.7), (-long * 0.9, 1.0), (long * 0.85, 1.0))
    ]
    head = (long + 0.25, belly - 0.55 - neck)
    patches = [
        Part(oval(x, belly - 0.33, rng.uniform(0.1, 0.25), 0.17), shade(color, rng.choice((0.35, 2.2))))
        for x in rng.uniform(-long * 0.7, long * 0.7, rng.integers(0, 3))
    ]
    return [
        *legs[:2],
        Part(points((-long, belly - 0.45), (-long - 0.2, tail), (-long - 0.28, tail + 0.2)), color, 0.08),
        Part(body, color),
        *patches,
        *legs[2:],
        Part(points((long * 0.85, belly - 0.35), (head[0] - 0.08, head[1] + 0.05)), color, 0.28),
        Part(oval(*head, 0.2, 0.17), color),
        Part(oval(head[0] + muzzle * 0.7, head[1] + 0.07, muzzle, 0.1), shade(color, 0.85)),
        Part(
            smooth(
                points(
                    (head[0] - 0.2, head[1] - 0.2), (head[0] - 0.05, head[1] - 0.12), (head[0] - 0.15, head[1] + 0.12)
                ),
                2,
            ),
            shade(color, 0.6),
        ),
        Part(oval(head[0] + 0.06, head[1] - 0.03, 0.025, 0.025), DARK),
    ]


def dog(rng) -> list[Part]:
    color = ((0.55, 0.38, 0.22), (0.25, 0.2, 0.17), (0.8, 0.72, 0.6), (0.7, 0.5, 0.3))[rng.integers(4)]
    return _beast(rng, color, 0.62, 0.55, 0.2, 0.17, rng.uniform(-0.5, 0.2))


def cow(rng) -> list[Part]:
    color = ((0.5, 0.3, 0.18), (0.85, 0.82, 0.76), (0.2, 0.17, 0.15))[rng.integers(3)]
    return _beast(rng, color, 0.95, 0.5, 0.05, 0.2, 0.3)


def sheep(rng) -> list[Part]:
    wool = shade((0.88, 0.85, 0.78), rng.uniform(0.8, 1.05))
    return _beast(rng, wool, 0.7, 0.4, 0.0, 0.12, 0.35)


def car(rng) -> list[Part]:
    color, glass = paint_color(rng, 1.0), (0.25, 0.32, 0.38)
    body = smooth(points((-1.5, 0.2), (-0.85, 0.1), (1.1, 0.12), (1.5, 0.3), (1.52, 0.75), (-1.55, 0.75)), 1)
    cabin = points((-0.85, 0.15), (-0.55, -0.3), (0.45, -0.3), (0.85, 0.15))
    wheels = [
        Part(oval(x, 0.75, 0.25 * r, 0.25 * r), tone)
        for x in (-0.9, 0.9)
        for r, tone in ((1, DARK), (0.55, (0.6, 0.6, 0.62)))
    ]
    return [
        Part(cabin, shade(color, 0.9)),
        Part(points((-0.7, 0.12), (-0.48, -0.22), (-0.08, -0.22), (-0.08, 0.12)), glass),
        Part(points((0.02, 0.12), (0.02, -0.22), (0.4, -0.22), (0.68, 0.12)), glass),
        Part(body, color),
        Part(points((-1.45, 0.5), (1.45, 0.5)), shade(color, 0.75), 0.03),
        Part(points((-0.03, 0.15), (-0.03, 0.65)), shade(color, 0.7), 0.02),
        Part(oval(1.42, 0.35, 0.09, 0.07), (0.95, 0.92, 0.8)),
        Part(oval(-1.48, 0.33, 0.07, 0.07), (0.7, 0.1, 0.1)),
        *wheels,
    ]


def boat(rng) -> list[Part]:
    if rng.random() < 0.6:
        return FIGURES["sailing_boat"](rng)
    hull, cabin = paint_color(rng), shade((0.93, 0.92, 0.88), rng.uniform(0.8, 1))
    return [
        Part(box(-0.5, 0.1, 0.3, 0.55), cabin),
        Part(box(-0.4, 0.2, 0.2, 0.35), (0.2, 0.25, 0.3)),
        Part(points((-0.1, 0.1), (-0.1, -0.4)), DARK, 0.04),
        Part(points((-1, 0.45), (1.15, 0.35), (0.8, 0.85), (-0.85, 0.85)), hull),
        Part(points((-0.95, 0.55), (1.02, 0.47)), shade(hull, 1.4), 0.06),
    ]


def kite(rng) -> list[Part]:
    first, second = paint_color(rng, 1.0), paint_color(rng, 1.0)
    tail = np.stack([0.12 * np.sin(np.linspace(0, 9, 24)) - 0.1, np.linspace(0.7, 2.2, 24)], 1)
    return [
        Part(tail, second, 0.06),
        Part(points((0, -1), (0.6, -0.25), (0, 0.8)), first),
        Part(points((0, -1), (-0.6, -0.25), (0, 0.8)), second),
        Part(points((0, -1), (0, 0.8)), DARK, 0.03),
    ]


def bird(rng) -> list[Part]:
    color, lift = shade((0.75, 0.75, 0.75), rng.uniform(0.25, 1.2)), rng.uniform(0.2, 0.7)
    wings = [
        points((0, 0), (s * 0.5, -lift), (s * 1.0, -lift * 0.6), (s * 0.45, -lift * 0.6), (0, 0.16)) for s in (-1, 1)
    ]
    return [*(Part(wing, shade(color, 0.85)) for wing in wings), Part(oval(0, 0.08, 0.28, 0.1), color)]


def couch(rng) -> list[Part]:
    color = paint_color(rng, 0.7)
    return [
        Part(smooth(box(-1.5, -0.35, 1.5, 0.6), 2), shade(color, 0.85)),
        Part(box(-1.3, 0.2, 0, 0.65), color),
        Part(box(0.02, 0.2, 1.3, 0.65), color),
        *(Part(smooth(box(x - 0.25, -0.05, x + 0.25, 0.85), 2), shade(color, 1.1)) for x in (-1.4, 1.4)),
        Part(box(-1.3, 0.65, 1.3, 0.9), shade(color, 0.75)),
        *(Part(box(x - 0.05, 0.88, x + 0.05, 1), DARK) for x in (-1.3, 1.3)),
    ]


def potted_plant(rng) -> list[Part]:
    pot, green = shade((0.68, 0.38, 0.25), rng.uniform(0.6, 1.3)), (0.2, 0.4, 0.15)
    leaves = []
    for angle in np.linspace(-1.3, 1.3, rng.integers(7, 13)) + rng.normal(0, 0.1):
        tip = np.array([np.sin(angle), -np.cos(angle)]) * rng.uniform(0.7, 1.15) + (0, 0.25)
        side = np.array([np.cos(angle), np.sin(angle)]) * 0.11
        middle = tip * 0.55 + np.array([0, 0.3]) * 0.45
        leaves.append(
            Part(
                smooth(np.stack([(0, 0.35), middle + side, tip, middle - side]), 2), shade(green, rng.uniform(0.7, 1.5))
            )
        )
    return [
        *leaves,
        Part(points((-0.35, 0.3), (0.35, 0.3), (0.25, 1), (-0.25, 1)), pot),
        Part(box(-0.39, 0.27, 0.39, 0.42), shade(pot, 1.15)),
    ]


def bench(rng) -> list[Part]:
    color = wood(rng)
    slats = [
        Part(points((-1.3, y), (1.3, y)), shade(color, t), 0.13)
        for y, t in ((-0.3, 1), (-0.1, 0.95), (0.3, 1.1), (0.42, 0.8))
    ]
    return [*(Part(points((x, -0.35), (x, 1)), DARK, 0.1) for x in (-1.1, 1.1)), *slats]


def umbrella(rng) -> list[Part]:
    return FIGURES["umbrella"](rng)


THINGS = {
    name.replace("_", " "): globals()[name]
    for name in (
        "person",
        "dog",
        "cow",
        "sheep",
        "car",
        "boat",
        "kite",
        "bird",
        "couch",
        "potted_plant",
        "bench",
        "umbrella",
    )
}
