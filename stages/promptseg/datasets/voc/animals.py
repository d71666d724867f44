"""People and animals of Pascal VOC: each function samples a Sketch about 1 high (bird: 1 long), foot at (0, 0)."""

import numpy as np

from promptseg.datasets.voc.paint import Color, Sketch, tone

_COATS = ((0.42, 0.26, 0.14), (0.2, 0.15, 0.12), (0.72, 0.56, 0.36), (0.86, 0.82, 0.76), (0.55, 0.36, 0.18))
_SKINS = ((0.93, 0.74, 0.62), (0.82, 0.6, 0.46), (0.55, 0.37, 0.26), (0.36, 0.24, 0.18))
_CLOTHES = (
    (0.75, 0.15, 0.15), (0.15, 0.25, 0.55), (0.85, 0.82, 0.75), (0.2, 0.2, 0.22), (0.25, 0.5, 0.3), (0.85, 0.65, 0.2),
    (0.45, 0.6, 0.75), (0.5, 0.3, 0.45),
)  # fmt: skip


def bird(rng: np.random.Generator) -> Sketch:
    """Perched, looking right; the feet at (0, 0)."""
    back = ((0.45, 0.35, 0.25), (0.25, 0.35, 0.5), (0.5, 0.5, 0.52), (0.15, 0.14, 0.16))[rng.integers(4)]
    breast = ((0.9, 0.85, 0.75), (0.85, 0.45, 0.2), (0.92, 0.9, 0.88), (0.85, 0.75, 0.3))[rng.integers(4)]
    s = Sketch()
    s.poly([(-0.2, 0.28), (-0.62, 0.06), (-0.66, 0.14), (-0.22, 0.42)], tone(back, 0.75))
    for x in (-0.03, 0.05):
        s.limb([(x, 0.22), (x + 0.02, 0.0)], 0.025, (0.3, 0.22, 0.15))
    body = [(-0.3, 0.32), (-0.1, 0.16), (0.14, 0.18), (0.28, 0.36), (0.26, 0.56), (0.1, 0.62), (-0.12, 0.5)]
    s.poly(body, back, curved=True, grain=0.25)
    s.disc(0.16, 0.34, 0.14, 0.19, breast, -0.4, within=True, relief=0.3)
    s.disc(0.22, 0.62, 0.14, 0.13, back, relief=0.6)
    s.poly([(0.33, 0.66), (0.33, 0.58), (0.48, 0.6)], (0.75, 0.55, 0.2))
    s.disc(0.27, 0.65, 0.022, 0.022, (0.03, 0.03, 0.03), grain=0)
    s.poly(
        [(0.1, 0.5), (-0.08, 0.28), (-0.46, 0.2), (-0.3, 0.4), (-0.05, 0.54)], tone(back, 0.7), curved=True, grain=0.4
    )
    s.limb([(0.0, 0.4), (-0.38, 0.24)], 0.02, tone(breast, 0.9), relief=0)
    return s


def gull(rng: np.random.Generator) -> Sketch:
    """A bird in flight, wings up."""
    s, gray = Sketch(), tone((0.62, 0.64, 0.68), rng.uniform(0.7, 1.2))
    up = rng.uniform(0.2, 0.5)
    s.poly([(0.12, 0.02), (-0.08, up), (-0.22, up + 0.12), (-0.1, 0.03)], tone(gray, 0.75), curved=True)
    s.poly([(-0.32, 0.02), (0.0, -0.08), (0.3, 0.0), (0.42, 0.05), (0.28, 0.1), (0.0, 0.08)], (0.93, 0.93, 0.92), True)
    s.poly([(0.4, 0.07), (0.4, 0.02), (0.5, 0.03)], (0.85, 0.6, 0.15))
    s.poly([(0.14, 0.04), (0.22, up), (0.02, up + 0.2), (0.08, up * 0.7), (-0.1, 0.04)], gray, curved=True, grain=0.3)
    s.disc(0.33, 0.055, 0.012, 0.012, (0, 0, 0))
    return s


