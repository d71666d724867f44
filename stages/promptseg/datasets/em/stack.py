"""Generated stacks of electron micrographs of neural tissue: membranes, vesicles, synapses, myelin and mitochondria.

Scale, gray values and density follow the CA1 hippocampus stacks: 5 nm a pixel and a slice, about 6 % of the pixels in
mitochondria, which are dark but have the same gray as membranes, vesicles, dense bodies and synapses.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from promptseg.datasets.em import tissue
from promptseg.datasets.em.tissue import BOUTON, CLEAR, DENDRITE, HOST, MYELIN, POINTS, PROCESS, Cells, Plane

DARK = 84.0  # gray of membranes and other heavily stained structures
BEND = 8.0  # pixels by which the plane is distorted
# Smooth noise fields: grain size in pixels and in slices.
GRAINS = {
    "x": (70, 40),
    "y": (70, 40),
    "x fine": (22, 15),
    "y fine": (22, 15),
    "slant": (45, 10),
    "cristae": (16, 12),
    "cloud": (14, 8),
    "grain": (4, 3),
    "drift": (200, 8),
}


@dataclass(frozen=True)
class _Spot:
    """A vesicle, a tubule or another small body.

    Attributes:
        curve: (m, 2) x, y; it ends `half` slices from `middle`.
        wall: how dark its wall is, in [0, 1].
        core: how dark its inside is, in [0, 1].
    """

    cell: int
    curve: np.ndarray
    radius: float
    middle: float
    half: float
    wall: float
    core: float


@dataclass(frozen=True)
class _Synapse:
    """A dense band where a bouton touches another cell, round `middle` (x, y)."""

    bouton: int
    other: int
    middle: np.ndarray
    half: float
    ink: float


@dataclass(frozen=True)
class _Mitochondrion:
    """An ellipsoid or a tube. curve: (m, 2) x, y; it ends `half` slices from `middle`; angle: across its cristae."""

    cell: int
    curve: np.ndarray
    radius: float
    middle: float
    half: float
    gray: float
    angle: float


def stack(rng: np.random.Generator, slices: int, side: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Generate a stack of slices with masks of the mitochondria.

    Args:
        rng: random generator.
        slices: number of slices.
        side: width and height in pixels.

    Yields:
        Image (side, side) uint8 and mask (side, side) bool of each slice.
    """
    cells = tissue.populate(rng, side)
    mitochondria = _mitochondria(rng, cells, slices, side)
    spots = _spots(rng, cells, slices)
    synapses = _synapses(rng, cells)
    noises = {name: tissue.Smooth(rng, side, slices, *grain) for name, grain in GRAINS.items()}
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    for z in range(slices):
        noise = {name: smooth(z) for name, smooth in noises.items()}
        x = columns + BEND * (noise["x"] + 0.25 * noise["x fine"])
        y = rows + BEND * (noise["y"] + 0.25 * noise["y fine"])
        plane = tissue.cut(cells, x, y, z)
        gray = cells.gray[plane.first] + 5 * noise["cloud"] + 9 * noise["grain"]
        ink = np.maximum(_spot_ink(spots, cells, plane), _synapse_ink(synapses, cells, plane))
        gray += (DARK - gray) * ink
        mask = np.zeros((side, side), bool)
        for mitochondrion in mitochondria:
            _paint(mitochondrion, cells, plane, noise["cristae"], gray, mask)
        myelin = cells.kind[plane.first] == MYELIN
        gray += (DARK - gray) * _membrane_ink(myelin, plane.distance, noise["slant"])
        gray -= 30 * myelin * np.exp(-(((plane.distance - 7) / 6) ** 2))
        gray += 5 * noise["drift"] + rng.normal(0, 1.5)
        gray = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 0.9)
        gray += 13 * cv2.GaussianBlur(rng.standard_normal((side, side), np.float32), (0, 0), 0.45)
        yield np.clip(gray + 0.5, 0, 255).astype(np.uint8), mask


