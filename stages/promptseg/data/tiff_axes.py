"""What the pages of a TIFF file are: slices, channels of one color image, or smaller copies of an image.

Axes are those that ImageJ, OME and others write beside the pixels, as tifffile reads them (`TiffPageSeries.axes`): T
and Z, and axes without a name, are slices; C are channels, which are color only where the file says that they are red,
green and blue. Reduced copies (pyramids of slide scanners and of GDAL, previews) and transparency masks are no slices.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from promptseg.core.errors import UserError

# Formats of slide scanners, whose series tifffile tells apart.
_SCANNERS = ("svs", "ndpi", "scn", "bif", "qpi", "philips")
_RGB = ("red", "green", "blue")
_LETTERS = dict(zip("rgb", _RGB, strict=True))
_PRIMARIES = {(255, 0, 0): "red", (0, 255, 0): "green", (0, 0, 255): "blue"}


@dataclass(frozen=True)
class Planes:
    """The planes of a file.

    Attributes:
        pages: of the file, without reduced copies; one for all planes where they follow it without a gap.
        slices: for each slice the number of its plane, or of its red, green and blue planes.
    """

    pages: list[tifffile.TiffPage]
    slices: list[tuple[int, ...]]

    @property
    def count(self) -> int:
        """Number of planes."""
        return sum(map(len, self.slices))


def planes(tiff: tifffile.TiffFile, path: Path) -> Planes:
    """Find the slices of a file.

    Args:
        tiff: the open file.
        path: its path, for messages.

    Raises:
        UserError: the file has channels that are not red, green and blue.
    """
    pages = _full_size(_pages(tiff))
    axes, shape = _leading_axes(tiff, pages[0])
    count = math.prod(shape)
    fits = len(pages) in (1, count)
    if "C" not in axes:
        # Without a fit there are several series, or a description of other files: a slice a page.
        return Planes(pages, [(index,) for index in range(count if fits else len(pages))])
    at = axes.index("C")
    if axes == "C" and count > _most_channels(tiff):
        return Planes(pages, [(index,) for index in range(count)])
    order = _color_order(tiff, shape[at]) if fits else None
    if order is None:
        sizes = ", ".join(f"{axis}={size}" for axis, size in zip(axes, shape, strict=True))
        raise UserError(
            f"{path}: its axes are {axes}YX ({sizes}): channels C that the file does not call red, green and blue; "
            "save one of them, or an RGB image (ImageJ: Image > Type > RGB Color), or name them slices if that is what "
            "they are (ImageJ: Image > Properties)"
        )
    by_channel = np.moveaxis(np.arange(count).reshape(shape), at, -1).reshape(-1, 3)
    return Planes(pages, [tuple(row[order].tolist()) for row in by_channel])


def _pages(tiff: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """The pages of a file; of a slide scanner's file those of the scan, without its label and overview."""
    pages = list(tiff.pages)
    if any(getattr(tiff, f"is_{kind}") for kind in _SCANNERS):
        pages = [page for page in tiff.series[0].pages if page is not None]
    return pages  # type: ignore[return-value]  # frames only where `useframes` is set


def _full_size(pages: list[tifffile.TiffPage]) -> list[tifffile.TiffPage]:
    """Leave out reduced copies and transparency masks, whether the file marks them or their sizes alone tell."""
    kept = [page for page in pages if not page.is_reduced and not page.is_mask] or pages[:1]
    height, width = kept[0].imagelength, kept[0].imagewidth
    halved = all(
        page.imagewidth < width
        and abs(page.imagelength - (height >> level)) <= 1
        and abs(page.imagewidth - (width >> level)) <= 1
        for level, page in enumerate(kept[1:], 1)
    )
    return kept[:1] if halved else kept


def _leading_axes(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[str, tuple[int, ...]]:
    """Letters and sizes of the axes before those of a page, without those of size 1; none where the file is silent."""
    try:
        series = tiff.series[0]
        axes, shape, inner = series.axes, series.shape, len(page.shape)
    except MemoryError:
        raise
    except Exception:  # descriptions are written by hand and by many programs; tifffile raises whatever they break
        return "", ()
    return (axes[:-inner], shape[:-inner]) if shape[-inner:] == page.shape else ("", ())


def _most_channels(tiff: tifffile.TiffFile) -> float:
    """How many planes along C alone may be channels: ImageJ shows up to 7.

    tifffile (`imwrite(imagej=True)` without `axes`) writes slices as channels; it signs as version 1.11a.
    """
    if not tiff.is_imagej:
        return math.inf
    return 4 if (tiff.imagej_metadata or {}).get("ImageJ") == "1.11a" else 7


def _color_order(tiff: tifffile.TiffFile, channels: int) -> list[int] | None:
    """Numbers of the red, green and blue channel; None where the file does not say so."""
    try:
        names = _ome_colors(tiff) if tiff.is_ome else _imagej_colors(tiff)
    except MemoryError:
        raise
    except Exception:  # see `_leading_axes`
        return None
    if channels != 3 or sorted(names) != sorted(_RGB):
        return None
    return [names.index(color) for color in _RGB]


def _imagej_colors(tiff: tifffile.TiffFile) -> list[str]:
    """Colors of ImageJ's lookup tables; a composite without tables has its default, red, green and blue."""
    metadata = tiff.imagej_metadata or {}
    if "LUTs" in metadata:
        brightest = [tuple(np.asarray(table)[:, -1].tolist()) for table in metadata["LUTs"]]
        return [_PRIMARIES.get(color, "") for color in brightest]
    return list(_RGB) if metadata.get("mode") in ("composite", "color") else []


def _ome_colors(tiff: tifffile.TiffFile) -> list[str]:
    """Colors of the channels in OME metadata: their Color (red, green, blue, alpha in 32 bits), else their Name."""
    image = tifffile.xml2dict(tiff.ome_metadata or "")["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    colors = []
    for channel in pixels["Channel"]:
        if "Color" in channel:
            value = int(channel["Color"]) & 0xFFFFFFFF
            colors.append(_PRIMARIES.get((value >> 24, value >> 16 & 255, value >> 8 & 255), ""))
        else:
            name = str(channel.get("Name", "")).lower()
            colors.append(_LETTERS.get(name, name))
    return colors
