"""A support picture made ready for CLIP, so that its embedding is of the object and not of what is round it.

This is the "visual prompt engineering" of CLIPSeg (Lueddecke & Ecker 2022), with the figures of its code: mode
crop_blur_highlight352 of datasets/utils.py, with which its weights were trained and its one-shot scores taken.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F

DARKNESS = 0.1  # what is left of the background
KERNEL, SIGMA = 15, 3  # pixels of the blur, at the network's input size
CONTEXT = 0.1  # of the object's height and width, kept on each side of it


def prepare(pixels: torch.Tensor, cover: np.ndarray, how: tuple[str, ...]) -> torch.Tensor:
    """A normalized picture (3, s, s) float32 and its object's cover (s, s) in [0, 1] -> what to embed, (3, s, s).

    As in the original the values are normalized already, so that a darkened background fades to the mean color, and
    that is what pads a crop to a square. A pixel belongs to the object where it is half covered; of an object that is
    too thin for that, the pixels that it covers most.
    """
    inside = cover >= min(0.5, cover.max())
    if "blur" in how or "darken" in how:
        behind = pixels
        if "blur" in how:
            # OpenCV wants channels last, and mirrors what lies beyond the rim.
            blurred = cv2.GaussianBlur(pixels.permute(1, 2, 0).numpy(), (KERNEL, KERNEL), SIGMA)
            behind = torch.from_numpy(blurred).permute(2, 0, 1)
        if "darken" in how:
            behind = behind * DARKNESS
        pixels = torch.where(torch.from_numpy(inside), pixels, behind)
    return _crop(pixels, inside) if "crop" in how else pixels


def _crop(pixels: torch.Tensor, inside: np.ndarray) -> torch.Tensor:
    """The object and a little round it, in a square, back at the size of the picture (object_crop of its code)."""
    top, bottom = _span(inside.any(axis=1))
    left, right = _span(inside.any(axis=0))
    part = pixels[:, top:bottom, left:right]
    spare = part.shape[1] - part.shape[2]
    across, down = max(spare, 0), max(-spare, 0)
    part = F.pad(part, (across // 2, across - across // 2, down // 2, down - down // 2))
    return F.interpolate(part[None], pixels.shape[1:], mode="nearest")[0]


def _span(hit: np.ndarray) -> tuple[int, int]:
    """From the first to behind the last, and CONTEXT of that on both sides, within the picture."""
    first, last = np.flatnonzero(hit)[[0, -1]]
    room = CONTEXT * (last + 1 - first)
    return int(max(0, first - room)), int(min(len(hit), last + 1 + room))
