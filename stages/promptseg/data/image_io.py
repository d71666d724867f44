"""Pictures at the border: what is let in, what is scaled, what is refused; and PNG bytes out.

| found                        | picture                                   | mask                     |
|------------------------------|-------------------------------------------|--------------------------|
| 8-bit L, RGB, 1-bit          | as it is                                  | L, 1-bit; RGB if gray    |
| palette                      | its colors                               | its indices              |
| LA, RGBA, transparent color | if opaque                                 | if opaque                |
| 16-bit gray                  | by a window that the dataset states       | refused                  |
| 16-bit color                | refused                                   | refused                  |
| float                        | by a window; NaN and infinity refused     | refused                  |
| CMYK and other               | refused                                   | refused                  |
| EXIF orientation             | turned                                    | turned                   |
| more than one page           | refused (a stack is read by `Stack`)      | refused                  |
| JPEG                         | yes                                       | refused: it is lossy     |
| over MAX_PIXELS              | refused before it is decoded              | refused                  |
| truncated, or no picture     | refused                                   | refused                  |
"""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from promptseg.core.errors import UserError

MAX_PIXELS = 120_000_000  # a whole 10k x 12k scan; what is larger comes as a TIFF stack or in tiles
IGNORED = 255  # in our masks: what counts neither as a class nor as background
_UNKNOWN = 254  # seldom a label: classes are few, and 255 is ignored
_ACCEPTED = ("1", "L", "P", "RGB", "LA", "RGBA", "I;16", "I;16B", "I;16L", "I", "F")


def read_image(path: Path, window: tuple[float, float] | None = None) -> np.ndarray:
    """The picture in a PNG, JPEG or TIFF file: (h, w) or (h, w, 3) uint8.

    window: the values that become 0 and 255, for 16-bit and float pictures. Raises UserError, naming the file.
    """
    return _pixels(_open(path), path, window)


def read_mask(path: Path, labels: dict[int, int]) -> np.ndarray:
    """The mask in a PNG or TIFF file: (h, w) uint8.

    labels: from the values that may stand in the file to ours (0 background, i class i, 255 ignored); any other
    value raises UserError, which names the file, the value and how many pixels have it.
    """
    return map_labels(_indices(_open(path, lossless=True), path), labels, path)


def read_gray(path: Path) -> np.ndarray:
    """The values of a PNG or TIFF mask that holds no labels, for its dataset to cut: (h, w) or (h, w, 3) uint8."""
    return _pixels(_open(path, lossless=True), path, None)


def map_labels(mask: np.ndarray, labels: dict[int, int], path: Path | str) -> np.ndarray:
    """Replace the values of an (h, w) uint8 mask by ours. Raises UserError where a value is not among `labels`."""
    table = np.full(256, _UNKNOWN, np.uint8)
    table[list(labels)] = list(labels.values())
    mapped = cv2.LUT(mask, table)
    if (mapped == _UNKNOWN).any():  # rare, so the slow way is for it alone
        counts = np.bincount(mask.ravel(), minlength=256)
        unknown = [value for value in np.flatnonzero(counts) if value not in labels]
        if unknown:
            known = ", ".join(map(str, sorted(labels)))
            raise UserError(f"{path}: the mask holds {unknown[0]} at {counts[unknown[0]]} pixels; its labels are {known}")
    return mapped


def check_pair(image: np.ndarray, mask: np.ndarray, path: Path | str) -> None:
    """Raise UserError unless the picture and its mask are of one size."""
    if image.shape[:2] != mask.shape:
        raise UserError(f"{path}: the picture is {_size(image)} and its mask {_size(mask)}; they must be of one size")


def png(array: np.ndarray) -> bytes:
    """PNG bytes of (h, w) uint8 or uint16, or (h, w, 3) RGB uint8; the same array gives the same bytes."""
    if array.ndim == 3:
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
    # OpenCV's own default (run lengths only) takes a fifth of the time of zlib's level 6, for 2 % more bytes.
    done, data = cv2.imencode(".png", array)
    if not done:
        raise RuntimeError(f"an array of shape {array.shape} and type {array.dtype} does not go into a PNG")
    return data.tobytes()


def jpeg(path: Path) -> bytes | None:
    """The bytes of a file, if it is a JPEG from which `decode` makes the same as `read_image`: gray or RGB, upright."""
    data = Path(path).read_bytes()
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as picture:
        upright = picture.getexif().get(ExifTags.Base.Orientation, 1) == 1
        return data if picture.format == "JPEG" and picture.mode in ("L", "RGB") and upright else None


