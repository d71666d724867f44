"""Indoor objects of Pascal VOC: each function samples a Sketch about 1 high, its foot at (0, 0)."""

import numpy as np

from promptseg.datasets.voc.clutter import pick
from promptseg.datasets.voc.paint import Sketch, tone
from promptseg.datasets.voc.vehicles import PAINTS

_WOODS = ((0.5, 0.32, 0.18), (0.32, 0.19, 0.11), (0.72, 0.54, 0.34))
_CLOTHS = ((0.55, 0.16, 0.15), (0.24, 0.32, 0.44), (0.62, 0.54, 0.42), (0.3, 0.36, 0.26), (0.18, 0.17, 0.18))


def bottle(rng: np.random.Generator) -> Sketch:
    glass = pick(rng, ((0.1, 0.28, 0.14), (0.3, 0.14, 0.06), (0.45, 0.6, 0.62), (0.12, 0.12, 0.14)))
    s, w, neck = Sketch(), rng.uniform(0.13, 0.17), rng.uniform(0.6, 0.68)
    right = [(w, 0.0), (w, neck - 0.1), (0.6 * w, neck), (0.05, neck + 0.08), (0.048, 0.96)]
    s.poly(right + [(-x, y) for x, y in right[::-1]], glass, relief=0.9, grain=0.04)
    s.box(-w, 0.14, w, 0.44, (0.92, 0.88, 0.76), within=True, relief=0.3)
    s.box(-w, 0.3, w, 0.37, pick(rng, PAINTS), within=True, relief=0.1)
    s.limb([(-0.6 * w, 0.06), (-0.6 * w, neck - 0.1)], 0.02, tone(glass, 2.6), within=True, relief=0)
    s.box(-0.058, 0.92, 0.058, 1.0, pick(rng, PAINTS))
    return s


def chair(rng: np.random.Generator) -> Sketch:
    wood, seat, s = pick(rng, _WOODS), pick(rng, _CLOTHS + _WOODS), Sketch()
    for x, y in ((-0.12, 0.12), (0.3, 0.12)):
        s.limb([(x, 0.46), (x + 0.01, y)], 0.045, tone(wood, 0.6))
    for x in (-0.17, 0.24):
        s.limb([(x - 0.03, 1.0), (x, 0.46)], 0.055, wood)
    if rng.random() < 0.5:
        for y in (0.62, 0.76, 0.92):
            s.limb([(-0.18, y), (0.22, y)], 0.075, wood)
    else:
        s.poly([(-0.21, 0.6), (0.25, 0.6), (0.22, 1.0), (-0.22, 1.0)], seat, relief=0.6)
    s.poly([(-0.29, 0.42), (0.21, 0.42), (0.33, 0.52), (-0.19, 0.52)], seat, relief=0.3)
    s.poly([(-0.29, 0.42), (0.21, 0.42), (0.21, 0.37), (-0.29, 0.37)], tone(wood, 0.8), relief=0.2)
    for x in (-0.26, 0.19):
        s.limb([(x, 0.38), (x - 0.01, 0.02)], 0.05, wood)
    return s


def diningtable(rng: np.random.Generator) -> Sketch:
    """1 high, 2.2 wide, with plates; a cloth at times."""
    wood, s = pick(rng, _WOODS), Sketch()
    for x in (-0.75, 0.75):
        s.limb([(x, 0.8), (x, 0.2)], 0.09, tone(wood, 0.55))
    for x in (-0.95, 0.95):
        s.limb([(x, 0.75), (x * 0.98, 0.04)], 0.11, wood)
    top = wood if rng.random() < 0.5 else (0.88, 0.85, 0.78)
    if top is not wood:
        s.poly(
            [(-1.1, 0.72), (-1.12, 0.42), (-0.5, 0.5), (0, 0.4), (0.5, 0.5), (1.12, 0.44), (1.1, 0.72)], tone(top, 0.85)
        )
    s.box(-1.1, 0.66, 1.1, 0.75, tone(top, 0.7))
    s.poly([(-1.1, 0.75), (1.1, 0.75), (0.86, 1.0), (-0.86, 1.0)], top, relief=0.15, grain=0.25)
    for x in (-0.55, 0.1, 0.62):
        s.disc(x, 0.86 + rng.uniform(-0.02, 0.03), 0.18, 0.055, (0.93, 0.93, 0.95), relief=0.6)
        s.disc(x, 0.865, 0.1, 0.028, pick(rng, ((0.7, 0.4, 0.2), (0.3, 0.5, 0.2), (0.85, 0.8, 0.7))))
    return s


