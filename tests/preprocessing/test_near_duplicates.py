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


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)


def brightened(image: np.ndarray, gain: float, lift: float) -> np.ndarray:
    return np.clip(image * gain + lift, 0, 255).astype(np.uint8)


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


COPIES = {
    "exact": lambda image: image.copy(),
    "JPEG 50": lambda image: compressed(image, 50),
    "brighter": lambda image: brightened(image, 1.06, 4),
    "darker": lambda image: brightened(image, 0.9, -4),
    "smaller": lambda image: resized(image, 0.8),
    "half": lambda image: resized(image, 0.5),
    "larger": lambda image: resized(image, 1.2),
    "all of it": lambda image: compressed(brightened(resized(image, 0.7), 1.04, 3), 60),
}


@pytest.fixture(scope="module")
def xrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [chest_xray(rng, "COVID-19")[0] for _ in range(24)]


def between(train: list[np.ndarray], test: list[np.ndarray]) -> list[tuple[str, str, str, str]]:
    splits = ["train"] * len(train) + ["test"] * len(test)
    ids = [f"a{i}" for i in range(len(train))] + [f"b{i}" for i in range(len(test))]
    return find_across_splits(splits, ids, [fingerprint(image) for image in (*train, *test)])


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found(xrays, kind):
    copies = [COPIES[kind](image) for image in xrays]
    assert between(xrays, copies) == [(f"a{i}", "train", f"b{i}", "test") for i in range(len(xrays))]


def test_similar_images_are_not_copies(xrays):
    assert between(xrays[::2], xrays[1::2]) == []


def test_color_and_gray_copies(xrays):
    assert len(between(xrays[:3], [image_io.to_rgb(image) for image in xrays[:3]])) == 3


def test_copies_within_a_split_are_ignored(xrays):
    fingerprints = [fingerprint(image) for image in xrays[:3] * 2]
    assert find_across_splits(["train"] * 6, list("abcdef"), fingerprints) == []


def test_each_copy_is_paired_once_with_the_first(xrays):
    fingerprints = [fingerprint(xrays[0])] * 6
    found = find_across_splits(["train", "train", "val", "test", "test", "train"], list("abcdef"), fingerprints)
    assert found == [
        ("a", "train", "c", "val"), ("a", "train", "d", "test"),
        ("a", "train", "e", "test"), ("c", "val", "f", "train"),
    ]  # fmt: skip


def test_flat_and_dark_images():
    rng = np.random.default_rng(0)
    dark = [rng.integers(0, 4, (64, 64), np.uint8) for _ in range(6)]
    black, gray = np.zeros((64, 64), np.uint8), np.full((64, 64), 90, np.uint8)
    assert between([*dark[:3], black, gray], [*dark[3:], black, gray]) == []  # constant images are left out
    assert between(dark, [dark[4].copy()]) == [("a4", "train", "b0", "test")]  # but noise does not repeat by chance


def test_nothing_to_compare():
    assert find_across_splits([], [], []) == []
    assert fingerprint(np.zeros((1, 1), np.uint8)) == Fingerprint(0, None, None)


def test_many_images_take_seconds():
    rng, n = np.random.default_rng(0), 40_000
    thumbnails = rng.normal(size=(n, 576)).astype(np.float16)
    thumbnails /= np.linalg.norm(thumbnails.astype(np.float32), axis=1, keepdims=True).astype(np.float16)
    bits = rng.integers(0, 2**64, n, np.uint64)
    fingerprints = [Fingerprint(int(b), t, int(i).to_bytes(4)) for i, (b, t) in enumerate(zip(bits, thumbnails))]
    fingerprints[n - 1] = Fingerprint(fingerprints[5].bits ^ 0b111, fingerprints[5].thumbnail, b"other")
    start = time.process_time()
    found = find_across_splits(["train"] * (n // 2) + ["test"] * (n // 2), [str(i) for i in range(n)], fingerprints)
    assert found == [("5", "train", str(n - 1), "test")]
    assert time.process_time() - start < 10


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with covid_qu_ex")
def test_real_xrays_are_not_confused():
    files = sorted((REAL / "covid_qu_ex").rglob("images/*.png"))
    images = [image_io.read_image(path) for path in files]
    assert between(images[::2], images[1::2]) == []
    assert len(between(images, [COPIES["all of it"](image) for image in images])) == len(images)
