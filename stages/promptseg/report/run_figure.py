"""Figure of a run: images with their prompts, ground truth, prediction, and the agreement of the two."""

from collections.abc import Sequence

import numpy as np

from promptseg.data.image_io import IGNORED
from promptseg.evaluation.counts import label_map
from promptseg.evaluation.scored_images import ScoredImage
from promptseg.report import canvas, panels
from promptseg.report.canvas import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE, WRONG_CLASS, write_png
from promptseg.report.prompt_layer import PromptLayer

__all__ = ["caption", "choose", "grid", "panel", "views", "write_png"]
TITLES = ("image and prompt", "ground truth", "prediction", "agreement")

_THRESHOLD = 128  # a stored probability is floor(256 p), so this is p >= 0.5


def choose(scores: Sequence[float | None], n: int = 4) -> list[int]:
    """Choose the images to show by their scores alone, so that the choice flatters no model.

    Args:
        scores: of each image; None where there is no ground truth.
        n: number of images to show.

    Returns:
        Indices, the worst image first, the best last and the rest evenly by rank between them; equal scores are
        ranked by index. A single one is the median. Images without ground truth follow where there are not enough.
    """
    ranked = [index for _, index in sorted((score, index) for index, score in enumerate(scores) if score is not None)]
    if len(ranked) <= n:
        return (ranked + [index for index, score in enumerate(scores) if score is None])[:n]
    places = np.linspace(0, len(ranked) - 1, n) if n > 1 else [(len(ranked) - 1) / 2]
    return [ranked[int(place + 0.5)] for place in places]


def caption(scored: ScoredImage, score: float | None) -> str:
    """Return id and score of an image, or where it has no ground truth, what share of its pixels is marked."""
    if score is not None:
        return f"{scored.id} · IoU {score:.2f}"
    counted = scored.target != IGNORED
    marked = float(np.count_nonzero(label_map(scored.probability)[counted])) / max(1, int(np.count_nonzero(counted)))
    return f"{scored.id} · nothing to find" + (f", {marked:.1%} marked" if marked else "")


def views(scored: ScoredImage, classes: list[str], side: int = 160) -> list[np.ndarray]:
    """Draw one image four times: with its prompt, its ground truth, the prediction, the agreement of the two.

    Args:
        scored: the image; automatic masks are outlined in the first view.
        classes: names of classes 1, 2, ...
        side: of a view, in pixels.

    Returns:
        Views of (side, side, 3) uint8, as TITLES; each keeps the aspect ratio and is padded with paper.
    """
    target, probability = scored.target, scored.probability
    size = panels.fit(target.shape[0], target.shape[1], side)
    image = panels.resize(scored.image, size)
    dim = panels.dim(image)
    colors = canvas.class_colors(len(classes))
    if scored.mask_numbers is not None:
        panels.outline(image, panels.nearest(scored.mask_numbers, size), canvas.WHITE)
    row = [
        _prompted(panels.pad(image, side, side), scored, size, colors),
        panels.ground_truth(dim, target, colors),
        _prediction(dim, probability, colors),
        panels.hatch(_agreement(dim, target, probability), target),
    ]
    return [panels.pad(view, side, side) for view in row]


def panel(scored: ScoredImage, classes: list[str], side: int = 160) -> np.ndarray:
    """Put the `views` of one image in a row: (side, 4 * side + gaps, 3) uint8."""
    return panels.beside(views(scored, classes, side))


def grid(
    rows: list[np.ndarray],
    captions: list[str],
    classes: list[str] | tuple[str, ...] = (),
    legend_classes: frozenset[int] | set[int] = frozenset(),
) -> np.ndarray:
    """Put panels below each other, each under its caption, with column titles and a legend.

    Args:
        rows: panels of one size.
        captions: one for each panel.
        classes: names of classes 1, 2, ...; the legend has them where there are several.
        legend_classes: numbers of the classes that the legend names; empty: all.

    Returns:
        (h, w, 3) uint8.
    """
    side, width = rows[0].shape[:2]
    strips = [panels.titles(TITLES, side)]
    for row, caption in zip(rows, captions, strict=True):
        strips += [panels.line(caption, width, above=8), panels.trim(row)]
    entries: list[tuple[str, Sequence[int] | None]] = [
        ("true positive", TRUE_POSITIVE), ("false negative", FALSE_NEGATIVE), ("false positive", FALSE_POSITIVE),
    ]  # fmt: skip
    if len(classes) > 1:
        entries.append(("wrong class", WRONG_CLASS))
    entries.append(("ignored (hatched)", canvas.GRAY))
    if len(classes) > 1:
        named = zip(classes, canvas.class_colors(len(classes)).tolist(), strict=True)
        entries += [entry for number, entry in enumerate(named, 1) if number in legend_classes or not legend_classes]
    entries.append(("shade: probability, white line: 0.5", None))
    return panels.page([*strips, panels.legend(entries, width)])


def _prompted(view: np.ndarray, scored: ScoredImage, size: tuple[int, int], colors: np.ndarray) -> np.ndarray:
    """The image with its prompts, in white, or in the colors of their classes where there are several."""
    layer = PromptLayer(view, np.array(size) / scored.target.shape[::-1], size)
    for prompt in scored.prompts:
        prompt.draw(layer, colors[prompt.target - 1].tolist() if len(colors) > 1 else canvas.WHITE)
    return layer.finish()


def _prediction(dim: np.ndarray, probability: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Classes in their colors, as strong as their probability, and their contours where it is at least 0.5."""
    small = np.stack([panels.resize(values, dim.shape[1::-1]) for values in probability])
    best, strength = small.argmax(0), small.max(0)
    alpha = strength[..., None] * (0.85 / 255)
    view = (dim * (1 - alpha) + colors[best] * alpha).astype(np.uint8)
    panels.outline(view, np.where(strength >= _THRESHOLD, best + 1, 0), canvas.WHITE)
    return view


def _agreement(dim: np.ndarray, target: np.ndarray, probability: np.ndarray) -> np.ndarray:
    predicted = label_map(probability)  # exactly the pixels that were scored
    cases = [target == IGNORED, (target == 0) & (predicted == 0), target == predicted, predicted == 0, target == 0]
    outcome = np.select(cases, [0, 0, 1, 2, 3], 4).astype(np.uint8)
    return panels.tint(dim, panels.color_layer(outcome, canvas.OUTCOMES, dim), canvas.TINT)
