"""Pages of TIFF files as pixels, whatever their type and compression.

tifffile and imagecodecs decode them. Values of 8 bits are kept; others are scaled by a window. WhiteIsZero is inverted
after that, at every depth. Color is 8-bit RGB, a palette, or YCbCr inside a JPEG; alpha must be opaque.
"""

import math

import numpy as np
import tifffile
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC

from promptseg.core.errors import UserError, of_system
from promptseg.data import image_io

_GRAY = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE)
_NAMES = {PHOTOMETRIC.SEPARATED: "CMYK", PHOTOMETRIC.CIELAB: "LAB", PHOTOMETRIC.YCBCR: "YCbCr"}
_JPEG = (COMPRESSION.JPEG, COMPRESSION.OJPEG)
# Codecs that decode all that these compressions can hold, so that an error means damage.
_PLAIN = (
    COMPRESSION.NONE, COMPRESSION.LZW, COMPRESSION.DEFLATE, COMPRESSION.ADOBE_DEFLATE, COMPRESSION.PACKBITS,
    COMPRESSION.ZSTD, COMPRESSION.LZMA,
)  # fmt: skip


def check(page: tifffile.TiffPage, file_size: int, where: str) -> None:
    """Check what the header of a page says, before anything is decoded.

    Args:
        page: of an open file.
        file_size: bytes of the file.
        where: file and slice, for messages.

    Raises:
        UserError: the page is too large, truncated, or neither gray nor RGB, or its compression is not known.
    """
    if page.imagewidth * page.imagelength > image_io.MAX_PIXELS:
        raise UserError(
            f"{where}: {page.imagewidth}x{page.imagelength} is more than {image_io.MAX_PIXELS:,} pixels; split it into "
            "smaller images first"
        )
    if page.dtype is None or page.dtype.kind not in "buif":
        kind = page.dtype or f"{page.bitspersample}-bit"
        raise UserError(f"{where}: {kind} values are not supported; save it with 8 or 16 bits")
    if page.compression not in tifffile.TIFF.DECOMPRESSORS:
        raise UserError(
            f"{where}: {describe(page)} cannot be decoded here; save it without compression, or with LZW or Deflate"
        )
    # tifffile would replace missing strips by zeros.
    strips = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    complete = len(strips) == math.prod(page.chunked)
    if not complete or any(count <= 0 or offset + count > file_size for offset, count in strips):
        raise UserError(f"{where} is truncated; fetch it again")
    _check_color(page, where)


def values(page: tifffile.TiffPage, where: str) -> np.ndarray:
    """Decode a page: (h, w) or (h, w, samples), as stored; 1-bit values become 0 and 255.

    Raises:
        UserError: the page cannot be decoded.
    """
    try:
        stored = page.asarray(maxworkers=1)
    except Exception as error:  # each codec has errors of its own
        if refused := of_system(error, where):
            raise refused from None
        reason = " ".join(str(error).split()) or type(error).__name__
        if page.compression in _PLAIN:
            raise UserError(f"{where}: damaged ({reason:.120}); fetch it again") from None
        raise UserError(
            f"{where}: {describe(page)} cannot be decoded ({reason:.120}); save it without compression, or with LZW or "
            "Deflate"
        ) from None
    if page.axes.startswith("S"):  # a plane a color
        stored = np.ascontiguousarray(np.moveaxis(stored, 0, -1))
    if stored.dtype == bool:
        stored = stored.astype(np.uint8) * 255
    return upright(stored, page)


def pixels(page: tifffile.TiffPage, stored: np.ndarray, window: tuple[float, float] | None, where: str) -> np.ndarray:
    """Convert the values of a page to an image, (h, w) or (h, w, 3) uint8.

    Args:
        page: of the values.
        stored: as `values` returns them.
        window: values that become 0 and 255; 8-bit values are kept.
        where: file and slice, for messages.

    Raises:
        UserError: the values need a window, are not finite, or are partly transparent.
    """
    if page.photometric == PHOTOMETRIC.PALETTE:
        return (np.asarray(page.colormap) >> 8).astype(np.uint8).T[stored]
    if page.extrasamples:
        if page.extrasamples[0] != EXTRASAMPLE.UNSPECIFIED and (stored[..., -1] < 255).any():
            raise UserError(f"{where}: it is partly transparent; flatten it first")
        stored = stored[..., 0] if stored.shape[-1] == 2 else stored[..., :-1]
    image = np.ascontiguousarray(image_io.to_8_bits(_full_range(stored, page), window, where))
    return 255 - image if page.photometric == PHOTOMETRIC.MINISWHITE else image


def upright(stored: np.ndarray, page: tifffile.TiffPage) -> np.ndarray:
    """Apply the Orientation tag (TIFF 6.0, tag 274) to (h, w, ...) values."""
    orientation = page.tags.valueof("Orientation", 1)
    if orientation in (5, 6, 7, 8):
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return np.ascontiguousarray(stored)


def describe(page: tifffile.TiffPage) -> str:
    """Name the compression and the type of a page: `JPEG2000, uint16`."""
    name = COMPRESSION(page.compression).name if page.compression in set(COMPRESSION) else str(page.compression)
    return f"compression {name} of {page.dtype} values"


def _check_color(page: tifffile.TiffPage, where: str) -> None:
    """Raise UserError unless a page is gray or RGB, with or without alpha."""
    color = page.photometric
    alpha = len(page.extrasamples)
    if color in _GRAY:
        samples = 1
    elif color == PHOTOMETRIC.RGB or (color == PHOTOMETRIC.YCBCR and page.compression in _JPEG):
        samples = 3
    elif color == PHOTOMETRIC.PALETTE and page.colormap is not None:
        samples = 1
    else:
        name = _NAMES.get(color) or getattr(color, "name", str(color))  # type: ignore[call-overload]  # of any int
        raise UserError(f"{where}: images in {name} are not supported; save it as RGB")
    # Beside gray a sample without a meaning may be a second channel; beside RGB it is padding, or a saved selection.
    second = samples == 1 and EXTRASAMPLE.UNSPECIFIED in page.extrasamples
    if page.samplesperpixel != samples + alpha or alpha > 1 or second or len(page.shape) > 3:
        shape = "x".join(map(str, page.shape))
        raise UserError(
            f"{where}: axes {page.axes} ({shape}), {page.samplesperpixel} channels that are neither gray nor RGB; save "
            "the one that shows the objects, or an RGB image"
        )
    if (samples == 3 or alpha) and page.dtype != np.uint8:
        raise UserError(f"{where}: {page.bitspersample}-bit color is not supported; save it with 8 bits")


def _full_range(stored: np.ndarray, page: tifffile.TiffPage) -> np.ndarray:
    """Spread values of 2 and 4 bits, which are unpacked as they are, over 8 bits."""
    if stored.dtype == np.uint8 and page.bitspersample < 8 and page.bitspersample > 1:
        return stored * np.uint8(255 // (2**page.bitspersample - 1))
    return stored
