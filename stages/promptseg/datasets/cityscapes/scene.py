"""Street scenes seen from a car, labeled with the ids of Cityscapes.

Coordinates are meters: x to the right of the camera, y up from the road, z ahead. Painting goes from far to near.
"""

from typing import NamedTuple

import numpy as np

from promptseg.datasets.cityscapes.classes import NAMES, VOID
from promptseg.synthetic import colors, figures, materials
from promptseg.synthetic.canvas import Canvas, Surface, plain
from promptseg.synthetic.outlines import Outline

WIDTH, HEIGHT = 512, 256  # the official 2048x1024, by four
FOCAL, EYE, NEAR, FAR = 560.0, 1.4, 3.0, 120.0  # pixels; meters: height of the camera, and what it sees
IDS = {"ego vehicle": 1, "out of roi": 3, "static": 4, "dynamic": 5} | {c: VOID + i for i, c in enumerate(NAMES)}
# Figure, class, height, mean number, and where: 0 is the middle of the road, 1 its edge, 2 the end of the sidewalk.
THINGS = (
    ("car_rear", "car", 1.8, 3.0, 0.2, 0.9), ("car", "car", 2.9, 1.6, 0.3, 0.9),
    ("truck", "truck", 4.0, 0.3, 0.3, 0.8), ("bus", "bus", 4.5, 0.3, 0.3, 0.8), ("train", "train", 4.5, 0.2, 0.3, 0.5),
    ("motorbike", "motorcycle", 1.8, 0.5, 0.5, 1.2), ("bicycle", "bicycle", 1.7, 1.5, 0.6, 1.7),
    ("person", "person", 1.8, 7.0, 0.9, 2.0), ("tree", "vegetation", 7.0, 2.5, 1.2, 2.0),
    ("lamp_post", "pole", 6.0, 2.0, 1.05, 1.2), ("traffic_light", "traffic light", 3.6, 1.0, 1.05, 1.2),
    ("traffic_sign", "traffic sign", 2.8, 1.5, 1.05, 1.2), ("bucket", "static", 1.1, 0.4, 1.3, 1.9),
    ("dog", "dynamic", 0.9, 0.3, 1.2, 1.9),
)  # fmt: skip
# Class, material and height of what stands around gardens.
BARRIERS = (
    ("wall", "brick", 1.8),
    ("fence", "planks", 1.4),
    ("guard rail", "tiles", 0.8),
    ("vegetation", "leaves", 1.3),
)


class Style(NamedTuple):
    """Look of a city: materials of its walls, storeys from and to (excluded), share of gardens in place of houses."""

    walls: tuple[str, ...]
    storeys: tuple[int, int]
    gardens: float


STYLES = {
    "old town": Style(("plaster", "plaster", "rock"), (2, 5), 0.1),
    "blocks": Style(("plaster", "paving", "tiles"), (4, 8), 0.25),
    "suburb": Style(("plaster", "brick"), (1, 3), 0.6),
    "brick": Style(("brick", "brick", "rock"), (2, 6), 0.3),
}


class Street(Canvas):
    """A canvas in perspective."""

    def __init__(self, rng: np.random.Generator):
        super().__init__(rng, HEIGHT, WIDTH)
        self.vanishing_point = np.array((rng.uniform(0.38, 0.62) * WIDTH, rng.uniform(0.4, 0.46) * HEIGHT))

    def project(self, points) -> np.ndarray:
        """Project (n, 3) points to (n, 2) pixels."""
        x, y, z = np.asarray(points, float).T
        return np.stack([x, EYE - y], 1) * (FOCAL / z)[:, None] + self.vanishing_point

    def polygons(self, polygons, surface: Surface, name: str) -> None:
        """Paint polygons, each (n, 3), of a class."""
        self.paint(Outline(tuple(map(self.project, polygons))), 1, (0, 0), surface, IDS[name], 0.5)

    def strip(self, left: float, right: float, surface: Surface, name: str) -> None:
        """Paint a strip of the ground between two x."""
        self.polygons([[(left, 0, NEAR), (left, 0, FAR), (right, 0, FAR), (right, 0, NEAR)]], surface, name)

    def wall(self, x: float, ends: tuple[float, float], top: float, surface: Surface, name: str) -> None:
        """Paint a wall along the street between two z."""
        near, far = ends
        self.polygons([[(x, 0, far), (x, top, far), (x, top, near), (x, 0, near)]], surface, name)

    def stand(self, figure: str, name: str, height: float, foot: tuple[float, float, float]) -> None:
        """Draw a figure of a class that stands on a point."""
        at, radius = self.project([foot])[0], height / 2 * FOCAL / foot[2]
        color = colors.paint_color(self.rng, 0.65)
        if name == "vegetation":
            color = self.rng.uniform(0.7, 1.2, 3) * (0.25, 0.36, 0.16)
        figures.draw(self, figure, tuple(at), radius, color, IDS[name], foot=True)
        if name.startswith("traffic"):  # the lower half of the figure is a pole
            reach = int(0.12 * radius) + 2
            x, y = np.maximum(at, reach).astype(int)
            pole = self.labels[max(y - int(radius), 0) : y + reach, x - reach : x + reach]
            pole[pole == IDS[name]] = IDS["pole"]


