"""Automatic mask generation: all masks that SAM or SAM 2 predicts from a grid of points (Kirillov et al. 2023, B).

The masks are those of segment_anything's SamAutomaticMaskGenerator, which pass in this order: predicted IoU > iou;
stability >= stability; no edge within 20 pixels of the crop's edge unless that is the image's; not suppressed by a mask
of higher predicted IoU whose box overlaps by more than nms.

The original upsamples every candidate first and drops most of them later. Here candidates are processed by decreasing
predicted IoU, and those whose small logits show that they are certainly unstable, or certainly suppressed by an
accepted mask, are never upsampled: they would be dropped anyway, and a dropped mask suppresses nothing. Uncertain
candidates are upsampled and decided exactly. Boxes and stability of a mask are computed in numpy, several times as fast
as by segment_anything's functions, with the same results; all else is segment_anything's.

segment_anything imports torchvision, which takes seconds: import this module only where masks are generated.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from segment_anything.utils import amg
from torchvision.ops import box_iou, nms

from promptseg.data import rle
from promptseg.data.generated_masks import GeneratedMask
from promptseg.inference.mask_upsampling import MaskUpsampler
from promptseg.inference.point_decoder import DecodedPoints, PointDecoder
from promptseg.nn import batch_sizes
from promptseg.nn.sam_segmenter import SamSegmenter
from promptseg.nn.segmenter import Features
from promptseg.prompts.automatic import AutomaticMasks

OFFSET = 1.0  # of the thresholds of stability, in logits
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
    masks: list[GeneratedMask] = []
    crops, layers = amg.generate_crop_boxes((height, width), settings.crop_layers, settings.crop_overlap)
    for box, layer in zip(crops, layers):
        x0, y0, x1, y1 = box
        crop_features = features if layer == 0 else segmenter.encode([image[y0:y1, x0:x1]])
        masks += _generate_crop(segmenter, crop_features, _Crop(tuple(box), layer, height, width), settings)
    if len(crops) > 1:
        areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (mask.crop for mask in masks)]
        masks = suppress(masks, [-area for area in areas], settings.crop_nms)
    if settings.min_area:
        cleaned = [without_small_regions(mask, settings.min_area) for mask in masks]
        unchanged = [float(new is old) for new, old in zip(cleaned, masks)]
        masks = suppress(cleaned, unchanged, max(settings.nms, settings.crop_nms))
    return masks


def suppress(masks: list[GeneratedMask], scores: list[float], threshold: float) -> list[GeneratedMask]:
    """Apply non-maximum suppression.

    Args:
        masks: with their boxes.
        scores: of the masks.
        threshold: IoU of boxes above which the mask of lower score is removed.

    Returns:
        The remaining masks by decreasing score; equal scores in the order of the masks.
    """
    boxes = torch.tensor([mask.box for mask in masks], dtype=torch.float32).reshape(-1, 4)
    return [masks[i] for i in nms(boxes, torch.tensor(scores, dtype=torch.float32), threshold).tolist()]


def without_small_regions(mask: GeneratedMask, min_area: int) -> GeneratedMask:
    """Fill holes, then remove islands, of less than `min_area` pixels; the same object where there are none."""
    pixels, filled = amg.remove_small_regions(mask.mask(), min_area, "holes")
    pixels, removed = amg.remove_small_regions(pixels, min_area, "islands")
    if not (filled or removed):
        return mask
    return replace(mask, segmentation=rle.encode(pixels), box=tuple(_box(pixels).tolist()))


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
        top, left = candidate.reach[:2].tolist()
        box = _box(pixels) + [left, top, left, top]
        if _touches_crop(box, crop) or _overlaps(box, boxes, settings.nms):
            continue
        boxes = np.vstack([boxes, box])
        segmentation = rle.encode(pixels, top + y0, left + x0, crop.height, crop.width)
        point = (float(candidate.point[0] + x0), float(candidate.point[1] + y0))
        corners = tuple((box + [x0, y0, x0, y0]).tolist())
        masks.append(GeneratedMask(segmentation, corners, candidate.iou, stability, point, crop.box))
    return masks


def _candidates(
    segmenter: SamSegmenter, decoder: PointDecoder, upsampler: MaskUpsampler, crop: _Crop, settings: AutomaticMasks
) -> list[_Candidate]:
    """Candidates from all points of the crop's grid, in their order."""
    x0, y0, x1, y1 = crop.box
    side = int(settings.points / settings.crop_fewer_points**crop.layer)
    points = amg.build_point_grid(side) * [x1 - x0, y1 - y0]
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
    """Whether a box in the crop ends at its edge, and so may be cut off, and not at the image's."""
    image = [0, 0, crop.width, crop.height]
    return bool(amg.is_box_near_crop_edge(torch.from_numpy(box)[None], list(crop.box), image))


def _overlaps(box: np.ndarray, boxes: np.ndarray, threshold: float) -> bool:
    """Whether the IoU of a box with any of the boxes (k, 4) is above a threshold, decided as torchvision's nms does."""
    iou = box_iou(*(torch.as_tensor(each, dtype=torch.float32) for each in (box[None], boxes)))
    return bool((iou.double() > threshold).any())


def _box(mask: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 of the first and last pixels of a mask that is not empty."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([xs[0], ys[0], xs[-1], ys[-1]])
