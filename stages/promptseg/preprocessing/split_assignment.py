"""Which split each picture of a dataset belongs to: the source's own, and what it lacks, made of whole groups."""

import hashlib

from promptseg.core import params
from promptseg.datasets import Sample

SPLITS = ("train", "val", "test")


def assign(pictures: list[Sample], settings: params.Dataset, seed: int, ordered: bool) -> list[str]:
    """The split of each picture: the source's own, and what it lacks is made of whole groups.

    ordered: groups lie in an order in which neighbours are alike (slices of a stack), so a split is cut off at the
    end; otherwise each group is drawn for itself, by a digest of (seed, split, group), so that more data moves no group
    to another split. Only so few that a split would get none or all are shared out: it gets one, or leaves one.
    """
    splits = [picture.split or "train" for picture in pictures]
    for split, fraction, lacks in (
        ("test", settings.test_fraction, "test" not in splits),
        ("val", settings.val_fraction, "val" not in splits),
    ):
        if not lacks:
            continue
        groups = list(dict.fromkeys(p.group for p, of in zip(pictures, splits) if of == "train"))
        wanted = round(fraction * len(groups))
        if not ordered:
            drawn = {group: _draw(f"{seed}/{split}/{group}") for group in groups}
            groups.sort(key=drawn.get, reverse=True)
            wanted = sum(number < fraction for number in drawn.values())
        count = min(len(groups) - 1, max(1, wanted)) if fraction else 0
        taken = set(groups[len(groups) - count :])
        splits = [split if of == "train" and p.group in taken else of for p, of in zip(pictures, splits)]
    return splits


def _draw(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48
