"""Image and mask files: reading with strict checks, conversion to 8 bits, PNG encoding.

What becomes of which file is in the table of the package, `promptseg.data`. Images in TIFF files are read by
`tiff_stack`; masks of a user's own, of which more kinds are read, by `label_images`.
"""

import io
import os
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from promptseg.core.errors import UserError, of_system
from promptseg.data import file_kinds

MAX_PIXELS = 120_000_000  # a scan of 10k x 12k; anything larger has to come as a TIFF stack or in tiles
JPEG_IN_TIFF = ("jpeg", "tiff_jpeg")  # Pillow's names of the compression
IGNORED = 255  # in masks: pixels that count neither as a class nor as background
_UNKNOWN = 254  # marks values without a label; seldom a label itself, since classes are few
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")  # JPEG includes MPO, as cameras write it
_ACCEPTED = ("1", "L", "P", "RGB", "LA", "RGBA", "I;16", "I;16B", "I;16L", "I", "F")
_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange height and width

T = TypeVar("T")


def read_image(path: Path, window: tuple[float, float] | None = None) -> np.ndarray:
    """Read an image.

    Args:
        path: PNG, JPEG, TIFF or WebP file.
        window: values that become 0 and 255, for 16-bit and float images; see `scale`.

    Returns:
        (h, w) or (h, w, 3) uint8, upright.

    Raises:
        UserError: for every case that the package's table refuses; it names the file.
    """
    if is_tiff(path):
        from promptseg.data import tiff_stack  # which imports this module

        return tiff_stack.read_image(path, window)
    return _pixels(_open(path), path, window)


def is_tiff(path: Path) -> bool:
    """Return whether the content of a file is a TIFF; False where it cannot be read, which reading it reports."""
    return file_kinds.kind(path) == "TIFF"


def image_size(path: Path) -> tuple[int, int]:
    """Read height and width of what `read_image` returns, from the header: no pixel is decoded.

    They are exchanged where a PNG states only behind its pixels that it has to be turned by 90 degrees.

    Raises:
        UserError: for what the header tells of the cases that the package's table refuses; it names the file.
    """
    if is_tiff(path):
        from promptseg.data import tiff_stack  # which imports this module

        return tiff_stack.image_size(path)
    return _opened(path, False, _upright_size)


def read_mask(path: Path, labels: dict[int, int]) -> np.ndarray:
    """Read a mask of labels.

    Args:
        path: PNG or TIFF file.
        labels: from the values in the file to those of promptseg (0 background, i class i, 255 ignored).

    Returns:
        (h, w) uint8.

    Raises:
        UserError: for every case that the package's table refuses, and for a value that is not among `labels`; it names
            the file, the value and the number of its pixels.
    """
    return map_labels(_indices(_open(path, lossless=True), path), labels, path)


def read_gray(path: Path) -> np.ndarray:
    """Read a PNG or TIFF mask of gray values or colors: (h, w) or (h, w, 3) uint8. Raises as `read_image`."""
    return _pixels(_open(path, lossless=True), path, None)


def open_lossless(path: Path) -> Image.Image:
    """Open and decode a PNG or TIFF, upright, in any mode that Pillow has. Raises as `read_image`."""
    return _open(path, lossless=True)


def map_labels(mask: np.ndarray, labels: dict[int, int], path: Path | str) -> np.ndarray:
    """Map the values of a mask, (h, w) uint8, by `labels`, as `read_mask` does; the UserError names `path`."""
    table = np.full(256, _UNKNOWN, np.uint8)
    table[list(labels)] = list(labels.values())
    mapped = cv2.LUT(mask, table)
    if (mapped == _UNKNOWN).any():  # rare, so only then is counting worth its time
        counts = np.bincount(mask.ravel(), minlength=256)
        unknown = [value for value in np.flatnonzero(counts) if value not in labels]
        if unknown:
            known = ", ".join(map(str, sorted(labels)))
            raise UserError(
                f"{path}: the mask holds {unknown[0]} at {counts[unknown[0]]} pixels; its labels are {known}"
            )
    return mapped


