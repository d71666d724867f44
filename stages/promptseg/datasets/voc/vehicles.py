"""Vehicles of Pascal VOC: each function samples a Sketch about 1 high or long, its foot or middle at (0, 0)."""

import numpy as np

from promptseg.datasets.voc.clutter import pick
from promptseg.datasets.voc.paint import Color, Part, Sketch, tone

GLASS: Color = (0.2, 0.26, 0.32)
RUBBER: Color = (0.07, 0.07, 0.08)
PAINTS = (
    (0.72, 0.1, 0.1), (0.1, 0.2, 0.5), (0.86, 0.86, 0.86), (0.16, 0.16, 0.18), (0.5, 0.52, 0.55), (0.12, 0.36, 0.24),
    (0.9, 0.7, 0.12),
)  # fmt: skip


def aeroplane(rng: np.random.Generator) -> Sketch:
    """1 long, nose to the right, the middle of the hull at (0, 0)."""
    body, mark, s = tone((0.88, 0.89, 0.9), rng.uniform(0.8, 1.05)), pick(rng, PAINTS), Sketch()
    s.poly([(0.06, 0.03), (-0.12, 0.16), (-0.07, 0.165), (0.18, 0.035)], tone(body, 0.7))
    s.poly([(-0.44, 0.04), (-0.52, 0.23), (-0.44, 0.23), (-0.3, 0.05)], mark)
    hull = [(-0.52, 0.055), (-0.38, -0.02), (-0.2, -0.055), (0.3, -0.055), (0.44, -0.035), (0.5, -0.005), (0.45, 0.035),
            (0.36, 0.055), (-0.3, 0.055)]  # fmt: skip
    s.poly(hull, body, curved=True, relief=0.9, grain=0.06)
    s.box(-0.5, -0.018, 0.5, -0.004, mark, within=True, relief=0)
    s.discs([(x, 0.017) for x in np.arange(-0.34, 0.38, 0.035)], 0.0075, GLASS, relief=0, within=True)
    s.poly([(0.41, 0.04), (0.465, 0.015), (0.42, 0.01), (0.39, 0.03)], GLASS, within=True)
    s.poly([(-0.46, 0.03), (-0.6, 0.085), (-0.55, 0.09), (-0.36, 0.04)], tone(body, 0.85))
    s.limb([(0.0, -0.1), (0.09, -0.095)], (0.05, 0.065), tone(mark, 0.9))
    s.poly([(0.16, -0.02), (-0.12, -0.2), (-0.2, -0.2), (-0.06, -0.025)], tone(body, 0.88), relief=0.5)
    if rng.random() < 0.4:  # wheels out
        for x in (-0.04, 0.36):
            s.limb([(x, -0.05), (x, -0.13)], 0.012, (0.3, 0.3, 0.3))
            s.disc(x, -0.14, 0.022, 0.022, RUBBER)
    return s


def boat(rng: np.random.Generator) -> Sketch:
    """1 long; a sailing boat, or a motor boat with a cabin."""
    hull, s = pick(rng, PAINTS), Sketch()
    if rng.random() < 0.5:
        s.limb([(0.02, 0.1), (0.02, 1.05)], 0.02, (0.6, 0.58, 0.55))
        s.poly([(-0.01, 1.0), (-0.01, 0.24), (-0.42, 0.22), (-0.2, 0.6)], (0.92, 0.9, 0.86), relief=0.3)
        s.poly([(0.05, 0.98), (0.05, 0.22), (0.44, 0.2)], tone(pick(rng, PAINTS), 1.1), relief=0.3)
    else:
        s.poly([(-0.32, 0.14), (-0.32, 0.38), (0.08, 0.4), (0.16, 0.14)], (0.9, 0.89, 0.86))
        s.poly([(-0.28, 0.26), (-0.28, 0.35), (0.05, 0.36), (0.09, 0.26)], GLASS, within=True)
        s.box(-0.36, 0.38, 0.1, 0.42, tone(hull, 0.8))
        s.limb([(-0.2, 0.4), (-0.2, 0.68)], 0.015, (0.3, 0.3, 0.3))
    side = [(-0.5, 0.19), (-0.45, 0.0), (0.36, 0.0), (0.46, 0.1), (0.54, 0.24), (0.2, 0.17)]
    s.poly(side, hull, relief=0.8, grain=0.2)
    s.poly([(-0.5, 0.19), (-0.495, 0.165), (0.2, 0.145), (0.53, 0.21), (0.54, 0.24), (0.2, 0.17)], (0.92, 0.9, 0.85))
    return s


