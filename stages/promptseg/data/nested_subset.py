"""Nested subsets of a split, made of whole groups."""

import hashlib
import math
from collections.abc import Iterable, Sequence


def seeded_order(names: Iterable[str], key: str) -> list[str]:
    """Shuffle names by a digest of each with a key, so that more names move none past another.

    Args:
        names: different ones.
        key: that decides the order, such as the seed and what is shuffled.
    """
    return sorted(names, key=lambda name: hashlib.sha256(f"{key}/{name}".encode()).digest())


def nested_subset(groups: Sequence[str], fraction: float, seed: int) -> list[int]:
    """Choose the members of a share of the groups; a smaller share lies inside a larger one.

    Args:
        groups: the group of each member.
        fraction: share of the groups in (0, 1], rounded up to a whole number of groups.
        seed: of the order in which groups are taken.

    Returns:
        Indexes of the members, ascending.
    """
    order = seeded_order(set(groups), f"{seed}/subset")
    chosen = set(order[: math.ceil(fraction * len(order))])
    return [index for index, group in enumerate(groups) if group in chosen]
