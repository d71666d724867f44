"""Nested subsets of whole groups."""

import pytest
from promptseg.data.nested_subset import nested_subset, seeded_order

GROUPS = [f"g{number // 3}" for number in range(30)]  # ten groups of three


def chosen(fraction: float, seed: int = 0, groups=GROUPS) -> set[str]:
    return {groups[index] for index in nested_subset(groups, fraction, seed)}


@pytest.mark.parametrize("fraction, count", [(0.001, 1), (0.1, 1), (0.25, 3), (0.5, 5), (0.91, 10), (1.0, 10)])
def test_whole_groups_are_taken_and_their_number_is_rounded_up(fraction, count):
    indexes = nested_subset(GROUPS, fraction, 0)
    assert len(indexes) == 3 * count and indexes == sorted(indexes)
    assert len(chosen(fraction)) == count


@pytest.mark.parametrize("seed", range(5))
def test_a_smaller_share_lies_inside_a_larger_one(seed):
    subsets = [chosen(fraction, seed) for fraction in (0.1, 0.25, 0.5, 0.75, 1.0)]
    assert all(small < large for small, large in zip(subsets, subsets[1:]))


def test_the_seed_decides_which_groups_and_the_order_of_the_members_does_not():
    assert len({frozenset(chosen(0.3, seed)) for seed in range(5)}) > 1
    assert chosen(0.5) == chosen(0.5, groups=GROUPS[::-1])


def test_all_members_are_taken_where_the_share_is_one_and_none_where_there_are_none():
    assert nested_subset(GROUPS, 1.0, 3) == list(range(30)) and nested_subset([], 0.5, 3) == []


def test_more_names_move_none_past_another():
    few, many = (seeded_order([f"n{number}" for number in range(count)], "key") for count in (5, 50))
    assert few == [name for name in many if name in few] and few != sorted(few)
