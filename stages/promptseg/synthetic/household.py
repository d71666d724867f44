"""Household objects: each function samples a figure with random proportions and colors."""

import numpy as np

from promptseg.synthetic.colors import metal, paint_color, shade, wood
from promptseg.synthetic.figure import Part, box, oval, points, smooth

Parts = list[Part]


def banana(rng) -> Parts:
    color = shade((0.93, 0.8, 0.25), rng.uniform(0.8, 1.05))
    thick = rng.uniform(0.28, 0.4)
    outer, inner = oval(0, -0.5, 1, 1.05, 15, 165), oval(0, -0.75, 0.95, 1.3 - thick, 165, 15)
    tips = [Part(oval(x, -0.3, 0.08, 0.11), (0.3, 0.22, 0.1)) for x in (-0.96, 0.96)]
    ridge = Part(oval(0, -0.6, 0.95, 1.08 - 0.35 * thick, 25, 155), shade(color, 0.82), 0.05)
    spots = [Part(oval(x, 0.42 - 0.35 * x * x, 0.03, 0.05), shade(color, 0.5)) for x in rng.uniform(-0.6, 0.6, 4)]
    return [Part(np.concatenate([outer, inner]), color), ridge, *spots, *tips]


def bucket(rng) -> Parts:
    color, low = paint_color(rng), rng.uniform(0.5, 0.68)
    side = points((-0.8, -0.5), (0.8, -0.5), (low, 0.85), (-low, 0.85))
    groove = Part(points((-0.73, -0.1), (0.73, -0.1)), shade(color, 0.8), 0.05)
    return [
        Part(oval(0, -0.5, 0.84, rng.uniform(0.7, 0.95), 180, 360), metal(rng), 0.05),
        Part(oval(0, 0.85, low, 0.16), shade(color, 0.9)),
        Part(side, color),
        groove,
        Part(oval(0, -0.5, 0.84, 0.22), shade(color, 1.2)),
        Part(oval(0, -0.49, 0.75, 0.17), shade(color, 0.5)),
    ]


def coffee_mug(rng) -> Parts:
    color, band = paint_color(rng, 0.6), paint_color(rng)
    tall, low = rng.uniform(0.65, 0.85), rng.uniform(0.5, 0.65)
    body = points((-0.65, -tall), (0.65, -tall), (low, tall), (-low, tall))
    return [
        Part(oval(0.6, 0, 0.42, 0.45, -95, 95), shade(color, 0.92), 0.15),
        Part(oval(0, tall, low, 0.14), color),
        Part(body, color),
        Part(box(-0.61, -0.25, 0.61, rng.uniform(-0.1, 0.25)), band),
        Part(oval(0, -tall, 0.66, 0.17), shade(color, 1.15)),
        Part(oval(0, -tall + 0.02, 0.57, 0.12), (0.23, 0.14, 0.08)),
    ]


def guitar(rng) -> Parts:
    body, dark, waist = wood(rng), shade(wood(rng), 0.5), rng.uniform(0.24, 0.32)
    half = points((0.0, -0.12), (0.3, -0.15), (0.4, 0.05), (waist, 0.28), (0.5, 0.5), (0.52, 0.85), (0.2, 1.0))
    outline = smooth(np.concatenate([half, half[::-1] * (-1, 1)]))
    strings = [Part(points((x, -0.95), (x, 0.68)), (0.85, 0.83, 0.75), 0.012) for x in (-0.04, 0, 0.04)]
    pegs = [Part(oval(x, y, 0.05, 0.03), (0.9, 0.9, 0.85)) for x in (-0.14, 0.14) for y in (-0.97, -0.87)]
    return [
        Part(outline, dark),
        Part(outline * 0.93 + (0, 0.035), body),
        Part(oval(0, 0.28, 0.15, 0.15), (0.1, 0.07, 0.05)),
        Part(box(-0.07, -0.85, 0.07, 0.22), dark),
        Part(box(-0.11, -1.05, 0.11, -0.8), shade(body, 0.7)),
        *pegs,
        Part(box(-0.18, 0.65, 0.18, 0.72), dark),
        *strings,
    ]


