"""Whether large images are cut into tiles."""

import math
from dataclasses import dataclass

from promptseg.inspection.look import Findings

SEEN = 1024  # side of what SAM 2 sees
_TILES = (256, 512, 1024)
_FEWEST_PIXELS = 32  # across an instance in what SAM 2 sees; below, tiles help
_TILE_SIDES = 8  # instances across a tile


@dataclass(frozen=True)
class Tiling:
    """Tiles of large images: side, None for whole images; why, for the user."""

    tile: int | None
    why: str


def decide(findings: Findings) -> Tiling:
    """Decide whether large images are cut into tiles; the settings of an official dataset stay as they are."""
    given = findings.description.entry.get("tile")
    if given is not None:
        return Tiling(given, f"tiles of {given} pixels, as in the shipped study")
    longer = max(findings.sides[1])
    areas = sorted(each.median_area for each in findings.classes.values() if each.instances)
    side = math.sqrt(areas[len(areas) // 2]) if areas else 0.0
    if longer <= SEEN:
        return Tiling(None, "whole images: none is larger than what SAM 2 sees")
    seen = side * SEEN / longer
    if not side or seen >= _FEWEST_PIXELS:
        return Tiling(
            None, f"whole images: the median instance is {seen:.0f} pixels across in the {SEEN} that SAM 2 sees"
        )
    tile = next((each for each in _TILES if each >= _TILE_SIDES * side), _TILES[-1])
    why = f"the median instance of {side:.0f} pixels would be {seen:.0f} across in the {SEEN} that SAM 2 sees"
    return Tiling(tile, f"tiles of {tile} pixels: {why}")