def street_scene(rng: np.random.Generator, style: Style) -> tuple[np.ndarray, np.ndarray]:
    """Generate a street scene.

    Args:
        rng: random generator.
        style: of the city, a value of STYLES.

    Returns:
        Image (256, 512, 3) uint8 RGB and official label ids (256, 512) uint8.
    """
    street = Street(rng)
    road, sidewalk = rng.uniform(4, 8), rng.uniform(2.5, 5)
    edge = road + sidewalk + rng.choice((0, 3))  # of the houses
    materials.layer(street, ("sky", "clouds")[rng.integers(2)], IDS["sky"])
    materials.layer(street, "grass", IDS["terrain"], street.vanishing_point[1] / HEIGHT, vary=0.15)
    for x in rng.uniform(-2 * edge, 2 * edge, 12):
        figure, name = (("tree", "vegetation"), ("building", "building"))[rng.integers(2)]
        street.stand(figure, name, rng.uniform(8, 20), (x, 0, FAR))
    _ground(street, road, sidewalk)
    for side in (-1, 1):
        _houses(street, side, edge, style)
    if rng.random() < 0.1:
        deck = [(-edge, 5, 70), (edge, 5, 70), (edge, 7, 70), (-edge, 7, 70)]
        street.polygons([deck], materials.material(rng, "rock", 0.15), "bridge")
    _things(street, road, sidewalk)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    hood = y > HEIGHT * (0.9 + 0.08 * (2 * x / WIDTH - 1) ** 2)
    street.cover(hood, plain(rng, (0.2, 0.2, 0.22)), IDS["ego vehicle"])
    labels = street.labels.astype(np.uint8)
    labels[:, :2] = labels[:, -2:] = labels[:2] = IDS["out of roi"]
    return street.photograph(0.008), labels


def _ground(street: Street, road: float, sidewalk: float) -> None:
    """Paint the road with its markings, what runs along it, and the sidewalks."""
    rng = street.rng
    street.strip(-road - sidewalk, road + sidewalk, materials.material(rng, "paving", 0.15), "sidewalk")
    street.strip(-road, road, materials.material(rng, "asphalt", 0.2), "road")
    if rng.random() < 0.5:
        street.strip(road - 2, road, materials.material(rng, "paving", 0.2), "parking")
    if rng.random() < 0.4:
        street.strip(-3.5, -1, materials.material(rng, "gravel", 0.2), "rail track")
        for x in (-3, -1.5):
            street.strip(x - 0.06, x + 0.06, plain(rng, (0.3, 0.28, 0.27)), "rail track")
    dashes = [[(-0.07, 0, z), (-0.07, 0, z + 3), (0.07, 0, z + 3), (0.07, 0, z)] for z in np.arange(4, 90, 8)]
    street.polygons(dashes, plain(rng, (0.85, 0.85, 0.82)), "road")


def _houses(street: Street, side: int, edge: float, style: Style) -> None:
    """Paint the houses and gardens of one side."""
    rng, x, far = street.rng, side * edge, FAR
    while far > 2 * NEAR:
        near = max(far - rng.uniform(8, 18), NEAR)
        if rng.random() < style.gardens:
            for z in np.sort(rng.uniform(near, far, 3))[::-1]:
                street.stand("tree", "vegetation", rng.uniform(4, 9), (x + side * rng.uniform(1.5, 5), 0, z + 1))
            name, material, top = BARRIERS[rng.integers(len(BARRIERS))]
            street.wall(x, (near, far), top, materials.material(rng, material, 0.15), name)
        else:
            storeys, surface = rng.integers(*style.storeys), materials.material(rng, rng.choice(style.walls), 0.2)
            top, out, back = 3 * storeys + 0.6, x + 3 * side, x + 9 * side
            roof = [(x, top, far), (x, top, near), (out, top + 2.5, near), (out, top + 2.5, far)]
            street.polygons([roof], plain(rng, rng.uniform(0.15, 0.4) * np.array((1.5, 0.9, 0.8))), "building")
            street.polygons([[(x, 0, near), (x, top, near), (back, top, near), (back, 0, near)]], surface, "building")
            street.wall(x, (near, far), top, surface, "building")
            windows = [
                [(x, y, z), (x, y + 1.6, z), (x, y + 1.6, z + 1.2), (x, y, z + 1.2)]
                for y in 3.0 * np.arange(storeys) + 1 for z in np.arange(near + 0.5, far - 1, 2.4)
            ]  # fmt: skip
            street.polygons(windows, plain(rng, rng.uniform(0.2, 0.6) * np.array((0.8, 1, 1.2)), 1.0), "building")
        far = near


def _things(street: Street, road: float, sidewalk: float) -> None:
    """Draw traffic, people and what stands on the sidewalks."""
    rng, things = street.rng, []
    for figure, name, height, mean, low, high in THINGS:
        for _ in range(rng.poisson(mean)):
            x = rng.choice((-1, 1)) * np.interp(rng.uniform(low, high), (0, 1, 2), (0, road, road + sidewalk))
            things.append((8 + 45 * rng.random() ** 1.4, x, figure, name, height * rng.uniform(0.85, 1.15)))
    for z, x, figure, name, height in sorted(things, reverse=True):
        street.stand(figure, name, height, (x, 0, z))
        if name in ("bicycle", "motorcycle") and rng.random() < 0.6:
            street.stand("person", "rider", 1.6, (x, 0.4, z))
