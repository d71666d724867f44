"""Groups of images that are not independent: frames of a clip, copies, and what must not be united."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_samples import sample
from promptseg import datasets
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.preprocessing import independence
from promptseg.preprocessing.near_duplicates import ALIKE, Fingerprint, fingerprint

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent"))
CLIPS = (13, 26, 37, 47, 59, *range(60, 70), 80, 91, 103, 114, 124, 129)  # last frame of each in the real fires


def print_of(*values: int, digest: bytes | None = None) -> Fingerprint:
    """A fingerprint whose thumbnail has these values."""
    return Fingerprint(0, np.array(values, np.int8), digest)


def groups_of(prints, correlation, groups=None, splits=None):
    names = [f"i{i}" for i in range(len(prints))]
    samples = [
        sample(id, split, group) for id, split, group in zip(names, splits or [None] * len(names), groups or names)
    ]
    return [united.group for united in independence.unite_groups(samples, prints, correlation)]


def test_images_are_linked_by_correlation_along_a_chain():
    # Cosines of neighbours: 24 / 25 = 0.96; of the ends: (24^2 - 7^2) / 25^2 = 0.84
    chain = [print_of(24, 7), print_of(100, 0), print_of(24, -7), print_of(0, 100), print_of(-100, 0)]
    assert groups_of(chain, 0.95) == ["i0", "i0", "i0", "i3", "i4"]
    assert groups_of(chain, 0.97) == ["i0", "i1", "i2", "i3", "i4"]
    assert groups_of(chain, 0.84) == ["i0", "i0", "i0", "i3", "i4"]
    assert groups_of(chain[::-1], 0.95) == ["i0", "i1", "i2", "i2", "i2"]


def test_named_groups_are_united_as_wholes_and_splits_never():
    prints = [print_of(100, 0), print_of(0, 100), print_of(90, 1), print_of(3, 100), None]
    assert groups_of(prints, 0.95, ["a", "b", "b", "c", "d"]) == ["a", "a", "a", "a", "d"]
    assert groups_of(prints, 0.95, splits=["train", "train", "test", "train", "test"]) == ["i0", "i1", "i2", "i1", "i4"]


def test_flat_images_are_united_where_they_are_copies():
    flat = [Fingerprint(0, None, digest) for digest in (b"a", b"b", b"a", None, None)]
    assert groups_of(flat, 0.9) == ["i0", "i1", "i0", "i3", "i4"]


def test_thumbnails_are_whole_numbers_whose_products_are_exact():
    rng = np.random.default_rng(0)
    for image in (rng.integers(0, 256, (50, 70, 3), np.uint8), np.arange(2400, dtype=np.uint16).reshape(40, 60) // 10):
        thumbnail = fingerprint(image.astype(np.uint8)).thumbnail
        assert thumbnail.dtype == np.int8 and np.abs(thumbnail.astype(int)).max() == 127
        assert (thumbnail.astype(int) ** 2).sum() < 2**24 and abs(thumbnail.mean()) < 0.5


def test_an_image_is_decoded_once_whatever_samples_share_it_and_a_damaged_one_has_no_fingerprint(tmp_path):
    decoded = []

    def read(name):
        decoded.append(name)
        if name == "damaged":
            raise UserError("damaged.png: truncated")
        return np.arange(900, dtype=np.uint8).reshape(30, 30)

    shared = [
        replace(sample(f"x/{phrase}", group="x"), file=tmp_path / "x.jpg", image=lambda: read("x")) for phrase in "abc"
    ]
    others = [replace(sample(name), image=lambda name=name: read(name)) for name in ("y", "damaged")]
    with ThreadPool(1) as pool:
        prints = independence.fingerprints([shared[0], others[0], *shared[1:], others[1]], Ranks(), pool)
    assert decoded == ["x", "y", "damaged"]
    assert prints[0] is prints[2] is prints[3] and prints[1].digest == prints[0].digest and prints[4] is None


def test_many_images_take_a_moment():
    """Six thousand; twenty thousand take 6 s on one core."""
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(-127, 128, (6_000, 576), np.int8)
    thumbnails[4_000:] = thumbnails[:2_000]  # as many pairs
    prints = [Fingerprint(0, thumbnail, None) for thumbnail in thumbnails]
    start = time.process_time()
    firsts = independence._link([str(i) for i in range(len(prints))], prints, 0.95)
    assert firsts.tolist() == [*range(4_000), *range(2_000)]
    assert time.process_time() - start < 6


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with fires and covid_qu_ex")
def test_real_frames_are_united_by_clip_and_real_xrays_are_not():
    for name, folder in (("fires", "fires"), ("covid", "covid_qu_ex")):
        reader = datasets.load(name)
        samples = list(reader.read(REAL / folder))
        prints = [fingerprint(each.image()) for each in samples]
        united = independence.unite_groups(samples, prints, getattr(reader, "CLIP_CORRELATION", ALIKE))
        expected = [each.id for each in samples]
        if name == "fires":
            expected = [f"{max([0, *(end for end in CLIPS if end < n)]) + 1:03d}" for n in range(1, len(samples) + 1)]
        assert [each.group for each in united] == expected
