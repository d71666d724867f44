"""TIFF stacks of gray slices, read one slice at a time."""

import logging
import math
import threading
import weakref
from pathlib import Path

import numpy as np
import tifffile

from promptseg.core.errors import UserError
from promptseg.data.image_io import MAX_PIXELS


class Stack:
    """Random access to the slices of a TIFF file: `len(stack)`, `stack[i]` -> (h, w) uint8.

    A slice is a page, compressed or not; or the file has one page whose description (ImageJ's, tifffile's) says how
    many slices follow it without a gap. The file is walked once, when it is opened, and stays open, so that each slice
    costs the same; memory is that of one slice. Threads may share a stack.

    Args:
        path: the file.

    Attributes:
        path: the file.
        shape: (h, w) of every slice.
        close: function that closes the file; called when the stack is garbage-collected.

    Raises:
        UserError: the file is missing, not a TIFF, truncated, not 8-bit gray, or its slices differ in size; or a
            slice that is read cannot be decoded.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._lock = threading.Lock()
        # tifffile only logs some damage (a broken chain of pages, a lost tag); it is checked below, and raised.
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)
        try:
            self._tiff = tifffile.TiffFile(self.path)
        except FileNotFoundError:
            raise UserError(f"{path}: not found") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        except Exception:  # tifffile lets struct, key, index and its own errors through
            raise UserError(f"{path}: not a TIFF file, or its header is damaged; fetch it again") from None
        self.close = weakref.finalize(self, self._tiff.close)
        try:
            self._walk()
        except UserError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise self._damaged(error) from None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < self._count:
            raise IndexError(index)
        try:
            with self._lock:
                if self._run is not None:
                    size, file = math.prod(self.shape), self._tiff.filehandle
                    return file.read_array(np.uint8, size, self._run + index * size).reshape(self.shape)
                return self._tiff.pages[index].asarray(maxworkers=1)
        except Exception as error:  # each codec has errors of its own
            raise self._damaged(error, f"slice {index}: ") from None

    def _walk(self) -> None:
        """Check all headers; set shape, _count, and _run: the offset of slices that have no page each, or None."""
        pages, file = self._tiff.pages, self._tiff.filehandle
        self._count, self._run = len(pages), None
        self.shape = tuple(pages[0].shape)
        for index, page in enumerate(pages):
            self._check(index, page, file.size)  # type: ignore[arg-type]  # frames only where `useframes` is set
        file.seek(pages.next_page_offset)  # type: ignore[arg-type]  # None only before all pages are listed
        end = file.read(self._tiff.tiff.offsetsize)
        if len(end) < self._tiff.tiff.offsetsize or any(end):
            raise UserError(f"{self.path}: truncated after slice {self._count - 1}; fetch it again")
        declared = self._declared() if self._count == 1 else 1
        if declared > 1:
            first = pages[0]
            if not first.is_contiguous or first.dataoffsets[0] + declared * math.prod(self.shape) > file.size:
                raise UserError(f"{self.path}: truncated: less than the {declared} slices it announces; fetch it again")
            self._count, self._run = declared, first.dataoffsets[0]

    def _check(self, index: int, page: tifffile.TiffPage, size: int) -> None:
        where = f"{self.path}: slice {index}"
        if page.dtype != np.uint8 or page.ndim != 2 or page.photometric != tifffile.PHOTOMETRIC.MINISBLACK:
            raise UserError(f"{where} is {page.dtype} {page.shape}, not 8-bit gray with 0 as black; convert the stack")
        if page.shape != self.shape:
            raise UserError(
                f"{where} is {_size(page.shape)} and slice 0 is {_size(self.shape)}; all must be of one size"
            )
        if math.prod(page.shape) > MAX_PIXELS:
            raise UserError(
                f"{where} is {_size(page.shape)}: more than {MAX_PIXELS:,} pixels; split it into smaller images first"
            )
        # tifffile would replace missing strips by zeros.
        strips = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        complete = len(strips) == math.prod(page.chunked)
        if not complete or any(count <= 0 or offset + count > size for offset, count in strips):
            raise UserError(f"{where} is truncated; fetch it again")

    def _declared(self) -> int:
        """The number of slices that the description of the only page declares."""
        if (imagej := self._tiff.imagej_metadata) is not None:
            return int(imagej.get("images", 1))
        if self._tiff.is_shaped:
            return math.prod(self._tiff.shaped_metadata[0]["shape"][:-2])  # type: ignore[index]  # None: damaged
        return 1

    def _damaged(self, error: Exception, where: str = "") -> UserError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return UserError(f"{self.path}: {where}damaged ({reason:.120}); fetch it again")


def check_same_shape(image: Stack, mask: Stack) -> None:
    """Raise UserError unless the stacks of images and masks have equally many slices of the same size."""
    if len(image) != len(mask):
        raise UserError(f"{mask.path}: {len(mask)} slices, but {image.path} holds {len(image)}; fetch both again")
    if image.shape != mask.shape:
        raise UserError(f"{mask.path}: its slices are {_size(mask.shape)}, those of {image.path} {_size(image.shape)}")


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in reversed(shape))