def _mitochondria(rng: np.random.Generator, cells: Cells, slices: int, side: int) -> list[_Mitochondrion]:
    """Place one in each host and dendrite; one quarter of the image stays empty in the first half of the slices."""
    late = rng.integers(0, 2, 2) * side / 2  # left, top of that quarter
    made = []
    for cell in np.flatnonzero((cells.kind == HOST) | (cells.kind == DENDRITE)).tolist():
        points, room = cells.points[:, cell], cells.radius[cell]
        if cells.kind[cell] == DENDRITE:
            points = tissue.curve(rng, points[rng.integers(POINTS)] + rng.normal(0, 12, 2), rng.uniform(5, 90))
            radius = rng.uniform(13, 26)
        else:
            points = points + rng.normal(0, 0.1 * room, 2)
            radius = max(room * rng.uniform(0.5, 0.8), 12.0)
        half = rng.uniform(7, 50)
        middle = rng.uniform(-0.6, 0.6) * half + slices * rng.uniform(0.2, 0.8)
        reach = radius + 5 * BEND
        if ((points > late - reach) & (points < late + side / 2 + reach)).all(axis=1).any():
            half = rng.uniform(8, 20)
            middle = slices / 2 + half
        fine = np.stack([np.interp(np.linspace(0, POINTS - 1, 13), range(POINTS), axis) for axis in points.T], axis=-1)
        gray, angle = rng.uniform(101, 124), rng.uniform(0, np.pi)
        made.append(_Mitochondrion(cell, fine, radius, middle, half, gray, angle))
    return made


def _paint(
    mitochondrion: _Mitochondrion, cells: Cells, plane: Plane, noise: np.ndarray, gray: np.ndarray, mask: np.ndarray
) -> None:
    """Draw one mitochondrion into gray and mask: a dark rim, a dark matrix, stripes (cristae)."""
    height = 1 - ((plane.z - mitochondrion.middle) / mitochondrion.half) ** 2
    if height <= 0:
        return
    size = np.sqrt(height)
    curve = mitochondrion.curve + plane.z * cells.drift[mitochondrion.cell]
    reach = mitochondrion.radius + 3 * BEND
    left, top = np.clip(np.floor(curve.min(0) - reach), 0, len(gray)).astype(int)
    right, bottom = np.clip(np.ceil(curve.max(0) + reach), 0, len(gray)).astype(int)
    if left == right or top == bottom:
        return
    window = np.s_[top:bottom, left:right]
    x, y, wave, distance = plane.x[window], plane.y[window], noise[window], plane.distance[window]
    away = np.sqrt(np.min([(x - cx) ** 2 + (y - cy) ** 2 for cx, cy in curve], axis=0))
    inside = np.where(plane.first[window] == mitochondrion.cell, distance, -distance) - 4  # it stays within its cell
    depth = np.minimum(mitochondrion.radius * size * (1 + 0.06 * wave) - away, inside)
    phase = (x * np.cos(mitochondrion.angle) + y * np.sin(mitochondrion.angle)) / 9.5 + 0.5 * wave
    matrix = mitochondrion.gray + 9 * np.cos(2 * np.pi * phase) + 3 * wave + 14 * np.exp(-(((depth - 5) / 1.5) ** 2))
    matrix += (DARK - matrix) * np.exp(-(((depth - 1.5) / 1.8) ** 2))
    cover = np.clip((depth + 0.5) / 1.5, 0, 1) * np.clip(2 * size - 0.2, 0, 1)
    gray[window] += cover * (matrix - gray[window])
    if size > 0.35:  # annotators do not mark the gray smudge of a grazed cap
        mask[window] |= depth > 0


def _spots(rng: np.random.Generator, cells: Cells, slices: int) -> list[_Spot]:
    """Vesicles, tubules and microtubules, endosomes (bright inside) and dense bodies (dark like mitochondria)."""
    spots = []

    def scatter(cell, number, radius, length, half, wall, core, gap=0.0):
        centers = np.full((1, 2), np.inf)
        for _ in range(int(number)):
            turn, away = rng.uniform(0, 2 * np.pi), cells.radius[cell] * 0.85 * np.sqrt(rng.random())
            center = cells.points[rng.integers(POINTS), cell] + away * np.array([np.cos(turn), np.sin(turn)])
            points = tissue.curve(rng, center, rng.uniform(*length), 4 if length[1] else 1)
            high = rng.uniform(*half)
            middle = rng.uniform(-high, slices + high)
            if np.hypot(*(centers - center).T).min() >= gap:
                centers = np.append(centers, center[None], axis=0)
                appearance = rng.uniform(*radius), middle, high, rng.uniform(*wall), rng.uniform(*core)
                spots.append(_Spot(cell, points, *appearance))

    for cell, kind in enumerate(cells.kind):
        size = (cells.radius[cell] / 30) ** 2
        if kind == BOUTON or (kind == HOST and rng.random() < 0.5):
            scatter(cell, size * rng.uniform(50, 170), (3.8, 5), (0, 0), (4, 5), (0.6, 0.85), (0.2, 0.45), gap=5)
        if kind == DENDRITE:
            scatter(cell, 4 * size, (2.5, 4), (8, 40), (8, 30), (0.5, 0.8), (0.2, 0.6))
            scatter(cell, 60 * size, (1.2, 2.6), (0, 0), (4, 40), (0.25, 0.6), (0.3, 0.6), gap=5)
        if kind in (HOST, CLEAR, PROCESS):
            scatter(cell, rng.poisson(9 * size), (3.5, 5), (0, 0), (4, 6), (0.4, 0.75), (0.2, 0.5))
            scatter(cell, rng.poisson(0.8), (2.5, 3.5), (10, 35), (8, 20), (0.5, 0.8), (0.1, 0.5))
        if kind in (DENDRITE, CLEAR, BOUTON):
            scatter(cell, rng.poisson(0.7), (6, 13), (0, 8), (8, 16), (0.6, 0.9), (0.0, 0.3))
            scatter(cell, rng.poisson(1.2), (7, 15), (0, 14), (10, 18), (0.45, 0.65), (0.4, 0.6))
    return spots


