"""Small stacks of slices with masks, for the tests of em and of lucchi_pp."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tifffile
from promptseg.datasets import Sample

BLOCKS = ["b000"] * 5 + ["b001"] * 5 + ["b002"]  # of 11 slices


def stacks(files: Iterable[str], slices=(7, 6)) -> dict[str, np.ndarray]:
    """Images and masks of training, then of testing, which has another size, by these four names."""
    rng, (first, second) = np.random.default_rng(0), slices
    shapes = [(first, 24, 32)] * 2 + [(second, 24, 40)] * 2
    tops = (256, 2, 256, 2)
    made = {name: rng.integers(0, top, shape, np.uint8) for name, shape, top in zip(files, shapes, tops, strict=True)}
    return {name: stack * 255 if stack.max() == 1 else stack for name, stack in made.items()}


def save(path: Path, stack: np.ndarray, **kind) -> None:
    tifffile.imwrite(path, stack, photometric="minisblack", **kind)


def check(samples: list[Sample], stacks: Iterable[np.ndarray], names: tuple[str, str]) -> None:
    """The samples are these stacks, in this order; names: of the two, in ids."""
    images, masks, test_images, test_masks = stacks
    lengths = len(images), len(test_images)
    assert [s.id for s in samples] == [f"{name}/{i:03d}" for name, count in zip(names, lengths) for i in range(count)]
    assert [s.split for s in samples] == ["train"] * lengths[0] + ["test"] * lengths[1]
    expected = [f"{name}/{block}" for name, count in zip(names, lengths) for block in BLOCKS[:count]]
    assert [s.group for s in samples] == expected
    for sample, image, mask in zip(samples, [*images, *test_images], [*masks, *test_masks], strict=True):
        assert sample.image().dtype == sample.mask().dtype == np.uint8
        np.testing.assert_array_equal(sample.image(), image)
        np.testing.assert_array_equal(sample.mask() * 255, mask)


def as_arrays(samples: Iterable[Sample], split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and foreground of a split, (n, h, w) each."""
    chosen = [sample for sample in samples if sample.split == split]
    return np.stack([sample.image() for sample in chosen]), np.stack([sample.mask() for sample in chosen]) == 1
