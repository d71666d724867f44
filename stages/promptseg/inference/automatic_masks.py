"""Automatic mask generation: all masks that SAM or SAM 2 predicts from a grid of points (Kirillov et al. 2023, B).

The masks are those of segment_anything's SamAutomaticMaskGenerator, which pass in this order: predicted IoU > iou;
stability >= stability; no edge within 20 pixels of the crop's edge unless that is the image's; not suppressed by a mask
of higher predicted IoU whose box overlaps by more than nms.

The original upsamples every candidate first and drops most of them later. Here candidates are processed by decreasing
predicted IoU, and those whose small logits show that they are certainly unstable, or certainly suppressed by an
accepted mask, are never upsampled: they would be dropped anyway, and a dropped mask suppresses nothing. Uncertain
candidates are upsampled and decided exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from promptseg.data import rle
from promptseg.data.generated_masks import GeneratedMask
from promptseg.inference import small_regions
from promptseg.inference.mask_upsampling import MaskUpsampler
from promptseg.inference.point_decoder import DecodedPoints, PointDecoder
from promptseg.nn import batch_sizes
from promptseg.nn.sam_segmenter import SamSegmenter
from promptseg.nn.segmenter import Features
from promptseg.prompts.automatic import AutomaticMasks

OFFSET = 1.0  # of the thresholds of stability, in logits
EDGE = 20.0  # pixels within which a box touches its crop's edge
# Largest difference of stability between small and upsampled logits, and the number of samples from which it holds.
STABILITY_ERROR, MIN_SAMPLES = 0.1, 64

Box = tuple[int, int, int, int]  # x0, y0, x1, y1


@torch.inference_mode()
def generate(
    segmenter: SamSegmenter, features: Features, image: np.ndarray, settings: AutomaticMasks
) -> list[GeneratedMask]:
    """Generate the masks of one image.

    Args:
        segmenter: the model.
        features: of the image, from `encode`.
        image: (h, w) or (h, w, 3) uint8; crops of it are encoded where settings have crop layers.
        settings: thresholds and grid.

    Returns:
        Masks by decreasing predicted IoU, where there are crops those of smaller crops first. None is empty.
    """
    height, width = image.shape[:2]
    masks, crops = [], list(crop_boxes(height, width, settings))
    for box, layer in crops:
        x0, y0, x1, y1 = box
        crop_features = features if layer == 0 else segmenter.encode([image[y0:y1, x0:x1]])
        masks += _generate_crop(segmenter, crop_features, _Crop(box, layer, height, width), settings)
    if len(crops) > 1:
        areas = np.array([(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (mask.crop for mask in masks)], float)
        masks = [masks[i] for i in suppress(_boxes(masks), -areas, settings.crop_nms)]
    if settings.min_area:
        cleaned = [small_regions.remove_small_regions(mask.mask(), settings.min_area) for mask in masks]
        masks = [_replace_pixels(mask, pixels) if changed else mask for mask, (pixels, changed) in zip(masks, cleaned)]
        unchanged = np.array([not changed for _, changed in cleaned], float)
        masks = [masks[i] for i in suppress(_boxes(masks), unchanged, max(settings.nms, settings.crop_nms))]
    return masks


def grid(side: int) -> np.ndarray:
    """Points on a regular grid in the unit square, row by row: (side ** 2, 2) float64 x, y."""
    ticks = np.linspace(1 / (2 * side), 1 - 1 / (2 * side), side)
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


def crop_boxes(height: int, width: int, settings: AutomaticMasks) -> Iterator[tuple[Box, int]]:
    """Yield box and layer of all crops: the image itself in layer 0, then 2 ** layer overlapping crops a side."""
    yield (0, 0, width, height), 0
    for layer in range(1, settings.crop_layers + 1):
        count = 2**layer
        overlap = int(settings.crop_overlap * min(height, width) * 2 / count)
        crop_width, crop_height = (-(-(overlap * (count - 1) + length) // count) for length in (width, height))
        for x0 in ((crop_width - overlap) * i for i in range(count)):
            for y0 in ((crop_height - overlap) * i for i in range(count)):
                yield (x0, y0, min(x0 + crop_width, width), min(y0 + crop_height, height)), layer


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Greedy non-maximum suppression.

    Args:
        boxes: (k, 4) x0, y0, x1, y1.
        scores: (k,).
        threshold: IoU above which the box of lower score is removed.

    Returns:
        Indexes of the remaining boxes by decreasing score; equal scores in the order of the boxes.
    """
    accepted: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if not (box_iou(boxes[i], boxes[accepted]) > threshold).any():
            accepted.append(int(i))
    return accepted


