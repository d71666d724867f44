"""TIFF files as images: one slice at a time, of any depth and compression, in gray or in color."""

import contextlib
import logging
import math
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from promptseg.core.errors import UserError, of_system
from promptseg.data import image_io, tiff_axes, tiff_pixels


class Stack:
    """Random access to the slices of a TIFF file: `len(stack)`, `stack[i]` -> (h, w) or (h, w, 3) uint8.

    A slice is a page, compressed or not, or three pages that are its red, green and blue channel (`tiff_axes`); or the
    file has one page whose description (ImageJ's, tifffile's) says how many slices follow it without a gap. The file is
    walked once, when it is opened, and stays open, so that each slice costs the same; memory is that of one slice.
    Threads may share a stack.

    Args:
        path: the file.
        window: values that become 0 and 255, for slices of more than 8 bits.

    Attributes:
        path: the file.
        shape: (h, w) of every slice, upright.
        close: function that closes the file; called when the stack is garbage-collected.

    Raises:
        UserError: the file is missing, not a TIFF, truncated, neither gray nor RGB, or its slices differ; or a slice
            that is read cannot be decoded or needs a window.
    """

    def __init__(self, path: Path, window: tuple[float, float] | None = None):
        self.path, self._window = Path(path), window
        self._lock = threading.Lock()
        # tifffile only logs some damage (a broken chain of pages, a lost tag); it is checked below, and raised.
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)
        try:
            self._tiff = tifffile.TiffFile(self.path)
        except FileNotFoundError:
            raise UserError(f"{path}: not found") from None
        except Exception as error:  # tifffile lets struct, key, index and its own errors through
            damaged = UserError(f"{path}: not a TIFF file, or its header is damaged; fetch it again")
            raise of_system(error, path) or damaged from None
        self.close = weakref.finalize(self, self._tiff.close)
        try:
            self._walk()
        except UserError:
            self.close()
            raise
        except Exception as error:
            self.close()
            reason = " ".join(str(error).split()) or type(error).__name__
            damaged = UserError(f"{self.path}: damaged ({reason:.120}); fetch it again")
            raise of_system(error, self.path) or damaged from None

    def __len__(self) -> int:
        return len(self._planes.slices)

    def __getitem__(self, index: int) -> np.ndarray:
        where = self._where(index)
        channels = [
            tiff_pixels.pixels(page, stored, self._window, where) for page, stored in self._stored(index, where)
        ]
        return channels[0] if len(channels) == 1 else np.dstack(channels)

    def values(self, index: int) -> np.ndarray:
        """The values of a gray slice as they are stored, such as labels: (h, w), of any type; not inverted."""
        (_, stored), *more = self._stored(index, self._where(index))
        if more or stored.ndim != 2:
            raise UserError(f"{self._where(index)} is in color; labels are one value a pixel")
        return stored

    def check_window(self) -> None:
        """Raise UserError where slices of more than 8 bits have no window, before any is read."""
        dtype = self._planes.pages[0].dtype
        if dtype not in (np.uint8, bool):
            image_io.to_8_bits(np.zeros(0, dtype), self._window, self.path)

    def _stored(self, index: int, where: str) -> list[tuple[tifffile.TiffPage, np.ndarray]]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        with self._lock:
            return [self._plane(plane, where) for plane in self._planes.slices[index]]

    def _plane(self, plane: int, where: str) -> tuple[tifffile.TiffPage, np.ndarray]:
        if self._run is None:
            page = self._planes.pages[plane]
            return page, tiff_pixels.values(page, where)
        page, file = self._planes.pages[0], self._tiff.filehandle
        dtype = page.dtype.newbyteorder(self._tiff.byteorder)  # type: ignore[union-attr]  # None is refused
        size = math.prod(page.shape)
        stored = file.read_array(dtype, size, self._run + plane * size * dtype.itemsize)
        return page, tiff_pixels.upright(stored.astype(page.dtype, copy=False).reshape(page.shape), page)

    def _walk(self) -> None:
        """Check all headers; set shape, _planes, and _run: the offset of planes that have no page each, or None."""
        self._planes, file, self._run = tiff_axes.planes(self._tiff, self.path), self._tiff.filehandle, None
        pages = self._planes.pages
        first = pages[0]
        for index, page in enumerate(pages):
            tiff_pixels.check(page, file.size, self._where(index))
            own, expected = ((each.imagelength, each.imagewidth) for each in (page, first))
            if own != expected:
                raise UserError(f"{self.path}: {_unequal(index, _size(own), _size(expected), 'size')}")
            if page.shape != first.shape or _kind(page) != _kind(first):
                raise UserError(f"{self.path}: {_unequal(index, _kind(page), _kind(first), 'kind')}")
        sides = first.imagelength, first.imagewidth
        self.shape = sides[::-1] if first.tags.valueof("Orientation", 1) in (5, 6, 7, 8) else sides
        file.seek(self._tiff.pages.next_page_offset)  # type: ignore[arg-type]  # None only before all pages are listed
        end = file.read(self._tiff.tiff.offsetsize)
        if len(end) < self._tiff.tiff.offsetsize or any(end):
            raise UserError(f"{self.path}: truncated after slice {len(pages) - 1}; fetch it again")
        announced = max(self._planes.count, self._announced() if len(pages) == 1 else 1)
        if len(pages) == 1 and announced > 1:
            size = math.prod(first.shape) * first.dtype.itemsize  # type: ignore[union-attr]  # None is refused
            if not first.is_contiguous or first.dataoffsets[0] + announced * size > file.size:
                raise UserError(
                    f"{self.path}: truncated: less than the {announced} slices it announces; fetch it again"
                )
            self._run = first.dataoffsets[0]

    def _announced(self) -> int:
        """How many planes the description of the only page announces, whether they are there or not."""
        if (imagej := self._tiff.imagej_metadata) is not None:
            return int(imagej.get("images", 1))
        shaped = self._tiff.shaped_metadata or ({},)
        return math.prod(shaped[0].get("shape", ())) // math.prod(self._planes.pages[0].shape)

    def _where(self, index: int) -> str:
        """File and slice, for messages; the file alone where it holds one."""
        return f"{self.path}: slice {index}" if len(self) > 1 else str(self.path)


