"""Objects made of parts: a body alone, or with a core, a rim or a handle, or in two halves."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from promptseg.synthetic.outlines import Outline, rotation

from world import fills
from world.fills import Fill
from world.outlines import OUTLINES, SOLID, STRANDS, polar
from world.scene import Kind

MIN_RADIUS = {"comb": 16.0, "grid": 16.0, "branch": 10.0}  # pixels; below, there is no room between the strokes
MIN_COMPOSITE_RADIUS, MIN_TEXTURED_RADIUS = 7, 5  # pixels


class Part(NamedTuple):
    """A surface of an object: its outline and what fills it."""

    outline: Outline
    fill: Fill


@dataclass(frozen=True)
class Family:
    """Common properties of similar objects in an image; the radius is the median, in pixels."""

    shape: str
    build: str
    radius: float
    fill: Fill  # of the body
    other_fill: Fill  # of its other part


def sample_family(rng: np.random.Generator, kind: Kind, radius: float, color_name: str | None = None) -> Family:
    """Sample a family for an image of some kind, larger than the radius where the shape needs it."""
    shape = kind.shapes[rng.integers(len(kind.shapes))]
    radius = max(radius, MIN_RADIUS.get(shape, 0.0))
    composite = shape in SOLID and radius > MIN_COMPOSITE_RADIUS and rng.random() < kind.composite
    build = list(BUILDS)[rng.integers(1, len(BUILDS))] if composite else "body"
    texture = None if kind.textured else "plain"
    body_texture = "plain" if shape in STRANDS or radius < MIN_TEXTURED_RADIUS else texture
    body = fills.sample_fill(rng, 2 * radius, color_name, body_texture)
    return Family(shape, build, radius, body, fills.sample_fill(rng, radius, texture=texture))


def sample_object(rng: np.random.Generator, family: Family, stroke_scale: float) -> tuple[list[Part], float]:
    """Sample an object of a family: its parts from the lowest to the topmost, and its radius in pixels."""
    radius = family.radius * float(np.exp(rng.normal(0, 0.18)))
    outline = OUTLINES[family.shape](rng)
    if outline.width is not None:
        outline = Outline(outline.loops, outline.width * stroke_scale)
    rotated = rotation(rng.uniform(0, 2 * np.pi))
    parts = BUILDS[family.build](rng, Part(outline, family.fill.jittered(rng, 0.04)), family.other_fill)
    return [Part(part.outline.transformed(rotated), part.fill) for part in parts], radius


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
        loop = polar(np.linspace(-2.2, 2.2, 24)) * rng.uniform(0.4, 0.6) + (0.95, 0)
    else:
        loop = np.array([(0.3, 0.0), (rng.uniform(1.4, 2.0), rng.uniform(-0.4, 0.4))])
    return [Part(Outline((loop,), rng.uniform(0.15, 0.35)), other), body]


def _halves(rng: np.random.Generator, body: Part, other: Fill) -> list[Part]:
    """A second color to the right of a vertical line, onto which the points to its left are moved."""
    edge = rng.uniform(-0.2, 0.2)
    loops = tuple(np.stack([np.maximum(loop[:, 0], edge), loop[:, 1]], axis=1) for loop in body.outline.loops)
    return [body, Part(Outline(loops), other)]


BUILDS = {"body": lambda rng, body, other: [body], "core": _core, "rim": _rim, "handle": _handle, "halves": _halves}
