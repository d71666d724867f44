"""Label images of any integer type: a user's own masks, as programs of the field store them.

What becomes of which file is in the last column of the table of the package, `promptseg.data`.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image

from promptseg.core.errors import UserError
from promptseg.data import file_kinds, image_io, tiff_pixels

_WHITE_IS_ZERO = 0
_FAX = (2, 3, 4)  # compressions whose writers invert what they store
_OTHER_COLORS = ("CMYK", "YCbCr", "LAB", "HSV")
_BY_PILLOW = ("bool", "uint8", "uint16")
_INVERTING = np.arange(255, -1, -1, dtype=np.uint8)


class LabelImage(NamedTuple):
    """Values of a mask file.

    Attributes:
        values: (h, w) bool, uint8, uint16 or int64, not negative; (h, w, 3) uint8 where the file holds colors.
        palette: (n, 3) uint8, the colors that the values are indices of; None where they are none.
        inverted: the file says to show 0 as white, and its values are as they are stored.
    """

    values: np.ndarray
    palette: np.ndarray | None = None
    inverted: bool = False


def read_labels(path: Path) -> LabelImage:
    """Read the values of a mask file.

    Args:
        path: PNG or TIFF file.

    Returns:
        The values, by the package's table.

    Raises:
        UserError: the file is damaged or lossy, or holds what is no label; it names the file and what to do.
    """
    page = _Page.of(path)
    if page is not None and not page.for_pillow:
        return LabelImage(_whole_numbers(page.read(), path), None, page.inverted)
    image = image_io.open_lossless(path)
    if image.mode in ("LA", "RGBA"):
        image = image_io.opaque(image, path)
    if image.mode in _OTHER_COLORS:
        raise UserError(f"{path}: masks in {image.mode} are not supported; save it as RGB")
    values = np.array(image)
    if image.mode == "P":
        palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
        # A look-up table that only inverts what is shown, as ImageJ's, and no palette of levels.
        if len(palette) == 256 and (palette == _INVERTING[:, None]).all():
            return LabelImage(values, None, True)
        return LabelImage(values, palette)
    if values.ndim == 3:
        gray = image.mode == "RGB" and (values == values[..., :1]).all()
        return LabelImage(np.ascontiguousarray(values[..., 0]) if gray else values)
    inverted = page is not None and page.inverted
    if inverted and values.dtype in (bool, np.uint8):
        values = ~values  # undoes what Pillow does with few bits alone
    return LabelImage(_whole_numbers(values, path), None, inverted)


class _Page(NamedTuple):
    """The header of a TIFF of one page.

    Attributes:
        path: of the file.
        inverted: 0 is shown as white, and values are to be read as they are stored.
        for_pillow: Pillow reads such types, and strictly.
    """

    path: Path
    inverted: bool
    for_pillow: bool

    @classmethod
    def of(cls, path: Path) -> "_Page | None":
        """None for what is no TIFF of one page, which Pillow reads or refuses."""
        try:
            if not image_io.is_tiff(path):
                return None
            with tifffile.TiffFile(path) as tiff:
                page, pages = tiff.pages.first, len(tiff.pages)
                inverted = page.photometric == _WHITE_IS_ZERO and page.compression not in _FAX
                known = str(page.dtype) in _BY_PILLOW or page.ndim != 2 or page.dtype is None
        except MemoryError:
            raise
        except Exception:  # tifffile lets struct, key, index and its own errors through
            return None
        return cls(Path(path), inverted, known) if pages == 1 else None

    def read(self) -> np.ndarray:
        with tifffile.TiffFile(self.path) as tiff:
            tiff_pixels.check(tiff.pages.first, tiff.filehandle.size, str(self.path))
            return tiff_pixels.values(tiff.pages.first, str(self.path))


def _whole_numbers(values: np.ndarray, path: Path) -> np.ndarray:
    """Values in the smallest of bool, uint8, uint16 and int64. Raises UserError for those that are no labels."""
    if values.dtype in (bool, np.uint8):
        return values
    if values.dtype.kind not in "iuf":
        raise UserError(f"{path}: its values are {values.dtype}, which are no labels; save it as an 8 or 16-bit TIFF")
    if values.dtype.kind == "f":
        broken = values[values != np.rint(values)]  # NaN is among them
        if broken.size or np.isinf(values).any():
            what = f"{broken[0]:g}" if broken.size else "infinity"
            raise UserError(
                f"{path}: it holds {what}, no whole number; are they probabilities? save it as np.uint8(values > 0.5)"
            )
    low, high = (int(bound(values)) for bound in (np.min, np.max))
    if low < 0:
        raise UserError(f"{path}: it holds negative values, down to {low}; save the mask with 0 as background")
    if values.dtype == np.uint16 and high == 65535 and ((values == 0) | (values == 65535)).all():
        return values > 0
    return values.astype(np.uint8 if high < 256 else np.uint16 if high < 65536 else np.int64)


def gray_levels(palette: np.ndarray) -> np.ndarray | None:
    """The gray value of each entry of a palette, (n,) uint8; None unless all of them are gray."""
    return palette[:, 0] if (palette == palette[:, :1]).all() else None


def palette_of(path: Path) -> np.ndarray | None:
    """The palette of a file, (n, 3) uint8, from its header; None where it has none, or cannot be opened."""
    try:
        with Image.open(path, formats=("PNG", "TIFF")) as image:
            return np.array(image.getpalette(), np.uint8).reshape(-1, 3) if image.mode == "P" else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # reading the file reports the reason


def holds_jpeg(path: Path) -> bool:
    """Whether a file is a JPEG or a TIFF compressed as one, by its header; False where it cannot be opened."""
    if file_kinds.kind(path) != "TIFF":
        return file_kinds.kind(path) == "JPEG"
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            return image.info.get("compression") in image_io.JPEG_IN_TIFF
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False  # reading the file reports the reason
