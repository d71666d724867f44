"""Outdoor objects: each function samples a figure with random proportions and colors."""

import numpy as np

from promptseg.synthetic.colors import paint_color, shade, wood
from promptseg.synthetic.figure import Part, box, oval, points, smooth

Parts = list[Part]


def fish(rng) -> Parts:
    color, belly = paint_color(rng), rng.uniform(0.35, 0.55)
    top, low = oval(-0.15, 0, 0.75, belly, 180, 360), oval(-0.15, 0, 0.75, belly * 0.85, 0, 180)
    fin = shade(color, 0.72)
    stripes = [
        Part(oval(x, 0, 0.05, belly * 0.75), shade(color, 1.3)) for x in np.linspace(-0.35, 0.25, rng.integers(2, 5))
    ]
    return [
        Part(smooth(points((0.45, 0), (1, -0.45), (0.86, 0), (1, 0.45)), 2), fin),
        Part(points((-0.45, -belly * 0.7), (0.05, -belly - 0.3), (0.3, -belly * 0.6)), fin),
        Part(np.concatenate([top, low]), color),
        *stripes,
        Part(points((-0.15, 0.1), (0.15, 0.35), (0.1, 0.02)), fin),
        Part(oval(-0.62, -0.1, 0.09, 0.09), (0.95, 0.95, 0.9)),
        Part(oval(-0.63, -0.1, 0.05, 0.05), (0.05, 0.05, 0.05)),
        Part(oval(-0.52, 0, 0.12, belly * 0.75, -60, 60), fin, 0.04),
    ]


def hot_air_balloon(rng) -> Parts:
    colors = [paint_color(rng, 1.0) for _ in range(rng.integers(2, 4))]
    low = rng.uniform(0.3, 0.42)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 24)
    y = -0.3 + 0.68 * np.sin(angle)
    width = 0.7 * np.cos(angle) ** 0.75 * np.where(angle > 0, 1 - 0.25 * np.sin(angle), 1) + 0.12 * (angle > 1.2)
    gores = np.sin(np.linspace(-np.pi / 2, np.pi / 2, rng.integers(6, 10)))
    parts = [Part(points((x, 0.3), (x * 0.45, 0.75)), (0.25, 0.2, 0.15), 0.02) for x in (-low / 2, low / 2)]
    for i, (left, right) in enumerate(zip(gores[:-1], gores[1:])):
        edge = [np.stack([width * side, y], 1) for side in (left, right)]
        parts.append(
            Part(np.concatenate([edge[0], edge[1][::-1]]), shade(colors[i % len(colors)], 1.05 - 0.05 * abs(i - 3)))
        )
    return parts + [Part(box(-0.15, 0.72, 0.15, 0.95), wood(rng)), Part(box(-0.17, 0.7, 0.17, 0.76), (0.3, 0.2, 0.12))]


def maple_leaf(rng) -> Parts:
    color = [(0.75, 0.25, 0.12), (0.85, 0.6, 0.15), (0.35, 0.5, 0.15), (0.55, 0.3, 0.12)][rng.integers(4)]
    half = points(
        (0, -0.95),
        (0.14, -0.62),
        (0.3, -0.7),
        (0.26, -0.3),
        (0.55, -0.55),
        (0.62, -0.4),
        (0.92, -0.35),
        (0.8, -0.15),
        (0.9, 0.0),
        (0.5, 0.22),
        (0.55, 0.38),
        (0.05, 0.4),
    )
    half = half * (rng.uniform(0.85, 1.1), 1) + rng.normal(0, 0.02, half.shape)
    veins = [Part(points((0, 0.38), tip), shade(color, 1.3), 0.025) for tip in ((0, -0.8), (-0.7, -0.3), (0.7, -0.3))]
    stem = Part(points((0, 0.35), (0.03, 0.6), (rng.uniform(-0.15, 0.2), 0.95)), shade(color, 0.7), 0.05)
    return [stem, Part(np.concatenate([half, half[::-1] * (-1, 1)]), color), *veins]