def check_same_size(
    image: tuple[int, ...], mask: tuple[int, ...], image_name: Path | str, mask_name: Path | str
) -> None:
    """Check that an image and its mask have the same height and width.

    Args:
        image: shape of the image, (height, width, ...).
        mask: shape of the mask.
        image_name: the file of the image.
        mask_name: the file of the mask.

    Raises:
        UserError: they differ; it names both files.
    """
    if image[:2] != mask[:2]:
        raise UserError(
            f"{image_name} is {image[1]}x{image[0]} and {mask_name} is {mask[1]}x{mask[0]}; they must be of one size"
        )


def encode_png(array: np.ndarray) -> bytes:
    """Encode (h, w) uint8 or uint16, or (h, w, 3) RGB uint8, as PNG; equal arrays give equal bytes."""
    if array.ndim == 3:
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
    # OpenCV's default (run lengths only) takes a fifth of the time of zlib's level 6, for 2 % more bytes.
    encoded, data = cv2.imencode(".png", array)
    if not encoded:
        raise RuntimeError(f"an array of shape {array.shape} and type {array.dtype} cannot be encoded as PNG")
    return data.tobytes()


def jpeg_bytes(path: Path) -> bytes | None:
    """Read the bytes of an upright gray or RGB JPEG, for which `decode_image` equals `read_image`; otherwise None.

    Raises UserError where the header is damaged.
    """
    if file_kinds.kind(path) != "JPEG":
        return None

    def as_it_is(image: ImageFile.ImageFile) -> bool:
        return image.mode in ("L", "RGB") and image.getexif().get(ExifTags.Base.Orientation, 1) == 1

    return Path(path).read_bytes() if _opened(path, False, as_it_is) else None


def decode_image(data: bytes) -> np.ndarray:
    """Decode the PNG or JPEG bytes of a record: (h, w) or (h, w, 3) uint8, or uint16 for a 16-bit PNG."""
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        return np.asarray(image)


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Convert (h, w) or (h, w, 3) to (h, w, 3); gray is repeated."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def scale(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Scale values of any type and shape to uint8: window[0] becomes 0, window[1] 255; values outside are clipped."""
    low, high = window
    # In 32 bits where no digit is lost, as in 64 bits it takes twice as long.
    exact: np.ndarray = values.astype(np.float32 if np.can_cast(values.dtype, np.float32) else np.float64)
    return np.clip((exact - low) * 255.0 / (high - low) + 0.5, 0, 255).astype(np.uint8)


def to_8_bits(values: np.ndarray, window: tuple[float, float] | None, where: Path | str) -> np.ndarray:
    """Keep uint8 values, and scale others by a window. Raises UserError, naming `where`, without one, and for NaN."""
    if values.dtype == np.uint8:
        return values
    if window is None:
        raise UserError(
            f"{where}: {values.dtype.name} values need a window, the values of black and white: options.window in "
            "params.yaml, --window on the command line"
        )
    if not np.isfinite(values).all():
        raise UserError(f"{where}: it holds NaN or infinity")
    return scale(values, window)


def _open(path: Path, lossless: bool = False) -> Image.Image:
    """Decode a file and apply its orientation. Raises UserError for files that are refused whatever their mode."""
    return _opened(path, lossless, _upright)


