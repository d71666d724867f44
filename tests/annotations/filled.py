"""Pixels of shapes, filled by pycocotools: what the tests of formats compare with masks written by hand."""

import numpy as np
from promptseg.annotations.shapes import Shape
from promptseg.data import rle
from pycocotools import mask as coco


def filled(shape: Shape, height: int, width: int) -> np.ndarray:
    """The mask of a shape in an image of this size, (h, w) bool."""
    if shape.rle is not None:
        return rle.decode(shape.rle)
    if shape.mask is not None:
        found = np.zeros((height, width), bool)
        found[shape.top : shape.top + shape.mask.shape[0], shape.left : shape.left + shape.mask.shape[1]] = shape.mask
        return found
    return _union(shape.rings, height, width) & ~_union(shape.holes, height, width)


def drawn(shape: Shape, height: int, width: int) -> list[str]:
    """The mask of a shape as rows of # and ."""
    return ["".join(".#"[value] for value in row) for row in filled(shape, height, width).astype(int)]


def _union(rings: tuple[np.ndarray, ...], height: int, width: int) -> np.ndarray:
    if not rings:
        return np.zeros((height, width), bool)
    encoded = coco.frPyObjects([ring.ravel().tolist() for ring in rings], height, width)
    return coco.decode(coco.merge(encoded)).astype(bool)
