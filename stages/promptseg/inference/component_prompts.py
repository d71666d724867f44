"""Prompts of a cascade from a probability map, one for each connected component, or from the boxes of a detector."""

import cv2
import numpy as np

from promptseg.core.runs import CascadePrompt
from promptseg.data import masks
from promptseg.data.masks import Region
from promptseg.inference import detections
from promptseg.prompts import Prompt
from promptseg.prompts.base import PromptPart
from promptseg.prompts.box import Box
from promptseg.prompts.mask import Mask
from promptseg.prompts.points import Points

SMOOTHING = 1 / 44  # of a map's longer side: half a patch of CLIPSeg, whose upsampling leaves a pattern in each
MARGIN = 0.25  # of a component's box, on each side: where its negative points lie


def cascade_prompts(maps: np.ndarray, prompts: str, config: CascadePrompt) -> list[Prompt]:
    """Build the prompts of a cascade: the boxes of a detector, or one for each component of a map.

    Args:
        maps: (classes, h, w) uint8, floor(256 p).
        prompts: `Prediction.prompts` of the run that is refined.
        config: what becomes a prompt.
    """
    found = detections.from_json(prompts)
    if found is not None:
        return detections.box_prompts(found, config, maps.shape[1:])
    probability = maps.astype(np.float32) / 256
    return [
        prompt for target, values in enumerate(probability, 1) for prompt in component_prompts(values, config, target)
    ]


def component_prompts(probability: np.ndarray, config: CascadePrompt, target: int = 1) -> list[Prompt]:
    """Build a prompt for each component, the largest first.

    Args:
        probability: (h, w) float32 in [0, 1]; prompts are in its pixels.
        config: which components, and what prompts for them.
        target: number of the class.

    Returns:
        At most `config.max_components` prompts; none where no pixel reaches the threshold.
    """
    foreground = probability >= config.threshold
    components = [
        region for region in masks.regions(foreground, True)
        if np.count_nonzero(region.mask) >= config.min_area * foreground.size
    ]  # fmt: skip
    components.sort(key=lambda region: -np.count_nonzero(region.mask))
    smooth = cv2.GaussianBlur(probability, (0, 0), SMOOTHING * max(probability.shape)) if components else probability
    largest = components[: config.max_components]
    return [_prompt(probability, smooth, region, config, target) for region in largest]


def _prompt(probability: np.ndarray, smooth: np.ndarray, region: Region, config: CascadePrompt, target: int) -> Prompt:
    kinds = config.by.split(" + ")
    parts: list[PromptPart] = []
    if "points" in kinds:
        inside = region.full()
        on = peaks(smooth, inside, config.points)
        off = peaks(-smooth, _margin(region) & (probability < config.threshold), config.points)
        # Without room for negative points they get label -1, which SAM takes as padding.
        labels = np.repeat([1, 0 if len(off) else -1], config.points)
        parts.append(Points(np.concatenate([on, off if len(off) else np.zeros_like(on)]), labels))
    if "box" in kinds:
        parts.append(Box.around(region))
    if "mask" in kinds:
        crop = probability[region.top :, region.left :][: region.mask.shape[0], : region.mask.shape[1]]
        parts.append(Mask(region._replace(mask=np.where(region.mask, crop, np.float32(0)))))
    return Prompt.of(*parts, target=target)


def peaks(values: np.ndarray, allowed: np.ndarray, count: int) -> np.ndarray:
    """Choose the pixels of highest value, some distance apart.

    The distance is half the spacing of a grid of `count` points over the allowed area; where too few pixels remain,
    points repeat.

    Args:
        values: (h, w) float.
        allowed: (h, w) bool.
        count: number of points.

    Returns:
        (count, 2) float64 centers of pixels, x then y; (0, 2) where no pixel is allowed.
    """
    ys, xs = np.nonzero(allowed)
    spacing = np.sqrt(len(xs) / count) / 2
    chosen: list[int] = []
    remaining = values[ys, xs].astype(np.float64)
    while len(chosen) < count and np.isfinite(remaining.max(initial=-np.inf)):
        chosen.append(int(remaining.argmax()))
        remaining[np.hypot(xs - xs[chosen[-1]], ys - ys[chosen[-1]]) <= spacing] = -np.inf
    picked = np.resize(np.array(chosen, int), count if chosen else 0)
    return np.stack([xs[picked] + 0.5, ys[picked] + 0.5], axis=1)


def _margin(region: Region) -> np.ndarray:
    """The box of a region with a margin on each side, as a mask (h, w) bool."""
    corners = np.array(masks.region_box(region))
    margin = MARGIN * np.tile(corners[2:] - corners[:2], 2) * [-1, -1, 1, 1]
    x0, y0, x1, y1 = np.round(corners + margin).clip(0).astype(int)
    out = np.zeros((region.height, region.width), bool)
    out[y0:y1, x0:x1] = True
    return out
