"""Clutter: objects with the colors and sizes of the classes that belong to none of them."""

import numpy as np

from promptseg.datasets.voc.paint import Canvas, Color, Sketch, tone

LOUD = ((0.75, 0.2, 0.15), (0.2, 0.35, 0.6), (0.88, 0.72, 0.2), (0.85, 0.84, 0.82), (0.2, 0.4, 0.25), (0.3, 0.22, 0.16))


def pick(rng: np.random.Generator, colors) -> Color:
    """Pick a color and vary its brightness slightly."""
    return tone(colors[rng.integers(len(colors))], rng.uniform(0.85, 1.15))


def clutter(canvas: Canvas, x: float, y: float, size: float, kinds: tuple[str, ...]) -> None:
    """Paint an object of one of the kinds with its foot at pixel (x, y)."""
    rng, thing = canvas.rng, Sketch()
    kind, loud = kinds[rng.integers(len(kinds))], pick(rng, LOUD)
    if kind == "crate":
        wide = rng.uniform(0.3, 0.7)
        thing.box(-wide, 0, wide, 0.8, loud, relief=0.25, grain=0.25)
        thing.box(-wide, 0.3, wide, 0.36, tone(loud, 0.7), relief=0)
    elif kind == "sign":
        thing.box(-0.03, 0, 0.03, 1.0, (0.45, 0.45, 0.46))
        thing.disc(0, 1.0, 0.16, 0.16, loud)
        thing.box(-0.1, 0.97, 0.1, 1.03, (0.92, 0.92, 0.9), within=True)
    elif kind == "tree":
        thing.limb([(0, 0), (0.03, 0.8)], (0.12, 0.06), (0.3, 0.22, 0.16), grain=0.4)
        green = tone((0.22, 0.34, 0.12), rng.uniform(0.7, 1.4))
        for shade in (0.7, 0.9, 1.15):
            spots = np.stack([rng.normal(0, 0.26, 9), rng.normal(0.85 + 0.1 * shade, 0.17, 9)], 1)
            thing.discs(spots, 0.13, tone(green, shade), relief=0.6, grain=0.6)
    elif kind == "boulder":
        at = np.linspace(0, 2 * np.pi, 9)[:-1]
        rough = [(rng.uniform(0.4, 0.6) * np.cos(a), 0.25 + rng.uniform(0.2, 0.32) * np.sin(a)) for a in at]
        thing.poly(
            rough, pick(rng, ((0.75, 0.73, 0.68), (0.4, 0.36, 0.32), (0.55, 0.38, 0.24))), True, relief=0.8, grain=0.4
        )
    elif kind == "bush":
        thing.discs(rng.normal((0, 0.25), (0.22, 0.1), (14, 2)), 0.15, (0.2, 0.3, 0.1), relief=0.8, grain=0.7)
    elif kind == "bale":
        thing.disc(0, 0.3, 0.36, 0.32, (0.8, 0.68, 0.4), relief=0.5, grain=0.5)
        thing.disc(0.08, 0.3, 0.24, 0.25, (0.72, 0.58, 0.32), relief=0.2, grain=0.6)
    elif kind == "frame":
        thing.box(-0.55, -0.1, 0.55, 0.8, (0.16, 0.12, 0.1), relief=0.4)
        thing.box(-0.46, 0.0, 0.46, 0.7, pick(rng, ((0.4, 0.55, 0.75), (0.75, 0.7, 0.6), (0.5, 0.55, 0.35))), relief=0)
        thing.poly([(-0.46, 0), (-0.2, 0.4), (0.1, 0.2), (0.46, 0.45), (0.46, 0)], loud, within=True, relief=0.1)
    elif kind == "shelf":
        thing.box(-0.8, 0, 0.8, 0.06, (0.35, 0.24, 0.15))
        for left in np.arange(-0.75, 0.7, 0.11):
            thing.box(left, 0.06, left + 0.1, rng.uniform(0.3, 0.5), pick(rng, LOUD), relief=0.3)
    elif kind == "lamp":
        thing.limb([(0, 0), (0, 0.8)], 0.03, (0.2, 0.18, 0.16))
        thing.poly([(-0.22, 0.72), (0.22, 0.72), (0.13, 1.02), (-0.13, 1.02)], (1.0, 0.93, 0.72), relief=0.3)
    else:  # vase
        right = [(0.1, 0), (0.2, 0.25), (0.06, 0.5), (0.1, 0.6)]
        thing.poly(right + [(-x, y) for x, y in right[::-1]], loud, curved=True, relief=0.9)
    canvas.draw(thing, x, y, size)
