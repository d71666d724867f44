"""Contents of the generated wildfire photos: skies, lands, fire-colored objects, and a recipe for each photo."""

from dataclasses import dataclass

import numpy as np

SKIES = {  # color at the top and at the horizon
    "blue": ((0.5, 0.68, 0.93), (0.93, 0.95, 0.97)),
    "haze": ((0.9, 0.91, 0.93), (1.0, 0.98, 0.94)),
    "sunset": ((0.42, 0.3, 0.38), (0.98, 0.55, 0.2)),
    "brown": ((0.5, 0.42, 0.34), (0.72, 0.56, 0.4)),
    "night": ((0.01, 0.012, 0.025), (0.04, 0.035, 0.05)),
}
LIGHTS = {
    "day": (1.15, 1.12, 1.05),
    "dull": (0.72, 0.73, 0.75),
    "dusk": (0.5, 0.36, 0.28),
    "night": (0.035, 0.04, 0.055),
}
LANDS = {  # two colors that are mixed
    "green": ((0.2, 0.3, 0.1), (0.42, 0.45, 0.18)),
    "dry": ((0.5, 0.42, 0.24), (0.9, 0.8, 0.56)),
    "soil": ((0.52, 0.27, 0.12), (0.78, 0.46, 0.24)),
    "burnt": ((0.08, 0.07, 0.06), (0.3, 0.26, 0.2)),
    "pine": ((0.05, 0.09, 0.04), (0.22, 0.3, 0.12)),
    "autumn": ((0.4, 0.13, 0.04), (0.95, 0.52, 0.12)),
    "scrub": ((0.12, 0.15, 0.06), (0.42, 0.4, 0.2)),
}


def _box(left: float, bottom: float, right: float, top: float) -> list[tuple[float, float]]:
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def _disc(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    return [(x + radius * np.cos(a), y + radius * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 17)[:-1]]


PROPS = {  # polygons (share of the image's height, y upward from the foot), color, whether it emits light
    "fireman": [
        (_box(-0.022, 0.0, -0.003, 0.08), (0.14, 0.13, 0.16), False),
        (_box(0.003, 0.0, 0.022, 0.08), (0.14, 0.13, 0.16), False),
        ([(-0.03, 0.07), (0.03, 0.07), (0.035, 0.16), (-0.035, 0.16)], (0.95, 0.5, 0.1), False),
        (_box(-0.032, 0.1, 0.032, 0.11), (0.95, 0.95, 0.85), False),
        (_disc(0.0, 0.18, 0.02), (0.95, 0.8, 0.2), False),
    ],
    "truck": [
        (_box(-0.2, 0.04, 0.13, 0.2), (0.78, 0.1, 0.06), False),
        (_box(0.13, 0.04, 0.22, 0.16), (0.82, 0.14, 0.07), False),
        (_box(0.14, 0.1, 0.2, 0.15), (0.15, 0.2, 0.25), False),
        (_box(-0.2, 0.09, 0.22, 0.105), (1.0, 0.85, 0.3), False),
        (_box(0.2, 0.05, 0.22, 0.065), (1.0, 0.85, 0.5), True),
        (_disc(-0.12, 0.035, 0.035), (0.05, 0.05, 0.05), False),
        (_disc(0.14, 0.035, 0.035), (0.05, 0.05, 0.05), False),
    ],
    "sign": [
        (_box(-0.005, 0.0, 0.005, 0.12), (0.4, 0.4, 0.42), False),
        ([(-0.045, 0.11), (0.045, 0.11), (0.0, 0.19)], (1.0, 0.45, 0.05), False),
        ([(-0.025, 0.12), (0.025, 0.12), (0.0, 0.165)], (1.0, 0.85, 0.3), False),
    ],
    "tent": [([(-0.1, 0.0), (0.1, 0.0), (0.04, 0.11), (-0.04, 0.11)], (0.98, 0.55, 0.12), False)],
    "lamp": [
        (_box(-0.004, 0.0, 0.004, 0.4), (0.1, 0.1, 0.1), False),
        (_disc(0.0, 0.4, 0.018), (1.0, 0.75, 0.35), True),
    ],
    "tail": [
        (_box(-0.06, 0.0, 0.06, 0.07), (0.1, 0.1, 0.12), False),
        (_disc(-0.045, 0.035, 0.012), (1.0, 0.12, 0.05), True),
        (_disc(0.045, 0.035, 0.012), (1.0, 0.12, 0.05), True),
    ],
}


@dataclass(frozen=True)
class Recipe:
    """Content of a photo. Lengths are fractions of its height; `fires`: (number, height, width) of the fronts."""

    size: tuple[int, int] = (512, 384)  # width, height
    light: str = "day"
    sky: str = "blue"
    horizon: float = 0.35
    land: str = "green"
    trees: str | None = "pine"
    tree_height: float = 0.2
    trunks: int = 0
    fires: tuple[int, float, float] = (2, 0.2, 0.3)
    heat: float = 1.0  # exposure of the flames: low is deep red, high is white
    smoke: float = 0.6
    soot: float = 0.6  # brightness of the smoke
    props: tuple[str, ...] = ()


SINGLES = (
    Recipe(trees="pine", fires=(3, 0.25, 0.25), trunks=4, smoke=0.6, soot=0.9),
    Recipe(horizon=0.3, land="scrub", trees="scrub", tree_height=0.12, fires=(4, 0.1, 0.4), smoke=1.0, soot=0.95),
    Recipe(land="dry", trees="green", fires=(2, 0.32, 0.6), heat=1.1, smoke=0.4, soot=0.8, props=("fireman",)),
    Recipe(light="night", sky="night", land="pine", fires=(3, 0.2, 0.4), smoke=0.5, props=("tail", "lamp")),
    Recipe(light="dusk", sky="sunset", land="scrub", trees="pine", fires=(2, 0.12, 0.25), smoke=0.5),
    Recipe(size=(640, 480), land="dry", trees="autumn", tree_height=0.35, fires=(2, 0.2, 0.3), heat=0.7, smoke=0.4),
    Recipe(land="green", trees="green", fires=(2, 0.18, 0.5), soot=0.95, props=("truck", "fireman", "fireman", "sign")),
    Recipe(size=(384, 512), horizon=0.5, trees="pine", tree_height=0.4, trunks=8, fires=(3, 0.4, 0.25), heat=0.9),
    Recipe(size=(200, 150), sky="haze", land="dry", trees="scrub", fires=(1, 0.35, 0.5), smoke=0.3, soot=0.9),
    Recipe(land="soil", trees="scrub", tree_height=0.1, fires=(2, 0.16, 0.2), heat=0.7, props=("sign", "tent")),
    Recipe(light="night", sky="night", land="burnt", fires=(2, 0.1, 0.3), props=("truck", "lamp", "tail")),
    Recipe(horizon=0.2, light="dull", sky="haze", land="burnt", fires=(3, 0.5, 0.7), smoke=0.5, soot=0.6),
    Recipe(light="dull", sky="brown", land="scrub", fires=(3, 0.22, 0.4), heat=0.65, smoke=1.0, soot=0.7),
    Recipe(horizon=0.5, sky="haze", land="autumn", trees="pine", fires=(3, 0.06, 0.15), smoke=0.7, soot=0.95),
)
SEQUENCES = {
    "seq05": Recipe(
        size=(320, 240), sky="haze", land="dry", fires=(2, 0.2, 0.4), heat=0.85, soot=0.9, props=("fireman",)
    ),
    "seq11": Recipe(size=(320, 240), light="dusk", sky="brown", trunks=5, fires=(2, 0.3, 0.5), heat=0.75, soot=0.4),
}