def key(rng) -> Parts:
    color, r = metal(rng), rng.uniform(0.24, 0.32)
    teeth = [
        Part(box(x, 0, x + 0.08, rng.uniform(0.18, 0.34)), color) for x in np.linspace(0.55, 0.88, rng.integers(2, 5))
    ]
    bow = oval(-0.7, 0, r, r * rng.uniform(0.8, 1.2))
    return [
        Part(bow, color, 0.13),
        Part(points((-0.42, 0), (0.95, 0)), color, 0.12),
        *teeth,
        Part(points((-0.35, -0.02), (0.92, -0.02)), shade(color, 1.25), 0.025),
        Part(box(-0.4, -0.12, -0.32, 0.12), color),
    ]


def ladder(rng) -> Parts:
    color, top, bottom = (
        [wood(rng), metal(rng), paint_color(rng)][rng.integers(3)],
        rng.uniform(0.22, 0.3),
        rng.uniform(0.3, 0.42),
    )
    rungs = np.linspace(-0.82, 0.82, rng.integers(6, 10))
    half = top + (bottom - top) * (rungs + 1) / 2
    parts = [Part(points((-x, y), (x, y)), shade(color, 0.85), 0.07) for x, y in zip(half, rungs)]
    return parts + [Part(points((s * top, -1), (s * bottom, 1)), color, 0.1) for s in (-1, 1)]


def pencil(rng) -> Parts:
    color, w = paint_color(rng, 1.0), rng.uniform(0.08, 0.13)
    return [
        Part(box(-0.95, -w, -0.8, w), (0.85, 0.5, 0.5)),
        Part(box(-0.82, -w * 1.05, -0.7, w * 1.05), metal(rng)),
        Part(box(-0.7, -w, 0.65, w), color),
        Part(box(-0.7, -w, 0.65, -w / 3), shade(color, 1.25)),
        Part(box(-0.7, w / 3, 0.65, w), shade(color, 0.75)),
        Part(points((0.65, -w), (0.98, 0), (0.65, w)), (0.85, 0.7, 0.5)),
        Part(points((0.87, -w / 3), (1, 0), (0.87, w / 3)), (0.15, 0.15, 0.15)),
    ]


def umbrella(rng) -> Parts:
    colors, tall = [paint_color(rng, 1.0) for _ in range(rng.integers(1, 3))], rng.uniform(0.65, 0.85)
    ends = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 7))
    hook = np.concatenate([points((0, -0.3), (0, 0.8)), oval(0.12, 0.8, 0.12, 0.14, 180, 0, 12)])
    parts = [Part(points((0, -tall - 0.12), (0, -tall)), (0.2, 0.2, 0.2), 0.05), Part(hook, wood(rng), 0.06)]
    rise = np.linspace(0, np.pi / 2, 12)
    for i, (left, right) in enumerate(zip(ends[:-1], ends[1:])):
        sides = [np.stack([x * np.cos(rise), -tall * np.sin(rise)], 1) for x in (left, right)]
        middle = oval((left + right) / 2, 0, (right - left) / 2, 0.08, 0, -180, 9)
        wedge = np.concatenate([sides[0], sides[1][::-1], middle])
        parts.append(Part(wedge, shade(colors[i % len(colors)], 1.1 - 0.08 * i)))
    return parts


def wooden_spoon(rng) -> Parts:
    color, rx, ry = wood(rng), rng.uniform(0.2, 0.28), rng.uniform(0.3, 0.38)
    grip = points((-0.06, -0.4), (0.06, -0.4), (0.05, 0.98), (-0.05, 0.98))
    return [
        Part(smooth(grip, 1), shade(color, 0.92)),
        Part(oval(0, -0.65, rx, ry), color),
        Part(oval(0.02, -0.66, rx * 0.75, ry * 0.78), shade(color, 0.78)),
        Part(oval(0.04, -0.62, rx * 0.55, ry * 0.55), shade(color, 0.9)),
    ]
