"""Visual prompt engineering: process a support image so that its CLIP embedding is of the object in its mask.

As in CLIPSeg (Lueddecke & Ecker 2022), with the constants of its code: mode crop_blur_highlight352 of
datasets/utils.py, which its weights were trained with and its one-shot scores measured with.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F

DARKEN = 0.1  # factor of the background
KERNEL, SIGMA = 15, 3  # of the blur, pixels of the input
MARGIN = 0.1  # of the object's height and width, on each side of the crop


def prepare(pixels: torch.Tensor, coverage: np.ndarray, steps: tuple[str, ...]) -> torch.Tensor:
    """Process a support image.

    As in the original, values are normalized before, so that a darkened background fades to the mean color, and that
    is also what pads a crop to a square.

    Args:
        pixels: (3, s, s) float32, normalized.
        coverage: (s, s) in [0, 1], share of each pixel that the object covers. Pixels of 0.5 or more belong to it; of
            an object that is too thin for that, those that it covers most.
        steps: of "darken", "blur" and "crop".

    Returns:
        (3, s, s) float32.
    """
    inside = coverage >= min(0.5, coverage.max())
    if "blur" in steps or "darken" in steps:
        background = pixels
        if "blur" in steps:
            # OpenCV takes channels last, and mirrors the image at its border.
            blurred = cv2.GaussianBlur(pixels.permute(1, 2, 0).numpy(), (KERNEL, KERNEL), SIGMA)
            background = torch.from_numpy(blurred).permute(2, 0, 1)
        if "darken" in steps:
            background = background * DARKEN
        pixels = torch.where(torch.from_numpy(inside), pixels, background)
    return _crop(pixels, inside) if "crop" in steps else pixels


def _crop(pixels: torch.Tensor, inside: np.ndarray) -> torch.Tensor:
    """Crop to the object with a margin, pad to a square and resize back (object_crop of the original)."""
    top, bottom = _span(np.any(inside, axis=1))
    left, right = _span(np.any(inside, axis=0))
    crop = pixels[:, top:bottom, left:right]
    missing = crop.shape[1] - crop.shape[2]
    width, height = max(missing, 0), max(-missing, 0)
    crop = F.pad(crop, (width // 2, width - width // 2, height // 2, height - height // 2))
    return F.interpolate(crop[None], pixels.shape[1:], mode="nearest")[0]


def _span(occupied: np.ndarray) -> tuple[int, int]:
    """Half-open range from the first to the last True, with MARGIN on both sides, within the image."""
    first, last = np.flatnonzero(occupied)[[0, -1]]
    margin = MARGIN * (last + 1 - first)
    return int(max(0, first - margin)), int(min(len(occupied), last + 1 + margin))