def pottedplant(rng: np.random.Generator) -> Sketch:
    pot, s = pick(rng, ((0.68, 0.34, 0.2), (0.85, 0.84, 0.8), (0.25, 0.3, 0.4))), Sketch()
    green = pick(rng, ((0.16, 0.4, 0.14), (0.3, 0.48, 0.16), (0.1, 0.3, 0.2)))
    narrow = rng.uniform(0.025, 0.07)
    for a in np.sort(rng.uniform(-1.25, 1.25, 26))[rng.permutation(26)]:
        reach = rng.uniform(0.3, 0.68) * (1 - 0.25 * abs(a))
        x, y = 0.62 * reach * np.sin(a), 0.34 + reach * np.cos(a)
        s.limb([(0, 0.32), (0.5 * x, 0.5 * (y + 0.36)), (x, y)], 0.014, tone(green, 0.7), relief=0)
        s.disc(x, y, 0.11, narrow, tone(green, rng.uniform(0.6, 1.5)), np.pi / 2 - a + rng.normal(0, 0.4), relief=0.6)
    if rng.random() < 0.4:
        s.discs(np.stack([rng.uniform(-0.25, 0.25, 7), rng.uniform(0.55, 0.95, 7)], 1), 0.04, (0.85, 0.3, 0.45))
    s.poly([(-0.15, 0.0), (0.15, 0.0), (0.21, 0.34), (-0.21, 0.34)], pot, relief=0.9)
    s.box(-0.235, 0.3, 0.235, 0.38, tone(pot, 1.1))
    return s


def sofa(rng: np.random.Generator) -> Sketch:
    """1 high, 2.2 wide."""
    cloth, s = pick(rng, _CLOTHS), Sketch()
    for x in (-0.95, 0.95):
        s.box(x - 0.05, 0.0, x + 0.05, 0.12, (0.15, 0.1, 0.07))
    s.poly([(-1.0, 0.2), (1.0, 0.2), (1.02, 0.9), (0.9, 1.0), (-0.9, 1.0), (-1.02, 0.9)], tone(cloth, 0.85), relief=0.5)
    for x in (-0.86, 0.02):
        s.poly([(x, 0.5), (x + 0.84, 0.5), (x + 0.82, 0.93), (x + 0.02, 0.93)], cloth, relief=0.9, grain=0.25)
        s.poly([(x, 0.34), (x + 0.84, 0.34), (x + 0.84, 0.52), (x, 0.54)], tone(cloth, 1.12), relief=0.7, grain=0.25)
    s.box(-1.0, 0.1, 1.0, 0.36, tone(cloth, 0.75), relief=0.3)
    for x in (-1.0, 1.0):
        s.limb([(x, 0.2), (x, 0.58)], 0.26, cloth, relief=0.8, grain=0.25)
    other = pick(rng, _CLOTHS)
    s.poly([(-0.75, 0.52), (-0.4, 0.54), (-0.44, 0.86), (-0.78, 0.82)], tone(other, 1.3), relief=0.8)
    return s


def tvmonitor(rng: np.random.Generator) -> Sketch:
    """1 high, 1.4 wide; something is on."""
    frame, s = pick(rng, ((0.07, 0.07, 0.08), (0.3, 0.3, 0.32), (0.78, 0.77, 0.74))), Sketch()
    s.disc(0, 0.04, 0.32, 0.045, tone(frame, 0.9))
    s.box(-0.07, 0.04, 0.07, 0.22, tone(frame, 0.8))
    s.box(-0.7, 0.16, 0.7, 1.0, frame, relief=0.25)
    s.box(-0.63, 0.24, 0.63, 0.93, pick(rng, ((0.25, 0.45, 0.75), (0.1, 0.12, 0.16), (0.55, 0.6, 0.6))), relief=0)
    tops = [(x, rng.uniform(0.38, 0.65)) for x in (-0.63, -0.2, 0.2, 0.63)]
    hills = [(-0.63, 0.24), *tops, (0.63, 0.24)]
    s.poly(hills, pick(rng, ((0.25, 0.5, 0.2), (0.6, 0.45, 0.3), (0.3, 0.25, 0.5))), relief=0.1)
    return s
