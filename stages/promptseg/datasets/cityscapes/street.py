"""A street without vehicles and people: sky, houses, carriageway with markings, pavements, hedges, fences and walls."""

from dataclasses import dataclass

import cv2
import numpy as np

from promptseg.datasets.cityscapes import facades
from promptseg.datasets.cityscapes.view import (
    BUILDING,
    EYE,
    FENCE,
    FOCAL,
    HEIGHT,
    PARKING,
    RAILS,
    ROAD,
    SIDEWALK,
    SKY,
    TERRAIN,
    VEGETATION,
    WALL,
    WIDTH,
    View,
    noise,
)

FAR = 130.0  # metres to where the houses end
GRASS, LEAVES = np.array((86, 96, 58), np.float32), np.array((58, 72, 44), np.float32)


@dataclass(frozen=True)
class Style:
    """Properties that the streets of a city share: colors RGB, lengths in metres, fractions in [0, 1]."""

    paints: tuple
    roofs: tuple
    widths: tuple[float, float] = (9, 20)
    storeys: tuple[int, int] = (2, 5)
    ridge: float = 2.5
    openness: float = 0.15
    shops: float = 0.5
    lanes: tuple[int, int] = (1, 3)  # lanes left of the camera's own, from to (excluded)
    pavement: tuple[float, float] = (2.2, 4.5)
    garden: float = 0.0  # of front gardens; 0: houses stand at the pavement
    trees: float = 0.5
    tram: float = 0.0
    asphalt: tuple = (98, 98, 100)
    slabs: tuple = (128, 122, 116)
    veil: tuple = (214, 220, 224)
    sky: tuple = (226, 232, 238)
    cast: tuple = (1.0, 1.0, 1.0)


