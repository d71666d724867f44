"""Geometry of the generated tissue: cells that fill a plane and drift from slice to slice."""

from dataclasses import dataclass

import cv2
import numpy as np

MARGIN = 60  # pixels around the image that have cells too, so that its border is like its middle
POINTS = 5  # of a cell's curve
TRIES = 25  # attempts to place a cell
MYELIN, DENDRITE, HOST, BOUTON, CLEAR, PROCESS = range(6)
# Kind, number of attempts per 632x632 pixels, radius, length, gray; large cells first, small cells in the gaps.
RECIPE = (
    (MYELIN, 3, (16, 26), (5, 40), (150, 165)),
    (DENDRITE, 3, (60, 85), (20, 120), (155, 172)),
    (HOST, 12, (20, 42), (5, 90), (138, 170)),
    (BOUTON, 14, (24, 42), (5, 60), (130, 156)),
    (CLEAR, 14, (18, 34), (5, 60), (160, 188)),
    (PROCESS, 220, (5, 14), (5, 150), (125, 182)),
)


@dataclass(frozen=True)
class Cells:
    """All cells of a stack.

    Attributes:
        points: (POINTS, n, 2), x and y of the curve of each cell at slice 0.
        drift: (n, 2), pixels per slice.
        radius, kind, gray: (n,).
    """

    points: np.ndarray
    drift: np.ndarray
    radius: np.ndarray
    kind: np.ndarray
    gray: np.ndarray


@dataclass(frozen=True)
class Plane:
    """One slice through the cells.

    Attributes:
        z: number of the slice.
        x, y: (side, side), position of each pixel before the distortion.
        first, second: (side, side), index of the cell that a pixel lies in, and of the cell next to it.
        distance: (side, side), pixels to the border between the two.
    """

    z: int
    x: np.ndarray
    y: np.ndarray
    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray


class Smooth:
    """Smooth noise of about unit variance; calling it with z gives (side, side) float32.

    Args:
        rng: random generator.
        side: width and height in pixels.
        slices: number of slices.
        grain: size of a grain in pixels.
        depth: size of a grain in slices.
    """

    def __init__(self, rng: np.random.Generator, side: int, slices: int, grain: float, depth: float):
        self._side, self._depth = side, depth
        grid = int(np.ceil(side / grain)) + 2
        self._knots = rng.standard_normal((2 + int(slices / depth), grid, grid), np.float32)

    def __call__(self, z: int) -> np.ndarray:
        """The field at depth z, (side, side) float32."""
        knot, part = divmod(z / self._depth, 1.0)
        low, high = self._knots[int(knot) : int(knot) + 2]
        grid = ((1 - part) * low + part * high) / np.hypot(1 - part, part)
        return cv2.resize(grid.astype(np.float32), (self._side, self._side), interpolation=cv2.INTER_CUBIC)


def curve(rng: np.random.Generator, center: np.ndarray, length: float, points: int = POINTS) -> np.ndarray:
    """Sample (points, 2) x, y on a slightly curved arc of this length around `center`, in a random direction."""
    along = np.linspace(-0.5, 0.5, points)
    across = rng.uniform(-0.5, 0.5) * (along**2 - 0.08)
    turn = rng.uniform(0, 2 * np.pi)
    axis, normal = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    return center + length * (along[:, None] * axis + across[:, None] * normal)


def populate(rng: np.random.Generator, side: int) -> Cells:
    """Place cells according to RECIPE, none closer to another than nine tenths of their radii.

    The four quarters take turns for each kind, so that no seed leaves half of the image without a kind.
    """
    quarter = side / 2 + MARGIN
    area = (quarter / 316) ** 2
    found, taken, radii = [], np.empty((0, 2)), np.empty(0)
    for kind, number, radius, length, gray in RECIPE:
        for turn in range(round(number * area)):
            corner = np.array([turn % 2, turn // 2 % 2]) * quarter - MARGIN
            r = rng.uniform(*radius)
            for _ in range(TRIES):
                points = curve(rng, corner + rng.uniform(0, quarter, 2), rng.uniform(*length))
                apart = np.hypot(*(points[:, None] - taken).transpose(2, 0, 1))
                if (apart > 0.9 * (radii + r)).all():
                    found.append((points, rng.normal(0, 0.5, 2), r, kind, np.float32(rng.uniform(*gray))))
                    taken, radii = np.concatenate((taken, points)), np.append(radii, np.full(POINTS, r))
                    break
    curves, *others = (np.array(column) for column in zip(*found))
    return Cells(curves.transpose(1, 0, 2), *others)


def cut(cells: Cells, x: np.ndarray, y: np.ndarray, z: int) -> Plane:
    """Compute the slice at z: a power diagram of the cells' curves, at half the resolution (the side is even).

    A cell's power at a pixel is the squared distance to the nearest point of its curve less its radius squared; the
    lowest wins. Between two points p, q the difference of powers is 2 |p - q| times the distance to the border.
    """
    side = len(x)
    at = np.stack((x[::2, ::2].ravel(), y[::2, ::2].ravel()), axis=-1)
    points = (cells.points + z * cells.drift).astype(np.float32)
    constant = (points**2).sum(2) - (cells.radius**2).astype(np.float32)
    first, second = np.empty(len(at), np.intp), np.empty(len(at), np.intp)
    gap = np.empty(len(at), np.float32)
    for start in range(0, len(at), 4096):  # blocks that stay in the processor's cache
        block = slice(start, start + 4096)
        bx, by = at[block, :1], at[block, 1:]
        power = np.full((len(bx), points.shape[1]), np.inf, np.float32)
        for point, offset in zip(points, constant):
            np.minimum(power, offset - 2 * (bx * point[:, 0] + by * point[:, 1]), out=power)
        line = np.arange(len(bx))
        first[block] = lowest = power.argmin(1)
        low = power[line, lowest]
        power[line, lowest] = np.inf
        second[block] = lowest = power.argmin(1)
        gap[block] = power[line, lowest] - low
    apart = np.hypot(*(_nearest(points[:, first], at) - _nearest(points[:, second], at)).T)
    half = (side // 2, side // 2)
    distance = (gap / (2 * np.maximum(apart, 4))).reshape(half)
    distance = cv2.resize(distance, (side, side), interpolation=cv2.INTER_LINEAR)
    first, second = (cell.reshape(half).repeat(2, 0).repeat(2, 1) for cell in (first, second))
    return Plane(z, x, y, first, second, distance)


def _nearest(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Select of (POINTS, n, 2) points the nearest to each of (n, 2) positions: (n, 2)."""
    which = ((points - at) ** 2).sum(2).argmin(0)
    return points[which, np.arange(len(at))]