def bus(rng: np.random.Generator) -> Sketch:
    """1 high, 2.2 long."""
    paint, second, s = pick(rng, PAINTS), pick(rng, PAINTS), Sketch()
    s.poly(
        [(-1.1, 0.1), (1.06, 0.1), (1.12, 0.3), (1.1, 0.93), (1.02, 1.0), (-1.05, 1.0), (-1.1, 0.94)], paint, relief=0.5
    )
    s.box(-1.15, 0.24, 1.15, 0.34, second, within=True, relief=0.1)
    s.box(-1.04, 0.52, 0.72, 0.86, GLASS, within=True, relief=0.3)
    for x in np.arange(-0.78, 0.7, 0.3):
        s.box(x, 0.5, x + 0.035, 0.88, paint, relief=0)
        if rng.random() < 0.5:  # somebody's head, too small to be a person of its own
            s.disc(x + 0.16, 0.6, 0.05, 0.07, (0.4, 0.3, 0.27), within=True)
    s.box(0.78, 0.16, 1.0, 0.86, GLASS, relief=0.3)
    s.box(0.88, 0.16, 0.9, 0.86, paint, relief=0)
    s.poly([(1.04, 0.5), (1.115, 0.5), (1.1, 0.9), (1.04, 0.9)], tone(GLASS, 1.4), within=True)
    s.disc(1.08, 0.2, 0.04, 0.04, (0.98, 0.95, 0.75), grain=0)
    return _wheels(s, (-0.7, 0.62), 0.15)


def car(rng: np.random.Generator) -> Sketch:
    """1 high, 2.6 long."""
    paint, s = pick(rng, PAINTS), Sketch()
    bonnet = rng.uniform(0.5, 0.58)
    lower = [(-1.28, 0.6), (-1.28, 0.2), (1.26, 0.2), (1.32, 0.4), (1.2, bonnet)]
    s.poly(lower + [(0.62, 0.62), (0.28, 0.98), (-0.62, 1.0), (-1.0, 0.64)], paint, relief=0.7, grain=0.05)
    s.poly([(0.5, 0.62), (0.22, 0.92), (-0.14, 0.93), (-0.14, 0.62)], GLASS, relief=0.3)
    s.poly([(-0.22, 0.62), (-0.22, 0.93), (-0.56, 0.93), (-0.86, 0.63)], GLASS, relief=0.3)
    s.poly([(0.3, 0.66), (0.14, 0.88), (0.05, 0.88), (0.2, 0.66)], tone(GLASS, 1.9), relief=0)
    for x in (-0.18, 0.5):
        s.limb([(x, 0.6), (x, 0.26)], 0.015, tone(paint, 0.55), relief=0)
    s.box(-1.3, 0.2, 1.3, 0.26, tone(paint, 0.5), within=True)
    s.disc(1.22, 0.46, 0.07, 0.05, (0.97, 0.95, 0.85), grain=0)
    s.disc(-1.23, 0.5, 0.05, 0.06, (0.75, 0.08, 0.06), grain=0)
    return _wheels(s, (-0.8, 0.8), 0.25)


