"""Segment everything: the masks that SAM or SAM 2 finds by itself, asked by a grid of points (Kirillov et al. 2023, B).

The masks of segment_anything's SamAutomaticMaskGenerator, which are those that pass, in this order:
predicted IoU > iou; stability >= stability; no edge within 20 pixels of the crop's where that is not the picture's;
not suppressed by one of a higher predicted IoU whose box overlaps with more than nms.

It enlarges every candidate first and drops most of them after. Here they are taken by falling predicted IoU, and one
that the small logits show to be unstable beyond doubt, or suppressed beyond doubt by a mask that is already kept, is
never enlarged: either way it is out, and what is out suppresses nothing. Doubtful ones are enlarged and decided as
there.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from promptseg.core import params
from promptseg.data import rle
from promptseg.data.generated_masks import Segment
from promptseg.inference import small_regions
from promptseg.inference.mask_upsampling import Enlarger
from promptseg.inference.point_decoder import Answered, PointDecoder
from promptseg.nn import batch_sizes
from promptseg.nn.segmenter import Features, SamSegmenter

OFFSET = 1.0  # of the thresholds of stability, in logits
EDGE = 20.0  # pixels within which a box touches its crop's edge
# How far the stability of small logits may lie from that of the picture's, and from how many samples on it is trusted.
DOUBT, SAMPLES = 0.1, 64

Crop = tuple[int, int, int, int]  # x0, y0, x1, y1


@torch.inference_mode()
def segments(
    segmenter: SamSegmenter, features: Features, image: np.ndarray, settings: params.Automatic
) -> list[Segment]:
    """The masks of one picture, the surest first (those of smaller crops first where there are crops).

    features: of the picture, from `encode`; image: (h, w) or (h, w, 3) uint8. Empty masks are left out.
    """
    height, width = image.shape[:2]
    found, crops = [], list(crop_boxes(height, width, settings))
    for crop, layer in crops:
        x0, y0, x1, y1 = crop
        seen = features if layer == 0 else segmenter.encode([image[y0:y1, x0:x1]])
        found += _of_crop(segmenter, seen, crop, (height, width), layer, settings)
    if len(crops) > 1:
        sizes = np.array([(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one.crop for one in found)], float)
        found = [found[i] for i in suppress(_boxes(found), -sizes, settings.crop_nms)]
    if settings.min_area:
        tidied = [small_regions.remove_small_regions(one.mask(), settings.min_area) for one in found]
        found = [_changed(one, mask) if changed else one for one, (mask, changed) in zip(found, tidied)]
        whole = np.array([not changed for _, changed in tidied], float)
        found = [found[i] for i in suppress(_boxes(found), whole, max(settings.nms, settings.crop_nms))]
    return found


def grid(side: int) -> np.ndarray:
    """side ** 2 points evenly in the unit square, row by row: (side ** 2, 2) float64 x, y."""
    ticks = np.linspace(1 / (2 * side), 1 - 1 / (2 * side), side)
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


def crop_boxes(height: int, width: int, settings: params.Automatic):
    """The picture itself and, for each layer of crops, 2 ** layer crops a side that overlap: (crop, layer) pairs."""
    yield (0, 0, width, height), 0
    for layer in range(1, settings.crop_layers + 1):
        count = 2**layer
        overlap = int(settings.crop_overlap * min(height, width) * 2 / count)
        wide, high = (-(-(overlap * (count - 1) + length) // count) for length in (width, height))
        for x0 in ((wide - overlap) * i for i in range(count)):
            for y0 in ((high - overlap) * i for i in range(count)):
                yield (x0, y0, min(x0 + wide, width), min(y0 + high, height)), layer


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Greedy non-maximum suppression of boxes (k, 4): the kept ones' indices by falling score, equals as they come."""
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if not (overlaps(boxes[i], boxes[kept]) > threshold).any():
            kept.append(int(i))
    return kept


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of a box (4,) x0, y0, x1, y1 with others (k, 4), 0 where both are empty.

    Computed as float32 and compared as float64, as torchvision's nms does, so that ties of a threshold go the same way.
    """
    box, others = box.astype(np.float32), others.astype(np.float32)
    shared = np.maximum(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared
    return (shared / np.where(union > 0, union, 1)).astype(float)


@dataclass(frozen=True)
class _Candidate:
    """A mask that its predicted IoU let pass. Boxes are of pixels in the crop: top, left, bottom, right."""

    logits: torch.Tensor  # (side, side)
    iou: float
    point: np.ndarray  # x, y in the crop
    reach: np.ndarray
    outer: np.ndarray
    inner: np.ndarray


def _of_crop(
    segmenter: SamSegmenter,
    features: Features,
    crop: Crop,
    size: tuple[int, int],
    layer: int,
    settings: params.Automatic,
) -> list[Segment]:
    """What is left of one crop's candidates, by falling predicted IoU."""
    x0, y0, x1, y1 = crop
    height, width = y1 - y0, x1 - x0
    decoder = PointDecoder(segmenter, features)
    enlarger = Enlarger(segmenter.frame, decoder.side, height, width)
    points = grid(int(settings.points / settings.crop_fewer_points**layer)) * [width, height]
    inner = segmenter.frame.content(height, width)
    asked = points * [inner[1] / width, inner[0] / height]
    candidates: list[_Candidate] = []
    together = batch_sizes.at_once(batch_sizes.POINTS, segmenter.device)
    for start in range(0, len(points), together):
        batch = slice(start, start + together)
        answered = decoder.ask(torch.as_tensor(asked[batch], dtype=torch.float32, device=segmenter.device))
        candidates += _passing(decoder, enlarger, answered, points[batch], settings)
    kept: list[Segment] = []
    boxes = np.empty((0, 4))
    for one in sorted(candidates, key=lambda candidate: -candidate.iou):  # stable: equals stay in the grid's order
        if _surely_suppressed(one, boxes, settings.nms):
            continue
        mask, stability = _enlarge(enlarger, one)
        if mask is None or np.float32(stability) < np.float32(settings.stability):
            continue
        ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        top, left = int(one.reach[0]), int(one.reach[1])
        box = np.array([xs[0] + left, ys[0] + top, xs[-1] + left, ys[-1] + top])
        if _touches(box + [x0, y0, x0, y0], crop, size) or (overlaps(box, boxes) > settings.nms).any():
            continue
        boxes = np.vstack([boxes, box])
        counts = rle.encode(mask, top + y0, left + x0, *size)
        place = tuple(int(value) for value in box + [x0, y0, x0, y0])
        point = (float(one.point[0] + x0), float(one.point[1] + y0))
        kept.append(Segment(counts, size, place, one.iou, stability, point, crop))
    return kept