def decode(data: bytes) -> np.ndarray:
    """The picture that one of our containers holds as PNG or JPEG bytes: (h, w) or (h, w, 3) uint8."""
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
        return np.asarray(picture)


def rgb(image: np.ndarray) -> np.ndarray:
    """(h, w) or (h, w, 3) -> (h, w, 3); gray is repeated."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def scale(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Values of any type to uint8: window[0] becomes 0 and window[1] 255, what lies outside is clipped."""
    low, high = window
    return np.clip((values.astype(np.float32) - low) * (255.0 / (high - low)) + 0.5, 0, 255).astype(np.uint8)


def _open(path: Path, lossless: bool = False) -> Image.Image:
    """The picture in a file, decoded and turned upright. Raises UserError where the file as such is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it warns below MAX_PIXELS already
            # Given a name, Pillow maps plain TIFFs into memory, and turns those twice.
            with open(path, "rb") as file, Image.open(file, formats=("PNG", "JPEG", "TIFF")) as picture:
                _check(picture, path, lossless)
                return ImageOps.exif_transpose(picture)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: no PNG, JPEG or TIFF picture, or its header is damaged; fetch it again") from None
    except Image.DecompressionBombError:
        raise UserError(f"{path}: more than {MAX_PIXELS:,} pixels; cut it up first") from None
    except (OSError, SyntaxError, ValueError, EOFError, TypeError) as error:  # Pillow on damaged headers and data
        raise UserError(f"{path}: truncated or damaged ({error}); fetch it again") from None


def _check(picture: Image.Image, path: Path, lossless: bool) -> None:
    """Refuse what the header alone tells; nothing is decoded yet."""
    if lossless and picture.format not in ("PNG", "TIFF"):
        raise UserError(f"{path}: a {picture.format} blurs the labels of a mask; give it as PNG or TIFF")
    if picture.width * picture.height > MAX_PIXELS:
        size = f"{picture.width}x{picture.height}"
        raise UserError(f"{path}: {size} is more than {MAX_PIXELS:,} pixels; cut it up first")
    if getattr(picture, "n_frames", 1) > 1:
        raise UserError(f"{path}: it holds {picture.n_frames} pages where one picture is expected")
    # Pillow keeps the upper byte alone, which turns the 12 bits of a microscope to black.
    if picture.mode in ("RGB", "LA", "RGBA") and any(";16" in str(tile[3]) for tile in picture.tile):
        raise UserError(f"{path}: 16-bit color is not taken; save it with 8 bits")


def _pixels(picture: Image.Image, path: Path, window) -> np.ndarray:
    if picture.mode not in _ACCEPTED:
        raise UserError(f"{path}: pictures in {picture.mode} are not taken; save it as RGB")
    if "transparency" in picture.info and picture.mode in ("1", "L", "P", "RGB"):
        picture = picture.convert("LA" if picture.mode in ("1", "L") else "RGBA")
    if picture.mode == "P":
        picture = picture.convert("RGB")
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode in ("LA", "RGBA"):
        picture = _opaque(picture, path)
    values = np.array(picture)
    if values.dtype == np.uint8:
        return values
    if window is None:
        raise UserError(f"{path}: {values.dtype} values need a window (which values are black and white); none is stated")
    if not np.isfinite(values).all():
        raise UserError(f"{path}: it holds NaN or infinity")
    return scale(values, window)


def _indices(mask: Image.Image, path: Path) -> np.ndarray:
    if mask.mode in ("LA", "RGBA"):
        mask = _opaque(mask, path)
    if mask.mode == "1":
        mask = mask.convert("L")
    values = np.array(mask)
    if mask.mode == "RGB" and (values == values[..., :1]).all():
        values = np.ascontiguousarray(values[..., 0])
    if values.dtype != np.uint8 or values.ndim != 2:
        raise UserError(f"{path}: a mask must hold one 8-bit label a pixel; this one is {mask.mode}")
    return values


def _opaque(picture: Image.Image, path: Path) -> Image.Image:
    if picture.getchannel("A").getextrema()[0] < 255:
        raise UserError(f"{path}: it is partly transparent; flatten it first")
    return picture.convert(picture.mode[:-1])


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
