"""Triangle surfaces, (t, 3, 3) float64 each, and points sampled on them. x is to the right, y up, z to the front."""

import numpy as np

SIDES = 20  # of what is round
_QUAD = np.array([[0, 1, 2], [0, 2, 3]])


def box(width: float, height: float, depth: float, x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    """Build a box; y is its bottom, x and z its center."""
    corners = np.array([[i, j, k] for i in (-0.5, 0.5) for j in (0, 1) for k in (-0.5, 0.5)])
    faces = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    quads = (corners * (width, height, depth) + (x, y, z))[faces]
    return quads[:, _QUAD].reshape(-1, 3, 3)


def turned(profile: list[tuple[float, float]], x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    """Build the surface of revolution of a profile of (radius, height) around the vertical axis."""
    angles = np.linspace(0, 2 * np.pi, SIDES + 1)
    circle = np.stack([np.cos(angles), np.zeros(SIDES + 1), np.sin(angles)], axis=1)
    rings = [circle * radius + (x, y + height, z) for radius, height in profile]
    return np.concatenate([_between(low, high) for low, high in zip(rings, rings[1:])])


def tube(
    radius: float, height: float, x: float = 0, y: float = 0, z: float = 0, top: float | None = None
) -> np.ndarray:
    """Build a closed cylinder that stands on y; top: the radius at the top, for a cone."""
    upper = radius if top is None else top
    return turned([(0, 0), (radius, 0), (upper, height), (0, height)], x, y, z)


def ball(radius: float, x: float = 0, y: float = 0, z: float = 0, low: float = -90, high: float = 90) -> np.ndarray:
    """Build a sphere around (x, y, z), between two latitudes in degrees."""
    latitudes = np.radians(np.linspace(low, high, SIDES // 2 + 1))
    return turned([(radius * np.cos(b), radius * np.sin(b)) for b in latitudes], x, y, z)


def hoop(radius: float, thick: float, x: float = 0, y: float = 0, z: float = 0, start=0.0, stop=360.0) -> np.ndarray:
    """Build an arc of a torus in the plane of x and y, between two angles from the right upwards."""
    angles = np.radians(np.linspace(start, stop, SIDES + 1))
    around = np.radians(np.linspace(0, 360, 9))
    out = np.stack([np.cos(angles), np.sin(angles), np.zeros(SIDES + 1)], axis=1)
    rings = [
        (radius + thick * np.cos(around))[:, None] * way + np.outer(thick * np.sin(around), (0, 0, 1)) + (x, y, z)
        for way in out
    ]
    return np.concatenate([_between(one, other) for one, other in zip(rings, rings[1:])])


def plate(outline: list[tuple[float, float]], thick: float, z: float = 0) -> np.ndarray:
    """Extrude a convex outline in the plane of x and y to a depth of `thick`; z is its center."""
    flat = np.array(outline)
    front, back = (np.column_stack([flat, np.full(len(flat), z + side * thick / 2)]) for side in (1, -1))
    fan = np.array([[0, i, i + 1] for i in range(1, len(flat) - 1)])
    rim = _between(np.concatenate([front, front[:1]]), np.concatenate([back, back[:1]]))
    return np.concatenate([front[fan], back[fan], rim])


def rotated(triangles: np.ndarray, axis: str, degrees: float) -> np.ndarray:
    """Rotate around an axis through the origin, counterclockwise when looking against it."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    out = triangles.copy()
    out[..., first] = cos * triangles[..., first] - sin * triangles[..., second]
    out[..., second] = sin * triangles[..., first] + cos * triangles[..., second]
    return out


def moved(triangles: np.ndarray, x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    return triangles + (x, y, z)


def mirrored(triangles: np.ndarray, axis: str = "x") -> np.ndarray:
    """Return the surface and its mirror image: two wings, two arms, two wheels."""
    return np.concatenate([triangles, triangles * np.where(np.array(["x", "y", "z"]) == axis, -1, 1)])


def points(
    parts: list[tuple[int, np.ndarray]], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample points on numbered surfaces by area: (n, 3) positions, (n, 3) normals, (n,) numbers, shuffled.

    Each surface gets at least a twentieth of an equal share of the points, so that none is missing.
    """
    triangles = np.concatenate([surface for _, surface in parts])
    owner = np.repeat(np.arange(len(parts)), [len(surface) for _, surface in parts])
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    chosen = rng.choice(len(triangles), count, p=areas / areas.sum())
    few = max(1, count // (20 * len(parts)))
    for part in range(len(parts)):
        own = np.where(owner == part, areas, 0)
        chosen[part * few : (part + 1) * few] = rng.choice(len(triangles), few, p=own / own.sum())
    rng.shuffle(chosen)
    share = np.sort(rng.uniform(size=(2, count)), axis=0)
    weights = np.stack([share[0], share[1] - share[0], 1 - share[1]], axis=1)
    places = np.einsum("nk,nkd->nd", weights, triangles[chosen])
    numbers = np.array([number for number, _ in parts])[owner[chosen]]
    return places, normals[chosen] / areas[chosen, None], numbers


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The strip between two lines of equally many points."""
    quads = np.stack([one[:-1], one[1:], other[1:], other[:-1]], axis=1)
    strip = quads[:, _QUAD].reshape(-1, 3, 3)
    area = np.linalg.norm(np.cross(strip[:, 1] - strip[:, 0], strip[:, 2] - strip[:, 0]), axis=1)
    return strip[area > 1e-12]