def cat(rng: np.random.Generator) -> Sketch:
    """Sitting, seen from the front; tabby, black, ginger or white."""
    coat = ((0.5, 0.44, 0.38), (0.12, 0.11, 0.11), (0.78, 0.48, 0.22), (0.88, 0.85, 0.8))[rng.integers(4)]
    s, dark = Sketch(), tone(coat, 0.55)
    s.limb([(0.2, 0.06), (0.42, 0.05), (0.5, 0.2), (0.44, 0.34)], (0.1, 0.09, 0.08, 0.06), coat, grain=0.35)
    body = [
        (-0.26, 0.02),
        (0.26, 0.02),
        (0.28, 0.22),
        (0.16, 0.5),
        (0.1, 0.62),
        (-0.1, 0.62),
        (-0.16, 0.5),
        (-0.28, 0.22),
    ]
    s.poly(body, coat, curved=True, grain=0.35, relief=0.7)
    for y in np.linspace(0.18, 0.52, 4):
        for side in (-1, 1):
            s.limb([(side * 0.28, y), (side * 0.1, y - 0.03)], 0.03, dark, within=True, relief=0)
    s.disc(0, 0.36, 0.1, 0.18, tone(coat, 1.35), within=True, relief=0.2, grain=0.3)
    for side in (-1, 1):
        s.limb([(side * 0.09, 0.34), (side * 0.09, 0.04)], (0.11, 0.1), tone(coat, 1.08), grain=0.3)
        s.disc(side * 0.1, 0.035, 0.075, 0.04, tone(coat, 1.25))
        s.poly([(side * 0.19, 0.78), (side * 0.2, 1.0), (side * 0.05, 0.9)], coat)
        s.poly([(side * 0.165, 0.82), (side * 0.175, 0.94), (side * 0.09, 0.88)], (0.8, 0.58, 0.54), within=True)
    s.disc(0, 0.76, 0.22, 0.19, coat, grain=0.3, relief=0.6)
    for side in (-1, 1):
        s.limb([(side * 0.05, 0.93), (side * 0.06, 0.84)], 0.025, dark, within=True, relief=0)
        s.disc(side * 0.085, 0.78, 0.045, 0.04, (0.75, 0.75, 0.25), grain=0)
        s.disc(side * 0.085, 0.78, 0.015, 0.036, (0.02, 0.02, 0.02), grain=0)
    s.disc(0, 0.68, 0.085, 0.06, tone(coat, 1.4), relief=0.3)
    s.poly([(-0.03, 0.715), (0.03, 0.715), (0, 0.68)], (0.75, 0.45, 0.42), grain=0)
    return s


def person(rng: np.random.Generator) -> Sketch:
    """Standing or walking, seen from the front."""
    skin = _SKINS[rng.integers(len(_SKINS))]
    shirt, trousers = (_CLOTHES[i] for i in rng.permutation(len(_CLOTHES))[:2])
    hair = ((0.1, 0.08, 0.07), (0.35, 0.22, 0.1), (0.75, 0.6, 0.32), (0.55, 0.55, 0.55))[rng.integers(4)]
    stride, s = rng.uniform(0.02, 0.13), Sketch()
    for side, bend in ((-1, 0.0), (1, rng.uniform(0, 0.05))):
        foot = side * (0.05 + stride)
        s.limb([(side * 0.055, 0.5), (side * 0.07 + bend, 0.27), (foot, 0.05)], (0.13, 0.1, 0.075), trousers)
        s.disc(foot + 0.02, 0.025, 0.055, 0.028, (0.12, 0.1, 0.1))
    arms = [(side, rng.uniform(-0.05, 0.16), rng.uniform(-0.1, 0.3) if rng.random() < 0.4 else 0.0) for side in (-1, 1)]
    for side, out, up in arms:
        elbow, hand = (side * (0.17 + out * 0.4), 0.63 + up * 0.3), (side * (0.17 + out), 0.5 + up)
        s.limb([elbow, hand], (0.06, 0.045), skin)
        s.disc(*hand, 0.03, 0.032, skin)
        s.limb([(side * 0.115, 0.79), elbow], (0.085, 0.075), tone(shirt, 0.9))
    torso = [
        (-0.11, 0.46),
        (0.11, 0.46),
        (0.12, 0.62),
        (0.15, 0.79),
        (0.06, 0.835),
        (-0.06, 0.835),
        (-0.15, 0.79),
        (-0.12, 0.62),
    ]
    s.poly(torso, shirt, relief=0.6)
    if rng.random() < 0.5:
        for y in np.arange(0.5, 0.8, 0.07):
            s.box(-0.16, y, 0.16, y + 0.025, tone(shirt, 1.5 if sum(shirt) < 1.6 else 0.6), within=True, relief=0)
    s.box(-0.03, 0.81, 0.03, 0.88, tone(skin, 0.85))
    s.disc(0, 0.935, 0.068, 0.075, hair)
    s.disc(0, 0.915, 0.058, 0.068, skin, relief=0.55, grain=0.05)
    s.poly([(-0.066, 0.93), (-0.05, 1.0), (0.05, 1.0), (0.066, 0.93), (0.03, 0.965), (-0.04, 0.965)], hair, curved=True)
    for side in (-1, 1):
        s.disc(side * 0.022, 0.92, 0.008, 0.006, (0.05, 0.04, 0.04), grain=0)
    s.limb([(-0.018, 0.878), (0.018, 0.878)], 0.008, (0.6, 0.25, 0.25), relief=0)
    return s