def read_image(path: Path, window: tuple[float, float] | None) -> np.ndarray:
    """Read a TIFF file that holds one image. Raises UserError as `Stack`, and for several slices."""
    with _single(path, window) as stack:
        return stack[0]


def image_size(path: Path) -> tuple[int, int]:
    """Read height and width of what `read_image` returns, from the header. Raises as `read_image` does before that."""
    with _single(path, None) as stack:
        return stack.shape


@contextlib.contextmanager
def _single(path: Path, window: tuple[float, float] | None) -> Iterator[Stack]:
    """Open a file of one image, and close it. Raises UserError for several slices."""
    stack = Stack(path, window)
    try:
        if len(stack) > 1:
            raise UserError(f"{path}: it holds {len(stack)} pages where one image is expected")
        yield stack
    finally:
        stack.close()


def check_same_shape(image: Stack, mask: Stack) -> None:
    """Raise UserError unless the stacks of images and masks have equally many slices of the same size."""
    if len(image) != len(mask):
        raise UserError(f"{mask.path}: {len(mask)} slices, but {image.path} holds {len(image)}; fetch both again")
    if image.shape != mask.shape:
        raise UserError(f"{mask.path}: its slices are {_size(mask.shape)}, those of {image.path} {_size(image.shape)}")


def _unequal(index: int, own: str, first: str, what: str) -> str:
    return f"slice {index} is {own} and slice 0 is {first}; all must be of one {what}"


def _kind(page: tifffile.TiffPage) -> str:
    """Type and kind of color: `uint8 MINISBLACK`."""
    return f"{page.dtype} {getattr(page.photometric, 'name', page.photometric)}"


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in reversed(shape))
