"""Objects made of parts: a body alone, or with a core, a rim or a handle, or in two halves."""

from dataclasses import dataclass

import numpy as np

from world import fills
from world.fills import Fill
from world.kinds import Kind
from world.outlines import OUTLINES, SOLID, STRANDS, Outline, rotation

MIN_RADIUS = {"comb": 16.0, "grid": 16.0, "branch": 10.0}  # pixels; below, there is no room between the strokes
MIN_COMPOSITE_RADIUS = 7  # pixels
MIN_TEXTURED_RADIUS = 5  # pixels


@dataclass(frozen=True)
class Part:
    """A surface of an object: its outline and what fills it."""

    outline: Outline
    fill: Fill


@dataclass(frozen=True)
class Family:
    """Common properties of similar objects in an image.

    Attributes:
        shape: a key of OUTLINES.
        build: a key of BUILDS.
        radius: median radius, pixels.
        fill: of the body.
        other_fill: of its other part.
    """

    shape: str
    build: str
    radius: float
    fill: Fill
    other_fill: Fill


def sample_family(rng: np.random.Generator, kind: Kind, radius: float, color_name: str | None = None) -> Family:
    """Sample a family for an image of some kind.

    Args:
        rng: random generator.
        kind: of the image.
        radius: median radius, pixels; larger where the shape needs it.
        color_name: name of the color; None: random.
    """
    shape = kind.shapes[rng.integers(len(kind.shapes))]
    radius = max(radius, MIN_RADIUS.get(shape, 0.0))
    builds = [build for build in BUILDS if build != "body"]
    build = builds[rng.integers(len(builds))] if _is_composite(rng, kind, shape, radius) else "body"
    texture = None if kind.textured else "plain"
    body_texture = "plain" if shape in STRANDS or radius < MIN_TEXTURED_RADIUS else texture
    body = fills.sample_fill(rng, 2 * radius, color_name, body_texture)
    return Family(shape, build, radius, body, fills.sample_fill(rng, radius, texture=texture))


def sample_object(rng: np.random.Generator, family: Family, stroke_scale: float) -> tuple[list[Part], float]:
    """Sample an object of a family.

    Args:
        rng: random generator.
        family: of the object.
        stroke_scale: factor by which the width of a stroke is multiplied.

    Returns:
        Its parts from the lowest to the topmost, and its radius in pixels.
    """
    radius = family.radius * float(np.exp(rng.normal(0, 0.18)))
    outline = OUTLINES[family.shape](rng)
    if outline.width is not None:
        outline = Outline(outline.loops, outline.width * stroke_scale)
    rotated = rotation(rng.uniform(0, 2 * np.pi))
    body = Part(outline, fills.jitter_fill(rng, family.fill, 0.04))
    parts = BUILDS[family.build](rng, body, family.other_fill)
    return [Part(part.outline.transformed(rotated), part.fill) for part in parts], radius


def _is_composite(rng: np.random.Generator, kind: Kind, shape: str, radius: float) -> bool:
    return shape in SOLID and radius > MIN_COMPOSITE_RADIUS and rng.random() < kind.composite


def _body(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    return [body]


def _core(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    size = rng.uniform(0.3, 0.6)
    inner = OUTLINES["blob" if rng.random() < 0.3 else "circle"](rng)
    if rng.random() < 0.5:
        inner = body.outline
    return [body, Part(inner.transformed(size * np.eye(2), tuple(rng.uniform(-0.12, 0.12, 2))), other)]


def _rim(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    return [Part(body.outline, other), Part(body.outline.transformed(rng.uniform(0.68, 0.88) * np.eye(2)), body.fill)]


def _handle(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    """A loop or a bar that sticks out from under the body."""
    if rng.random() < 0.5:
        angle = np.linspace(-2.2, 2.2, 24)
        loop = np.stack([np.cos(angle), np.sin(angle)], axis=1) * rng.uniform(0.4, 0.6) + (0.95, 0)
    else:
        loop = np.array([(0.3, 0.0), (rng.uniform(1.4, 2.0), rng.uniform(-0.4, 0.4))])
    return [Part(Outline((loop,), rng.uniform(0.15, 0.35)), other), body]


def _halves(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    """A second color to the right of a vertical line through the body."""
    edge = rng.uniform(-0.2, 0.2)
    # Points left of the line are moved onto it, where they enclose no area.
    loops = tuple(np.stack([np.maximum(loop[:, 0], edge), loop[:, 1]], axis=1) for loop in body.outline.loops)
    return [body, Part(Outline(loops), other)]


BUILDS = {"body": _body, "core": _core, "rim": _rim, "handle": _handle, "halves": _halves}
