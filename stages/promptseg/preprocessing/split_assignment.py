"""Assignment of samples to splits: the source's own, and missing ones made of whole groups."""

import hashlib
from collections import Counter

from promptseg.core import params
from promptseg.datasets import Sample

SPLITS = ("train", "val", "test")
GAP = "gap"  # in place of a split: left out, between two splits whose groups would be alike at their border


def assign(samples: list[Sample], settings: params.Dataset, seed: int, ordered: bool) -> list[str]:
    """Assign each sample to a split.

    The source's own splits are kept. A missing test or validation split is made of whole groups of the training split;
    of few groups it gets at least one and leaves at least one; an image alone is for the test.

    Args:
        samples: of the dataset.
        settings: test_fraction and val_fraction, of the groups.
        seed: of the random choice.
        ordered: True where neighbouring groups are alike (slices of a stack): the last groups are taken, and the one
            before them is left out if that leaves any. Otherwise each group is chosen at random by a digest of (seed,
            split, group), so that more data moves no group; but of few groups, or of very unequal ones, the next
            that fit follow until the split has half of its share of the samples.

    Returns:
        The split of each sample, or GAP.
    """
    splits = [sample.split or "train" for sample in samples]
    for split, fraction, missing in (
        ("test", settings.test_fraction, "test" not in splits),
        ("val", settings.val_fraction, "val" not in splits),
    ):
        if not missing:
            continue
        sizes = Counter(sample.group for sample, own in zip(samples, splits) if own == "train")
        if ordered:
            groups, wanted = list(sizes), round(fraction * len(sizes))
        else:
            groups, wanted = _shuffled(sizes, fraction, f"{seed}/{split}")
        # An image alone is enough for a test, and for nothing else.
        most = 1 if splits == ["train"] and split == "test" else max(0, len(groups) - 1)
        count = min(most, max(1, wanted)) if fraction else 0
        homes = dict.fromkeys(groups[len(groups) - count :], split)
        if ordered and 0 < count < len(groups) - 1:
            homes[groups[len(groups) - count - 1]] = GAP
        splits = [homes.get(sample.group, own) if own == "train" else own for sample, own in zip(samples, splits)]
    return splits


def _shuffled(sizes: Counter[str], fraction: float, key: str) -> tuple[list[str], int]:
    """Order groups by digest, and count how many of the last ones a split gets."""
    numbers = {group: _uniform(f"{key}/{group}") for group in sizes}
    groups = sorted(sizes, key=numbers.__getitem__)
    chosen = [group for group in groups if numbers[group] < fraction] or groups[:1]
    share, held = fraction * sizes.total(), sum(sizes[group] for group in chosen)
    for group in groups[len(chosen) :]:
        if held < share / 2 and held + sizes[group] <= share:
            chosen.append(group)
            held += sizes[group]
    others = [group for group in groups if group not in set(chosen)]
    return [*reversed(others), *reversed(chosen)], len(chosen)


def _uniform(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48