def dog(rng: np.random.Generator) -> Sketch:
    coat = _COATS[rng.integers(len(_COATS))]
    s = _fourfooted(rng, coat, legs=0.42, long=0.62, deep=0.26, neck=(0.13, 0.2), head=0.13, snout=0.2, thin=0.075)
    s.limb([(-0.46, 0.62), (-0.6, 0.78), (-0.62, 0.92)], (0.07, 0.05, 0.03), coat, grain=0.3)
    s.poly([(0.36, 0.96), (0.27, 0.94), (0.25, 0.74), (0.33, 0.78)], tone(coat, 0.6), curved=True)
    s.limb([(0.32, 0.68), (0.42, 0.6)], 0.03, (0.75, 0.12, 0.12))
    return s


def horse(rng: np.random.Generator) -> Sketch:
    coat = _COATS[rng.integers(3) if rng.random() < 0.8 else 3]
    mane = tone(coat, 0.4) if sum(coat) < 1.5 else (0.85, 0.75, 0.6)
    s = _fourfooted(rng, coat, legs=0.48, long=0.66, deep=0.24, neck=(0.2, 0.3), head=0.09, snout=0.24, thin=0.07)
    s.limb([(-0.47, 0.68), (-0.56, 0.55), (-0.55, 0.28)], (0.06, 0.08, 0.04), mane, grain=0.4)
    s.limb([(0.47, 1.08), (0.36, 0.94), (0.22, 0.74)], (0.05, 0.08, 0.05), mane, grain=0.4)
    s.poly([(0.46, 1.06), (0.47, 1.15), (0.51, 1.06)], coat)
    return s


def cow(rng: np.random.Generator) -> Sketch:
    pied = rng.random() < 0.6
    coat = (0.9, 0.88, 0.84) if pied else _COATS[rng.integers(3)]
    s = _fourfooted(rng, coat, legs=0.36, long=0.8, deep=0.36, neck=(0.14, 0.1), head=0.13, snout=0.17, thin=0.085)
    s.limb([(-0.55, 0.72), (-0.6, 0.5), (-0.59, 0.3)], (0.035, 0.03, 0.05), tone(coat, 0.7))
    s.disc(-0.28, 0.34, 0.09, 0.06, (0.85, 0.62, 0.56))
    for _ in range(6 if pied else 2):
        x, y = rng.uniform(-0.55, 0.5), rng.uniform(0.4, 0.85)
        blot = [(x + rng.uniform(0.06, 0.17) * np.cos(a), y + rng.uniform(0.06, 0.15) * np.sin(a)) for a in range(6)]
        s.poly(blot, (0.13, 0.1, 0.09) if pied else (0.88, 0.85, 0.8), curved=True, within=True, relief=0.1)
    for dx in (-0.06, 0.06):
        s.limb([(0.56 + dx, 0.86), (0.56 + 2 * dx, 0.98)], (0.035, 0.015), (0.85, 0.8, 0.68))
    return s