class Street:
    """Kerbs, wall lines (metres from the camera's line, by side -1 and 1) and side streets of one image."""

    def __init__(self, rng: np.random.Generator, view: View, style: Style):
        self.rng, self.view, self.style = rng, view, style
        self.lanes = int(rng.integers(*style.lanes))
        self.lane = rng.uniform(2.9, 3.5)
        self.bays = {side: bool(rng.random() < 0.75) for side in (-1, 1)}  # where cars park
        shift = rng.uniform(-0.4, 0.4)
        self.kerb = {
            -1: self.lane * (0.5 + self.lanes) + shift + 2.2 * self.bays[-1],
            1: self.lane * 0.5 - shift + 2.2 * self.bays[1] + 0.3,
        }
        self.green = {side: rng.uniform(1.5, 5) if rng.random() < style.garden else 0.0 for side in (-1, 1)}
        self.path = {side: self.kerb[side] + rng.uniform(*style.pavement) for side in (-1, 1)}
        self.line = {side: self.path[side] + self.green[side] for side in (-1, 1)}
        self.crossing = rng.uniform(14, 60) if rng.random() < 0.6 else None
        gap = [(self.crossing, self.crossing + 9)] if self.crossing else []
        self.houses = {side: facades.build(rng, style, gap, FAR) for side in (-1, 1)}
        self.tram = rng.random() < style.tram and self.lanes > 1
        self.slope, self.length = rng.uniform(-0.6, 0.6), rng.uniform(0.35, 1.1)  # of shadows: along, and a metre up
        self._across = np.arange(WIDTH, dtype=np.float32) + 0.5 - view.center
        self._up = np.arange(HEIGHT, dtype=np.float32)[:, None] + 0.5 - view.horizon

    def draw(self) -> None:
        """Render the street into the image and the labels of the view."""
        view, rng = self.view, self.rng
        image = self._sky()
        labels = np.full((HEIGHT, WIDTH), SKY, np.uint8)
        sun = view.side
        width = self.line[-1] + self.line[1]
        tops = np.zeros(WIDTH, np.float32)
        opposite = self._across * sun < 0
        z = FOCAL * self.line[-sun] / np.maximum(np.abs(self._across), 0.5)
        tops[opposite] = (self._height(sun, z + self.slope * width) - width / self.length)[opposite]
        sides = {side: (self.line[side], self.houses[side]) for side in (-1, 1)}
        walls, built, closed = facades.draw(rng, view, sides, FAR, tops)
        self._backdrop(image, labels)
        image[built], labels[built] = walls, BUILDING
        top = int(view.horizon + 1)
        ground = EYE - self._up[top:] * closed / FOCAL < 0
        floor, kinds = self._ground(self._up[top:])
        image[top:][ground], labels[top:][ground] = floor[ground], kinds[ground]
        for side in (-1, 1):
            if self.green[side]:
                self._border(image, labels, side)
        view.image[:] = np.clip(image, 0, 255)
        view.labels[:] = labels

    def shaded(self, x: float, z: float) -> float:
        """Return the fraction of light that an object at (x, z) on the ground receives."""
        away = self.line[self.view.side] - x * self.view.side
        tall = self._height(self.view.side, np.array([z + self.slope * away], np.float32))[0]
        return 1 - 0.42 * self.view.sunlight * bool(tall * self.length > away)

    def _height(self, side: int, z: np.ndarray) -> np.ndarray:
        houses = self.houses[side]
        index = np.clip(np.searchsorted(houses.start, z, "right") - 1, 0, None)
        return np.where(z < houses.end[index], houses.eaves[index] + 0.5 * houses.ridge[index], 0)

    def _sky(self) -> np.ndarray:
        """(h, w, 3) float32: pale at the horizon, clouds that are nearly white."""
        rng, view = self.rng, self.view
        rise = np.clip(-self._up / view.horizon, 0, 1)[..., None]
        zenith = np.array(self.style.sky, np.float32) * (1 - 0.12 * view.sunlight * np.array((1.6, 0.7, 0.1)))
        sky = view.veil + (zenith - view.veil) * rise
        clouds = np.clip(0.5 + 0.6 * cv2.resize(noise(rng, 48, 48, 16, 4), (WIDTH, HEIGHT)), 0, 1)[..., None]
        return (sky + (np.float32(250) - sky) * clouds * rng.uniform(0.1, 0.8)).astype(np.float32)

    def _backdrop(self, image: np.ndarray, labels: np.ndarray) -> None:
        """Render the background at the end of the street and in its gaps: trees or blocks in haze."""
        rng, view = self.rng, self.view
        if rng.random() < 0.65:
            ragged = noise(rng, 3, WIDTH, 40, 4)[1]
            tops, label, color = 9 + 3 * ragged, VEGETATION, LEAVES
        else:
            blocks = rng.uniform(8, 26, 60)[(np.arange(WIDTH) + rng.integers(99)) // rng.integers(14, 40)]
            tops, label, color = blocks, BUILDING, np.array(self.style.paints[0], np.float32) * 0.9
        where = (self._up <= 1) & (EYE - self._up * (FAR + 40) / FOCAL < tops)
        rough = 1 + 0.1 * rng.standard_normal((np.count_nonzero(where), 1), np.float32)
        image[where], labels[where] = view.haze(color * rough, FAR + 20), label

    def _ground(self, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colors (n, w, 3) and labels (n, w) of the ground in rows that lie `down` (n, 1) pixels below the horizon."""
        rng, view, style = self.rng, self.view, self.style
        z = FOCAL * EYE / down
        x = self._across * z / FOCAL
        z = np.broadcast_to(z, x.shape)
        zones = [-self.line[-1], -self.path[-1], -self.kerb[-1], self.kerb[1], self.path[1], self.line[1]]
        zone = np.searchsorted(zones, x)
        kinds = np.array([TERRAIN, TERRAIN, SIDEWALK, ROAD, SIDEWALK, TERRAIN, TERRAIN], np.uint8)[zone]
        slabs, road = (np.array(c, np.float32) * rng.uniform(0.85, 1.12) for c in (style.slabs, style.asphalt))
        color = np.stack([GRASS, GRASS, slabs, road, slabs, GRASS, GRASS])[zone]
        fine = np.clip(18 / z, 0, 1)  # how visible small details are at this distance
        joints = ((x % 0.6 < 0.05) | (z % 0.6 < 0.06)) & (kinds == SIDEWALK)
        color *= (1 - 0.16 * joints * fine)[..., None]
        edge = (np.abs(x + self.kerb[-1]) < 0.14) | (np.abs(x - self.kerb[1]) < 0.14)
        color = np.where(edge[..., None], slabs * 1.18, color)
        if self.crossing:
            side = (z > self.crossing) & (z < self.crossing + 9) & (kinds != ROAD)
            color, kinds = np.where(side[..., None], road, color), np.where(side, ROAD, kinds).astype(np.uint8)
        on = kinds == ROAD
        for side in (-1, 1):
            strip = on & (x * side > self.kerb[side] - 2.2) & (x * side < self.kerb[side])
            if self.bays[side]:
                paved = rng.random() < 0.35
                color[strip] *= np.float32(rng.uniform(0.85, 1.2) if paved else 1.0)
                kinds[strip] = PARKING if paved else ROAD
        if self.tram:
            bed = on & (np.abs(x + self.lane) < 1.5)
            rails = bed & (np.abs(np.abs(x + self.lane) - 0.72) < 0.05)
            kinds[bed] = RAILS
            color[bed], color[rails] = np.array((112, 108, 104), np.float32), (66, 64, 62)
        wear = 1 + 0.05 * noise(rng, *x.shape, 60, 2) + 0.015 * noise(rng, *x.shape, 2, 1)
        tyres = 1 - 0.06 * on * (np.abs(np.abs(x + 0.05) - 0.75) < 0.25)
        patch = rng.uniform((-4, 6), (2, 30), (3, 2))
        for px, pz in patch:  # repaired asphalt
            tyres = tyres * (1 - 0.1 * (on & (np.abs(x - px) < 0.9) & (np.abs(z - pz) < 2)))
        paint = self._markings(x, z) & on
        color = np.where(paint[..., None], np.float32(196), color)
        light = wear * tyres * (1 - 0.42 * view.sunlight * self._shadow(x, z)) * (0.9 + 0.22 * view.sunlight)
        return view.haze(color * light[..., None], z), kinds

    def _markings(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        rng = self.rng
        lines = np.zeros(x.shape, bool)
        for lane in range(self.lanes):
            at, phase = -self.lane * (0.5 + lane), rng.uniform(0, 9)
            dashes = (z + phase) % 9 < (9 if rng.random() < 0.15 else 3.5)
            lines |= (np.abs(x - at) < 0.07) & dashes
        for side in (-1, 1):
            if self.bays[side] and rng.random() < 0.6:
                lines |= np.abs(x * side - self.kerb[side] + 2.2) < 0.06
        if self.crossing and rng.random() < 0.7:
            zebra = (z > self.crossing - 4.5) & (z < self.crossing - 1.3)
            lines = np.where(zebra, x % 1.0 < 0.5, lines)
            lines |= (np.abs(z - self.crossing + 6) < 0.25) & (np.abs(x) < self.lane / 2)
        worn = noise(rng, *x.shape, 4, 2) > -1.6
        return lines & worn

    def _shadow(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Where the houses of the sunny side keep the sun from the ground."""
        away = self.line[self.view.side] - x * self.view.side
        return self._height(self.view.side, z + self.slope * away) * self.length > away

    def _border(self, image: np.ndarray, labels: np.ndarray, side: int) -> None:
        """A hedge, a fence or a wall between pavement and front gardens."""
        rng, view = self.rng, self.view
        z = FOCAL * self.path[side] / np.maximum(np.abs(self._across), 0.5)
        height = EYE - self._up * z / FOCAL
        here = (self._across * side > 0) & (z < 90) & (z % rng.uniform(17, 30) > 2.2)
        kind, rough = rng.choice((VEGETATION, FENCE, WALL)), noise(rng, HEIGHT, WIDTH, 6)
        tall = rng.uniform(0.8, 1.7) + (0.12 * noise(rng, 3, WIDTH, 9)[1] if kind == VEGETATION else 0)
        where = here & (height > 0) & (height < tall)
        if kind == VEGETATION:
            color = LEAVES * (1 + 0.22 * rough + 0.25 * (height - 0.7))[..., None]
        elif kind == WALL:
            bricks = 1 - 0.14 * ((height % 0.25 < 0.04) | (height > tall - 0.1)) + 0.04 * rough
            color = np.array(self.style.slabs, np.float32) * bricks[..., None]
        else:
            color = image * 0.45 + np.float32(rng.uniform(25, 75))
            bars = (z % 0.3 < 0.12) | (np.abs(height - tall + 0.1) < 0.05)
            color = np.where(bars[..., None], np.float32(rng.uniform(40, 150)), color)
        image[where] = view.haze(color, z)[where]
        labels[where] = kind
