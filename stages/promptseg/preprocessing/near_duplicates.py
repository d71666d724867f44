"""Near-duplicate images in different splits, which make scores meaningless: the model was trained on the test image.

A difference hash (dHash: 64 comparisons of neighbouring cells of a 9x8 thumbnail) finds candidates, a finer thumbnail
confirms them. Detected are exact copies, other encodings, other sizes and slight changes of brightness; not detected
are crops, rotations and reflections. Constant images are left out: there is nothing in one to memorize.

Thumbnails are of whole numbers, so that correlations are exact on any processor.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 24  # of the thumbnail: at 8x8 different X-rays are alike
ALIKE = 0.985  # least correlation of the thumbnails of one image; that of different X-rays is up to 0.94
FLAT = 3.0  # standard deviation of a thumbnail, in gray levels, below which only exact copies count
DISTANCE = 6  # bits of the hash that may differ; a copy seldom differs in more than 3, and then shares a band
_CHUNK = 1 << 12  # pairs of thumbnails compared at once
_PEAK = 127  # largest value of a thumbnail; products of two sum up to less than 2^24, which float32 holds exactly
_ONES = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Fingerprint of an image, about 0.8 kB.

    Attributes:
        bits: the dHash.
        thumbnail: (SIDE * SIDE,) int8, of mean 0 (but for rounding), its largest value is 127; None where it is flat.
        digest: of the pixels; None where they are constant.
    """

    bits: int
    thumbnail: np.ndarray | None
    digest: bytes | None


def fingerprint(image: np.ndarray) -> Fingerprint:
    """Compute the fingerprint of an image, (h, w) or (h, w, 3) uint8."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    thumbnail = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.int64).ravel()
    cells = cv2.resize(gray.astype(np.float32), (9, 8), interpolation=cv2.INTER_AREA)
    # A margin keeps the noise of a uniform background from deciding bits.
    bits = np.diff(cells, axis=1) > 0.02 * np.ptp(cells)
    # Neighbouring bits agree in many images: each of the four bands takes every fourth bit.
    bits = bits.reshape(16, 4).T
    digest = hashlib.blake2b(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes(), digest_size=16)
    constant = int(image.min()) == int(image.max())
    centered = thumbnail.size * thumbnail - thumbnail.sum()
    flat = int((centered**2).sum()) < FLAT**2 * thumbnail.size**3
    return Fingerprint(
        bits=int.from_bytes(np.packbits(bits).tobytes()),
        thumbnail=None if flat else np.rint(centered * (_PEAK / np.abs(centered).max())).astype(np.int8),
        digest=None if constant else digest.digest(),
    )


def find_across_splits(
    splits: Sequence[str], ids: Sequence[str], fingerprints: Sequence[Fingerprint]
) -> list[tuple[str, str, str, str]]:
    """Find near-duplicates in different splits; 100,000 images take some seconds.

    Args:
        splits: split of each image.
        ids: id of each image.
        fingerprints: of each image.

    Returns:
        (id, split, id, split) of pairs, in the given order. An image is second in one pair at most, with its first
        earlier near-duplicate: n copies give n pairs at most.
    """
    names = {split: number for number, split in enumerate(dict.fromkeys(splits))}
    split_numbers = np.array([names[split] for split in splits], np.int32)
    count = len(split_numbers)
    like = np.full(count, count)  # the first earlier near-duplicate of each image
    _copies(split_numbers, fingerprints, like)
    structured = np.array([i for i, each in enumerate(fingerprints) if each.thumbnail is not None], np.int64)
    if len(structured):
        bits = np.array([fingerprints[i].bits for i in structured], np.uint64)
        thumbnails = np.stack([fingerprints[i].thumbnail for i in structured])
        _near_copies(structured, split_numbers, bits, thumbnails, like)
    return [(ids[like[j]], splits[like[j]], ids[j], splits[j]) for j in np.flatnonzero(like < count).tolist()]


def lengths(thumbnails: np.ndarray) -> np.ndarray:
    """Compute the lengths of thumbnails, (n,) float64: correlations are products divided by both.

    Args:
        thumbnails: (n, SIDE * SIDE) int8.
    """
    return np.sqrt(np.square(thumbnails, dtype=np.int32).sum(axis=1))


def _copies(splits: np.ndarray, fingerprints: Sequence[Fingerprint], like: np.ndarray) -> None:
    """Lower like[j] to the first exact copy of another split before j."""
    first: dict[bytes, dict[int, int]] = {}
    for i, fingerprint in enumerate(fingerprints):
        if fingerprint.digest is not None:
            earlier = first.setdefault(fingerprint.digest, {})
            like[i] = min((j for split, j in earlier.items() if split != splits[i]), default=like[i])
            earlier.setdefault(int(splits[i]), i)


def _near_copies(
    index: np.ndarray, splits: np.ndarray, bits: np.ndarray, thumbnails: np.ndarray, like: np.ndarray
) -> None:
    """Lower like[j] to the first i < j of another split whose hash is near and whose thumbnail agrees.

    Images that share a band of bits are neighbours when sorted by it: each is compared with the next, the next but one,
    and so on, all at once, as long as the band is the same.
    """
    splits, length = splits[index], lengths(thumbnails)
    for band in bits.view(np.uint16).reshape(-1, 4).T:
        order = np.argsort(band, kind="stable")  # stable: earlier images stay earlier
        band, at, step = band[order], np.arange(len(order)), 0
        while len(at):
            step += 1
            at = at[at + step < len(order)]
            at = at[band[at + step] == band[at]]
            earlier, later = order[at], order[at + step]
            different = splits[earlier] != splits[later]
            earlier, later = earlier[different], later[different]
            differ = (bits[earlier] ^ bits[later]).view(np.uint16).reshape(-1, 4)
            near = _ONES[differ].sum(axis=1) <= DISTANCE
            earlier, later = earlier[near], later[near]
            for start in range(0, len(earlier), _CHUNK):
                i, j = earlier[start : start + _CHUNK], later[start : start + _CHUNK]
                products = np.multiply(thumbnails[i], thumbnails[j], dtype=np.int32).sum(axis=1)
                alike = products >= ALIKE * length[i] * length[j]
                np.minimum.at(like, index[j[alike]], index[i[alike]])
