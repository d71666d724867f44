"""A pet in its own units: its coat and the shapes of its body.

One unit is the radius of the head; x points right, y down, and y = 0 is the ground below the pet.
"""

from dataclasses import dataclass

import numpy as np

from promptseg.datasets.pets.breeds import Breed
from promptseg.datasets.pets.fur import Canvas, Coat, noise, smooth, step


@dataclass(frozen=True)
class Place:
    """Transform from units to pixels of the image: pixels = origin + scale * turn(angle) * (flip * x, y)."""

    origin: tuple[float, float]
    scale: float
    angle: float = 0.0
    flip: int = 1

    def pixels(self, points) -> np.ndarray:
        """Convert (n, 2) points from units to pixels."""
        x, y = np.asarray(points, float).T
        x = x * self.flip
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.stack([c * x - s * y, s * x + c * y], 1) * self.scale + self.origin

    def units(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Convert x and y from pixels to units, of the same shape."""
        x, y = (x - self.origin[0]) / self.scale, (y - self.origin[1]) / self.scale
        c, s = np.cos(self.angle), np.sin(self.angle)
        return (c * x + s * y) * self.flip, c * y - s * x

    def within(self, point, scale: float = 1.0, angle: float = 0.0) -> "Place":
        """Return the transform of a body part whose origin is at `point`, rotated by `angle`."""
        origin = tuple(self.pixels([point])[0])
        return Place(origin, self.scale * scale, self.angle + self.flip * angle, self.flip)


def ellipse(center, size, tilt: float = 0.0, count: int = 20) -> np.ndarray:
    """Compute the outline (count, 2) of an ellipse with half axes `size`."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = size[0] * np.cos(t), size[1] * np.sin(t)
    c, s = np.cos(tilt), np.sin(tilt)
    return np.stack([c * x - s * y, s * x + c * y], 1) + center


def limb(path, widths) -> np.ndarray:
    """Compute the outline of a stroke through `path` with a half width at each point and round ends."""
    path, widths = np.asarray(path, float), np.asarray(widths, float)
    along = np.gradient(path, axis=0)
    along /= np.hypot(*along.T)[:, None] + 1e-6
    side = np.stack([-along[:, 1], along[:, 0]], 1) * widths[:, None]
    start, end = path[0] - along[0] * widths[0], path[-1] + along[-1] * widths[-1]
    return np.concatenate([[start], path + side, [end], (path - side)[::-1]])


class Pet:
    """An animal of a breed on a canvas; `part` draws a body part in the colors of its coat."""

    def __init__(self, rng: np.random.Generator, canvas: Canvas, breed: Breed, place: Place):
        self.rng, self.canvas, self.breed, self.place = rng, canvas, breed, place
        h, w, scale = canvas.h, canvas.w, place.scale
        self.big, self.mid = noise(rng, h, w, 1.9 * scale, 2), noise(rng, h, w, 0.42 * scale, 2)
        tone = rng.uniform(0.85, 1.12) * (1 + rng.normal(0, 0.03, 3))  # no two animals are of one color
        self.base, self.mark, self.chest = (
            np.clip(np.array(c) * tone, 0.03, 0.98).astype(np.float32) for c in (breed.base, breed.mark, breed.chest)
        )
        self.phase, self.pale = rng.uniform(0, 6), rng.uniform(-0.5, 0.7)

    def part(
        self, outline, *, place: Place | None = None, dark: float = 0.0, chest: float = 0.0, shade: float = 1.0,
        hang: float = 0.0, depth: float = 0.5, fluff: float = 1.0, round_off: bool = True,
    ) -> None:  # fmt: skip
        """Draw a shape (n, 2) in units of `place` (the pet's own if None).

        dark: how far it belongs to the dark points or to the white feet, 0 to 1; chest: share of the chest's color;
        shade: times the light; hang: where its hair hangs, 0 downwards; depth: in units, as Canvas.paint has it;
        fluff: times the breed's.
        """
        place = place or self.place
        points = place.pixels(outline)
        self.canvas.paint(
            smooth(points) if round_off else points,
            self.coat(place, dark, chest, shade),
            pet=True,
            fluff=self.breed.fluff * fluff * 0.1 * place.scale,
            strands=0.04 + 0.03 * min(self.breed.fluff, 1.5) if self.breed.fluff else 0.015,
            hang=place.angle + place.flip * hang,
            depth=max(2.0, depth * place.scale),
            soften=0.6 + 0.25 * self.breed.fluff,
        )

    def detail(self, outline, color, place: Place, depth: float = 0.08) -> None:
        """Draw a hairless part of a single color, such as an eye or a nose."""
        color = np.array(color, np.float32)
        self.canvas.paint(
            smooth(place.pixels(outline), 1.0),
            lambda x, y: np.broadcast_to(color, (*x.shape, 3)),
            pet=True,
            depth=max(1.5, depth * place.scale),
            soften=0.5,
        )

    def coat(self, place: Place, dark: float, chest: float, shade: float) -> Coat:
        """Return the function that gives the fur color at each pixel; see `part`."""
        breed = self.breed

        def color(x, y):
            rows, columns = y.astype(np.intp), x.astype(np.intp)
            big, mid = self.big[rows, columns], self.mid[rows, columns]
            u, v = place.units(x, y)
            mark = _marked(breed.pattern, u, v, big, mid, dark, self.phase, self.pale)
            fur = self.base + (self.mark - self.base) * mark[..., None]
            fur = fur + (self.chest - fur) * (chest * step(big * 0.5 + mid * 0.2, -1.6, 0.6))[..., None]
            return fur * (shade * (1 + 0.05 * big + 0.03 * mid))[..., None]

        return color


def _marked(pattern, u, v, big, mid, dark, phase, pale) -> np.ndarray:
    """Compute how much the color of the markings covers the base color: (h, w) in [0, 1]."""
    if pattern == "tabby":
        bands = np.sin(7.5 * u + 2.2 * v + 1.3 * big + 0.35 * mid + phase)
        return 0.85 * step(bands, 0.0, 0.75) * step(mid, -2.0, 0.2) + 0.1 * dark
    if pattern == "spots":
        return np.maximum(0.95 * step(mid, 0.55, 0.85), 0.3 * step(mid, 0.1, 0.4))
    if pattern == "points":
        return np.clip(dark * (1 + 0.25 * big), 0, 1) * 0.95
    if pattern == "patches":
        return step(big + pale + 3.5 * (dark - 0.25), -0.15, 0.15)
    if pattern == "saddle":
        return step(0.35 * big - dark * 2.0 + 0.9, 0.0, 0.5)
    return np.clip(0.25 * dark + 0.18 * big, 0, 1)
