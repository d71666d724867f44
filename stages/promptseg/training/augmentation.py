"""Random augmentation of training images and their masks.

Prompts are taken from the augmented mask, so they move along.
"""

import hashlib

import cv2
import numpy as np

from promptseg.core.train_config import Augment

IGNORED = 255  # value of masks where rotation or scaling uncovers pixels of unknown class


def augment(image: np.ndarray, mask: np.ndarray, config: Augment, seed: int, id: str) -> tuple[np.ndarray, np.ndarray]:
    """Flip, rotate, scale and brighten an image, and its mask with it.

    Args:
        image: (h, w, 3) uint8.
        mask: (h, w) uint8, or uint16 of instances.
        config: ranges of the changes.
        seed: of the study.
        id: of the image in this epoch; all changes depend on (seed, id) alone.

    Returns:
        Image and mask of the same sizes and types. Uncovered pixels are 255 in the mask, and in the image they mirror
        the inside, since a black corner would be an edge to learn.
    """
    rng = np.random.default_rng(np.frombuffer(hashlib.sha256(f"{seed}/augment/{id}".encode()).digest(), np.uint32))
    # All values are sampled, used or not, so that one setting does not change the effect of another.
    across, down = rng.random(2) < 0.5
    angle = rng.uniform(-config.rotate, config.rotate)
    scale = rng.uniform(1 - config.scale, 1 + config.scale)
    brightness = rng.uniform(1 - config.brightness, 1 + config.brightness)
    if across and "horizontal" in config.flip:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if down and "vertical" in config.flip:
        image, mask = image[::-1], mask[::-1]
    if config.rotate or config.scale:
        image, mask = _rotate_and_scale(image, mask, angle, scale)
    if config.brightness:
        image = np.clip(np.rint(image * brightness), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def _rotate_and_scale(image: np.ndarray, mask: np.ndarray, angle: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotate by `angle` degrees counter-clockwise about the center, and scale by `scale`."""
    height, width = mask.shape
    # cv2 counts from the center of the first pixel.
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    image, mask = np.ascontiguousarray(image), np.ascontiguousarray(mask)
    image = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    mask = cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=IGNORED)
    return image, mask