def train(rng: np.random.Generator) -> Sketch:
    """1 high, front at the right, seen from ahead and aside; its far end is out of the image."""
    paint, second, s = pick(rng, PAINTS), pick(rng, PAINTS), Sketch()
    s.poly([(0.1, 0.06), (-3.2, 0.2), (-3.2, 0.78), (0.1, 1.0)], tone(paint, 0.85), relief=0.2)
    s.poly([(0.1, 0.32), (-3.2, 0.36), (-3.2, 0.43), (0.1, 0.46)], second, within=True, relief=0)
    for i, x in enumerate(np.linspace(-0.05, -3.0, 13)):
        w, low, high = 0.15, 0.56 - 0.02 * i * 0.4, 0.86 - 0.013 * i
        s.poly([(x, low), (x - w, low), (x - w, high), (x, high)], GLASS, relief=0.3)
    s.poly(
        [(0.1, 0.0), (0.62, 0.0), (0.68, 0.3), (0.62, 0.88), (0.5, 1.02), (0.2, 1.02), (0.1, 0.95)], paint, relief=0.5
    )
    s.poly([(0.1, 0.18), (0.7, 0.18), (0.7, 0.36), (0.1, 0.36)], second, within=True, relief=0.2)
    s.poly([(0.17, 0.52), (0.57, 0.52), (0.55, 0.86), (0.19, 0.86)], GLASS, relief=0.4)
    s.poly([(0.2, 0.6), (0.3, 0.6), (0.42, 0.84), (0.32, 0.84)], tone(GLASS, 1.7), relief=0)
    s.discs([(0.18, 0.27), (0.58, 0.27)], 0.05, (0.98, 0.95, 0.75), grain=0)
    s.box(0.12, 0.0, 0.62, 0.1, (0.14, 0.14, 0.15))
    return s


def bicycle(rng: np.random.Generator) -> Sketch:
    """1 high, 1.7 long: a town, a racing or a mountain bicycle, the front wheel turned at times."""
    paint, kind, s = pick(rng, PAINTS), ("town", "racing", "mountain")[rng.integers(3)], Sketch()
    tyre = {"town": 0.065, "racing": 0.05, "mountain": 0.09}[kind]
    rear, front, cranks, seat, low, high = (
        (-0.52, 0.33), (0.52, 0.33), (-0.07, 0.29), (-0.2, 0.74), (0.41, 0.67), (0.37, 0.82),
    )  # fmt: skip
    _spoked(s, rear, 1.0, tyre)
    _spoked(s, front, rng.uniform(0.6, 1.0), tyre)
    at = rng.uniform(0, 2 * np.pi)
    pedal = np.array((0.15 * np.cos(at), 0.15 * np.sin(at)))
    s.limb([cranks, cranks - pedal], 0.035, (0.3, 0.3, 0.31))
    if kind == "town":
        for x, first, last in ((rear[0], 0.05, 0.85), (front[0], 0.3, 0.95)):
            a = np.pi * np.linspace(first, last, 8)
            s.limb(np.stack([x + 0.36 * np.cos(a), 0.33 + 0.36 * np.sin(a)], 1), 0.035, tone(paint, 0.8))
        s.limb([(-0.24, 0.72), (-0.78, 0.72)], 0.04, (0.3, 0.3, 0.31))
        s.limb([(-0.7, 0.72), rear], 0.025, (0.3, 0.3, 0.31))
    bar = {"town": (-0.12, 0.45), "racing": seat, "mountain": (-0.15, 0.6)}[kind]  # where the upper tube starts
    for tube in ((rear, cranks), (rear, seat), (cranks, low), (bar, low if kind == "town" else high)):
        s.limb(tube, 0.055, paint, relief=0.3)
    s.limb([cranks, (-0.23, 0.84)], 0.055, paint, relief=0.3)
    s.limb([(0.36, 0.88), low, (0.45, 0.5), front], (0.06, 0.065, 0.055, 0.045), tone(paint, 0.85), relief=0.3)
    s.disc(*cranks, 0.085, 0.085, (0.35, 0.35, 0.36))
    s.disc(*cranks, 0.03, 0.03, (0.7, 0.7, 0.7), grain=0)
    s.limb([cranks, cranks + pedal], 0.04, (0.6, 0.6, 0.62))
    s.limb([cranks + pedal - (0.06, 0), cranks + pedal + (0.06, 0)], 0.045, RUBBER)
    leather = pick(rng, ((0.08, 0.08, 0.08), (0.4, 0.22, 0.1)))
    s.poly([(-0.4, 0.9), (-0.38, 0.83), (-0.22, 0.84), (-0.06, 0.86), (-0.07, 0.9), (-0.24, 0.89)], leather)
    if kind == "racing":
        s.limb([(0.36, 0.86), (0.5, 0.87), (0.56, 0.79), (0.5, 0.7), (0.42, 0.7)], 0.045, tone(leather, 0.8))
    else:
        s.limb([(0.36, 0.86), (0.4, 0.95), (0.3, 0.98)], 0.045, (0.5, 0.5, 0.52))
        s.limb([(0.32, 0.97), (0.18, 0.96)], 0.06, leather)
    if kind == "town" and rng.random() < 0.6:
        wicker = (0.6, 0.44, 0.24)
        s.poly([(0.45, 0.7), (0.72, 0.7), (0.78, 0.94), (0.42, 0.94)], wicker, grain=0.5)
        for y in (0.76, 0.83, 0.9):
            s.box(0.4, y, 0.8, y + 0.02, tone(wicker, 0.6), within=True, relief=0)
    return _aslant(rng, s)


