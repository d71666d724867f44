"""Colors by name: drawn for a word, and named after how they came out in the picture.

Between any two words lies a zone in which a color may be called either; there a word is neither true nor false.
"""

import colorsys

import numpy as np

LUMA = np.array((0.299, 0.587, 0.114), np.float32)
# Hues in degrees and values (the largest channel): where the word surely holds, and where somebody might use it.
HUES = {
    "red": ((-10, 10), (-22, 20), (0.4, 1.0), (0.2, 1.0)),
    "orange": ((22, 36), (10, 48), (0.66, 1.0), (0.45, 1.0)),
    "brown": ((15, 38), (-5, 50), (0.25, 0.45), (0.1, 0.66)),
    "yellow": ((49, 63), (38, 76), (0.6, 1.0), (0.4, 1.0)),
    "green": ((85, 150), (66, 172), (0.3, 1.0), (0.15, 1.0)),
    "cyan": ((174, 192), (152, 208), (0.45, 1.0), (0.25, 1.0)),
    "blue": ((210, 248), (192, 268), (0.35, 1.0), (0.15, 1.0)),
    "purple": ((268, 288), (248, 310), (0.35, 1.0), (0.2, 1.0)),
    "pink": ((312, 336), (290, 352), (0.6, 1.0), (0.4, 1.0)),
}
GRAYS = {"black": ((0.0, 0.17), (0.0, 0.28)), "gray": ((0.3, 0.7), (0.18, 0.84)), "white": ((0.86, 1.0), (0.72, 1.0))}
NAMES = (*HUES, *GRAYS)
PLAIN, SURELY = 0.06, 0.2  # chroma, the largest channel less the smallest: below, gray; above, a color


def drawn(rng: np.random.Generator, name: str) -> np.ndarray:
    """A color of that name, (3,) float32 RGB in [0, 1]."""
    if name in GRAYS:
        low, high = GRAYS[name][0]
        return np.full(3, rng.uniform(low + 0.02, high - 0.02), np.float32)
    (low, high), _, (dim, strong), _ = HUES[name]
    value = rng.uniform(dim + 0.05, strong)
    return np.array(colorsys.hsv_to_rgb(rng.uniform(low, high) / 360 % 1, rng.uniform(0.6, 0.95), value), np.float32)


def names(color: np.ndarray) -> tuple[set[str], set[str]]:
    """The names that a color (3,) in [0, 1] surely has, and those that somebody might give it."""
    red, green, blue = (float(channel) for channel in color)
    hue, _, value = colorsys.rgb_to_hsv(red, green, blue)
    chroma, luma = value - min(red, green, blue), float(color @ LUMA)
    sure, maybe = set(), set()
    for name, (certain, possible) in GRAYS.items():
        if chroma < PLAIN and certain[0] <= luma <= certain[1]:
            sure.add(name)
        if chroma < SURELY and possible[0] <= luma <= possible[1]:
            maybe.add(name)
    for name, (certain, possible, strong, faint) in HUES.items():
        if chroma > SURELY and _within(hue, certain) and strong[0] <= value <= strong[1]:
            sure.add(name)
        if chroma > PLAIN and _within(hue, possible) and faint[0] <= value <= faint[1]:
            maybe.add(name)
    if chroma > PLAIN and luma > 0.6 and chroma < 0.45:  # pale: somebody says pink
        maybe.add("pink")
    return sure, maybe | sure


def _within(hue: float, band: tuple[float, float]) -> bool:
    """Whether a hue in [0, 1) lies within a band in degrees, which may begin below 0."""
    return any(band[0] <= 360 * hue - turn <= band[1] for turn in (0, 360))
