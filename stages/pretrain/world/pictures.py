"""A picture and what is known of it."""

from dataclasses import dataclass

import numpy as np

AREA = "area"  # the shape of a ground, which has none of its own


@dataclass(frozen=True)
class Thing:
    """Something in a picture. shape: a key of OUTLINES, or AREA; build: of BUILDS; ids: of its parts in `labels`.

    texture: of its body, None where it cannot be made out; full: pixels that it would have if nothing hid it;
    stroke: the width of a strand in pixels, 0 for what is none.
    """

    shape: str
    build: str
    ids: tuple[int, ...]
    texture: str | None
    full: int
    stroke: int = 0


@dataclass(frozen=True)
class Sample:
    """image: (h, w, 3) uint8; labels: (h, w) int16, the part that each pixel shows; things: grounds first."""

    image: np.ndarray
    labels: np.ndarray
    things: tuple[Thing, ...]

    def mask(self, ids) -> np.ndarray:
        """Where these parts are to be seen, (h, w) bool."""
        chosen = np.zeros(int(self.labels.max()) + 2, bool)
        known = [id for id in ids if id < len(chosen)]  # what is wholly hidden may have had the highest number
        chosen[known] = True
        return chosen[self.labels]
