"""The embedding cache: correct, computed once, resumable, keyed by all that decides it, refused where it changed."""

import importlib.metadata
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core import fingerprint, portable
from promptseg.core.devices import Processes
from promptseg.data import records
from promptseg.inference import embedding_cache, embedding_source
from promptseg.inference.embedding_source import Source
from promptseg.nn import batch_sizes
from refusing import refused

COUNT = 5  # images, of which two are encoded at a time


@pytest.fixture(scope="module")
def sam():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(batch_sizes.PIXELS, "cpu", 2 * 256 * 256)
        yield models.load("sam").create("tiny", 0)


class Cache:
    """Opens the features of a split and counts the images of the encoder's calls."""

    def __init__(self, segmenter, path, folder):
        self.segmenter, self.path, self.folder, self.calls = segmenter, path, folder, []

    def source(self, checkpoint: str = "digest") -> Source:
        return Source(self.path, records.open_split(self.path), checkpoint, self.folder)

    def open(self, checkpoint: str = "digest", encode=None, needed=None):
        self.calls = []
        original = type(self.segmenter).encode

        def counted(model, images):
            self.calls.append(len(images))
            return (encode or original)(model, images)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(self.segmenter), "encode", counted)
            return embedding_cache.features(self.segmenter, self.source(checkpoint), Processes(), needed)

    @property
    def missing(self):
        return embedding_cache.count_missing(self.segmenter, self.source())

    @property
    def folders(self):
        return sorted(path for path in self.folder.iterdir() if path.is_dir())


@pytest.fixture
def cache(blobs, tmp_path, sam):
    return Cache(sam, blobs("test", COUNT), tmp_path / "embeddings")


def encoded(cache, i):
    """What the encoder itself makes of an image."""
    return cache.segmenter.encode([records.image(records.open_split(cache.path)[i])])["image"]


@pytest.fixture
def phrases(blobs, tmp_path, sam):
    """A split of two photos, of which the first is in the records 0, 1 and 3, without foreground in 1."""
    rows = list(records.open_split(blobs("photos", 2)))
    with records.RecordWriter(tmp_path / "phrases.parquet", records.Record, {"seed": 0}) as out:
        for id, photo, foreground in (("a", 0, 9), ("b", 0, 0), ("c", 1, 0), ("d", 0, 9), ("e", 1, 0)):
            changed = {"id": id, "foreground": foreground, "image_digest": records.digest(rows[photo].image)}
            out.add(replace(rows[photo], **changed))
    return Cache(sam, tmp_path / "phrases.parquet", tmp_path / "embeddings")


def test_records_that_share_an_image_are_encoded_once(phrases):
    assert phrases.missing == 2
    features = phrases.open(needed=[3])
    assert phrases.calls == [1, 1] and phrases.missing == 1, "one for the shapes, and the first photo"
    with pytest.raises(LookupError):
        features([2])
    features = phrases.open()
    assert sum(phrases.calls) == 1 and phrases.missing == 0
    found = features([0, 1, 2, 3, 4])["image"]
    for i, photo in enumerate((0, 0, 2, 0, 2)):
        torch.testing.assert_close(found[i : i + 1], encoded(phrases, photo), rtol=2e-3, atol=2e-3)
    assert not torch.equal(found[0], found[2])
    assert (phrases.folders[0] / "image.f16").stat().st_size == 2 * 2 * found[0].numel(), "two rows of half precision"


def test_features_are_those_of_the_encoder_in_half_precision_and_computed_once(cache):
    assert cache.missing == COUNT
    features = cache.open()
    assert sum(cache.calls) == 1 + COUNT and cache.missing == 0  # one for the shapes
    for i in (0, 3, 4):
        torch.testing.assert_close(features([i])["image"], encoded(cache, i), rtol=2e-3, atol=2e-3)
    both = features([4, 1])["image"]
    assert both.dtype == torch.float32 and torch.equal(both[1], features([1])["image"][0])
    cache.open()
    assert cache.calls == []
    cache.open("another digest")
    assert sum(cache.calls) == 1 + COUNT and len(cache.folders) == 2


def test_the_cache_is_that_of_the_splits_content_and_not_of_its_path_or_ids(cache, tmp_path, blobs):
    cache.open()
    copy = Cache(cache.segmenter, tmp_path / "copy.parquet", cache.folder)
    copy.path.write_bytes(cache.path.read_bytes())
    copy.open()
    assert copy.calls == [] and len(cache.folders) == 1
    blobs("test", COUNT, seed=1)  # the same ids at the same path
    features = cache.open()
    assert sum(cache.calls) == 1 + COUNT and len(cache.folders) == 2
    torch.testing.assert_close(features([2])["image"], encoded(cache, 2), rtol=2e-3, atol=2e-3)


def test_all_that_decides_the_features_has_its_own_cache(cache, sam):
    cache.open()
    version, held = importlib.metadata.version, portable.held()
    changes = {
        "image transform": (sam, "transform", replace(sam.transform, mean=(120.0, 116.28, 103.53))),
        "torch": (torch, "__version__", "99.0"),
        "transformers": (importlib.metadata, "version", lambda name: version(name) + ".1" * (name == "transformers")),
        "processor that is held": (portable, "held", lambda: not held),
        "code": (fingerprint, "digest", lambda files: "another syntax tree"),
    }
    for name, change in changes.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*change)
            assert cache.missing == COUNT, name
    assert cache.missing == 0


