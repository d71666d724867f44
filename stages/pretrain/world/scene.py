"""Draw a picture: grounds, things over one another, light, blur and noise."""

import cv2
import numpy as np

from world import colors, fills, noise, things
from world.kinds import KINDS, Kind
from world.outlines import raster
from world.pictures import AREA, Sample, Thing
from world.things import Part

SPLITS = ("train", "val", "test")
SIDES = (160, 256)  # pixels, least and most
FAMILIES, THINGS = 5, 70  # at most so many in a picture
HIDDEN = 0.35  # a thing that would hide so much of what there is already is not drawn


class Canvas:
    """What has been drawn so far, (h, w, 3) float32, and which part is to be seen where."""

    def __init__(self, rng: np.random.Generator, height: int, width: int):
        self.rng, self.height, self.width = rng, height, width
        self.image = np.zeros((height, width, 3), np.float32)
        self.labels = np.zeros((height, width), np.int16)
        self.things: list[Thing] = []
        self.parts = 0

    def ground(self, mask: np.ndarray, fill: fills.Fill) -> None:
        """An area of its own. mask: (h, w) bool."""
        surface = fill.paint(self.rng, self.height, self.width)
        np.copyto(self.image, surface, where=mask[..., None])
        self.labels[mask] = self.parts
        self.things.append(Thing(AREA, "body", (self.parts,), fill.texture, int(mask.sum())))
        self.parts += 1

    def fits(self, parts: list[Part], radius: float, x: float, y: float) -> bool:
        """Whether a thing there would hide little of the things that are there."""
        mask, left, top = raster(parts[-1].outline, radius, x, y)
        rows, columns, inside = self._window(mask, left, top)
        under = self.labels[rows, columns][inside > 0]
        grounds = sum(thing.shape == AREA for thing in self.things)
        return len(under) > 0 and np.count_nonzero(under >= grounds) <= HIDDEN * len(under)

    def put(
        self, shape: str, build: str, parts: list[Part], radius: float, x: float, y: float, soft: float, opaque: float
    ) -> None:
        """A thing over what is there. soft: sigma of its edge in pixels; opaque: in [0, 1]."""
        first, full = self.parts, 0
        for part in parts:
            mask, left, top = raster(part.outline, radius, x, y)
            full = max(full, int(np.count_nonzero(mask)))
            rows, columns, inside = self._window(mask, left, top)
            if inside.size:
                self._blend(rows, columns, inside, part.fill, soft, opaque)
                self.labels[rows, columns][inside > 0] = self.parts
            self.parts += 1
        texture = parts[0].fill.texture if len(parts) == 1 else None
        stroke = parts[0].outline.stroke(radius) if len(parts) == 1 else 0
        self.things.append(Thing(shape, build, tuple(range(first, self.parts)), texture, full, stroke))

    def _blend(self, rows: slice, columns: slice, inside: np.ndarray, fill: fills.Fill, soft: float, opaque: float):
        there = self.image[rows, columns]
        cover = inside.astype(np.float32)
        if soft > 0.3:
            cover = cv2.GaussianBlur(cover, (0, 0), soft)
        there += (fill.paint(self.rng, *inside.shape) - there) * (opaque * cover)[..., None]

    def _window(self, mask: np.ndarray, left: int, top: int) -> tuple[slice, slice, np.ndarray]:
        """The part of the canvas under a mask, and the part of the mask over the canvas."""
        rows = slice(max(top, 0), max(min(top + mask.shape[0], self.height), 0))
        columns = slice(max(left, 0), max(min(left + mask.shape[1], self.width), 0))
        inside = mask[rows.start - top : max(rows.stop - top, 0), columns.start - left : max(columns.stop - left, 0)]
        return rows, columns, inside


def draw(seed: int, split: str, index: int, kind: str) -> Sample:
    """The picture of that number, of a split and of one of KINDS: always the same, wherever it is drawn."""
    rng = np.random.default_rng((seed, SPLITS.index(split), index, list(KINDS).index(kind)))
    how = KINDS[kind]
    height, width = (int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, 2))
    canvas = Canvas(rng, height, width)
    _grounds(canvas, how)
    _populate(canvas, how)
    image = _seen(rng, canvas.image, how)
    return Sample(image, canvas.labels, tuple(canvas.things))


