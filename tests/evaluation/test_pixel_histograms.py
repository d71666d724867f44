"""Histograms against numpy's, of arrays that are counted eight pixels at a time and of those that are not."""

import numpy as np
import pytest
from promptseg.data.image_io import IGNORED
from promptseg.evaluation import pixel_histograms
from promptseg.evaluation.counts import count, label_map

RNG = np.random.default_rng(0)
PLANES = {
    "random": RNG.integers(0, 256, (37, 41)),
    "zeros": np.zeros((37, 41)),
    "ones": np.full((16, 8), 255),
    "bits": RNG.choice([0, 255], (37, 41)),
    "a few": np.where(RNG.random((37, 41)) < 0.01, RNG.integers(0, 256, (37, 41)), 0),
    "sure": np.kron(RNG.choice([0, 255, 7], (5, 6)), np.ones((9, 11))),
    "less than a word": np.zeros((1, 5)),
    "a word": np.zeros((1, 8)),
}


@pytest.mark.parametrize("name", PLANES)
@pytest.mark.parametrize("cut", [np.s_[:], np.s_[:, ::2], np.s_[1:, 1:]], ids=["whole", "columns", "window"])
def test_values_are_counted_as_numpy_counts_them_with_and_without_a_mask(name, cut):
    plane = PLANES[name].astype(np.uint8)[cut]
    if plane.size:
        mask = (np.random.default_rng(1).random(plane.shape) < 0.7).view(np.uint8)
        assert pixel_histograms.of_values(plane).tolist() == np.bincount(plane.ravel(), minlength=256).tolist()
        counted = np.bincount(plane[mask > 0], minlength=256)
        assert pixel_histograms.of_values(plane, mask).tolist() == counted.tolist()


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("levels", [[0, 255], [0, 0, 0, 255, 90], list(range(256))], ids=["bits", "sure", "any"])
def test_counts_of_an_image_are_those_of_counting_class_by_class(classes, levels):
    rng = np.random.default_rng(classes)
    size = (3 * 17, 4 * 23)
    coarse = rng.choice(levels, (classes, 17, 23)).astype(np.uint8)
    probability = np.ascontiguousarray(coarse.repeat(3, axis=1).repeat(4, axis=2))
    target = rng.integers(0, classes + 1, size).astype(np.uint8)
    target[:9], target[rng.random(size) < 0.1] = 0, IGNORED
    valid = rng.random(size) < 0.9
    counts, counted = count(target, probability, classes, valid), (target != IGNORED) & valid
    best, predicted = probability.max(axis=0), label_map(probability)
    most_probable = label_map(probability, 0.0)
    for index, label in enumerate(range(1, classes + 1)):
        for row, is_class in enumerate((target != label, target == label)):
            every = np.bincount(probability[index][counted & is_class], minlength=256)
            assert counts.values[row, index].tolist() == every.tolist()
            own = np.bincount(best[counted & is_class & (most_probable == label)], minlength=256)
            assert counts.labelled[row, index, 1:].tolist() == own[1:].tolist()  # at 0 nothing is told apart
    assert counts.correct == np.count_nonzero((predicted == target) & counted)
