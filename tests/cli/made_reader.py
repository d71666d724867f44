"""A reader of the test's own, and samples for it."""

import types

import numpy as np
from promptseg.datasets import Sample


def sample(id="a", split="train", group=None, size=(4, 6), image=None, mask=None, **more):
    """A gray image and a mask of one pixel; an exception in place of either is raised when it is decoded."""
    image = np.zeros(size, np.uint8) if image is None else image
    mask = one_of(image.shape[:2] if isinstance(image, np.ndarray) else size) if mask is None else mask
    return Sample(id, split, group or id, lambda: value_or_raise(image), lambda: value_or_raise(mask), **more)


def one_of(size):
    mask = np.zeros(size, np.uint8)
    mask[0, 0] = 1
    return mask


def value_or_raise(value):
    if isinstance(value, Exception):
        raise value
    return value


def reader(samples, verify=lambda folder: None, classes=("thing",), **more):
    return types.SimpleNamespace(CLASSES=classes, verify=verify, read=lambda folder: iter(samples), **more)