def _grounds(canvas: Canvas, how: Kind) -> None:
    """One ground, or several along wavy borders; the later ones may be hard to tell from the first."""
    rng, height, width = canvas.rng, canvas.height, canvas.width
    texture = None if how.textured else "plain"
    first = fills.drawn(rng, 0.5 * min(height, width), texture=texture)
    canvas.ground(np.ones((height, width), bool), first)
    for _ in range(rng.integers(0, how.areas) if rng.random() < 0.7 else 0):
        fill = fills.drawn(rng, 0.5 * min(height, width), texture=texture)
        if rng.random() < how.alike:
            fill = fills.towards(fill, first.color, rng.uniform(0.5, 0.9))
        if rng.random() < 0.5:  # everything beyond a border
            angle = rng.uniform(0, 2 * np.pi)
            y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
            wave = noise.smooth(rng, height, width, rng.uniform(0.1, 0.5) * width) - 0.5
            field = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + wave * rng.uniform(0, 0.5)
            mask = field > rng.uniform(-0.25, 0.35)
        else:  # islands
            field = noise.cloudy(rng, height, width, rng.uniform(0.15, 0.7) * width)
            mask = field > rng.uniform(0.45, 0.7)
        if mask.any():
            canvas.ground(mask, fill)


def _populate(canvas: Canvas, how: Kind) -> None:
    """Families of things; large ones are drawn first, so that small ones are not hidden."""
    rng, side = canvas.rng, min(canvas.height, canvas.width)
    count = int(rng.integers(1, FAMILIES + 1))
    sizes = np.sort(np.exp(rng.uniform(*np.log(how.sizes), count)) * side)[::-1]
    name = colors.NAMES[rng.integers(len(colors.NAMES))] if rng.random() < 0.3 else None  # all in one color
    ground = canvas.image.reshape(-1, 3).mean(axis=0)
    left = THINGS
    for radius in sizes:
        family = things.family(rng, how.shapes, float(max(radius, 2.5)), how.parts, name, how.textured)
        if rng.random() < how.alike:
            share = rng.uniform(0.3, 0.7)
            family = things.Family(
                family.shape, family.build, family.radius, fills.towards(family.fill, ground, share),
                fills.towards(family.other, ground, share),
            )  # fmt: skip
        room = int(np.clip(0.25 * (side / radius) ** 2, 1, 40))
        members = min(left, int(np.exp(rng.uniform(0, np.log(room + 1)))))
        soft = rng.uniform(0, how.soft) if rng.random() < 0.5 else 0.0
        opaque = rng.uniform(0.55, 1.0) if rng.random() < 0.25 else 1.0
        heart, spread = rng.random(2), (rng.uniform(0.1, 0.3) if rng.random() < 0.3 else None)
        for _ in range(members):
            parts, own = things.member(rng, family, rng.uniform(*how.thin))
            for _ in range(4):
                place = rng.normal(heart, spread) if spread else rng.uniform(-0.05, 1.05, 2)
                x, y = place * (canvas.width, canvas.height)
                if canvas.fits(parts, own, x, y):
                    canvas.put(family.shape, family.build, parts, own, x, y, min(soft, own / 4), opaque)
                    left -= 1
                    break


def _seen(rng: np.random.Generator, image: np.ndarray, how: Kind) -> np.ndarray:
    """The canvas in its light, through a lens, and as the film has it: (h, w, 3) uint8."""
    height, width = image.shape[:2]
    if rng.random() < 0.6:
        light = noise.smooth(rng, height, width, rng.uniform(0.4, 1.5) * width)
        image = image * (1 + rng.uniform(0.1, 0.6) * (light - 0.5))[..., None]
    gray = rng.random() < how.gray
    if gray:
        image = (image @ colors.LUMA)[..., None]
    else:
        image = image * rng.normal(1, 0.025, 3).astype(np.float32)
        if rng.random() < 0.4:  # paler
            luma = (image @ colors.LUMA)[..., None]
            image = luma + rng.uniform(0.3, 0.9) * (image - luma)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.6)).reshape(height, width, -1)
    contrast = rng.uniform(*how.contrast) if gray or how.contrast[1] < 1 else rng.uniform(0.75, 1.0)
    middle = rng.uniform(contrast / 2, 1 - contrast / 2)
    image = middle + contrast * (image - 0.5)
    grain = contrast * rng.uniform(*how.noise) * (rng.random() < 0.8)
    if grain:
        film = rng.standard_normal(image.shape, np.float32)
        if rng.random() < 0.5:  # coarser than a pixel
            sigma = rng.uniform(0.4, 1.0)
            film = cv2.GaussianBlur(film, (0, 0), sigma).reshape(image.shape) * (1 + 2 * sigma)
        image = image + np.float32(grain) * film
    image = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(image, 3, axis=2) if gray else image
