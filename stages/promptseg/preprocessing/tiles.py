"""One picture of a dataset, as settings want it: classes selected, resized, cut into windows, encoded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from promptseg.core import params
from promptseg.data import image_io, tiling
from promptseg.data.records import Record
from promptseg.data.tiling import Window
from promptseg.datasets import Sample


@dataclass(frozen=True)
class Cutter:
    """How the pictures of one dataset are cut. table: from the reader's labels to ours, (256,) uint8, or None."""

    settings: params.Dataset
    table: np.ndarray | None = None

    def mask(self, picture: Sample) -> np.ndarray:
        """The picture's mask in our classes, at its final size: (h, w) uint8."""
        return self._resized(self._selected(picture.mask()), cv2.INTER_NEAREST_EXACT)

    def windows(self, height: int, width: int) -> list[Window]:
        return tiling.windows(height, width, self.settings.tile, self.settings.overlap, self.settings.edge)

    def read(self, picture: Sample) -> tuple[np.ndarray, np.ndarray]:
        """The picture, (h, w) or (h, w, 3) uint8, and its mask, not resized yet. Raises UserError where sizes differ."""
        image, mask = picture.image(), self._selected(picture.mask())
        image_io.check_pair(image, mask, picture.id)
        return image, mask

    def pairs(self, picture: Sample, image: np.ndarray, mask: np.ndarray, chosen: Iterable[int]) -> Iterator[Record]:
        """Rows for these of the windows of a picture that was read."""
        untouched = self._untouched(picture, image)
        image = self._resized(image, cv2.INTER_AREA if self._shrinks(mask) else cv2.INTER_LINEAR)
        mask = self._resized(mask, cv2.INTER_NEAREST_EXACT)
        height, width = mask.shape
        grid = self.windows(height, width)
        rows, columns = sorted({window.top for window in grid}), sorted({window.left for window in grid})
        support = self._support(picture)
        for index in chosen:
            window = grid[index]
            place = f"/r{rows.index(window.top)}c{columns.index(window.left)}" if self.settings.tile is not None else ""
            yield Record(
                id=picture.id + place,
                group=picture.group,
                image=untouched or image_io.png(np.ascontiguousarray(window.of_picture(image))),
                mask=image_io.png(np.ascontiguousarray(window.of(mask))),
                height=window.height,
                width=window.width,
                source=picture.id,
                top=window.top,
                left=window.left,
                whole_height=height,
                whole_width=width,
                text=picture.text,
                support_image=support[0],
                support_mask=support[1],
            )

    def _support(self, picture: Sample) -> tuple[bytes, bytes]:
        if picture.support is None:
            return b"", b""
        image, mask = picture.support()
        image_io.check_pair(image, mask, f"{picture.id}, its support picture")
        mask = self._selected(mask)
        image = self._resized(image, cv2.INTER_AREA if self._shrinks(mask) else cv2.INTER_LINEAR)
        return image_io.png(image), image_io.png(self._resized(mask, cv2.INTER_NEAREST_EXACT))

    def _selected(self, mask: np.ndarray) -> np.ndarray:
        return mask if self.table is None else cv2.LUT(mask, self.table)

    def _shrinks(self, mask: np.ndarray) -> bool:
        return self.settings.resize is not None and max(mask.shape) > self.settings.resize

    def _resized(self, array: np.ndarray, interpolation: int) -> np.ndarray:
        """Its longer side as settings say, the other in proportion, at least a pixel."""
        longer = max(array.shape[:2])
        if self.settings.resize in (None, longer):
            return array
        height, width = (max(1, round(side * self.settings.resize / longer)) for side in array.shape[:2])
        return cv2.resize(array, (width, height), interpolation=interpolation)

    def _untouched(self, picture: Sample, image: np.ndarray) -> bytes | None:
        """The bytes of the file itself where the picture stays as it is; a JPEG would only grow as PNG."""
        whole = self.settings.tile is None and self.settings.resize in (None, max(image.shape[:2]))
        return image_io.jpeg(picture.file) if whole and picture.file is not None else None
