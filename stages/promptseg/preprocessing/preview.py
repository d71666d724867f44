"""A prepared dataset for people: a few pairs of each split on one page, pictures beside their truth."""

from pathlib import Path

import cv2
import numpy as np

from promptseg import canvas, container, pixels, views
from promptseg.container import Container, Pair

SHOWN = 4  # pairs of a split
SIDE = 156  # pixels of a view: two pairs of three views beside each other stay below a thousand
COLUMNS = 2  # pairs beside each other
LISTED = 16  # classes in the legend
GRAYS_APART = 6  # where a picture is gray
TITLES = ("picture", "truth", "support")

_SPACE = 16  # pixels between columns


def preview(container_paths: dict[str, Path], out: Path) -> None:
    """Write the page, a PNG, from containers of Pair by the names of their splits; at least one has rows.

    Of each split up to 4 rows, evenly spread, and only these are read. Where one has a support picture, it is the third
    view of its panel, the mask outlined. The legend is there where classes are several: it names them all if they are
    few, else those that cover most of what is shown. The same rows give the same bytes.
    """
    splits = {name: rows for name, path in container_paths.items() if len(rows := container.pairs(path))}
    classes = next(iter(splits.values())).about["classes"]
    colours = canvas.class_colours(len(classes))
    shown = {name: _pick(rows) for name, rows in splits.items()}
    supported = any(pair.support_image for picked in shown.values() for pair in picked)
    titles = TITLES if supported else TITLES[:2]
    strip = views.titles(titles, SIDE, len(titles) * (SIDE + views.GAP) - views.GAP)
    parts = [views.beside([strip] * COLUMNS, _SPACE)]
    width = parts[0].shape[1]
    for name, picked in shown.items():
        parts.append(_heading(name, len(splits[name]), width))
        panels = [_panel(pair, colours, len(titles)) for pair in picked]
        parts += [_abreast(panels[start : start + COLUMNS], width) for start in range(0, len(panels), COLUMNS)]
    entries, listed = _legend(shown, classes, colours)
    if entries:
        parts.append(views.legend(entries, width))
    canvas.write_png(out, views.page(parts), colours[listed])


def _pick(rows: Container) -> list[Pair]:
    count = min(SHOWN, len(rows))
    return [rows[(2 * i + 1) * len(rows) // (2 * count)] for i in range(count)]


def _panel(pair: Pair, colours: np.ndarray, count: int) -> np.ndarray:
    """Caption and `count` views of a pair: picture, truth, and its support picture or paper."""
    size = views.fit(pair.height, pair.width, SIDE)
    picture = _thinned(views.resize(container.image(pair), size))
    row = [picture, views.truth(views.dim(picture), container.mask(pair), colours)]
    if pair.support_image:
        row.append(_support(pair))
    row = [views.pad(view, SIDE) for view in row]
    row += [views.paper(SIDE, SIDE)] * (count - len(row))
    row = views.trim(views.beside(row))
    lines = [pair.id, f"“{pair.text}”"] if pair.text else [pair.id]
    head = views.paper(canvas.LINE * len(lines) + 6, row.shape[1])
    for number, line in enumerate(lines):
        head = canvas.text(head, line, (0, 4 + number * canvas.LINE), row.shape[1])
    return np.concatenate([head, row])


def _support(pair: Pair) -> np.ndarray:
    """The support picture, what its mask shows outlined in white with a black rim."""
    mask = pixels.decode(pair.support_mask)
    view = _thinned(views.resize(pixels.rgb(pixels.decode(pair.support_image)), views.fit(*mask.shape, SIDE)))
    small = views.nearest(mask, view.shape[1::-1])
    for colour, thickness in ((0, 0, 0), 3), (canvas.WHITE, 1):
        views.outline(view, (small > 0) & (small != views.IGNORED), colour, thickness)
    return view


def _thinned(picture: np.ndarray) -> np.ndarray:
    """A gray picture in a few grays: noise in all of them would make most of the file. Colours stay as they are."""
    return picture // GRAYS_APART * GRAYS_APART if (picture == picture[..., :1]).all() else picture


def _heading(split: str, count: int, width: int) -> np.ndarray:
    words = f"{split} · {count:,} pair{'' if count == 1 else 's'}"
    return canvas.text(views.paper(canvas.LINE + 16, width), words, (0, 10), width, size=14)


def _abreast(panels: list[np.ndarray], width: int) -> np.ndarray:
    """Panels beside each other, their upper edges in line, on a strip of `width` pixels."""
    strip = views.paper(max(len(panel) for panel in panels), width)
    for number, panel in enumerate(panels):
        left = number * (panel.shape[1] + _SPACE)
        strip[: len(panel), left : left + panel.shape[1]] = panel
    return strip


def _legend(
    shown: dict[str, list[Pair]], classes: list[str], colours: np.ndarray
) -> tuple[list[tuple[str, tuple | list | None]], list[int]]:
    """The legend's entries, and the indexes of the classes among them, in their order."""
    cover = sum(_cover(container.mask(pair)) for picked in shown.values() for pair in picked)
    share = cover[1 : len(classes) + 1]
    listed = list(range(len(classes))) if len(classes) > 1 else []
    if len(listed) > LISTED:
        largest = np.argsort(-share, kind="stable")[:LISTED]
        listed = sorted(index for index in largest.tolist() if share[index])
    entries = [(classes[index], colours[index].tolist()) for index in listed]
    if listed and (more := np.count_nonzero(share) - len(listed)) > 0:
        entries.append((f"and {more} more", None))
    if cover[views.IGNORED]:
        entries.append(("ignored (hatched)", canvas.GRAY))
    return entries, listed


def _cover(mask: np.ndarray) -> np.ndarray:
    """(256,) float32: the share of a mask's pixels that hold each value."""
    return cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel() / mask.size
