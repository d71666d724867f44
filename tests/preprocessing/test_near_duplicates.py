"""Near-duplicates across splits: copies are found, similar images are not, and many images take seconds."""

import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from promptseg.data import image_io
from promptseg.datasets.covid.xray import chest_xray
from promptseg.preprocessing.near_duplicates import Fingerprint, find_across_splits, fingerprint

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent"))


def copy(image: np.ndarray, factor=1.0, gain=1.0, lift=0.0, quality=None) -> np.ndarray:
    """An image at another size, in another brightness, as JPEG of a quality."""
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    image = np.clip(image * gain + lift, 0, 255).astype(np.uint8)
    if quality is None:
        return image
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)


COPIES = {
    "exact": {},
    "JPEG 50": {"quality": 50},
    "brighter": {"gain": 1.06, "lift": 4},
    "darker": {"gain": 0.9, "lift": -4},
    "smaller": {"factor": 0.8},
    "half": {"factor": 0.5},
    "larger": {"factor": 1.2},
    "all of it": {"factor": 0.7, "gain": 1.04, "lift": 3, "quality": 60},
}


@pytest.fixture(scope="module")
def xrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [chest_xray(rng, "COVID-19")[0] for _ in range(8)]


def between(train: list[np.ndarray], test: list[np.ndarray]) -> list[tuple[str, str, str, str]]:
    splits = ["train"] * len(train) + ["test"] * len(test)
    ids = [f"a{i}" for i in range(len(train))] + [f"b{i}" for i in range(len(test))]
    return find_across_splits(splits, ids, [fingerprint(image) for image in (*train, *test)])


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found(xrays, kind):
    copies = [copy(image, **COPIES[kind]) for image in xrays]
    assert between(xrays, copies) == [(f"a{i}", "train", f"b{i}", "test") for i in range(len(xrays))]


def test_similar_images_are_not_copies_but_those_in_color_are(xrays):
    assert between(xrays[::2], xrays[1::2]) == []
    assert len(between(xrays[:3], [image_io.to_rgb(image) for image in xrays[:3]])) == 3


def test_each_copy_is_paired_once_with_the_first_of_another_split(xrays):
    for image in (xrays[0], np.full((64, 64), 90, np.uint8) + np.eye(64, dtype=np.uint8)):  # the other one is flat
        splits = ["train", "train", "val", "test", "test", "train"]
        found = find_across_splits(splits, list("abcdef"), [fingerprint(image)] * 6)
        assert found == [
            ("a", "train", "c", "val"), ("a", "train", "d", "test"),
            ("a", "train", "e", "test"), ("c", "val", "f", "train"),
        ]  # fmt: skip
    fingerprints = [fingerprint(image) for image in xrays[:3] * 2]
    assert find_across_splits(["train"] * 6, list("abcdef"), fingerprints) == []


def test_flat_and_dark_images():
    rng = np.random.default_rng(0)
    dark = [rng.integers(0, 4, (64, 64), np.uint8) for _ in range(6)]
    black, gray = np.zeros((64, 64), np.uint8), np.full((64, 64), 90, np.uint8)
    assert between([*dark[:3], black, gray], [*dark[3:], black, gray]) == []  # constant images are left out
    assert between(dark, [dark[4].copy()]) == [("a4", "train", "b0", "test")]  # but noise does not repeat by chance
    faint = (np.indices((64, 64)).sum(axis=0) // 32).astype(np.uint8)
    assert between([faint], [faint + 1]) == []
    assert fingerprint(np.zeros((1, 1), np.uint8)) == Fingerprint(0, None, None) and between([], []) == []


def test_many_images_take_seconds():
    rng, n = np.random.default_rng(0), 40_000
    thumbnails = rng.integers(-127, 128, (200, 576)).astype(np.int8)
    bits = rng.integers(0, 2**64, n, np.uint64).tolist()
    fingerprints = [Fingerprint(bits[i], thumbnails[i % 200], i.to_bytes(4)) for i in range(n)]
    fingerprints[n - 1] = Fingerprint(fingerprints[5].bits ^ 0b111, fingerprints[5].thumbnail, b"other")
    start = time.process_time()
    found = find_across_splits(["train"] * (n // 2) + ["test"] * (n // 2), [str(i) for i in range(n)], fingerprints)
    assert found == [("5", "train", str(n - 1), "test")]
    assert time.process_time() - start < 10


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with covid_qu_ex")
def test_real_xrays_are_not_confused():
    images = [image_io.read_image(path) for path in sorted((REAL / "covid_qu_ex").rglob("images/*.png"))]
    assert between(images[::2], images[1::2]) == []
    assert len(between(images, [copy(image, **COPIES["all of it"]) for image in images])) == len(images)
