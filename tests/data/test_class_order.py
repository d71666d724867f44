"""The best class at each pixel, and that it keeps the highest value in eight bits."""

import numpy as np
import pytest
from promptseg.data.class_order import best_class, put_best_above


def test_the_best_is_that_of_argmax_and_the_lower_of_equal_ones():
    maps = np.random.default_rng(0).integers(0, 4, (5, 30, 40)).astype(np.float32)
    maps[:, 0] = -np.inf
    best, highest = best_class(maps)
    assert np.array_equal(best, maps.argmax(axis=0)) and best.dtype == np.uint8
    assert np.array_equal(highest, maps.max(axis=0))


@pytest.mark.parametrize(
    "values, best, expected",
    [([255, 255, 255], 1, [254, 255, 254]), ([7, 9, 9], 2, [7, 8, 9]), ([0, 0], 1, [0, 0]), ([1, 1], 0, [1, 0]),
     ([3, 2], 0, [3, 2]), ([255], 0, [255])],
)  # fmt: skip
def test_what_equals_the_best_gets_one_less(values, best, expected):
    maps = np.array(values, np.uint8)[:, None, None].repeat(2, axis=2)
    put_best_above(maps, np.full((1, 2), best, np.uint8))
    assert maps[..., 0].ravel().tolist() == maps[..., 1].ravel().tolist() == expected