def _opened(path: Path, lossless: bool, use: Callable[[ImageFile.ImageFile], T]) -> T:
    """What `use` makes of a file that is open and not yet decoded. Raises as `_open`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it warns below MAX_PIXELS already
            # Given a path, Pillow maps plain TIFFs into memory, and applies their orientation twice.
            with open(path, "rb") as file, Image.open(file, formats=_FORMATS) as image:
                _check(image, path, lossless)
                return use(image)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: {file_kinds.refusal(path)}") from None
    except Image.DecompressionBombError:
        raise UserError(f"{path}: more than {MAX_PIXELS:,} pixels; split it into smaller images first") from None
    except UserError:
        raise
    except Exception as error:  # on damage Pillow raises whatever its parts do: OSError, SyntaxError, struct.error
        damaged = UserError(f"{path}: truncated or damaged ({error}); fetch it again")
        raise of_system(error, path) or damaged from None


def _upright(image: ImageFile.ImageFile) -> Image.Image:
    """Decode an image and apply its orientation."""
    if image.format == "PNG":
        _check_sums(image.fp)  # type: ignore[arg-type]  # open until it is decoded
    return ImageOps.exif_transpose(image)


def _check_sums(png: IO[bytes]) -> None:
    """Verify the checksums of the pixels in a PNG: Pillow takes what decompresses. Raises ValueError."""
    place = png.tell()
    png.seek(8)
    while len(header := png.read(8)) == 8:
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if kind != b"IDAT":
            png.seek(length + 4, os.SEEK_CUR)
        elif zlib.crc32(png.read(length), zlib.crc32(kind)) != int.from_bytes(png.read(4), "big"):
            raise ValueError("the checksum of its pixels differs")
    png.seek(place)


def _upright_size(image: ImageFile.ImageFile) -> tuple[int, int]:
    """Height and width once the orientation is applied, which Pillow has done for a TIFF."""
    exif = Image.Image.getexif(image)  # the method of a PNG decodes it first
    turned = image.format != "TIFF" and exif.get(ExifTags.Base.Orientation, 1) in _TURNED
    return (image.width, image.height) if turned else (image.height, image.width)


def _check(image: ImageFile.ImageFile, path: Path, lossless: bool) -> None:
    in_tiff = image.format == "TIFF" and image.info.get("compression") in JPEG_IN_TIFF
    if lossless and (in_tiff or image.format not in ("PNG", "TIFF")):
        lossy, hint = ("JPEG", " without JPEG") if in_tiff else (image.format, "")
        raise UserError(f"{path}: a {lossy} blurs the labels of a mask; give it as PNG or TIFF{hint}")
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width}x{image.height}"
        raise UserError(f"{path}: {size} is more than {MAX_PIXELS:,} pixels; split it into smaller images first")
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format != "MPO":  # a photo with its previews
        raise UserError(f"{path}: it holds {pages} pages where one image is expected")
    # Pillow would keep only the upper bytes, which turns the 12 bits of a microscope to black.
    if image.mode in ("RGB", "LA", "RGBA") and any(";16" in str(tile[3]) for tile in image.tile):
        raise UserError(f"{path}: 16-bit color is not supported; save it with 8 bits")


def _pixels(image: Image.Image, path: Path, window: tuple[float, float] | None) -> np.ndarray:
    if image.mode not in _ACCEPTED:
        raise UserError(f"{path}: images in {image.mode} are not supported; save it as RGB")
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        image = image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("LA", "RGBA"):
        image = opaque(image, path)
    return to_8_bits(np.array(image), window, path)


def _indices(mask: Image.Image, path: Path) -> np.ndarray:
    if mask.mode in ("LA", "RGBA"):
        mask = opaque(mask, path)
    if mask.mode == "1":
        mask = mask.convert("L")
    values = np.array(mask)
    if mask.mode == "RGB" and (values == values[..., :1]).all():
        values = np.ascontiguousarray(values[..., 0])
    if values.dtype != np.uint8 or values.ndim != 2:
        raise UserError(f"{path}: a mask must hold one 8-bit label a pixel; this one is {mask.mode}")
    return values


def opaque(image: Image.Image, path: Path) -> Image.Image:
    """Remove the alpha channel of an image in LA or RGBA. Raises UserError where a pixel is transparent."""
    if image.getchannel("A").getextrema()[0] < 255:  # type: ignore[operator]  # of one channel these are numbers
        raise UserError(f"{path}: it is partly transparent; flatten it first")
    return image.convert(image.mode[:-1])