def _spot_ink(spots: list[_Spot], cells: Cells, plane: Plane) -> np.ndarray:
    """How dark the spots make each pixel: (side, side) in [0, 1]."""
    side = len(plane.x)
    ink = np.zeros((side, side), np.uint8)
    for spot in spots:
        height = 1 - ((plane.z - spot.middle) / spot.half) ** 2
        if height < 0.1:
            continue
        at = spot.curve + plane.z * cells.drift[spot.cell]
        column, row = _pixels(at, side).T
        at = 2 * at - np.stack((plane.x[row, column], plane.y[row, column]), axis=-1)  # the bend undone, nearly
        column, row = _pixels(at[len(at) // 2], side)
        if plane.first[row, column] != spot.cell:
            continue
        outer = spot.radius * np.sqrt(height)
        for radius, dark in ((outer, spot.wall), (outer - 2.2, spot.core)):
            if radius < 0.6:
                continue
            points, value = np.round(at * 16).astype(np.int32), round(255 * dark)  # 4 bits below the pixel
            if len(points) == 1:
                cv2.circle(ink, points[0].tolist(), round(radius * 16), value, -1, cv2.LINE_AA, 4)
            else:
                cv2.polylines(ink, [points], False, value, round(2 * radius), cv2.LINE_AA, 4)
    within = np.clip((plane.distance - 3) / 3, 0, 1)  # clear of the membranes
    return cv2.GaussianBlur(ink, (0, 0), 0.7).astype(np.float32) / 255 * within


def _pixels(at: np.ndarray, side: int) -> np.ndarray:
    return np.clip(np.round(at), 0, side - 1).astype(int)


def _synapses(rng: np.random.Generator, cells: Cells) -> list[_Synapse]:
    """Place one at each bouton and clear cell, where it is closest to one of its three nearest neighbors."""
    found = []
    for bouton in np.flatnonzero((cells.kind == BOUTON) | (cells.kind == CLEAR)).tolist():
        apart = np.hypot(*(cells.points[:, None] - cells.points[None, :, [bouton]]).transpose(3, 0, 1, 2))
        other = rng.choice(np.argsort(apart.min((0, 1)) - cells.radius)[1:4])
        there, here = np.unravel_index(apart[..., other].argmin(), (POINTS, POINTS))
        start, end = cells.points[here, bouton], cells.points[there, other]
        share = cells.radius[bouton] / (cells.radius[bouton] + cells.radius[other])
        found.append(_Synapse(bouton, other, start + share * (end - start), rng.uniform(14, 32), rng.uniform(0.8, 1.0)))
    return found


def _synapse_ink(synapses: list[_Synapse], cells: Cells, plane: Plane) -> np.ndarray:
    """How dark the synapses make each pixel, most of it on the receiving side: (side, side) in [0, 1]."""
    ink = np.zeros(plane.first.shape, np.float32)
    for synapse in synapses:
        x, y = synapse.middle + plane.z * cells.drift[synapse.bouton]
        for here, there, thick in ((synapse.other, synapse.bouton, 10.0), (synapse.bouton, synapse.other, 4.0)):
            band = (plane.first == here) & (plane.second == there)
            along = np.hypot(plane.x[band] - x, plane.y[band] - y) / synapse.half
            ink[band] = synapse.ink * np.exp(-(along**4)) * np.exp(-((plane.distance[band] / thick) ** 4))
    return ink


def _membrane_ink(myelin: np.ndarray, distance: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """How dark the membranes make each pixel: (side, side) in [0, 1]. Where they lie aslant they are wide and pale."""
    slant = np.clip(noise - 0.7, 0, 2)
    half = 2.6 + 5 * slant + 7 * myelin
    cleft = 0.3 * np.exp(-((distance / 0.9) ** 2)) * np.clip(-noise, 0, 1)
    return np.exp(-((distance / half) ** 4)) * (0.88 - 0.22 * slant) - cleft
