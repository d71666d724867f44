"""Preview of a prepared dataset: a few records of each split on one page, images beside their ground truth."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from promptseg.data import image_io, point_clouds, records
from promptseg.data.records import Record, RecordReader
from promptseg.report import canvas, panels, point_cloud_figure

SHOWN = 4  # records of a split
SIDE = 156  # pixels of a view: two panels of three views side by side stay below a thousand
COLUMNS = 2  # panels side by side
LISTED = 16  # classes in the legend
GRAY_STEP = 6  # of gray images, between neighbouring gray values
TITLES = ("image", "ground truth", "support")

_SPACE = 16  # pixels between columns


def preview(splits: dict[str, Path], out: Path) -> None:
    """Write the page as PNG; equal records give equal bytes.

    A panel shows a record's image, its ground truth and, where it has one, its support image with the mask outlined.
    With several classes there is a legend: of all classes if they are few, else of those that cover most of the page.

    Args:
        splits: paths of prepared splits by name; at least one has records. Of each, up to `SHOWN` records are read,
            evenly spaced.
        out: file to write.
    """
    readers = {name: reader for name, path in splits.items() if len(reader := records.open_split(path))}
    metadata = next(iter(readers.values())).metadata
    classes = metadata["classes"]
    colors = canvas.class_colors(len(classes))
    shown = {name: _pick(reader) for name, reader in readers.items()}
    with_support = any(record.support_image for picked in shown.values() for record in picked)
    titles = TITLES if with_support else TITLES[:2]
    rows = [panels.beside([panels.titles(titles, SIDE)] * COLUMNS, _SPACE)]
    width = rows[0].shape[1]
    for name, picked in shown.items():
        rows.append(panels.line(f"{name} · {_count(readers[name])}", width, above=10, size=14))
        views = [_panel(record, point_clouds.is_point_cloud(metadata), colors, len(titles)) for record in picked]
        rows += [panels.beside(views[start : start + COLUMNS], _SPACE) for start in range(0, len(views), COLUMNS)]
    entries, listed = _legend(shown, classes, colors)
    if entries:
        rows.append(panels.legend(entries, width))
    canvas.write_png(out, panels.page(rows), colors[listed])


def _count(reader: RecordReader) -> str:
    """The number of records in words: `16 records, of which 3 without ground truth`."""
    empty = reader.column("foreground").count(0)
    words = f"{len(reader):,} record{'' if len(reader) == 1 else 's'}"
    return f"{words}, of which {empty:,} without ground truth" if empty else words


def _pick(reader: RecordReader) -> list[Record]:
    count = min(SHOWN, len(reader))
    return [reader[(2 * i + 1) * len(reader) // (2 * count)] for i in range(count)]


def _panel(record: Record, is_cloud: bool, colors: np.ndarray, count: int) -> np.ndarray:
    """Caption and `count` views of a record: image, ground truth, and its support image or paper."""
    image, mask = records.image(record), records.mask(record)
    if is_cloud:
        drawing = point_cloud_figure.draw(image)
        image, mask = drawing.image, drawing.spread(mask)
    image = _fewer_grays(panels.resize(image, panels.fit(mask.shape[0], mask.shape[1], SIDE)))
    parts = [image, panels.ground_truth(panels.dim(image), mask, colors)]
    if record.support_image:
        parts.append(_support(record))
    parts += [panels.paper(1, 1)] * (count - len(parts))
    row = panels.beside([panels.pad(view, 0, SIDE) for view in parts])
    head = [panels.line(record.id, row.shape[1], above=4)]
    if record.text:
        head.append(panels.line(f"“{record.text}”", row.shape[1]))
    return panels.below([*head, row])


def _support(record: Record) -> np.ndarray:
    """The support image, with its mask outlined in white with a black rim."""
    image, mask = records.support(record)
    view = _fewer_grays(panels.resize(image, panels.fit(mask.shape[0], mask.shape[1], SIDE)))
    small = panels.nearest(mask, view.shape[1::-1])
    for color, thickness in ((0, 0, 0), 3), (canvas.WHITE, 1):
        panels.outline(view, (small > 0) & (small != image_io.IGNORED), color, thickness)
    return view


def _fewer_grays(image: np.ndarray) -> np.ndarray:
    """A gray image in fewer grays, since noise in all of them would make most of the file; colors are unchanged."""
    return image // GRAY_STEP * GRAY_STEP if (image == image[..., :1]).all() else image


def _legend(
    shown: dict[str, list[Record]], classes: list[str], colors: np.ndarray
) -> tuple[list[tuple[str, Sequence[int] | None]], list[int]]:
    """The legend's entries, and the indexes of the classes among them, in their order."""
    covers = (_cover(records.mask(record)) for picked in shown.values() for record in picked)
    cover = sum(covers, np.zeros(256, np.float32))
    share = cover[1 : len(classes) + 1]
    listed = list(range(len(classes))) if len(classes) > 1 else []
    if len(listed) > LISTED:
        largest = np.argsort(-share, kind="stable")[:LISTED]
        listed = sorted(index for index in largest.tolist() if share[index])
    entries: list[tuple[str, Sequence[int] | None]] = [(classes[index], colors[index].tolist()) for index in listed]
    if listed and (more := np.count_nonzero(share) - len(listed)) > 0:
        entries.append((f"and {more} more", None))
    if cover[image_io.IGNORED]:
        entries.append(("ignored (hatched)", canvas.GRAY))
    return entries, listed


def _cover(mask: np.ndarray) -> np.ndarray:
    """(256,) float32: the fraction of a mask's pixels that have each value."""
    return cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel() / mask.size
