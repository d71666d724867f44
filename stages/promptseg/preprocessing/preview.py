"""A prepared dataset for people: a few pairs of each split on one page, pictures beside their truth."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.data import image_io, point_clouds, records
from promptseg.data.records import Record, RecordReader
from promptseg.report import canvas, panels, point_cloud_figure

SHOWN = 4  # pairs of a split
SIDE = 156  # pixels of a view: two pairs of three views beside each other stay below a thousand
COLUMNS = 2  # pairs beside each other
LISTED = 16  # classes in the legend
GRAYS_APART = 6  # where a picture is gray
TITLES = ("picture", "truth", "support")

_SPACE = 16  # pixels between columns


def preview(container_paths: dict[str, Path], out: Path) -> None:
    """Write the page, a PNG, from containers of Record by the names of their splits; at least one has rows.

    Of each split up to 4 rows, evenly spread, and only these are read. Where one has a support picture, it is the third
    view of its panel, the mask outlined. The legend is there where classes are several: it names them all if they are
    few, else those that cover most of what is shown. The same rows give the same bytes.
    """
    splits = {name: rows for name, path in container_paths.items() if len(rows := records.pairs(path))}
    about = next(iter(splits.values())).about
    classes = about["classes"]
    colors = canvas.class_colors(len(classes))
    shown = {name: _pick(rows) for name, rows in splits.items()}
    supported = any(pair.support_image for picked in shown.values() for pair in picked)
    titles = TITLES if supported else TITLES[:2]
    strip = panels.titles(titles, SIDE, len(titles) * (SIDE + panels.GAP) - panels.GAP)
    parts = [panels.beside([strip] * COLUMNS, _SPACE)]
    width = parts[0].shape[1]
    for name, picked in shown.items():
        parts.append(_heading(name, len(splits[name]), width))
        panels = [_panel(pair, point_clouds.is_cloud(about), colors, len(titles)) for pair in picked]
        parts += [_abreast(panels[start : start + COLUMNS], width) for start in range(0, len(panels), COLUMNS)]
    entries, listed = _legend(shown, classes, colors)
    if entries:
        parts.append(panels.legend(entries, width))
    canvas.write_png(out, panels.page(parts), colors[listed])


def _pick(rows: RecordReader) -> list[Record]:
    count = min(SHOWN, len(rows))
    return [rows[(2 * i + 1) * len(rows) // (2 * count)] for i in range(count)]


def _panel(pair: Record, is_cloud: bool, colors: np.ndarray, count: int) -> np.ndarray:
    """Caption and `count` views of a pair: picture, truth, and its support picture or paper."""
    image, mask = records.image(pair), records.mask(pair)
    if is_cloud:
        drawing = point_cloud_figure.draw(image)
        image, mask = drawing.picture, drawing.spread(mask)
    picture = _thinned(panels.resize(image, panels.fit(*mask.shape, SIDE)))
    row = [picture, panels.truth(panels.dim(picture), mask, colors)]
    if pair.support_image:
        row.append(_support(pair))
    row = [panels.pad(view, SIDE) for view in row]
    row += [panels.paper(SIDE, SIDE)] * (count - len(row))
    row = panels.trim(panels.beside(row))
    lines = [pair.id, f"“{pair.text}”"] if pair.text else [pair.id]
    head = panels.paper(canvas.LINE * len(lines) + 6, row.shape[1])
    for number, line in enumerate(lines):
        head = canvas.text(head, line, (0, 4 + number * canvas.LINE), row.shape[1])
    return np.concatenate([head, row])


def _support(pair: Record) -> np.ndarray:
    """The support picture, what its mask shows outlined in white with a black rim."""
    mask = image_io.decode(pair.support_mask)
    view = _thinned(panels.resize(image_io.rgb(image_io.decode(pair.support_image)), panels.fit(*mask.shape, SIDE)))
    small = panels.nearest(mask, view.shape[1::-1])
    for color, thickness in ((0, 0, 0), 3), (canvas.WHITE, 1):
        panels.outline(view, (small > 0) & (small != panels.IGNORED), color, thickness)
    return view


def _thinned(picture: np.ndarray) -> np.ndarray:
    """A gray picture in a few grays: noise in all of them would make most of the file. Colors stay as they are."""
    return picture // GRAYS_APART * GRAYS_APART if (picture == picture[..., :1]).all() else picture


def _heading(split: str, count: int, width: int) -> np.ndarray:
    words = f"{split} · {count:,} pair{'' if count == 1 else 's'}"
    return canvas.text(panels.paper(canvas.LINE + 16, width), words, (0, 10), width, size=14)


def _abreast(panels: list[np.ndarray], width: int) -> np.ndarray:
    """Panels beside each other, their upper edges in line, on a strip of `width` pixels."""
    strip = panels.paper(max(len(panel) for panel in panels), width)
    for number, panel in enumerate(panels):
        left = number * (panel.shape[1] + _SPACE)
        strip[: len(panel), left : left + panel.shape[1]] = panel
    return strip


def _legend(
    shown: dict[str, list[Record]], classes: list[str], colors: np.ndarray
) -> tuple[list[tuple[str, tuple | list | None]], list[int]]:
    """The legend's entries, and the indexes of the classes among them, in their order."""
    cover = sum(_cover(records.mask(pair)) for picked in shown.values() for pair in picked)
    share = cover[1 : len(classes) + 1]
    listed = list(range(len(classes))) if len(classes) > 1 else []
    if len(listed) > LISTED:
        largest = np.argsort(-share, kind="stable")[:LISTED]
        listed = sorted(index for index in largest.tolist() if share[index])
    entries = [(classes[index], colors[index].tolist()) for index in listed]
    if listed and (more := np.count_nonzero(share) - len(listed)) > 0:
        entries.append((f"and {more} more", None))
    if cover[panels.IGNORED]:
        entries.append(("ignored (hatched)", canvas.GRAY))
    return entries, listed


def _cover(mask: np.ndarray) -> np.ndarray:
    """(256,) float32: the share of a mask's pixels that hold each value."""
    return cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel() / mask.size