def box_iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Compute the IoU of a box (4,) with each of boxes (k, 4); 0 where both are empty.

    In float32, compared as float64, as in torchvision's nms, so that ties with a threshold are decided alike.
    """
    box, boxes = box.astype(np.float32), boxes.astype(np.float32)
    intersection = np.maximum(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - intersection
    return (intersection / np.where(union > 0, union, 1)).astype(float)


@dataclass(frozen=True)
class _Crop:
    """A crop of an image. box: of the crop; height, width: of the image."""

    box: Box
    layer: int
    height: int
    width: int


@dataclass(frozen=True)
class _Candidate:
    """A mask whose predicted IoU passes. Boxes are of pixels in the crop: top, left, bottom, right."""

    logits: torch.Tensor  # (side, side)
    iou: float
    point: np.ndarray  # x, y in the crop
    reach: np.ndarray
    outer: np.ndarray
    inner: np.ndarray


def _generate_crop(
    segmenter: SamSegmenter, features: Features, crop: _Crop, settings: AutomaticMasks
) -> list[GeneratedMask]:
    """Masks of one crop by decreasing predicted IoU."""
    x0, y0, x1, y1 = crop.box
    decoder = PointDecoder(segmenter, features)
    upsampler = MaskUpsampler(segmenter.transform, decoder.side, y1 - y0, x1 - x0)
    masks: list[GeneratedMask] = []
    boxes = np.empty((0, 4))
    candidates = _candidates(segmenter, decoder, upsampler, crop, settings)
    for candidate in sorted(candidates, key=lambda candidate: -candidate.iou):  # stable: ties in the grid's order
        if _surely_suppressed(candidate, boxes, settings.nms):
            continue
        pixels, stability = _upsample(upsampler, candidate)
        if pixels is None or np.float32(stability) < np.float32(settings.stability):
            continue
        ys, xs = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        top, left = int(candidate.reach[0]), int(candidate.reach[1])
        box = np.array([xs[0] + left, ys[0] + top, xs[-1] + left, ys[-1] + top])
        in_image = box + [x0, y0, x0, y0]
        if _touches_crop(in_image, crop) or (box_iou(box, boxes) > settings.nms).any():
            continue
        boxes = np.vstack([boxes, box])
        size = crop.height, crop.width
        counts = rle.encode(pixels, top + y0, left + x0, *size)
        point = (float(candidate.point[0] + x0), float(candidate.point[1] + y0))
        corners = tuple(int(value) for value in in_image)
        masks.append(GeneratedMask(counts, size, corners, candidate.iou, stability, point, crop.box))
    return masks


def _candidates(
    segmenter: SamSegmenter, decoder: PointDecoder, upsampler: MaskUpsampler, crop: _Crop, settings: AutomaticMasks
) -> list[_Candidate]:
    """Candidates from all points of the crop's grid, in their order."""
    x0, y0, x1, y1 = crop.box
    points = grid(int(settings.points / settings.crop_fewer_points**crop.layer)) * [x1 - x0, y1 - y0]
    inputs = points * segmenter.transform.scale(y1 - y0, x1 - x0)
    candidates: list[_Candidate] = []
    size = batch_sizes.for_device(batch_sizes.POINTS, segmenter.device)
    for start in range(0, len(points), size):
        batch = slice(start, start + size)
        decoded = decoder.decode(torch.as_tensor(inputs[batch], dtype=torch.float32, device=segmenter.device))
        candidates += _passing(decoder, upsampler, decoded, points[batch], settings)
    return candidates


def _passing(
    decoder: PointDecoder,
    upsampler: MaskUpsampler,
    decoded: DecodedPoints,
    points: np.ndarray,
    settings: AutomaticMasks,
) -> list[_Candidate]:
    """Masks of a batch of points whose predicted IoU passes and that are not certainly unstable."""
    # As in the original, 0 lets every mask pass.
    passes = decoded.iou > settings.iou if settings.iou > 0 else torch.ones_like(decoded.iou, dtype=torch.bool)
    logits = decoder.masks(decoded, passes).float().cpu()
    if not len(logits):
        return []
    bounds = upsampler.bounds(logits, OFFSET)
    ious, owners = decoded.iou[passes].tolist(), torch.nonzero(passes)[:, 0].tolist()
    unstable = (bounds.stability < settings.stability - STABILITY_ERROR) & (bounds.samples >= MIN_SAMPLES)
    return [
        # A copy: a view would hold all of the batch's logits in memory.
        _Candidate(logits[i].clone(), ious[i], points[owners[i]], bounds.reach[i], bounds.outer[i], bounds.inner[i])
        for i in np.flatnonzero((bounds.samples > 0) & ~unstable)
    ]


def _surely_suppressed(candidate: _Candidate, boxes: np.ndarray, threshold: float) -> bool:
    """Whether any box between the candidate's inner and outer box overlaps too much with an accepted one."""
    top, left, bottom, right = candidate.inner
    if not len(boxes) or bottom <= top or right <= left:
        return False
    overlap = np.minimum([right - 1, bottom - 1], boxes[:, 2:]) - np.maximum([left, top], boxes[:, :2])
    overlap = np.maximum(overlap, 0).prod(axis=1)
    outer = (candidate.outer[2] - candidate.outer[0]) * (candidate.outer[3] - candidate.outer[1])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return bool((overlap > threshold * (outer + areas - overlap)).any())


def _upsample(upsampler: MaskUpsampler, candidate: _Candidate) -> tuple[np.ndarray | None, float]:
    """The mask within the box `reach`, bool, or None where it is empty; and its stability.

    Stability is the IoU of the masks above +OFFSET and above -OFFSET (Kirillov et al. 2023, B).
    """
    top, left, bottom, right = candidate.reach.tolist()
    if bottom <= top or right <= left:
        return None, 0.0
    logits = upsampler.crop(candidate.logits, (top, left, bottom, right)).numpy()
    mask = logits > 0
    if not mask.any():
        return None, 0.0
    # In float32, so that a stability equal to the threshold passes here exactly where it does in the original.
    return mask, float(np.float32(np.count_nonzero(logits > OFFSET)) / np.float32(np.count_nonzero(logits > -OFFSET)))


def _touches_crop(box: np.ndarray, crop: _Crop) -> bool:
    """Whether a box in the image ends at the crop's edge, and so may be cut off, and not at the image's."""
    at_crop = np.abs(box - crop.box) <= EDGE
    at_image = np.abs(box - [0, 0, crop.width, crop.height]) <= EDGE
    return bool((at_crop & ~at_image).any())


def _boxes(masks: list[GeneratedMask]) -> np.ndarray:
    return np.array([mask.box for mask in masks]).reshape(-1, 4)


def _replace_pixels(mask: GeneratedMask, pixels: np.ndarray) -> GeneratedMask:
    ys, xs = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    box = (int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1]))
    return replace(mask, counts=rle.encode(pixels), box=box)