def sheep(rng: np.random.Generator) -> Sketch:
    wool, face = (
        tone((0.87, 0.83, 0.74), rng.uniform(0.85, 1.05)),
        ((0.15, 0.13, 0.12), (0.85, 0.8, 0.72))[rng.integers(2)],
    )
    s = Sketch()
    for x in (-0.33, -0.2, 0.22, 0.34):
        s.limb([(x, 0.35), (x + rng.uniform(-0.04, 0.04), 0.03)], (0.09, 0.07), tone(face, 0.8))
    at = np.linspace(0, 2 * np.pi, 15)[:-1]
    round_about = [(0.4 * np.cos(a), 0.56 + 0.21 * np.sin(a)) for a in at]
    s.discs([*round_about, (0, 0.56), (-0.2, 0.56), (0.2, 0.56)], 0.16, wool, grain=0.4, relief=0.9)
    for a in rng.uniform(0, 2 * np.pi, 14):
        reach = rng.uniform(0, 0.9)
        x, y, shade = 0.42 * reach * np.cos(a), 0.56 + 0.24 * reach * np.sin(a), tone(wool, rng.uniform(0.85, 1.1))
        s.disc(x, y, 0.09, 0.08, shade, within=True, relief=0.7, grain=0.35)
    s.limb([(0.47, 0.72), (0.62, 0.56)], (0.2, 0.12), face)
    s.limb([(0.42, 0.8), (0.36, 0.74)], 0.06, tone(face, 0.85))
    s.disc(0.53, 0.7, 0.015, 0.015, (0.02, 0.02, 0.02), grain=0)
    s.disc(0.45, 0.84, 0.1, 0.07, wool, grain=0.4)
    return s


def _fourfooted(
    rng: np.random.Generator, coat: Color, legs: float, long: float, deep: float, neck: tuple[float, float],
    head: float, snout: float, thin: float,
) -> Sketch:  # fmt: skip
    """Seen from the side, looking right. legs, deep: heights of leg and trunk; neck: how far forward and up it goes."""
    s, front, back = Sketch(), 0.5 * long, -0.5 * long
    for x in (front - 0.1, back + 0.12):  # the far pair
        s.limb([(x, legs + 0.1), (x + rng.uniform(-0.1, 0.1), 0.5 * legs), (x, 0.03)], (1.6 * thin, thin, 0.8 * thin),
               tone(coat, 0.6))  # fmt: skip
    top, low = legs + deep, legs - 0.03
    s.poly(
        [(back - 0.1, top - 0.08), (back + 0.02, low + 0.02), (0, low + 0.03), (front, low - 0.01),
         (front + 0.11, top - 0.13), (front, top + 0.01), (0, top - 0.03), (back, top)],
        coat, curved=True, relief=0.8, grain=0.25,
    )  # fmt: skip
    for x in (front - 0.02, back + 0.0):
        step = rng.uniform(-0.08, 0.08)
        s.limb([(x, legs + 0.1), (x + step, 0.5 * legs), (x + 0.3 * step, 0.03)], (2 * thin, thin, 0.8 * thin), coat)
        s.disc(x + 0.3 * step + 0.015, 0.02, 0.7 * thin, 0.03, tone(coat, 0.45))
    crown = (front + neck[0], top + neck[1])
    s.limb([(front - 0.03, top - 0.1), crown], (1.1 * deep, 1.7 * head), coat, grain=0.25)
    nose = (crown[0] + snout, crown[1] - 0.45 * snout)
    s.limb([crown, nose], (2 * head, 1.15 * head), coat, relief=0.6)
    s.disc(nose[0] + 0.3 * head, nose[1], 0.22 * head, 0.22 * head, (0.08, 0.06, 0.06))
    s.disc(crown[0] + 0.4 * head, crown[1] + 0.1 * head, 0.018, 0.018, (0.03, 0.02, 0.02), grain=0)
    x, y = crown
    s.poly([(x - 0.05, y + 0.5 * head), (x - 0.14, y + 0.9 * head), (x, y + head)], tone(coat, 0.8))
    return s