def motorbike(rng: np.random.Generator) -> Sketch:
    """1 high, 1.8 long: a scooter, or a motorcycle with or without a fairing."""
    paint, s, chrome, dark = pick(rng, PAINTS), Sketch(), (0.68, 0.69, 0.72), (0.13, 0.13, 0.14)
    kind = ("scooter", "bare", "faired")[rng.integers(3)]
    if kind == "scooter":
        s = _wheels(s, (-0.5, 0.55), 0.2)
        s.limb([(0.55, 0.2), (0.38, 0.92)], 0.07, chrome)
        s.poly([(0.34, 0.2), (0.45, 0.36), (0.62, 0.42), (0.74, 0.32), (0.66, 0.46), (0.5, 0.5)], paint, curved=True)
        s.poly([(-0.2, 0.16), (0.36, 0.16), (0.52, 0.5), (0.46, 0.84), (0.34, 0.86), (0.36, 0.5), (0.26, 0.27),
                (-0.2, 0.27)], tone(paint, 0.9), relief=0.6)  # fmt: skip
        s.poly([(-0.78, 0.36), (-0.7, 0.6), (-0.4, 0.66), (-0.02, 0.64), (-0.06, 0.3), (-0.2, 0.17), (-0.4, 0.36),
                (-0.6, 0.34)], paint, curved=True, relief=0.9, grain=0.05)  # fmt: skip
        s.disc(-0.79, 0.52, 0.035, 0.05, (0.75, 0.08, 0.06), grain=0)
        s.limb([(-0.62, 0.7), (-0.34, 0.72), (-0.02, 0.69)], (0.1, 0.13, 0.1), dark)
        s.disc(0.4, 0.9, 0.09, 0.075, paint, relief=0.8)
        s.disc(0.48, 0.9, 0.035, 0.055, (0.98, 0.95, 0.8), grain=0)
        s.limb([(0.38, 0.95), (0.22, 0.98)], 0.055, RUBBER)
        return _aslant(rng, s)
    for x in (-0.6, 0.6):
        s.disc(x, 0.3, 0.3, 0.3, RUBBER, relief=0.2)
        s.disc(x, 0.3, 0.2, 0.2, (0.22, 0.22, 0.23), relief=0.2)
        for a in np.arange(5) * 0.4 * np.pi + rng.uniform(0, 2):
            s.limb([(x, 0.3), (x + 0.2 * np.cos(a), 0.3 + 0.2 * np.sin(a))], 0.04, chrome)
        s.disc(x, 0.3, 0.06, 0.06, chrome)
    s.limb([(-0.6, 0.3), (-0.05, 0.34)], 0.09, dark)
    s.limb([(-0.55, 0.34), (-0.34, 0.66)], 0.06, chrome)
    s.poly([(-0.2, 0.2), (0.22, 0.18), (0.34, 0.5), (0.3, 0.64), (-0.24, 0.64)], dark)
    for y in np.arange(0.38, 0.6, 0.05):
        s.box(-0.1, y, 0.26, y + 0.025, (0.5, 0.5, 0.52), relief=0)
    s.disc(-0.02, 0.28, 0.12, 0.1, (0.5, 0.5, 0.52), relief=0.7)
    s.limb([(0.3, 0.48), (0.3, 0.24), (0.0, 0.15), (-0.4, 0.18), (-0.82, 0.25)], (0.05, 0.05, 0.05, 0.09, 0.1), chrome)
    s.limb([(0.6, 0.3), (0.36, 0.9)], 0.07, chrome)
    a = np.pi * np.linspace(0.25, 0.8, 7)
    s.limb(np.stack([0.6 + 0.32 * np.cos(a), 0.3 + 0.32 * np.sin(a)], 1), 0.05, paint)
    if kind == "bare":
        s.limb([(-0.9, 0.42), (-0.78, 0.6), (-0.5, 0.64)], (0.05, 0.07, 0.06), paint)
        s.poly([(-0.72, 0.72), (-0.6, 0.62), (0.06, 0.6), (0.1, 0.7), (-0.2, 0.68), (-0.4, 0.76)], dark, curved=True)
        s.disc(0.52, 0.76, 0.11, 0.11, chrome, relief=0.7)
        s.disc(0.57, 0.76, 0.06, 0.09, (0.98, 0.95, 0.8), grain=0)
    else:
        s.poly([(-0.86, 0.84), (-0.8, 0.7), (-0.3, 0.58), (-0.1, 0.66), (-0.36, 0.78)], paint, relief=0.7)
        s.limb([(-0.42, 0.76), (-0.05, 0.68)], 0.09, dark)
        s.poly([(0.44, 0.92), (0.66, 0.74), (0.58, 0.62), (0.42, 0.52), (0.34, 0.2), (-0.08, 0.18), (0.02, 0.44),
                (0.2, 0.66)], paint, relief=0.7, grain=0.05)  # fmt: skip
        s.poly([(-0.06, 0.3), (0.36, 0.3), (0.46, 0.42), (0.0, 0.42)], pick(rng, PAINTS), within=True, relief=0.1)
        s.poly([(0.32, 0.98), (0.42, 0.98), (0.56, 0.83), (0.42, 0.82)], tone(GLASS, 1.8))
        s.disc(0.6, 0.71, 0.055, 0.035, (0.98, 0.95, 0.8), -0.9, grain=0)
    s.poly([(-0.08, 0.62), (0.0, 0.78), (0.2, 0.86), (0.38, 0.78), (0.36, 0.64)], paint, curved=True, relief=0.9)
    s.limb([(0.37, 0.9), (0.3, 0.97), (0.18, 0.94)], (0.05, 0.05, 0.065), RUBBER)
    return _aslant(rng, s)


