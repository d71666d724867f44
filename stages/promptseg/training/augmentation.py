"""Training pictures changed at random, and their masks with them.

Points, boxes and masks to ask with are taken from the changed mask, so they move along.
"""

import hashlib

import cv2
import numpy as np

from promptseg.core import params

IGNORED = 255  # in a mask: where the picture was turned or shrunk away, nothing is known


def augment(
    image: np.ndarray, mask: np.ndarray, settings: params.Augment, seed: int, id: str
) -> tuple[np.ndarray, np.ndarray]:
    """A picture (h, w, 3) uint8 and its mask (h, w) uint8 -> the same, changed, of the same sizes and types.

    The changes depend on (seed, id) alone. Where the mask is uncovered it is 255; the picture is mirrored there, since
    a black corner would be an edge to learn.
    """
    rng = np.random.default_rng(np.frombuffer(hashlib.sha256(f"{seed}/augment/{id}".encode()).digest(), np.uint32))
    # All are drawn, used or not: so one setting does not change what another one gives.
    across, down = rng.random(2) < 0.5
    angle = rng.uniform(-settings.rotate, settings.rotate)
    scale = rng.uniform(1 - settings.scale, 1 + settings.scale)
    brightness = rng.uniform(1 - settings.brightness, 1 + settings.brightness)
    if across and "horizontal" in settings.flip:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if down and "vertical" in settings.flip:
        image, mask = image[::-1], mask[::-1]
    if settings.rotate or settings.scale:
        image, mask = _turned(image, mask, angle, scale)
    if settings.brightness:
        image = np.clip(np.rint(image * brightness), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def _turned(image: np.ndarray, mask: np.ndarray, angle: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Turned by `angle` degrees counter-clockwise about the center and made `scale` times as large."""
    height, width = mask.shape
    # cv2 counts from the center of the first pixel.
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    image, mask = np.ascontiguousarray(image), np.ascontiguousarray(mask)
    image = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    mask = cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=IGNORED)
    return image, mask
