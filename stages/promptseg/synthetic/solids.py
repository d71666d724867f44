"""Objects of point clouds, each a few solids: x to the right, y up, z to the front.

An object is a text of solids, `part:kind x y z numbers`, where a kind with its numbers is one of
    box width height depth         x, z: of the center; y: of the bottom
    tube radius height [top]       upright and closed; y: of the bottom; top: its upper radius, where it differs
    turned radius height ...       surface of revolution of a profile, around the vertical axis
    ball rx ry rz                  ellipsoid
    hoop radius thick start stop   arc of a torus in the plane of x and y, between two angles in degrees
    plate thick x y x y ...        convex polygon in the plane of x and y
and the part is the number of its points; left out, it is 0. `/x30` behind a kind rotates the solid around an axis
through its place by so many degrees. `^` before a kind adds its mirror image on the left, `^^` also those behind.
"""

import numpy as np

SIDES = 24  # of what is round
MIN_SHARE = 0.05  # of the points of a part, relative to an equal share
MIRRORS = ((-1, 1, 1), (1, 1, -1))


def points(rng: np.random.Generator, text: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample points, uniform over the surface of an object with random proportions.

    Args:
        rng: random generator.
        text: of the object.
        count: points to sample.

    Returns:
        Positions (count, 3) and unit normals (count, 3) float64, and the part of each point (count,) int.
    """
    parts, surfaces = zip(*(_solid(rng, solid.split()) for solid in text.split(";")))
    triangles = np.concatenate(surfaces) * rng.uniform(0.75, 1.25, 3)
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    numbers = np.repeat(parts, [len(surface) for surface in surfaces])
    of_part = np.bincount(numbers, areas)
    weights = areas * np.maximum(1, MIN_SHARE * areas.sum() / len(set(parts)) / np.maximum(of_part, 1e-9))[numbers]
    chosen = rng.choice(len(triangles), count, p=weights / weights.sum())
    # Two cuts of [0, 1] give uniform barycentric coordinates.
    low, high = np.sort(rng.random((2, count)), axis=0)
    positions = np.einsum("kn,nkd->nd", np.stack([low, high - low, 1 - high]), triangles[chosen])
    return positions, normals[chosen] / areas[chosen, None], numbers[chosen]


def _solid(rng: np.random.Generator, words: list[str]) -> tuple[int, np.ndarray]:
    """Build the solid of some words: its part and its triangles (n, 3, 3)."""
    part, _, kind = words[0].rpartition(":")
    name, *turns = kind.lstrip("^").split("/")
    place, values = np.array(words[1:4], float), np.array(words[4:], float)
    grid = _grid(name, values) * rng.uniform(0.93, 1.07, 3)
    for turn in turns:
        first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[turn[0]]
        flat = (grid[..., first] + 1j * grid[..., second]) * np.exp(1j * np.radians(float(turn[1:])))
        grid[..., first], grid[..., second] = flat.real, flat.imag
    grid = grid + place
    corners = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=2)
    triangles = corners[:, :, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
    for mirror in MIRRORS[: kind.count("^")]:  # the order of corners is reversed, so that normals stay outside
        triangles = np.concatenate([triangles, triangles[:, ::-1] * mirror])
    return int(part or 0), triangles


def _grid(kind: str, values: np.ndarray) -> np.ndarray:
    """Build the surface of a solid: lines of points (m, n, 3), to be joined by quadrilaterals."""
    angle = np.radians(np.linspace(0, 360, SIDES + 1))
    if kind == "box":
        x, y, depth = values[0] / 2, values[1], values[2]
        return _grid("plate", np.array([depth, -x, 0, x, 0, x, y, -x, y]))
    if kind == "plate":
        rim = np.append(values[1:], values[1:3]).reshape(-1, 2)
        middle = np.broadcast_to(rim[:-1].mean(axis=0), rim.shape)
        depth = np.broadcast_to(values[0] / 2 * np.array((1, 1, -1, -1))[:, None, None], (4, len(rim), 1))
        return np.concatenate([np.stack([middle, rim, rim, middle]), depth], axis=2)
    if kind == "hoop":
        radius, thick, start, stop = values
        along = np.radians(np.linspace(start, stop, SIDES + 1))[:, None]
        out, front = radius + thick * np.cos(angle), np.broadcast_to(thick * np.sin(angle), (SIDES + 1, SIDES + 1))
        return np.stack([out * np.cos(along), out * np.sin(along), front], axis=2)
    if kind == "ball":
        latitude = np.linspace(-np.pi / 2, np.pi / 2, SIDES // 2 + 1)
        return values * _grid("turned", np.stack([np.cos(latitude), np.sin(latitude)], axis=1))
    if kind == "tube":
        radius, height, top = values[0], values[1], values[-1] if len(values) > 2 else values[0]
        values = np.array([0, 0, radius, 0, top, height, 0, height])
    out, up = values.reshape(-1, 2).T[:, :, None]
    return np.stack([out * np.cos(angle), np.broadcast_to(up, (len(up), SIDES + 1)), out * np.sin(angle)], axis=2)
