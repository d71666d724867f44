"""Overlays of `promptseg segment`: each class or mask shaded and outlined, the prompts, a legend below."""

import numpy as np

from promptseg.data import image_io
from promptseg.prompts import Prompt
from promptseg.report import canvas, panels
from promptseg.report.prompt_layer import PromptLayer, Style

SMALLEST, LARGEST = 640, 1600  # pixels of the longer side; images between are not resized
MIN_WIDTH = 240  # pixels that the legend needs; narrower views are padded
COLORS = 18  # of masks without names; edges separate masks of one color
SHADE = 0.35  # opacity of a class's color over the image
DIMMED = 0.75  # brightness of the background, so that every color contrasts with it
RIM = (20, 20, 20)
PROMPTS = Style(box_width=2, point_width=3, radius=7)


def class_overlay(image: np.ndarray, mask: np.ndarray, classes: list[str], prompts: list[Prompt]) -> np.ndarray:
    """Draw the masks of classes and their prompts over an image.

    Args:
        image: (h, w) or (h, w, 3) uint8.
        mask: (h, w) uint8, 0 background, i class i.
        classes: names of the classes.
        prompts: in pixels of the image.

    Returns:
        (height, width, 3) uint8, its longer side SMALLEST to LARGEST pixels, with a legend below.
    """
    colors = canvas.class_colors(len(classes))
    shares = np.bincount(mask.ravel(), minlength=len(classes) + 1) / mask.size
    names = zip(classes, shares[1:], colors, strict=False)
    entries = [(f"{name}: {share:.1%}", color.tolist()) for name, share, color in names]
    view, size = _shaded(image, mask, colors)
    scale = (np.array(size) / mask.shape[::-1]).tolist()
    layer = PromptLayer(view, scale, style=PROMPTS)
    for prompt in prompts:
        prompt.draw(layer, colors[prompt.target - 1].tolist() if len(colors) > 1 else canvas.WHITE)
    return _with_legend(layer.finish(), entries)


def mask_overlay(image: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Draw masks without names over an image.

    Args:
        image: (h, w) or (h, w, 3) uint8.
        labels: (h, w) uint8 or uint16, 0 background.
        count: number of masks.

    Returns:
        As `class_overlay`.
    """
    colors = np.resize(canvas.class_colors(COLORS), (count, 3))
    view, _ = _shaded(image, labels, colors)
    return _with_legend(view, [(f"{count} masks: {np.mean(labels > 0):.1%} of the image", None)])


def _shaded(image: np.ndarray, mask: np.ndarray, colors: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The image with each label shaded and outlined in its color, and its size (width, height)."""
    height, width = mask.shape
    size = panels.fit(height, width, int(np.clip(max(height, width), SMALLEST, LARGEST)))
    view = panels.resize(image_io.to_rgb(image), size)
    layer = panels.color_layer(mask, colors, view)
    brightness = DIMMED + (1 - DIMMED) / 255 * layer[..., 3:]
    view = panels.tint(view * brightness, layer, SHADE)
    small = panels.nearest(mask, size)
    panels.outline(view, small, RIM, 4)  # all rims before all colors, so that neighbors do not cover each other
    panels.outline(view, small, colors // 2 + 127, 2)  # lighter than the shade
    return view, size


def _with_legend(view: np.ndarray, entries: list[tuple]) -> np.ndarray:
    """Put a legend below a view. entries: as `panels.legend` takes them."""
    view = panels.pad(view, 0, MIN_WIDTH)
    legend = panels.legend(entries, view.shape[1] - panels.MARGIN)
    return panels.below([view, panels.beside([panels.paper(1, panels.MARGIN), legend], 0)])
