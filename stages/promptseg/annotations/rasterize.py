"""From shapes to a mask and its instances, shape by shape and in memory of each one's box."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from promptseg.annotations import run_lengths
from promptseg.annotations.shapes import Annotated, Shape
from promptseg.core.errors import UserError

IGNORED = 255
MAX_INSTANCES = 65_535  # that a uint16 tells apart
_BEYOND = 100_000  # pixels that a polygon may leave its image by; a polygon is walked along pixel by pixel

Crop = tuple[np.ndarray, int, int]  # (h, w) bool of an area, its first row and its first column


def rasterize(
    shapes: Iterable[Shape], labels: dict[str, int], height: int, width: int, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draw shapes on each other: the mask of an image, and the number of the instance at each pixel.

    Polygons are filled as pycocotools does, which is at pixel centers and by the even-odd rule; what leaves the image
    is cut. A later shape lies on top of the earlier ones, whatever their classes.

    Args:
        shapes: the lowest first.
        labels: of the classes, 1 to 253; shapes of other classes are background.
        height: of the image.
        width: of the image.
        where: names the file, for messages.

    Returns:
        mask: (height, width) uint8, 0 background, 255 ignored.
        instances: (height, width) uint16, 1, 2, ... in the order of the shapes; 0 in background and ignored pixels.

    Raises:
        UserError: a polygon has fewer than 3 points, coordinates are no pixels of this image, run lengths or a mask are
            of another size, or there are more than 65,535 instances.
    """
    mask, instances = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint16)
    numbers: dict[object, int] = {}
    for index, shape in enumerate(shapes):
        at = f"{where}: {shape.at}" if shape.at else where
        area, top, left = _area(shape, height, width, at)
        label = IGNORED if shape.ignored else labels.get(shape.label, 0)
        number = 0
        if label not in (0, IGNORED):
            key = (index,) if shape.instance is None else (shape.label, shape.instance)
            number = numbers.setdefault(key, len(numbers) + 1)
            if number > MAX_INSTANCES:
                more = f"more than {MAX_INSTANCES:,} instances, which cannot be told apart"
                raise UserError(f"{at}: the image has {more}; cut it into smaller images first")
        box = np.s_[top : top + area.shape[0], left : left + area.shape[1]]
        mask[box][area] = label
        instances[box][area] = number
    return mask, instances


def in_pixels(annotated: Annotated, height: int, width: int) -> tuple[Shape, ...]:
    """Scale the shapes of an image of this size from shares to pixels, where they are normalized."""
    if not annotated.normalized:
        return annotated.shapes
    size = np.array([width, height], np.float64)
    return tuple(
        replace(
            shape, rings=tuple(each * size for each in shape.rings), holes=tuple(each * size for each in shape.holes)
        )
        for shape in annotated.shapes
    )


def _area(shape: Shape, height: int, width: int, at: str) -> Crop:
    """The pixels of a shape that lie in the image. Raises UserError as `rasterize`."""
    if shape.rle is not None:
        if list(shape.rle["size"]) != [height, width]:
            size = " x ".join(map(str, shape.rle["size"]))
            what = f"its run lengths are of {size} pixels, but the image is {height} x {width}"
            raise UserError(f"{at}: {what}; export the annotations again")
        try:
            return run_lengths.crop(shape.rle)
        except ValueError as error:
            raise UserError(f"{at}: {error}; export the annotations again") from None
    if shape.mask is not None:
        return _inside(shape.mask, shape.top, shape.left, height, width)
    area = _union([_fill(ring, height, width, at) for ring in shape.rings])
    for hole in shape.holes:
        _cut(area, _fill(hole, height, width, at))
    return area


def _fill(ring: np.ndarray, height: int, width: int, at: str) -> Crop:
    """The pixels of the image whose centers are in a ring, (n, 2) x and y. Raises UserError as `rasterize`."""
    if len(ring) < 3:
        points = "1 point" if len(ring) == 1 else f"{len(ring)} points"
        raise UserError(f"{at}: a polygon of {points} has no area; it needs 3, so correct or remove it")
    if not np.isfinite(ring).all() or np.abs(ring).max() > _BEYOND + max(height, width):
        raise UserError(f"{at}: its coordinates are no pixels of an image of {height} x {width}; correct or remove it")
    # In coordinates of the image and not of a box, as pycocotools rounds.
    return run_lengths.crop(run_lengths.from_polygon(ring, height, width))


def _inside(mask: np.ndarray, top: int, left: int, height: int, width: int) -> Crop:
    """Cut what leaves the image off a crop."""
    rows = slice(max(0, -top), max(0, height - top))
    columns = slice(max(0, -left), max(0, width - left))
    return mask[rows, columns], max(0, top), max(0, left)


def _union(areas: list[Crop]) -> Crop:
    """Unite areas in the box around them."""
    areas = [each for each in areas if each[0].size]
    if not areas:
        return np.zeros((0, 0), bool), 0, 0
    if len(areas) == 1:
        return areas[0]
    top, left = min(each[1] for each in areas), min(each[2] for each in areas)
    bottom = max(area.shape[0] + row for area, row, _ in areas)
    right = max(area.shape[1] + column for area, _, column in areas)
    united = np.zeros((bottom - top, right - left), bool)
    for area, row, column in areas:
        united[row - top : row - top + area.shape[0], column - left : column - left + area.shape[1]] |= area
    return united, top, left


def _cut(area: Crop, hole: Crop) -> None:
    """Remove a hole from an area, in place."""
    pixels, top, left = area
    removed, row, column = _inside(hole[0], hole[1] - top, hole[2] - left, *pixels.shape)
    pixels[row : row + removed.shape[0], column : column + removed.shape[1]] &= ~removed
