"""Images that are not independent: they are one group within a split, and a warning where they are in two.

Groups decide what a validation split may hold and over what intervals are computed, so frames of one clip that count as
a group each make scores too high and intervals too narrow.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.datasets import Sample
from promptseg.preprocessing import near_duplicates
from promptseg.preprocessing.near_duplicates import Fingerprint

CHUNK = 16  # images decoded by one process at a time
SHOWN = 10  # near-duplicates that are named
_ROWS = 256  # thumbnails compared with all others at once


def fingerprints(samples: list[Sample], ranks: Ranks, pool: ThreadPool) -> list[Fingerprint | None]:
    """Compute the fingerprints of all images, each decoded once by one process, whatever number of samples share it.

    Args:
        samples: of the dataset.
        ranks: processes that share the work; all must call this.
        pool: of this process.

    Returns:
        Of each sample; None where its image cannot be read, which is reported by whoever needs the image.
    """

    def compute(sample: Sample) -> Fingerprint | None:
        try:
            return near_duplicates.fingerprint(sample.image())
        except UserError:
            return None

    keys = [sample.file or index for index, sample in enumerate(samples)]
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    indexes = sorted(first.values())
    mine = [indexes[place] for chunk in ranks.chunks(len(indexes), CHUNK) for place in chunk]
    found = dict(zip(mine, pool.map_ordered(compute, [samples[index] for index in mine])))
    for share in ranks.gather(found):
        found |= share
    return [found[first[key]] for key in keys]


def unite_groups(
    samples: list[Sample], prints: Sequence[Fingerprint | None], correlation: float = near_duplicates.ALIKE
) -> list[Sample]:
    """Unite the groups of images that are alike, within each split of the source; 20,000 images take some seconds.

    Images are alike that are exact copies, or whose thumbnails correlate by at least `correlation`, and all that are
    linked by such pairs, as the frames of a clip are, belong together.

    Args:
        samples: of the dataset.
        prints: fingerprint of each.
        correlation: in [0, 1].

    Returns:
        The samples; a group made of several has the name of its first sample's.
    """
    result = list(samples)
    for split in dict.fromkeys(sample.split for sample in samples):
        members = [index for index, sample in enumerate(samples) if sample.split == split]
        firsts = _link([samples[index].group for index in members], [prints[index] for index in members], correlation)
        for index, first in zip(members, firsts.tolist(), strict=True):
            result[index] = replace(samples[index], group=samples[members[first]].group)
    return result


def note_united(name: str, before: list[Sample], after: list[Sample]) -> None:
    """Say on stderr how many groups were united. before, after: samples of a dataset, see `unite_groups`."""
    groups, left = (len({sample.group for sample in samples}) for samples in (before, after))
    if left < groups:
        print(f"note: {name}: {groups:,} groups are {left:,}: images that are alike belong to one", file=sys.stderr)


def warn_across_splits(
    name: str, chosen: dict[str, list[Sample]], prints: dict[str, Fingerprint | None], remedy: str
) -> int:
    """Name near-duplicates in different splits on stderr.

    Args:
        name: of the dataset.
        chosen: by split, the samples whose images are used.
        prints: fingerprints by the id of the sample.
        remedy: what the user can do, or "".

    Returns:
        The number of pairs.
    """
    rows = [
        (split, sample.id, fingerprint)
        for split, samples in chosen.items()
        for sample in samples
        if (fingerprint := prints[sample.id]) is not None
    ]
    pairs = near_duplicates.find_across_splits(
        [split for split, _, _ in rows], [id for _, id, _ in rows], [fingerprint for _, _, fingerprint in rows]
    )
    for first, first_split, second, second_split in pairs[:SHOWN]:
        print(
            f"warning: {name}: {first} ({first_split}) and {second} ({second_split}) are near-duplicates",
            file=sys.stderr,
        )
    if pairs:
        more = f"{len(pairs)} such pairs, " if len(pairs) > SHOWN else ""
        print(f"warning: {name}: {more}scores on test will be too high{remedy}", file=sys.stderr)
    return len(pairs)


def _link(groups: list[str], prints: list[Fingerprint | None], correlation: float) -> np.ndarray:
    """The first image that each is linked to by groups, copies and correlations, (n,) int."""
    numbers: dict[str, int] = {}
    labels = np.array([numbers.setdefault(group, index) for index, group in enumerate(groups)], np.int64)
    copies: dict[bytes, int] = {}
    for index, fingerprint in enumerate(prints):
        if fingerprint is not None and fingerprint.digest is not None:
            _join(labels, copies.setdefault(fingerprint.digest, index), np.array([index]))
    structured = np.array([i for i, each in enumerate(prints) if each is not None and each.thumbnail is not None], int)
    if not len(structured):
        return labels
    thumbnails = np.stack([prints[index].thumbnail for index in structured]).astype(np.float32)
    length = near_duplicates.lengths(thumbnails.astype(np.int8))
    for start in range(0, len(structured), _ROWS):
        rows = slice(start, start + _ROWS)
        least = (correlation * length[rows, None]) * length[start:]
        alike = np.triu(thumbnails[rows] @ thumbnails[start:].T >= least, 1)
        for place in np.flatnonzero(alike.any(axis=1)).tolist():
            _join(labels, structured[start + place], structured[start:][alike[place]])
    return labels


def _join(labels: np.ndarray, index: int, others: np.ndarray) -> None:
    """Give an image, others and all that are linked to them the lowest of their labels."""
    found = np.unique(np.append(labels[others], labels[index]))
    if len(found) > 1:
        labels[np.isin(labels, found)] = found[0]
