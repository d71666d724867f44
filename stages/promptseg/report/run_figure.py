"""Pictures of a run for people: what was asked, what is true, what came out, and where the two agree."""

import json

import cv2
import numpy as np

from promptseg.evaluation.scores import IGNORED, predicted
from promptseg.report import canvas, panels
from promptseg.report.canvas import FALSE_ALARM, HIT, MISS, OTHER_CLASS, write_png

__all__ = ["choose", "grid", "panel", "write_png"]
TITLES = ("picture and prompt", "truth", "prediction", "agreement")

_THRESHOLD = 128  # a stored probability is floor(256 p), so this is p >= 0.5
_SUBPIXEL = 4  # bits of fraction in coordinates given to OpenCV


def choose(scores: list[tuple[int, float]], n: int = 4) -> list[int]:
    """Indices of the pictures to show, from (index, IoU) of all: worst first, best last, evenly by rank between them.

    Nobody picks the flattering ones: the choice follows from the scores, ties go by index. One picture is the median.
    """
    ranked = [index for _, index in sorted((iou, index) for index, iou in scores)]
    if len(ranked) <= n:
        return ranked
    places = np.linspace(0, len(ranked) - 1, n) if n > 1 else [(len(ranked) - 1) / 2]
    return [ranked[int(place + 0.5)] for place in places]


def panel(
    image: np.ndarray,
    truth: np.ndarray,
    probability: np.ndarray,
    prompts: str,
    classes: list[str],
    side: int = 160,
    pieces: np.ndarray | None = None,
) -> np.ndarray:
    """One picture as a row of four: with its prompt, truth, prediction, agreement.

    image: (h, w, 3) uint8; truth: (h, w) uint8, 0 background, i class i, 255 ignored; probability: (classes, h, w)
    uint8, floor(256 p). prompts: as prompts.to_json writes them. classes: their names, for classes 1, 2, ...
    pieces: (h, w) int, the number of the automatic mask at each pixel, 0 for none; they are outlined in the picture.
    Returns (side, 4 * side + gaps, 3) uint8; each view keeps its aspect, stands at the top and is padded with paper.
    """
    height, width = truth.shape
    size = panels.fit(height, width, side)
    picture = panels.resize(image, size)
    dim = panels.dim(picture)
    colors = canvas.class_colors(len(classes))
    if pieces is not None:
        picture = _pieces(picture, pieces)
    row = [
        _asked(picture, json.loads(prompts), (size[0] / width, size[1] / height), side, colors),
        panels.pad(panels.truth(dim, truth, colors), side),
        panels.pad(_prediction(dim, probability, colors), side),
        panels.pad(panels.hatch(_agreement(dim, truth, probability), truth), side),
    ]
    return panels.beside(row)


def grid(
    panels: list[np.ndarray],
    captions: list[str],
    classes: list[str] | tuple[str, ...] = (),
    listed: set[int] = frozenset(),
) -> np.ndarray:
    """Panels of one size below each other, each under its caption, with column titles and a legend: (h, w, 3) uint8.

    classes: their names, for the legend; it shows them where there is more than one. listed: the numbers, from 1, of
    those that it shows; empty: all.
    """
    side, width = panels[0].shape[:2]
    parts = [panels.titles(TITLES, side, width)]
    for row, caption in zip(panels, captions, strict=True):
        parts += [canvas.text(panels.paper(canvas.LINE + 10, width), caption, (0, 8), width), panels.trim(row)]
    entries = [("hit", HIT), ("miss", MISS), ("false alarm", FALSE_ALARM), ("ignored (hatched)", canvas.GRAY)]
    if len(classes) > 1:
        entries.insert(3, ("other class", OTHER_CLASS))
        named = zip(classes, canvas.class_colors(len(classes)).tolist(), strict=True)
        entries += [entry for number, entry in enumerate(named, 1) if number in listed or not listed]
    return panels.page([*parts, panels.legend([*entries, ("shade: probability, white line: 0.5", None)], width)])


