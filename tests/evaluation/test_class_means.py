"""Means over images and classes: absent classes are left out, and nothing is NaN."""

import numpy as np
from promptseg.evaluation import class_means


def test_true_negatives_alone_count_with_a_single_class_only():
    counts = np.zeros((2, 2, 6), int)
    counts[0, :, 3] = 9
    counts[1, 0, 2] = 1
    assert class_means.present(counts).tolist() == [[False, False], [True, False]]
    assert class_means.present(counts[:, :1]).tolist() == [[True], [True]]


def test_mean_is_over_images_first_and_classes_second():
    values, where = np.array([[0.0, 0.4], [1.0, 0.9]]), np.array([[True, True], [True, False]])
    assert class_means.mean(values, where) == (0.5 + 0.4) / 2
    assert class_means.mean(values[0], where[1]) == 0.0  # pooled: (K,)
    assert class_means.mean(values, np.zeros((2, 2), bool)) == 1.0
