"""Things made of parts: a body alone, or with a core, a rim, a handle, or in two halves."""

from dataclasses import dataclass

import numpy as np

from world import fills
from world.fills import Fill
from world.outlines import OUTLINES, SOLID, STRANDS, Outline, turn

ROOM = {"comb": 16.0, "grid": 16.0, "branch": 10.0}  # the least radius at which there is room between the strokes


@dataclass(frozen=True)
class Part:
    outline: Outline
    fill: Fill


@dataclass(frozen=True)
class Family:
    """What things of one kind in a picture share. shape: a key of OUTLINES; build: of BUILDS; radius: in pixels, of
    the middle one of them; fill: of the body, other: of what is on it."""

    shape: str
    build: str
    radius: float
    fill: Fill
    other: Fill


def member(rng: np.random.Generator, family: Family, thin: float) -> tuple[list[Part], float]:
    """The parts of one thing, from the one below upwards, and its radius. thin: what a stroke's width is times."""
    radius = family.radius * float(np.exp(rng.normal(0, 0.18)))
    outline = OUTLINES[family.shape](rng)
    if outline.width is not None:
        outline = Outline(outline.loops, outline.width * thin)
    tilt = turn(rng.uniform(0, 2 * np.pi))
    body = Part(outline, fills.near(rng, family.fill, 0.04))
    parts = BUILDS[family.build](rng, body, family.other)
    return [Part(part.outline.changed(tilt), part.fill) for part in parts], radius


def family(
    rng: np.random.Generator, shapes: tuple[str, ...], radius: float, parts: float, name: str | None = None,
    textured: bool = True,
) -> Family:  # fmt: skip
    """A family of one of these shapes; parts: how likely it has more than a body; name: of its color; textured:
    whether it may have a texture."""
    shape = shapes[rng.integers(len(shapes))]
    radius = max(radius, ROOM.get(shape, 0.0))
    builds = [build for build in BUILDS if build != "body"]
    build = builds[rng.integers(len(builds))] if shape in SOLID and radius > 7 and rng.random() < parts else "body"
    plain = None if textured else "plain"
    texture = "plain" if shape in STRANDS or radius < 5 else plain
    body = fills.drawn(rng, 2 * radius, name, texture)
    return Family(shape, build, radius, body, fills.drawn(rng, radius, texture=plain))


def _body(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    return [body]


def _core(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    size = rng.uniform(0.3, 0.6)
    inner = OUTLINES["blob" if rng.random() < 0.3 else "circle"](rng)
    if rng.random() < 0.5:
        inner = body.outline
    return [body, Part(inner.changed(size * np.eye(2), tuple(rng.uniform(-0.12, 0.12, 2))), other)]


def _rim(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    return [Part(body.outline, other), Part(body.outline.changed(rng.uniform(0.68, 0.88) * np.eye(2)), body.fill)]


def _handle(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    """A loop or a bar that comes out from under the body."""
    if rng.random() < 0.5:
        angle = np.linspace(-2.2, 2.2, 24)
        loop = np.stack([np.cos(angle), np.sin(angle)], axis=1) * rng.uniform(0.4, 0.6) + (0.95, 0)
    else:
        loop = np.array([(0.3, 0.0), (rng.uniform(1.4, 2.0), rng.uniform(-0.4, 0.4))])
    return [Part(Outline((loop,), rng.uniform(0.15, 0.35)), other), body]


def _halves(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    """A second color up to a line through the thing: what the body's loops have to the right of it."""
    edge = rng.uniform(-0.2, 0.2)
    # Points left of the line are put onto it, where they enclose nothing.
    loops = tuple(np.stack([np.maximum(loop[:, 0], edge), loop[:, 1]], axis=1) for loop in body.outline.loops)
    return [body, Part(Outline(loops), other)]


BUILDS = {"body": _body, "core": _core, "rim": _rim, "handle": _handle, "halves": _halves}
