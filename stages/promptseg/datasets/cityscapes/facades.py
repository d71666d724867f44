"""The two rows of houses along a street, in a view along it.

Each column of the image meets a wall along the street at one distance, so walls are computed per column, and only
heights per pixel.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from promptseg.datasets.cityscapes.view import EYE, FOCAL, HEIGHT, WIDTH, View, noise

DEPTH = 11.0  # metres that a house reaches back from the street
SHINE = np.array((205, 214, 222), np.float32)  # sky in a window
GLASS = np.array((38, 42, 48), np.float32)


@dataclass
class Houses:
    """Houses of one side by distance, (n,) each, metres: from start to end, up to the eaves, and their roof's height.

    paint, trim, roof, sign (n, 3) RGB; storey, bay (n,): height of a storey and width between windows; wide, tall (n,):
    share of these that is glass; ground (n,): height of the ground floor; shop (n,): 1 where it is a shop.
    """

    start: np.ndarray
    end: np.ndarray
    eaves: np.ndarray
    ridge: np.ndarray
    paint: np.ndarray
    trim: np.ndarray
    roof: np.ndarray
    sign: np.ndarray
    storey: np.ndarray
    bay: np.ndarray
    wide: np.ndarray
    tall: np.ndarray
    ground: np.ndarray
    shop: np.ndarray


def build(rng: np.random.Generator, style, gaps: list[tuple[float, float]], far: float) -> Houses:
    """Sample a row of houses up to `far` metres, without the gaps (start, end) of side streets."""
    spans, at = [], -rng.uniform(0, 12)
    while at < far:
        width = rng.uniform(*style.widths)
        blocked = next((gap for gap in gaps if gap[0] < at + width and at < gap[1]), None)
        if blocked:
            if blocked[0] - at > 4:
                spans.append((at, blocked[0]))
            at = blocked[1]
            continue
        spans.append((at, at + width))
        at += width + (rng.uniform(2.5, 9) if rng.random() < style.openness else 0)
    start, end = np.array(spans, np.float32).T
    n = len(start)

    def pick(colors, spread):
        chosen = np.array(colors, np.float32)[rng.integers(len(colors), size=n)]
        return np.clip(chosen * rng.uniform(0.8, 1.12, (n, 1)) + rng.normal(0, spread, (n, 3)), 20, 245)

    storey = rng.uniform(2.9, 3.7, n)
    ground = rng.uniform(3.0, 4.2, n)
    level = rng.integers(*style.storeys)  # a street's houses are of like height
    eaves = ground + storey * np.clip(level + rng.integers(-1, 2, n), *style.storeys) + 0.4
    paint = pick(style.paints, 6)
    values = dict(
        start=start, end=end, eaves=eaves, ridge=rng.uniform(0.3, style.ridge, n), storey=storey, ground=ground,
        bay=rng.uniform(1.8, 3.2, n), wide=rng.uniform(0.38, 0.72, n), tall=rng.uniform(0.42, 0.66, n),
        shop=(rng.random(n) < style.shops).astype(np.float32), paint=paint, roof=pick(style.roofs, 5),
        trim=paint * rng.uniform(0.75, 1.3, (n, 1)),
        sign=rng.uniform(40, 200, (n, 1)) + rng.normal(0, 30, (n, 3)),
    )  # fmt: skip
    return Houses(**{name: value.astype(np.float32) for name, value in values.items()})


def draw(rng: np.random.Generator, view: View, sides: dict[int, tuple[float, Houses]], far: float, tops: np.ndarray):
    """Render the walls: colors (n, 3) float32 of their n pixels, (h, w) bool mask of these, (w,) metres to the wall.

    sides: {-1 left, 1 right: (metres from the camera's line to the walls, houses)}; tops (w,): metres up to which walls
    lie in the shade of the other side.
    """
    across = np.arange(WIDTH, dtype=np.float32) + 0.5 - view.center
    up = np.arange(HEIGHT, dtype=np.float32)[:, None] + 0.5 - view.horizon
    wall, along, facing = np.full(WIDTH, far * 3, np.float32), np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32)
    scale = np.zeros(WIDTH, np.float32)  # pixels a metre along the wall
    there, of = np.zeros(WIDTH, bool), np.zeros(WIDTH, np.int64)
    for side, (line, houses) in sides.items():
        columns = np.flatnonzero(across * side > 0)
        away = np.abs(across[columns])
        z = FOCAL * line / away
        index = np.clip(np.searchsorted(houses.start, z, "right") - 1, 0, None)
        open_ = z > houses.end[index]
        behind = np.minimum(index + 1, len(houses.start) - 1)
        front = houses.start[behind]
        reach = away * front / FOCAL - line  # how far behind the street line the ray meets the next house's end wall
        gable = open_ & (behind > index) & (reach < DEPTH)
        visible = (~open_ | gable) & (np.where(gable, front, z) < far)
        wall[columns] = np.where(visible, np.where(gable, front, z), far * 3)
        along[columns] = np.where(gable, reach + 100, z - houses.start[index])
        scale[columns] = np.where(gable, FOCAL / front, away / z)
        lit = 0.78 + 0.5 * view.sunlight if side != view.side else 0.8 - 0.2 * view.sunlight
        facing[columns] = np.where(gable, 0.85, lit)
        there[columns] = visible
        of[columns] = np.where(gable, behind, index) + (len(sides[-1][1].start) if side == 1 else 0)

    values = {
        name: np.concatenate([getattr(sides[side][1], name) for side in (-1, 1)])[of]
        for name in Houses.__dataclass_fields__
    }
    height = EYE - up * wall / FOCAL
    mask = there & (height > 0) & (height < values["eaves"] + values["ridge"])
    rows, columns = np.nonzero(mask)  # the rest is sky and ground
    height = height[rows, columns]
    values = {name: value[columns] for name, value in values.items()}
    color = _wall(rng, SimpleNamespace(**values), height, along[columns], scale[columns])
    shaded = (height < tops[columns]) * (view.sunlight * 0.4)
    rough = 1 + 0.03 * noise(rng, HEIGHT, WIDTH, 5, 2) + 0.05 * noise(rng, HEIGHT, WIDTH, 60, 2)
    light = facing[columns] * (1 - shaded) * rough[rows, columns] * (0.86 + 0.14 * np.clip(height / 5, 0, 1))
    return view.haze(color * light[:, None], wall[columns]), mask, wall


def _wall(rng, own: SimpleNamespace, height, along, scale) -> np.ndarray:
    """Colors (n, 3) of pixels before light: windows, ledges, shops, roofs; details fade where they get small.

    own: the fields of the pixels' houses; height, along: metres on the wall; scale: pixels a metre along it; (n,) each.
    """
    bays, storeys = along / own.bay, (height - own.ground) / own.storey
    a, b = np.abs(bays % 1 - 0.5), np.abs(storeys % 1 - 0.5)
    above, low = height > own.eaves, height <= own.ground
    upper = ~low & (height < own.eaves - 0.35)
    glass = upper & (a < own.wide / 2) & (b < own.tall / 2) & (np.abs(a - own.wide / 4) > 0.02)
    frame = upper & (a < own.wide / 2 + 0.045) & (b < own.tall / 2 + 0.045) & ~glass
    ledge = ~low & ~above & ((storeys % 1 < 0.05) | (height > own.eaves - 0.3))
    cell = (bays.astype(np.int64) * 7 + np.floor(storeys).astype(np.int64) * 31 + own.start.astype(np.int64)) % 509
    shine = (rng.random(509) ** 2).astype(np.float32)[cell]
    pane = GLASS + (SHINE - GLASS) * (0.75 * shine * (0.5 + storeys % 1))[:, None]
    clear = np.clip((own.bay * scale - 2) / 5, 0, 1)[:, None]
    mean = own.paint + (GLASS * 1.4 - own.paint) * (upper * own.wide * own.tall * 0.8)[:, None]
    color = np.where(glass[:, None], pane, np.where((frame | ledge)[:, None], own.trim, own.paint))
    color = mean + (color - mean) * clear
    shop = low & (own.shop > 0)
    opening = np.abs((along / (1.6 * own.bay)) % 1 - 0.5) < np.where(shop, 0.41, 0.2)
    door = low & opening & (height < own.ground - 0.9) & ((height > 0.5) | ~shop)
    board = shop & (height > own.ground - 0.75) & (height < own.ground - 0.15)
    plinth = low & (height < 0.6) & ~door
    for where, what in ((door, GLASS * (0.8 + shine[:, None])), (board, own.sign), (plinth, own.paint * 0.7)):
        color = np.where(where[:, None], what, color)
    tiles = 1 - 0.12 * ((height * 3) % 1 < 0.3)
    return np.where(above[:, None], own.roof * tiles[:, None], color)