def mushroom(rng) -> Parts:
    color = [(0.78, 0.15, 0.1), (0.6, 0.4, 0.25), (0.85, 0.72, 0.5), (0.5, 0.32, 0.2)][rng.integers(4)]
    stem, wide, tall = shade((0.92, 0.88, 0.78), rng.uniform(0.75, 1)), rng.uniform(0.15, 0.28), rng.uniform(0.65, 0.9)
    foot = smooth(points((-wide, 0), (wide, 0), (wide * 1.4, 0.9), (-wide * 1.4, 0.9)))
    cap = np.concatenate([oval(0, 0, 0.85, tall, 180, 360), oval(0, 0, 0.85, 0.16, 0, 180)])
    dots = [
        Part(oval(x, y, s, s * 0.8), (0.95, 0.92, 0.85))
        for x, y, s in zip(rng.uniform(-0.55, 0.55, 7), rng.uniform(-0.45, -0.05, 7), rng.uniform(0.03, 0.09, 7))
    ]
    return [
        Part(foot, stem),
        Part(cap, color),
        Part(oval(0, 0.06, 0.7, 0.1), shade(stem, 0.75)),
        *dots[: 7 * (rng.random() < 0.6)],
    ]


def sailing_boat(rng) -> Parts:
    hull, sail, tip = paint_color(rng), shade((0.95, 0.93, 0.88), rng.uniform(0.8, 1.05)), rng.uniform(-1, -0.8)
    other = sail if rng.random() < 0.5 else paint_color(rng)
    return [
        Part(points((0, -0.97), (0, 0.5)), (0.35, 0.25, 0.18), 0.05),
        Part(smooth(points((0.04, tip), (0.12, -0.3), (rng.uniform(0.6, 0.8), 0.32), (0.04, 0.36)), 1), sail),
        Part(points((-0.06, tip + 0.15), (-0.06, 0.34), (rng.uniform(-0.7, -0.5), 0.36)), other),
        Part(smooth(points((-0.85, 0.45), (0.9, 0.45), (0.62, 0.85), (-0.6, 0.85)), 1), hull),
        Part(points((-0.74, 0.52), (0.76, 0.52)), shade(hull, 1.4), 0.06),
    ]


def starfish(rng) -> Parts:
    color = [(0.85, 0.42, 0.2), (0.75, 0.25, 0.25), (0.8, 0.65, 0.45), (0.45, 0.35, 0.6)][rng.integers(4)]
    angle = np.linspace(0, 2 * np.pi, 100)
    bends = rng.normal(0, 0.1, 2) @ np.stack([np.cos(2 * angle), np.sin(angle)])
    radius = 0.3 + 0.66 * np.abs(np.cos(2.5 * (angle + bends))) ** rng.uniform(1.4, 2.4)
    outline = np.stack([radius * np.sin(angle), -radius * np.cos(angle)], 1)
    lines = [Part(points((0, 0), outline[i] * 0.8), shade(color, 1.35), 0.035) for i in (0, 20, 40, 60, 80)]
    dots = [Part(oval(*at, 0.03, 0.03), shade(color, 0.6)) for at in rng.uniform(-0.3, 0.3, (9, 2))]
    return [Part(outline, color), *dots, *lines]


def traffic_cone(rng) -> Parts:
    color, base = shade((0.95, 0.4, 0.12), rng.uniform(0.7, 1.05)), rng.uniform(0.5, 0.62)

    def ring(low: float, high: float, paint) -> Part:  # heights from 0 at the foot to 1 at the tip
        (a, b), (y, z) = (base - (base - 0.08) * np.array([low, high])), 0.75 - 1.7 * np.array([low, high])
        return Part(np.concatenate([oval(0, y, a, a * 0.22, 0, 180), oval(0, z, b, b * 0.22, 180, 0)]), paint)

    white = shade((0.95, 0.95, 0.95), rng.uniform(0.75, 1))
    foot = points(
        (-base - 0.3, 0.82),
        (-base - 0.1, 0.62),
        (base + 0.1, 0.62),
        (base + 0.3, 0.82),
        (base + 0.28, 0.93),
        (-base - 0.28, 0.93),
    )
    return [
        Part(foot, shade(color, 0.75)),
        ring(0, 1, color),
        ring(0.25, 0.45, white),
        ring(0.62, 0.78, white),
        Part(oval(0, -0.95, 0.08, 0.03), (0.1, 0.06, 0.05)),
    ]
