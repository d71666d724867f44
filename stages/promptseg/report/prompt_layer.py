"""Prompts drawn over an image; each kind of prompt draws itself with these methods (`PromptPart.draw`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from promptseg.report import canvas

_SUBPIXEL = 4  # bits of fraction in coordinates given to OpenCV


@dataclass(frozen=True)
class Style:
    """Sizes in pixels of the view.

    Attributes:
        box_width: thickness of the lines of boxes.
        point_width: thickness of the lines of points.
        radius: of the ring of a positive point, and half the side of the cross of a negative one.
        rim: thickness of the black rim on each side of a line.
        font_size: of captions.
        caption_lines: most lines of the caption.
    """

    box_width: int = 1
    point_width: int = 2
    radius: int = 4
    rim: int = 1
    font_size: int = canvas.FONT_SIZE
    caption_lines: int = 2


RUN_FIGURE = Style()


class PromptLayer:
    """Draws prompts in pixels of an image into a view of it.

    Args:
        view: (h, w, 3) uint8 with the resized image in it; it is not changed.
        scale: pixels of the view for one pixel of the image, x and y.
        size: (width, height) of the resized image at the upper left of the view; None: it fills the view. Lines and
            points are moved inside it, so that the box of a whole image stays visible, and captions are below it where
            there is room.
        style: sizes.
    """

    def __init__(
        self,
        view: np.ndarray,
        scale: Sequence[float] | np.ndarray,
        size: tuple[int, int] | None = None,
        style: Style = RUN_FIGURE,
    ):
        self._view, self._scale, self._style = view.copy(), np.asarray(scale, float), style
        self._width: int = size[0] if size else view.shape[1]
        self._height: int = size[1] if size else view.shape[0]
        self._captions: list[str] = []

    def box(self, corners: Sequence[float], color: Sequence[int]) -> None:
        """Draw a box. corners: x0, y0, x1, y1 in pixels of the image; color: RGB."""
        first, second = self._place(corners[:2]), self._place(corners[2:])
        for ink, thickness in self._strokes(color, self._style.box_width):
            cv2.rectangle(self._view, first, second, ink, thickness, cv2.LINE_AA, _SUBPIXEL)

    def point(self, xy: Sequence[float], positive: bool, color: Sequence[int]) -> None:
        """Draw a point, positive ones as rings and negative ones as crosses. xy: in pixels of the image; color: RGB."""
        (x, y), radius = self._place(xy), self._style.radius << _SUBPIXEL
        for ink, thickness in self._strokes(color, self._style.point_width):
            if positive:
                cv2.circle(self._view, (x, y), radius, ink, thickness, cv2.LINE_AA, _SUBPIXEL)
                continue
            for tilt in (-radius, radius):
                start, end = (x - radius, y - tilt), (x + radius, y + tilt)
                cv2.line(self._view, start, end, ink, thickness, cv2.LINE_AA, _SUBPIXEL)

    def caption(self, text: str) -> None:
        """Add a phrase to the caption; `finish` writes each phrase once."""
        self._captions.append(text)

    def finish(self) -> np.ndarray:
        """Write the caption, below the image where the view has room, else on a dark strip at the bottom of the image.

        Returns:
            The view with all prompts, (h, w, 3) uint8.
        """
        words = ", ".join(dict.fromkeys(self._captions))  # tiles of one image often have the same phrase
        if not words:
            return self._view
        view, size, bottom = self._view, self._style.font_size, self._height
        line = round((canvas.LINE - 2) * size / canvas.FONT_SIZE)
        lines = canvas.wrap(words, view.shape[1] - 8, self._style.caption_lines, size)
        height = len(lines) * line + 3
        below = view.shape[0] - bottom >= height
        top, left, ink = (bottom, 0, canvas.INK) if below else (bottom - height, 4, canvas.WHITE)
        if not below:
            view[max(top, 0) : bottom] //= 4
        for number, text in enumerate(lines):
            view = canvas.text(view, text, (left, top + 1 + number * line), size, ink)
        return view

    def _place(self, xy: Sequence[float]) -> tuple[int, int]:
        """A place in the view, in fractions of a pixel as OpenCV takes them."""
        # Whole numbers of OpenCV are centers of pixels, ours are their left and upper edges.
        inside = np.clip(np.asarray(xy, float) * self._scale - 0.5, 0, (self._width - 1, self._height - 1))
        x, y = np.round(inside * 2**_SUBPIXEL).astype(int).tolist()
        return x, y

    def _strokes(self, color: Sequence[int], width: int) -> list[tuple[tuple[int, ...], int]]:
        """Color and thickness of the rim and of the line itself."""
        return [(canvas.BLACK, width + 2 * self._style.rim), (tuple(map(int, color)), width)]
