"""Splits: whole groups, the source's own splits, fractions, stability under more data."""

from collections import Counter

import pytest
from fake_samples import Dataset, sample, samples_of
from promptseg.preprocessing.split_assignment import GAP, SPLITS, assign


def halves(fraction):
    return Dataset(test_fraction=fraction, val_fraction=fraction)


@pytest.mark.parametrize("ordered", [False, True])
def test_no_group_is_in_two_splits_and_those_of_the_source_are_kept(ordered):
    samples = samples_of(60, group_of=lambda i: f"g{i % 13}")
    for seed in range(5):
        splits = assign(samples, Dataset(), seed, ordered)
        split_of = {p.group: split for p, split in zip(samples, splits, strict=True)}
        assert set(splits) == {*SPLITS, *[GAP] * ordered} and splits == [split_of[p.group] for p in samples]
    samples = samples_of(5, split="train") + samples_of(3, split="test") + samples_of(2, split="val")
    assert assign(samples, Dataset(val_fraction=0.5), 0, ordered) == ["train"] * 5 + ["test"] * 3 + ["val"] * 2


@pytest.mark.parametrize("present, missing", [("test", "val"), ("val", "test")])
def test_a_missing_split_is_made_of_training_groups(present, missing):
    samples = samples_of(20, split="train") + [sample("x", present, size=(4, 4))]
    assert assign(samples, halves(0.3), 0, True) == ["train"] * 13 + [GAP] + [missing] * 6 + [present]


def test_of_ordered_groups_the_last_are_taken_with_a_gap_of_one_before_them():
    samples = samples_of(40, group_of=lambda i: f"b{i // 2:02d}")
    splits = assign(samples, Dataset(val_fraction=0.2, test_fraction=0.25), 0, ordered=True)
    # 5 of 20 groups, one left out; 3 of the 14 before (0.2 * 14 = 2.8), one left out
    assert splits == ["train"] * 20 + [GAP] * 2 + ["val"] * 6 + [GAP] * 2 + ["test"] * 10
    without_test = Dataset(test_fraction=0.0)
    assert assign(samples[:6], without_test, 0, ordered=True) == ["train", "train", GAP, GAP, "val", "val"]
    assert assign(samples[:4], without_test, 0, ordered=True) == ["train", "train", "val", "val"]
    stack = samples_of(165, group_of=lambda i: f"b{i // 5:03d}")  # 33 blocks, as in em
    assert assign(stack, without_test, 0, ordered=True) == ["train"] * 145 + [GAP] * 5 + ["val"] * 15


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_fractions_are_of_the_groups(fraction):
    splits = Counter(assign(samples_of(1000), halves(fraction), 0, False))
    assert splits["test"] / 1000 == pytest.approx(fraction, abs=0.04)
    assert splits["val"] / (1000 - splits["test"]) == pytest.approx(fraction, abs=0.04)


def test_samples_of_the_test_alone_stay_there():
    assert assign(samples_of(3, split="test"), Dataset(), 0, False) == ["test"] * 3


def test_a_fraction_of_zero_makes_no_split():
    assert set(assign(samples_of(20), Dataset(val_fraction=0.0), 0, False)) == {"train", "test"}
    assert set(assign(samples_of(20), halves(0.0), 0, False)) == {"train"}


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_of_few_groups_a_split_gets_and_leaves_at_least_one_and_an_image_alone_is_for_the_test(fraction, ordered):
    for seed in range(5):
        for count in (2, 3, 5):
            splits = Counter(assign(samples_of(count), halves(fraction), seed, ordered))
            assert splits["test"] >= 1 and splits["train"] >= 1
            assert splits["val"] >= 1 or splits["train"] == 1
        assert assign(samples_of(1), halves(fraction), seed, ordered) == ["test"]


def test_the_seed_decides_which_groups_are_chosen_and_the_order_of_the_samples_does_not():
    samples = samples_of(40, group_of=lambda i: f"g{i % 17}")
    there = assign(samples, Dataset(), 0, False)
    assert assign(samples[::-1], Dataset(), 0, False) == there[::-1] and assign(samples, Dataset(), 1, False) != there


@pytest.mark.parametrize("seed", range(3))
def test_more_samples_and_groups_move_no_group(seed):
    samples = samples_of(300, group_of=lambda i: f"g{i % 100}")
    more = samples_of(30, group_of=lambda i: f"new{i}") + samples
    first_splits = {}
    for given in (samples[:60], samples[:61], samples[:100], samples, more):
        splits = assign(given, Dataset(val_fraction=0.3), seed, False)
        for p, split in zip(given, splits, strict=True):
            assert first_splits.setdefault(p.group, split) == split
    assert set(first_splits.values()) == set(SPLITS)


@pytest.mark.parametrize("seed", range(20))
def test_a_split_of_small_groups_is_filled_to_half_of_its_share_by_groups_that_fit(seed):
    samples = samples_of(100, group_of=lambda i: "clip" if i < 60 else f"photo{i}")
    splits = assign(samples, Dataset(test_fraction=0.0, val_fraction=0.2), seed, False)
    where = {p.group: split for p, split in zip(samples, splits, strict=True)}
    if where["clip"] == "train":
        assert 10 <= splits.count("val") <= 20
    else:
        assert splits.count("val") >= 60, "chosen by its own digest"
