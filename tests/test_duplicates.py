"""Near-duplicates across splits: what is a copy is found, what only looks alike is not, and many take seconds."""

import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from promptseg.data import image_io
from promptseg.datasets.covid.xray import chest_xray
from promptseg.preprocessing.near_duplicates import Fingerprint, across, hashes

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent"))


def encoded(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)


def lit(image: np.ndarray, gain: float, lift: float) -> np.ndarray:
    return np.clip(image * gain + lift, 0, 255).astype(np.uint8)


def sized(image: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


COPIES = {
    "exact": lambda image: image.copy(),
    "JPEG 50": lambda image: encoded(image, 50),
    "brighter": lambda image: lit(image, 1.06, 4),
    "darker": lambda image: lit(image, 0.9, -4),
    "smaller": lambda image: sized(image, 0.8),
    "half": lambda image: sized(image, 0.5),
    "larger": lambda image: sized(image, 1.2),
    "all of it": lambda image: encoded(lit(sized(image, 0.7), 1.04, 3), 60),
}


@pytest.fixture(scope="module")
def xrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [chest_xray(rng, "COVID-19")[0] for _ in range(24)]


def between(ours: list[np.ndarray], theirs: list[np.ndarray]) -> list[tuple[str, str, str, str]]:
    splits = ["train"] * len(ours) + ["test"] * len(theirs)
    ids = [f"a{i}" for i in range(len(ours))] + [f"b{i}" for i in range(len(theirs))]
    return across(splits, ids, [hashes(image) for image in (*ours, *theirs)])


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found(xrays, kind):
    copies = [COPIES[kind](image) for image in xrays]
    assert between(xrays, copies) == [(f"a{i}", "train", f"b{i}", "test") for i in range(len(xrays))]


def test_what_looks_alike_is_not(xrays):
    assert between(xrays[::2], xrays[1::2]) == []


def test_color_and_gray_copies(xrays):
    assert len(between(xrays[:3], [image_io.rgb(image) for image in xrays[:3]])) == 3


def test_within_a_split_nothing_is_said(xrays):
    prints = [hashes(image) for image in xrays[:3] * 2]
    assert across(["train"] * 6, list("abcdef"), prints) == []


def test_each_is_named_once_with_the_first(xrays):
    prints = [hashes(xrays[0])] * 6
    found = across(["train", "train", "val", "test", "test", "train"], list("abcdef"), prints)
    assert found == [
        ("a", "train", "c", "val"), ("a", "train", "d", "test"),
        ("a", "train", "e", "test"), ("c", "val", "f", "train"),
    ]  # fmt: skip


def test_flat_and_dark_pictures():
    rng = np.random.default_rng(0)
    dark = [rng.integers(0, 4, (64, 64), np.uint8) for _ in range(6)]
    black, gray = np.zeros((64, 64), np.uint8), np.full((64, 64), 90, np.uint8)
    assert between([*dark[:3], black, gray], [*dark[3:], black, gray]) == []  # constant ones tell nothing
    assert between(dark, [dark[4].copy()]) == [("a4", "train", "b0", "test")]  # but noise does not repeat by chance


def test_nothing_to_compare():
    assert across([], [], []) == []
    assert hashes(np.zeros((1, 1), np.uint8)) == Fingerprint(0, None, None)


def test_many_pictures_take_seconds():
    rng, n = np.random.default_rng(0), 40_000
    thumbnails = rng.normal(size=(n, 576)).astype(np.float16)
    thumbnails /= np.linalg.norm(thumbnails.astype(np.float32), axis=1, keepdims=True).astype(np.float16)
    bits = rng.integers(0, 2**64, n, np.uint64)
    prints = [Fingerprint(int(b), t, int(i).to_bytes(4)) for i, (b, t) in enumerate(zip(bits, thumbnails))]
    prints[n - 1] = Fingerprint(prints[5].bits ^ 0b111, prints[5].thumbnail, b"other")
    began = time.process_time()
    found = across(["train"] * (n // 2) + ["test"] * (n // 2), [str(i) for i in range(n)], prints)
    assert found == [("5", "train", str(n - 1), "test")]
    assert time.process_time() - began < 10


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with covid_qu_ex")
def test_real_xrays_are_told_apart():
    files = sorted((REAL / "covid_qu_ex").rglob("images/*.png"))
    images = [image_io.read_image(path) for path in files]
    assert between(images[::2], images[1::2]) == []
    assert len(between(images, [COPIES["all of it"](image) for image in images])) == len(images)
