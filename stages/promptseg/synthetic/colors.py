"""Color names: sampling a color for a name, and naming a color as it came out in the image.

Between any two names lies a zone in which a color may have either; there a name is neither certain nor impossible.
"""

import colorsys

import numpy as np

LUMA = np.array((0.299, 0.587, 0.114), np.float32)
# Hues in degrees and values (the largest channel): certain and possible ranges of hue, then those of value.
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
# Certain and possible ranges of luma.
GRAYS = {"black": ((0.0, 0.17), (0.0, 0.28)), "gray": ((0.3, 0.7), (0.18, 0.84)), "white": ((0.86, 1.0), (0.72, 1.0))}
NAMES = (*HUES, *GRAYS)
MAX_GRAY_CHROMA, MIN_COLOR_CHROMA = 0.06, 0.2  # chroma: the largest channel less the smallest


def sample_color(rng: np.random.Generator, name: str) -> np.ndarray:
    """Sample a color with a name, (3,) float32 RGB in [0, 1]."""
    if name in GRAYS:
        low, high = GRAYS[name][0]
        return np.full(3, rng.uniform(low + 0.02, high - 0.02), np.float32)
    (low, high), _, (min_value, max_value), _ = HUES[name]
    value = rng.uniform(min_value + 0.05, max_value)
    return np.array(colorsys.hsv_to_rgb(rng.uniform(low, high) / 360 % 1, rng.uniform(0.6, 0.95), value), np.float32)


def color_names(color: np.ndarray) -> tuple[set[str], set[str]]:
    """Name a color.

    Args:
        color: (3,) RGB in [0, 1].

    Returns:
        The names that it certainly has, and those that are possible; the latter include the former.
    """
    red, green, blue = (float(channel) for channel in color)
    hue, _, value = colorsys.rgb_to_hsv(red, green, blue)
    chroma, luma = value - min(red, green, blue), float(color @ LUMA)
    certain, possible = set(), set()
    for name, (certain_luma, possible_luma) in GRAYS.items():
        if chroma < MAX_GRAY_CHROMA and certain_luma[0] <= luma <= certain_luma[1]:
            certain.add(name)
        if chroma < MIN_COLOR_CHROMA and possible_luma[0] <= luma <= possible_luma[1]:
            possible.add(name)
    for name, (certain_hue, possible_hue, certain_value, possible_value) in HUES.items():
        if chroma > MIN_COLOR_CHROMA and _in_range(hue, certain_hue) and certain_value[0] <= value <= certain_value[1]:
            certain.add(name)
        if (
            chroma > MAX_GRAY_CHROMA
            and _in_range(hue, possible_hue)
            and possible_value[0] <= value <= possible_value[1]
        ):
            possible.add(name)
    if chroma > MAX_GRAY_CHROMA and luma > 0.6 and chroma < 0.45:  # any pale color may be called pink
        possible.add("pink")
    return certain, possible | certain


def _in_range(hue: float, degrees: tuple[float, float]) -> bool:
    """Whether a hue in [0, 1) lies in a range in degrees, which may start below 0."""
    return any(degrees[0] <= 360 * hue - turn <= degrees[1] for turn in (0, 360))


def paint_color(rng: np.random.Generator, strong: float = 0.75) -> np.ndarray:
    """Sample the color of a painted object, (3,) float32: any hue; strong: upper limit of the saturation."""
    value = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.25, 1) * strong, rng.uniform(0.35, 0.95))
    return np.array(value, np.float32)
