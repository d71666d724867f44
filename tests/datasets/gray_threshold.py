"""How well a threshold of gray levels segments samples: a drawn sample that it solves would need no model."""

import numpy as np


def histogram(samples) -> np.ndarray:
    """Count the pixels of each label (rows) and gray level (columns), (256, 256)."""
    counts = np.zeros(256 * 256, int)
    for sample in samples:
        image, mask = sample.image(), sample.mask()
        gray = image if image.ndim == 2 else image.mean(axis=2).astype(np.uint8)
        counts += np.bincount(256 * mask.ravel().astype(int) + gray.ravel(), minlength=256 * 256)
    return counts.reshape(256, 256)


def best_iou(counts: np.ndarray, *labels: int) -> float:
    """Compute the pooled IoU of the best threshold, with the labels on its bright or its dark side; 255 is ignored."""
    inside = counts[list(labels)].sum(axis=0)
    both = np.stack([counts[:255].sum(axis=0) - inside, inside])
    assert inside.any(), f"no pixel of {labels}"
    sides = both.cumsum(axis=1), both[:, ::-1].cumsum(axis=1)
    return max((side[1] / (inside.sum() + side[0])).max() for side in sides)
