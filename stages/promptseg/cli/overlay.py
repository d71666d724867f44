"""A picture with what was found in it: each class or segment shaded and outlined, what was asked, a legend below."""

import cv2
import numpy as np

from promptseg.data import image_io
from promptseg.prompts import Prompt
from promptseg.report import canvas, panels

SMALLEST, LARGEST = 640, 1600  # pixels of the longer side; what lies between keeps its size
SLIMMEST = 240  # pixels of width, with paper beside a slim picture: the legend needs them
COLORS = 18  # of segments that have no names
SHADE = 0.35  # of a class's color over the picture
DIMMED = 0.75  # what is left of the light of the background, so that any color stands out from it
_DARK = (20, 20, 20)


def overlay(image: np.ndarray, mask: np.ndarray, classes: list[str], asked: list[Prompt]) -> np.ndarray:
    """(h, w, 3) uint8 to look at. image: (h, w) or (h, w, 3) uint8; mask: (h, w) uint8, 0 background, i class i.

    classes: their names; asked: the prompts, in the picture's pixels; their boxes and points are drawn.
    """
    colors = canvas.class_colors(len(classes))
    shares = np.bincount(mask.ravel(), minlength=len(classes) + 1) / mask.size
    entries = [(f"{name}: {share:.1%}", color.tolist()) for name, share, color in zip(classes, shares[1:], colors)]
    return _drawn(image, mask, colors, entries, asked)


def of_segments(image: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """As `overlay`, of `count` segments without names: labels (h, w) uint8 or uint16, 0 where there is none."""
    # More colors than that nobody tells apart; edges do.
    colors = np.resize(canvas.class_colors(COLORS), (count, 3))
    return _drawn(image, labels, colors, [(f"{count} masks: {np.mean(labels > 0):.1%} of the picture", None)], [])


def _drawn(
    image: np.ndarray, mask: np.ndarray, colors: np.ndarray, entries: list[tuple], asked: list[Prompt]
) -> np.ndarray:
    """entries: of the legend, as `views.legend` takes them."""
    side = int(np.clip(max(mask.shape), SMALLEST, LARGEST))
    size = panels.fit(*mask.shape, side)
    view = _shaded(panels.resize(image_io.rgb(image), size), mask, colors)
    scale = np.array(size) / mask.shape[::-1]
    for prompt in asked:
        _draw(view, prompt, scale)
    view = np.pad(view, ((0, 0), (0, max(0, SLIMMEST - view.shape[1])), (0, 0)), constant_values=255)
    legend = panels.legend(entries, view.shape[1] - panels.MARGIN)
    return np.concatenate([view, np.pad(legend, ((0, 0), (panels.MARGIN, 0), (0, 0)), constant_values=255)])


def _shaded(view: np.ndarray, mask: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """The view with each class in its color: a shade, and an edge that stands out from any ground."""
    table = np.zeros((len(colors) + 1, 4), np.uint8)
    table[1:] = np.pad(colors, ((0, 0), (0, 1)), constant_values=255)
    cover = panels.layer(table[mask], view)
    light = DIMMED + (1 - DIMMED) / 255 * cover[..., 3:]
    view = canvas.tint(view * light, cover, SHADE)
    small = panels.nearest(mask, view.shape[1::-1])
    present = [number for number in np.unique(small).tolist() if number]
    for number in present:  # all dark rims before all colors, so that neighbours do not cover each other
        panels.outline(view, small == number, _DARK, 4)
    for number in present:
        panels.outline(view, small == number, (colors[number - 1] // 2 + 127).tolist(), 2)  # lighter than the shade
    return view


def _draw(view: np.ndarray, prompt: Prompt, scale: np.ndarray) -> None:
    """Draw a prompt's box and points into the view; scale: (2,) the view's pixels for one of the picture's, x and y."""
    if prompt.box is not None:
        corners = np.round(prompt.box * np.tile(scale, 2)).astype(int) - [0, 0, 1, 1]
        for color, thickness in (_DARK, 4), (canvas.WHITE, 2):
            cv2.rectangle(view, corners[:2].tolist(), corners[2:].tolist(), color, thickness)
    if prompt.points is not None:
        for place, label in zip(np.round(prompt.points * scale).astype(int).tolist(), prompt.labels):
            cv2.circle(view, place, 9, _DARK, -1, cv2.LINE_AA)
            cv2.circle(view, place, 8, canvas.WHITE, -1, cv2.LINE_AA)
            cv2.circle(view, place, 5, canvas.GREEN if label else canvas.VERMILLION, -1, cv2.LINE_AA)