def test_the_code_digest_is_over_what_encoding_reaches(sam, monkeypatch):
    """The model, what it shares with others and the transform; no other model, and neither prompts nor settings."""
    digested = []
    monkeypatch.setattr(fingerprint, "digest", lambda files: digested.extend(files) or "digest")
    assert embedding_source._code_digest(sam) == "digest"
    names = {path.relative_to(fingerprint.PACKAGE).as_posix() for path in digested}
    assert {"models/sam.py", "nn/sam_segmenter.py", "nn/attention.py", "nn/image_transform.py"} <= names
    assert "models/sam2.py" not in names and not any(name.startswith(("prompts/", "core/")) for name in names)


def test_a_half_written_row_is_encoded_again_with_its_chunk(cache):
    """A row counts once its checksum is written, which comes after its features."""
    rows = list(range(COUNT))
    before = cache.open()(rows)["image"]
    maps = np.memmap(cache.folders[0] / "image.f16", np.float16, "r+").reshape(COUNT, -1)
    sums = np.memmap(cache.folders[0] / "rows.u64", np.uint64, "r+")
    maps[3, maps.shape[1] // 2 :] = sums[3] = 0
    for written in (maps, sums):
        written.flush()
    assert cache.missing == 1
    assert torch.equal(cache.open()(rows)["image"], before) and cache.calls == [2]


def test_a_killed_stage_leaves_whole_rows_and_the_next_stage_continues(cache, sam):
    original, done = type(sam).encode, []

    def interrupted(model, images):
        if len(done) == 2:  # the shapes, one chunk, and then
            raise KeyboardInterrupt
        done.append(len(images))
        return original(model, images)

    with pytest.raises(KeyboardInterrupt):
        cache.open(encode=interrupted)
    features = cache.open()
    assert cache.calls == [2, 1]
    for i in (0, 2):
        torch.testing.assert_close(features([i])["image"], encoded(cache, i), rtol=2e-3, atol=2e-3)


def test_a_row_that_changed_on_disk_is_refused(cache):
    cache.open()
    file = cache.folders[0] / "image.f16"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    features = cache.open()
    features([0, 1, 3, 4])
    refused(lambda: features([1, 2]), cache.folders[0], "row 2 changed on disk; delete the folder")


@pytest.mark.parametrize("name, change", [
    ("about.json", lambda data: data[:-9]), ("about.json", lambda data: data.replace(b'"shapes"', b'"shapez"')),
    ("about.json", lambda data: b"[]"), ("image.f16", lambda data: data[:-1]), ("rows.u64", lambda data: b""),
])  # fmt: skip
def test_files_that_are_not_as_written_are_refused(cache, name, change):
    cache.open()
    file = cache.folders[0] / name
    file.write_bytes(change(file.read_bytes()))
    refused(cache.open, cache.folders[0], "damaged; delete the folder and run again")


def test_too_small_a_disk_and_features_that_exceed_half_precision_are_refused(cache, monkeypatch):
    for value in (1e6, -1e6, float("nan")):
        wrong = {"image": torch.tensor([[1.0, value], [2.0, 3.0]])}
        message = "exceed half precision, first in the batch of test/000"
        refused(lambda: cache.open(f"digest of {value}", lambda *_: wrong), message)
    monkeypatch.setattr(embedding_cache.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    refused(lambda: cache.open("another digest"), "take 0.0 GB and 0.0 GB are free; free some space")
    assert cache.calls == [1]


def test_a_run_encodes_what_it_needs_and_the_next_one_the_rest_with_the_same_bytes(blobs, tmp_path, sam):
    """Of 7 images 1, 2 and 5 are empty; two are encoded at a time, and never an empty one beside another."""
    path, rows = blobs("test", 7, empty=(1, 2, 5)), list(range(7))
    filled, cache = [0, 3, 4, 6], Cache(sam, path, tmp_path / "embeddings")
    some = cache.open(needed=filled)
    assert cache.calls == [1, 2, 2] and cache.missing == 3  # one for the shapes
    with pytest.raises(LookupError, match="row 5 was not encoded"):
        some([0, 5])
    everything = cache.open()
    assert cache.calls == [2, 1] and cache.missing == 0 and len(cache.folders) == 1
    assert torch.equal(everything(filled)["image"], some(filled)["image"])
    other = Cache(sam, path, tmp_path / "another")
    at_once = other.open()
    assert other.calls == [1, 2, 2, 2, 1] and torch.equal(at_once(rows)["image"], everything(rows)["image"])
    empty = Cache(sam, path, tmp_path / "third").open(needed=[])
    assert not (tmp_path / "third").exists() and empty([1])["image"].shape == at_once([1])["image"].shape


def test_models_without_an_encoder_are_not_cached(blobs, tmp_path):
    unet, path = models.load("unet").create("tiny", 0), blobs("test", 3)
    cache = Cache(unet, path, tmp_path / "embeddings")
    features = cache.open()
    assert not (tmp_path / "embeddings").exists() and cache.missing == 0
    image = records.image(records.open_split(path)[1])
    assert np.allclose(features([1])["pixels"][0], unet.transform.to_input([image])[0])
