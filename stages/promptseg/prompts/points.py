"""Points on an object, and points beside it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import PositiveInt

from promptseg.core.errors import UserError
from promptseg.core.settings import Fraction, Seeds, Settings
from promptseg.prompts.base import Option, Per, PromptPart, Values
from promptseg.prompts.command_line import as_text, numbers

if TYPE_CHECKING:
    from promptseg.data.masks import Region


class Config(Settings):
    """Keys of points in a prompt of params.yaml."""

    points: PositiveInt | None = None  # so many points on the ground truth
    sampling: Literal["random", "center"] = "random"  # uniform over the mask, or its most interior pixels
    # each point misses its place by this share of the longer side of what it is for; a list: a curve over these
    offset: Fraction | Values = 0.0
    per: Per = "image"
    seeds: Seeds | None = None  # of random points, in place of the study's seed
    together: bool = False  # with per: instance, the points of all instances of a class are one prompt


@dataclass(frozen=True, eq=False)
class Points(PromptPart):
    """Points of one prompt.

    Attributes:
        coordinates: (k, 2) float x, y in pixels.
        labels: (k,) int, 1 on the object, 0 off it, -1 padding.
    """

    KIND: ClassVar[str] = "points"
    Config: ClassVar[type[Settings]] = Config
    ORACLE: ClassVar[bool] = True
    COMBINES: ClassVar[frozenset[str]] = frozenset({"box"})
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("--point", "X,Y in pixels on the object; several: all on one object; alone or with one --box"),
        Option("--no-point", "X,Y in pixels that is not on the object"),
    )

    coordinates: np.ndarray
    labels: np.ndarray

    @classmethod
    def from_mask(cls, config: Any, region, rng: np.random.Generator) -> Self:
        points = _sample(config, region, rng)
        if config.offset:
            points = _moved(points, config.offset, region, rng)
        return cls(points, np.ones(len(points), np.int64))

    @classmethod
    def join(cls, parts: Iterable[Any]) -> Self:
        """Make one prompt of the points of several. parts: Points."""
        joined = list(parts)
        return cls(*(np.concatenate([getattr(part, name) for part in joined]) for name in ("coordinates", "labels")))

    @classmethod
    def describe(cls, config: Any) -> str:
        sampling = "random" if config.sampling == "random" else "central"
        return f"{config.points} {sampling} point{'s' if config.points > 1 else ''}"

    @classmethod
    def parse(cls, values: dict[str, Any], window: tuple[float, float] | None) -> list[list[Self]]:
        on = [numbers(text, 2, "--point") for text in values["--point"]]
        off = [numbers(text, 2, "--no-point") for text in values["--no-point"]]
        return [[cls(np.array(on + off), np.array([1] * len(on) + [0] * len(off)))]]

    def check_inside(self, height: int, width: int, name: str) -> None:
        for x, y in self.coordinates:
            if not (0 <= x < width and 0 <= y < height):
                raise UserError(f"{name}: the point {as_text((x, y))} is outside the image, which is {width}x{height}")

    def check_alone(self) -> None:
        if not (self.labels == 1).any():
            raise UserError("negative points say where the object is not; give a point on it or a box as well")

    def to_model(self, transform, height: int, width: int) -> Self:
        return replace(self, coordinates=self.coordinates * transform.scale(height, width))

    def translate(self, x: float, y: float) -> Self:
        return replace(self, coordinates=self.coordinates + [x, y])

    def draw(self, layer, color: tuple[int, int, int]) -> None:
        for point, label in zip(self.coordinates, self.labels):
            layer.point(point, label == 1, color)

    @property
    def effort(self) -> int:
        return len(self.coordinates)

    def to_json(self) -> dict[str, Any]:
        return {"points": np.round(self.coordinates, 2).tolist(), "labels": self.labels.tolist()}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self | None:
        if "points" not in entry:
            return None
        return cls(np.array(entry["points"], float).reshape(-1, 2), np.array(entry["labels"], np.int64))


def _sample(config: Any, region: "Region", rng: np.random.Generator) -> np.ndarray:
    """Centers of `config.points` pixels of a region, (k, 2) x, y."""
    from promptseg.data import masks

    if config.sampling == "center":
        return masks.region_interior_points(region, config.points)
    pixels = np.flatnonzero(region.mask)
    # Without replacement where the mask has enough pixels.
    chosen = rng.choice(pixels, config.points, replace=config.points > len(pixels))
    rows, columns = np.divmod(chosen, region.mask.shape[1])
    return np.stack([columns + region.left, rows + region.top], axis=1) + 0.5


def _moved(points: np.ndarray, offset: float, region: "Region", rng: np.random.Generator) -> np.ndarray:
    """Move points, (k, 2), each in a random direction, by a share of the longer side of a region's box."""
    # Another generator, so that points and directions are the same ones for every offset.
    angles = rng.spawn(1)[0].uniform(0, 2 * np.pi, len(points))
    moved = points + offset * max(region.mask.shape) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.clip(moved, 0.5, [region.width - 0.5, region.height - 0.5])