def _asked(
    picture: np.ndarray, prompts: list[dict], scale: tuple[float, float], side: int, colors: np.ndarray
) -> np.ndarray:
    """Points and boxes in white with a black rim, or in the colors of their classes where there are several."""
    view = panels.pad(picture, side)
    # OpenCV's whole numbers are centers of pixels, ours are their left and upper edges
    corner = np.array([(side - picture.shape[1]) // 2, 0]) - 0.5
    last = corner + np.array(picture.shape[1::-1]) - 0.5

    def place(xy: list[float]) -> tuple[int, int]:
        # the outline of a whole picture, or a point on its rim, stays in the picture
        inside = np.clip(corner + np.array(xy) * scale, corner + 0.5, last)
        return tuple(np.round(inside * 2**_SUBPIXEL).astype(int).tolist())

    for prompt in prompts:
        ink = colors[prompt["target"] - 1].tolist() if len(colors) > 1 else canvas.WHITE
        if "box" in prompt:
            for color, thickness in ((0, 0, 0), 3), (ink, 1):
                corners = place(prompt["box"][:2]), place(prompt["box"][2:])
                cv2.rectangle(view, *corners, color, thickness, cv2.LINE_AA, _SUBPIXEL)
        for point, label in zip(prompt.get("points", []), prompt.get("labels", []), strict=True):
            for color, thickness in ((0, 0, 0), 4), (ink, 2):
                _mark(view, place(point), label == 1, color, thickness)
    phrases = [f"“{prompt['text']}”" for prompt in prompts if "text" in prompt]
    phrases += ["support picture" for prompt in prompts if "support" in prompt]
    words = ", ".join(dict.fromkeys(phrases))  # every tile of a picture was asked the same
    return _caption(view, words, picture.shape[0]) if words else view


def _pieces(picture: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """The picture with the outline of each automatic mask, as far as smaller ones leave it in sight."""
    view, small = picture.copy(), panels.nearest(pieces, picture.shape[1::-1])
    for number in np.unique(small[small > 0]):
        panels.outline(view, small == number, canvas.WHITE)
    return view


def _mark(view: np.ndarray, center: tuple[int, int], positive: bool, color: tuple, thickness: int) -> None:
    """A ring, or a cross for a negative point."""
    (x, y), radius = center, 4 << _SUBPIXEL
    if positive:
        cv2.circle(view, center, radius, color, thickness, cv2.LINE_AA, _SUBPIXEL)
        return
    for tilt in (-radius, radius):
        cv2.line(view, (x - radius, y - tilt), (x + radius, y + tilt), color, thickness, cv2.LINE_AA, _SUBPIXEL)


def _caption(view: np.ndarray, words: str, bottom: int) -> np.ndarray:
    """Words below the picture where its padding has room, else on a dark strip over its foot; at most two lines."""
    width = view.shape[1] - 8
    lines = canvas.wrap(words, width, most=2)
    needed = len(lines) * (canvas.LINE - 2) + 3
    below = view.shape[0] - bottom >= needed
    top, left, ink = (bottom, 0, canvas.INK) if below else (bottom - needed, 4, canvas.WHITE)
    if not below:
        view[max(top, 0) : bottom] //= 4
    for number, line in enumerate(lines):
        view = canvas.text(view, line, (left, top + 1 + number * (canvas.LINE - 2)), width, ink=ink)
    return view


def _prediction(dim: np.ndarray, probability: np.ndarray, colors: np.ndarray) -> np.ndarray:
    small = np.stack([panels.resize(values, dim.shape[1::-1]) for values in probability])
    best, strength = small.argmax(0), small.max(0)
    alpha = strength[..., None] * (0.85 / 255)
    view = (dim * (1 - alpha) + colors[best] * alpha).astype(np.uint8)
    for index in range(len(colors)):
        panels.outline(view, (best == index) & (strength >= _THRESHOLD), canvas.WHITE)
    return view


def _agreement(dim: np.ndarray, truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    found = predicted(probability)  # the very pixels that were scored
    cases = [truth == IGNORED, (truth == 0) & (found == 0), truth == found, found == 0, truth == 0]
    kind = np.select(cases, [0, 0, 1, 2, 3], 4)
    table = np.array([(0, 0, 0, 0), (*HIT, 255), (*MISS, 255), (*FALSE_ALARM, 255), (*OTHER_CLASS, 255)], np.uint8)
    return canvas.tint(dim, panels.layer(table[kind], dim), canvas.TINT)