def _spoked(s: Sketch, middle: tuple[float, float], narrow: float, tyre: float) -> None:
    """A wheel to look through; narrow: its width as a share of its height."""
    a, (x, y) = np.linspace(0, 2 * np.pi, 25), middle
    rim = np.stack([narrow * np.cos(a), np.sin(a)], 1)
    spokes = Sketch()
    for end in rim[:-1:2]:
        spokes.limb([middle, middle + 0.3 * end], 0.008, (0.6, 0.6, 0.62))
    s.parts.append(Part([shape for part in spokes.parts for shape in part.polygons], (0.6, 0.6, 0.62), relief=0))
    s.limb(middle + (0.33 - tyre) * rim, 0.03, (0.66, 0.66, 0.68), relief=0)
    s.limb(middle + (0.33 - tyre / 2) * rim, tyre, RUBBER, relief=0.2)
    s.disc(x, y, 0.04, 0.04, (0.4, 0.4, 0.42))


def _aslant(rng: np.random.Generator, s: Sketch) -> Sketch:
    """Seen not quite from the side: up to a quarter shorter."""
    share = rng.uniform(0.75, 1.0)
    for part in s.parts:
        part.polygons = [points * np.float32((share, 1)) for points in part.polygons]
    return s


def _wheels(s: Sketch, places, radius: float) -> Sketch:
    for x in places:
        s.disc(x, radius, radius, radius, RUBBER, relief=0.2)
        s.disc(x, radius, 0.58 * radius, 0.58 * radius, (0.6, 0.61, 0.63))
        s.disc(x, radius, 0.2 * radius, 0.2 * radius, (0.2, 0.2, 0.2))
    return s
