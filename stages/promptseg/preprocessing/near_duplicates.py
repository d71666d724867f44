"""Near-duplicate pictures in different splits: a score on what a model has been trained on says nothing.

A picture's difference hash (dHash: 64 comparisons of neighbouring cells of a 9x8 thumbnail) finds candidates, a finer
thumbnail confirms them. Found are exact copies, other encodings, other sizes and slight changes of light; not found
are crops, turned and mirrored pictures. Constant pictures are left out: nothing can be learnt from one by heart.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 24  # of the thumbnail: two X-rays look alike at 8x8
ALIKE = 0.985  # correlation of two thumbnails from which on they are of one picture; of two X-rays it is up to 0.94
FLAT = 3.0  # standard deviation of a thumbnail, in gray levels, below which only exact copies count
DISTANCE = 6  # bits of the hash that may differ; a copy seldom differs in more than 3, and then has a band in common
_CHUNK = 1 << 12  # pairs of thumbnails compared at once
_ONES = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """bits: the dHash; thumbnail: (SIDE * SIDE,) float16, of mean 0 and length 1, or None where it is flat;
    digest: of the pixels, None where they are constant."""

    bits: int
    thumbnail: np.ndarray | None
    digest: bytes | None


def hashes(image: np.ndarray) -> Fingerprint:
    """The fingerprint of a picture (h, w) or (h, w, 3) uint8; about 1.3 kB."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    thumbnail = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    cells = cv2.resize(gray.astype(np.float32), (9, 8), interpolation=cv2.INTER_AREA)
    # A margin keeps the noise of an even ground from deciding bits.
    bits = np.diff(cells, axis=1) > 0.02 * np.ptp(cells)
    # Neighbouring bits agree in many pictures: each of the four bands takes every fourth bit.
    bits = bits.reshape(16, 4).T
    digest = hashlib.blake2b(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes(), digest_size=16)
    constant = int(image.min()) == int(image.max())
    flat = thumbnail.std() < FLAT
    thumbnail -= thumbnail.mean()
    return Fingerprint(
        bits=int.from_bytes(np.packbits(bits).tobytes()),
        thumbnail=None if flat else (thumbnail / np.linalg.norm(thumbnail)).ravel().astype(np.float16),
        digest=None if constant else digest.digest(),
    )


def across(
    splits: Sequence[str], ids: Sequence[str], fingerprints: Sequence[Fingerprint]
) -> list[tuple[str, str, str, str]]:
    """(id, split, id, split) of pictures that are near-duplicates and in different splits, in the given order.

    A picture is named as second once, with the first earlier picture that it is like: n copies give n lines at most.
    The three sequences are aligned. 100,000 pictures take some seconds.
    """
    names = {split: number for number, split in enumerate(dict.fromkeys(splits))}
    of = np.array([names[split] for split in splits], np.int32)
    like = np.full(len(of), len(of))  # the first earlier picture that each is like
    _copies(of, fingerprints, like)
    structured = np.array([i for i, print in enumerate(fingerprints) if print.thumbnail is not None], np.int64)
    if len(structured):
        bits = np.array([fingerprints[i].bits for i in structured], np.uint64)
        thumbnails = np.stack([fingerprints[i].thumbnail for i in structured])
        _nearly(structured, of, bits, thumbnails, like)
    return [(ids[like[j]], splits[like[j]], ids[j], splits[j]) for j in np.flatnonzero(like < len(of))]


def _copies(of: np.ndarray, fingerprints: Sequence[Fingerprint], like: np.ndarray) -> None:
    first: dict[bytes, dict[int, int]] = {}
    for i, fingerprint in enumerate(fingerprints):
        if fingerprint.digest is not None:
            seen = first.setdefault(fingerprint.digest, {})
            like[i] = min((j for split, j in seen.items() if split != of[i]), default=like[i])
            seen.setdefault(int(of[i]), i)


def _nearly(index: np.ndarray, of: np.ndarray, bits: np.ndarray, thumbnails: np.ndarray, like: np.ndarray) -> None:
    """Lower like[j] to the first i < j of another split whose hash is near and whose thumbnail agrees.

    Pictures that have a band of bits in common stand side by side when sorted by it: each is compared with the next,
    the one after, and so on, all at once, as long as the band is the same.
    """
    of = of[index]
    for band in bits.view(np.uint16).reshape(-1, 4).T:
        order = np.argsort(band, kind="stable")  # stable: what comes earlier stays earlier
        band, at, step = band[order], np.arange(len(order)), 0
        while len(at):
            step += 1
            at = at[at + step < len(order)]
            at = at[band[at + step] == band[at]]
            earlier, later = order[at], order[at + step]
            apart = of[earlier] != of[later]
            earlier, later = earlier[apart], later[apart]
            differ = (bits[earlier] ^ bits[later]).view(np.uint16).reshape(-1, 4)
            near = _ONES[differ].sum(axis=1) <= DISTANCE
            earlier, later = earlier[near], later[near]
            for start in range(0, len(earlier), _CHUNK):
                i, j = earlier[start : start + _CHUNK], later[start : start + _CHUNK]
                alike = np.einsum("nk,nk->n", thumbnails[i].astype(np.float32), thumbnails[j].astype(np.float32))
                found = alike >= ALIKE
                np.minimum.at(like, index[j[found]], index[i[found]])
