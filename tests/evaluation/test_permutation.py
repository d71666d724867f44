"""The permutation test over groups: exact values, the size of the test, and agreement of both ways to compute it."""

import itertools

import numpy as np
import pytest
from promptseg.evaluation import permutation
from promptseg.evaluation.permutation import p_value


def ious(values) -> permutation.Terms:
    """Terms of images with one class."""
    values = np.reshape(values, (-1, 1)).astype(float)
    return values, np.ones_like(values)


def test_below_six_groups_no_test_is_possible():
    five = ious([0.1] * 5), ious([0.9] * 5)
    assert p_value(*five, np.arange(5)) is None
    assert p_value(ious([0.1] * 12), ious([0.9] * 12), np.arange(12) // 3) is None, "images of a group count once"


@pytest.mark.parametrize(("gains", "expected"), [
    ([1, 1, 1, 1, 1, 1], 2 / 64),  # only the given order and its opposite are as extreme
    ([1, 1, 1, 1, 1, -1], 14 / 64),  # sums of at least 4: all six right, or five of them, in both directions
    ([1, -1, 1, -1, 1, -1], 1.0),
    ([0, 0, 0, 0, 0, 0], 1.0),
    ([3, 2, 1, 1, 1, 1, 1], 2 / 128),
])  # fmt: skip
def test_few_groups_are_enumerated(gains, expected):
    before = np.full(len(gains), 0.5)
    assert p_value(ious(before), ious(before + np.array(gains) / 10), np.arange(len(gains))) == pytest.approx(expected)


def test_several_classes_are_ratios_of_the_swapped_sums():
    rng = np.random.default_rng(0)
    numbers = rng.integers(1, 100, (2, 7, 3)).astype(float)
    sums = np.floor(numbers * rng.uniform(size=numbers.shape))
    found = p_value((sums[0], numbers[0]), (sums[1], numbers[1]), np.arange(7))

    def difference(swap):
        chosen = np.array(swap), np.arange(7)
        opposite = 1 - chosen[0], chosen[1]
        scores = [(sums[c].sum(axis=0) / numbers[c].sum(axis=0)).mean() for c in (opposite, chosen)]
        return abs(scores[0] - scores[1])

    swaps = [difference(swap) for swap in itertools.product((0, 1), repeat=7)]
    assert found == np.mean(np.array(swaps) >= difference([0] * 7) - 1e-12)


def test_random_swaps_agree_with_all_of_them(monkeypatch):
    rng = np.random.default_rng(1)
    before, group = rng.uniform(size=36), np.arange(36) // 3
    terms = ious(before), ious(before + rng.normal(0.03, 0.1, 36))
    exact = p_value(*terms, group)
    monkeypatch.setattr(permutation, "ENUMERATED_GROUPS", 0)
    assert p_value(*terms, group) == pytest.approx(exact, abs=0.02)
    assert p_value(*terms, group) == p_value(*terms, group) != p_value(*terms, group, draws=500)


@pytest.mark.parametrize(("groups", "size", "classes"), [(8, 4, 1), (30, 3, 1), (20, 2, 3)])
def test_two_equally_good_runs_differ_in_one_of_twenty_studies(groups, size, classes):
    """Images of a group share most of their error, which a test over images would take for evidence."""
    rng = np.random.default_rng(groups)
    group, rejected, studies = np.repeat(np.arange(groups), size), 0, 1000
    for _ in range(studies):
        numbers = rng.integers(50, 500, (groups * size, classes)).astype(float)
        shared = rng.normal(0, 0.15, (2, groups, classes))[:, group]
        scores = np.clip(0.6 + shared + rng.normal(0, 0.05, shared.shape), 0, 1)
        weight = numbers if classes > 1 else np.ones_like(numbers)
        rejected += p_value((scores[0] * weight, weight), (scores[1] * weight, weight), group, draws=400) < 0.05
    assert 0.03 <= rejected / studies <= 0.07


def test_images_and_classes_without_ground_truth_have_no_part():
    before, after = ious([0.2, 0.4, 0.3, 0.5, 0.1, 0.6]), ious([0.3, 0.6, 0.6, 0.9, 0.6, 1.0])
    padded = [tuple(np.pad(term, ((0, 3), (0, 2))) for term in terms) for terms in (before, after)]
    assert p_value(*padded, np.arange(9)) == p_value(before, after, np.arange(6)) == 2 / 64


def test_images_of_a_group_are_summed():
    rng = np.random.default_rng(2)
    sums, numbers = rng.uniform(size=(2, 21, 2)), rng.uniform(1, 2, (2, 21, 2))
    merged = [terms.reshape(2, 7, 3, 2).sum(axis=2) for terms in (sums, numbers)]
    of_images, of_groups = (
        p_value((s[0], n[0]), (s[1], n[1]), group)
        for (s, n), group in (((sums, numbers), np.arange(21) // 3), (merged, np.arange(7)))
    )
    assert of_images == of_groups < 1
