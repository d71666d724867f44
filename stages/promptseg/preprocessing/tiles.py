"""Records of one sample: classes selected, resized, tiled, encoded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from promptseg.core import params
from promptseg.data import image_io, records, tiling
from promptseg.data.records import Record
from promptseg.data.tiling import Window
from promptseg.datasets import Sample


@dataclass(frozen=True)
class Tiler:
    """Turns the samples of a dataset into records.

    Args:
        settings: resize, tile, overlap, border and skip_invalid.
        table: (256,) uint8, from the reader's labels to the selected classes; None: unchanged.
    """

    settings: params.Dataset
    table: np.ndarray | None = None

    def mask(self, sample: Sample) -> np.ndarray:
        """Read a mask in the selected classes, at its final size: (h, w) uint8.

        Raises UserError, naming the files, where it cannot be read, or is of another size than the image: one that its
        header tells, so that images are not decoded for it.
        """
        mask = sample.mask()
        if _header_size(sample) not in (None, mask.shape):  # the pixels have the last word
            image_io.check_same_size(sample.image().shape, mask.shape, *sample.names)
        return self._resized(self._selected(mask), cv2.INTER_NEAREST_EXACT)

    def windows(self, height: int, width: int) -> list[Window]:
        """Tile an image of this final size."""
        return tiling.windows(height, width, self.settings.tile, self.settings.overlap, self.settings.border)

    def read(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Read image, (h, w) or (h, w, 3) uint8, and mask, (h, w) uint8, in the selected classes, before resizing.

        Raises UserError, naming the files, where one cannot be read or their sizes differ.
        """
        image, mask = sample.image(), self._selected(sample.mask())
        image_io.check_same_size(image.shape, mask.shape, *sample.names)
        return image, mask

    def records(self, sample: Sample, image: np.ndarray, mask: np.ndarray, chosen: Iterable[int]) -> Iterator[Record]:
        """Yield the records of a sample.

        Args:
            sample: the sample.
            image: from `read`.
            mask: from `read`.
            chosen: indexes of windows, in `windows` of the final size.
        """
        unchanged = self._unchanged_bytes(sample, image)
        image = self._resized(image, cv2.INTER_AREA if self._shrinks(mask) else cv2.INTER_LINEAR)
        mask = self._resized(mask, cv2.INTER_NEAREST_EXACT)
        height, width = mask.shape
        grid = self.windows(height, width)
        rows, columns = sorted({window.top for window in grid}), sorted({window.left for window in grid})
        support, instances = self._support(sample), self._instances(sample)
        for index in chosen:
            window = grid[index]
            tile = np.ascontiguousarray(window.of(mask))
            place = f"/r{rows.index(window.top)}c{columns.index(window.left)}" if self.settings.tile is not None else ""
            encoded = unchanged or image_io.encode_png(np.ascontiguousarray(window.of_image(image)))
            yield Record(
                id=sample.id + place,
                group=sample.group,
                image=encoded,
                mask=image_io.encode_png(tile),
                height=window.height,
                width=window.width,
                source=sample.id,
                top=window.top,
                left=window.left,
                source_height=height,
                source_width=width,
                foreground=int(np.count_nonzero(tile) - np.count_nonzero(tile == image_io.IGNORED)),
                text=sample.text,
                support_image=support[0],
                support_mask=support[1],
                instances=b"" if instances is None else image_io.encode_png(np.ascontiguousarray(window.of(instances))),
                image_digest=records.digest(encoded),
            )

    def _instances(self, sample: Sample) -> np.ndarray | None:
        """Instances at their final size, (h, w) uint16; those of classes that are not selected are among them."""
        instances = sample.instances() if sample.instances is not None else None
        return None if instances is None else self._resized(instances, cv2.INTER_NEAREST_EXACT)

    def _support(self, sample: Sample) -> tuple[bytes, bytes]:
        """PNG bytes of the support image and its mask; empty where the sample has none."""
        if sample.support is None:
            return b"", b""
        image, mask = sample.support()
        image_io.check_same_size(image.shape, mask.shape, f"{sample.id}, its support image", "its mask")
        mask = self._selected(mask)
        image = self._resized(image, cv2.INTER_AREA if self._shrinks(mask) else cv2.INTER_LINEAR)
        return image_io.encode_png(image), image_io.encode_png(self._resized(mask, cv2.INTER_NEAREST_EXACT))

    def _selected(self, mask: np.ndarray) -> np.ndarray:
        return mask if self.table is None else cv2.LUT(mask, self.table)

    def _shrinks(self, mask: np.ndarray) -> bool:
        return self.settings.resize is not None and max(mask.shape) > self.settings.resize

    def _resized(self, array: np.ndarray, interpolation: int) -> np.ndarray:
        """Resize the longer side to `resize`, the other in proportion, to at least a pixel."""
        longer = max(array.shape[:2])
        if self.settings.resize in (None, longer):
            return array
        height, width = (max(1, round(side * self.settings.resize / longer)) for side in array.shape[:2])
        return cv2.resize(array, (width, height), interpolation=interpolation)

    def _unchanged_bytes(self, sample: Sample, image: np.ndarray) -> bytes | None:
        """The bytes of a JPEG that is neither tiled nor resized: as PNG it would only grow."""
        whole = self.settings.tile is None and self.settings.resize in (None, max(image.shape[:2]))
        return image_io.jpeg_bytes(sample.file) if whole and sample.file is not None else None


def instances_given(record: Record) -> set[bool]:
    """Whether pixels of classes have the number of an instance: the values that occur.

    Both do where folders of classes number those of some classes alone.
    """
    if not record.foreground:
        return set()
    numbers = records.instances(record)
    if numbers is None:
        return {False}
    mask = records.mask(record)
    return set(np.unique(numbers[(mask > 0) & (mask != image_io.IGNORED)] > 0).tolist())


def _header_size(sample: Sample) -> tuple[int, int] | None:
    """Height and width of a sample's image, if they are known without decoding it."""
    if sample.size is not None:
        return sample.size()
    return image_io.image_size(sample.file) if sample.file is not None else None