def _passing(
    decoder: PointDecoder, enlarger: Enlarger, answered: Answered, points: np.ndarray, settings: params.Automatic
) -> list[_Candidate]:
    """The masks of these points that predicted IoU lets pass and that are not unstable beyond doubt."""
    # 0 lets everything pass, as in the original
    wanted = answered.iou > settings.iou if settings.iou > 0 else torch.ones_like(answered.iou, dtype=torch.bool)
    logits = decoder.masks(answered, wanted).float().cpu()
    if not len(logits):
        return []
    bounds = enlarger.bounds(logits, OFFSET)
    ious, owners = answered.iou[wanted].tolist(), torch.nonzero(wanted)[:, 0].tolist()
    unstable = (bounds.stability < settings.stability - DOUBT) & (bounds.samples >= SAMPLES)
    return [
        # A copy: a view would keep all of the batch's logits.
        _Candidate(logits[i].clone(), ious[i], points[owners[i]], bounds.reach[i], bounds.outer[i], bounds.inner[i])
        for i in np.flatnonzero((bounds.samples > 0) & ~unstable)
    ]


def _surely_suppressed(one: _Candidate, boxes: np.ndarray, threshold: float) -> bool:
    """Whether its box, which lies between the inner and the outer one, overlaps too much wherever exactly it is."""
    top, left, bottom, right = one.inner
    if not len(boxes) or bottom <= top or right <= left:
        return False
    shared = np.minimum([right - 1, bottom - 1], boxes[:, 2:]) - np.maximum([left, top], boxes[:, :2])
    shared = np.maximum(shared, 0).prod(axis=1)
    outer = (one.outer[2] - one.outer[0]) * (one.outer[3] - one.outer[1])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return bool((shared > threshold * (outer + areas - shared)).any())


def _enlarge(enlarger: Enlarger, one: _Candidate) -> tuple[np.ndarray | None, float]:
    """The mask, bool, in the box `reach`, None where it is empty, and its stability.

    Stability: IoU of the masks above +OFFSET and above -OFFSET, one of which holds the other (Kirillov et al. 2023, B).
    """
    top, left, bottom, right = one.reach.tolist()
    if bottom <= top or right <= left:
        return None, 0.0
    logits = enlarger.crop(one.logits, (top, left, bottom, right)).numpy()
    mask = logits > 0
    if not mask.any():
        return None, 0.0
    # float32, so that a stability of just the threshold passes here if it does there
    return mask, float(np.float32(np.count_nonzero(logits > OFFSET)) / np.float32(np.count_nonzero(logits > -OFFSET)))


def _touches(box: np.ndarray, crop: Crop, size: tuple[int, int]) -> bool:
    """Whether a box ends at its crop's edge, and so may be cut off there, and not at the picture's."""
    at_crop = np.abs(box - crop) <= EDGE
    at_picture = np.abs(box - [0, 0, size[1], size[0]]) <= EDGE
    return bool((at_crop & ~at_picture).any())


def _boxes(found: list[Segment]) -> np.ndarray:
    return np.array([one.box for one in found]).reshape(-1, 4)


def _changed(one: Segment, mask: np.ndarray) -> Segment:
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1]))
    return replace(one, counts=rle.encode(mask), box=box)
