"""A picture with what was found in it: each class shaded and outlined, what was asked, and a legend below."""

import cv2
import numpy as np

from promptseg import canvas, pixels, views
from promptseg.networks.prompts import Prompt

SMALLEST, LARGEST = 640, 1600  # pixels of the longer side; what lies between keeps its size
SLIMMEST = 240  # pixels of width, with paper beside a slim picture: the legend needs them
SHADE = 0.35  # of a class's colour over the picture
DIMMED = 0.75  # what is left of the light of the background, so that any colour stands out from it
_DARK = (20, 20, 20)


def overlay(image: np.ndarray, mask: np.ndarray, classes: list[str], asked: list[Prompt]) -> np.ndarray:
    """(h, w, 3) uint8 to look at. image: (h, w) or (h, w, 3) uint8; mask: (h, w) uint8, 0 background, i class i.

    classes: their names; asked: the prompts, in the picture's pixels; their boxes and points are drawn.
    """
    side = int(np.clip(max(mask.shape), SMALLEST, LARGEST))
    size = views.fit(*mask.shape, side)
    colours = canvas.class_colours(len(classes))
    view = _shaded(views.resize(pixels.rgb(image), size), mask, colours)
    scale = np.array(size) / mask.shape[::-1]
    for prompt in asked:
        _draw(view, prompt, scale)
    shares = np.bincount(mask.ravel(), minlength=len(classes) + 1) / mask.size
    entries = [(f"{name}: {share:.1%}", colour.tolist()) for name, share, colour in zip(classes, shares[1:], colours)]
    view = np.pad(view, ((0, 0), (0, max(0, SLIMMEST - view.shape[1])), (0, 0)), constant_values=255)
    legend = views.legend(entries, view.shape[1] - views.MARGIN)
    return np.concatenate([view, np.pad(legend, ((0, 0), (views.MARGIN, 0), (0, 0)), constant_values=255)])


def _shaded(view: np.ndarray, mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The view with each class in its colour: a shade, and an edge that stands out from any ground."""
    table = np.zeros((256, 4), np.uint8)
    table[1 : len(colours) + 1] = np.pad(colours, ((0, 0), (0, 1)), constant_values=255)
    cover = views.layer(table[mask], view)
    light = DIMMED + (1 - DIMMED) / 255 * cover[..., 3:]
    view = canvas.tint(view * light, cover, SHADE)
    small = views.nearest(mask, view.shape[1::-1])
    present = [number for number in np.unique(small).tolist() if number]
    for number in present:  # all dark rims before all colours, so that neighbours do not cover each other
        views.outline(view, small == number, _DARK, 4)
    for number in present:
        views.outline(view, small == number, (colours[number - 1] // 2 + 127).tolist(), 2)  # lighter than the shade
    return view


def _draw(view: np.ndarray, prompt: Prompt, scale: np.ndarray) -> None:
    """Draw a prompt's box and points into the view; scale: (2,) the view's pixels for one of the picture's, x and y."""
    if prompt.box is not None:
        corners = np.round(prompt.box * np.tile(scale, 2)).astype(int) - [0, 0, 1, 1]
        for colour, thickness in (_DARK, 4), (canvas.WHITE, 2):
            cv2.rectangle(view, corners[:2].tolist(), corners[2:].tolist(), colour, thickness)
    if prompt.points is not None:
        for place, label in zip(np.round(prompt.points * scale).astype(int).tolist(), prompt.labels):
            cv2.circle(view, place, 9, _DARK, -1, cv2.LINE_AA)
            cv2.circle(view, place, 8, canvas.WHITE, -1, cv2.LINE_AA)
            cv2.circle(view, place, 5, canvas.GREEN if label else canvas.VERMILLION, -1, cv2.LINE_AA)
