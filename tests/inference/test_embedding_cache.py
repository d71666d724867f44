"""The embedding cache: correct, computed once, resumable, keyed by all that decides it, refused where it changed."""

import importlib.metadata
from dataclasses import replace

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core import fingerprint, portable
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.data import records
from promptseg.inference import embedding_cache
from promptseg.inference.embedding_cache import Source
from promptseg.nn import batch_sizes


@pytest.fixture(scope="module")
def sam():
    """Encodes four of the nine images at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(batch_sizes.PIXELS, "cpu", 4 * 256 * 256)
        yield models.load("sam").create("tiny", 0)


class Cache:
    """Opens the features of a split and counts the images of the encoder's calls."""

    def __init__(self, segmenter, path, folder):
        self.segmenter, self.path, self.folder, self.calls = segmenter, path, folder, []

    def source(self, checkpoint: str = "digest") -> Source:
        return Source(self.path, records.open_split(self.path), checkpoint, self.folder)

    def open(self, checkpoint: str = "digest", encode=None):
        self.calls = []
        original = type(self.segmenter).encode

        def counted(model, images):
            self.calls.append(len(images))
            return (encode or original)(model, images)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(self.segmenter), "encode", counted)
            return embedding_cache.features(self.segmenter, self.source(checkpoint), Processes())

    @property
    def folders(self):
        return sorted(path for path in self.folder.iterdir() if path.is_dir())


@pytest.fixture
def cache(blobs, tmp_path, sam):
    return Cache(sam, blobs("test", 9), tmp_path / "embeddings")


@pytest.fixture
def split(cache):
    return records.open_split(cache.path)


def test_features_are_those_of_the_encoder_in_half_precision(cache, split, sam):
    features = cache.open()
    for i in (0, 3, 8):
        expected = sam.encode([records.image(split[i])])["image"]
        torch.testing.assert_close(features([i])["image"], expected, rtol=2e-3, atol=2e-3)
    both = features([7, 1])["image"]
    assert both.dtype == torch.float32 and torch.equal(both[1], features([1])["image"][0])


def test_a_second_stage_encodes_nothing_and_another_checkpoint_everything(cache, sam):
    assert embedding_cache.count_missing(sam, cache.source()) == 9
    cache.open()
    assert sum(cache.calls) == 1 + 9  # one for the shapes
    assert embedding_cache.count_missing(sam, cache.source()) == 0
    cache.open()
    assert cache.calls == []
    assert embedding_cache.count_missing(sam, cache.source("another digest")) == 9
    cache.open("another digest")
    assert sum(cache.calls) == 10 and len(cache.folders) == 2


def test_another_split_at_the_same_path_is_encoded_again(cache, blobs, sam):
    """The key has the split's sha256, not its path or its ids."""
    cache.open()
    path = blobs("test", 9, seed=1)  # the same ids at the same path
    features = cache.open()
    assert sum(cache.calls) == 10 and len(cache.folders) == 2
    fresh = sam.encode([records.image(records.open_split(path)[2])])["image"]
    torch.testing.assert_close(features([2])["image"], fresh, rtol=2e-3, atol=2e-3)


def test_a_copy_of_the_split_at_another_path_shares_the_cache(cache, tmp_path, sam):
    cache.open()
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(cache.path.read_bytes())
    other = Cache(sam, copy, cache.folder)
    other.open()
    assert other.calls == [] and len(cache.folders) == 1


def test_another_image_transform_has_its_own_cache(cache, sam, monkeypatch):
    cache.open()
    monkeypatch.setattr(sam, "transform", replace(sam.transform, mean=(120.0, 116.28, 103.53)))
    cache.open()
    assert sum(cache.calls) == 10 and len(cache.folders) == 2


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_another_version_of_a_library_has_its_own_cache(cache, library, monkeypatch):
    cache.open()
    version = importlib.metadata.version
    monkeypatch.setattr(torch, "__version__", "99.0" if library == "torch" else torch.__version__)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0" if name == library else version(name))
    cache.open()
    assert sum(cache.calls) == 10 and len(cache.folders) == 2


def test_features_of_a_processor_that_is_held_have_their_own_cache(cache, monkeypatch):
    cache.open()
    monkeypatch.setattr(portable, "held", lambda: True)
    cache.open()
    assert sum(cache.calls) == 10 and len(cache.folders) == 2


def test_changed_code_has_its_own_cache(cache, monkeypatch):
    """The digest is over the files that encoding reaches; here one of them has another syntax tree."""
    cache.open()
    original = fingerprint.digest

    def changed(files):
        return original(files)[::-1] if any(path.name == "sam_segmenter.py" for path in files) else original(files)

    monkeypatch.setattr(fingerprint, "digest", lambda files: changed(list(files)))
    cache.open()
    assert sum(cache.calls) == 10 and len(cache.folders) == 2


def test_the_code_digest_is_over_what_encoding_reaches(sam, monkeypatch):
    """The model, what it shares with others and the transform; no other model, and neither prompts nor settings."""
    digested = []
    monkeypatch.setattr(fingerprint, "digest", lambda files: digested.extend(files) or "digest")
    assert embedding_cache._code_digest(sam) == "digest"
    names = {path.relative_to(fingerprint.PACKAGE).as_posix() for path in digested}
    assert {"models/sam.py", "nn/sam_segmenter.py", "nn/attention.py", "nn/image_transform.py"} <= names
    assert "models/sam2.py" not in names and not any(name.startswith(("prompts/", "core/")) for name in names)


def test_a_chunk_without_one_of_its_rows_is_encoded_again(cache):
    before = cache.open()(list(range(9)))["image"]
    sums = np.memmap(cache.folders[0] / "rows.u64", np.uint64, "r+")
    sums[5] = 0  # as a stage leaves it that is killed while it writes the second chunk
    sums.flush()
    features = cache.open()
    assert cache.calls == [4]
    assert torch.equal(features(list(range(9)))["image"], before)


def test_a_killed_stage_leaves_whole_rows_and_the_next_stage_continues(cache, split, sam):
    original, done = type(sam).encode, []

    def interrupted(model, images):
        if len(done) == 2:  # the shapes, one chunk, and then
            raise KeyboardInterrupt
        done.append(len(images))
        return original(model, images)

    with pytest.raises(KeyboardInterrupt):
        cache.open(encode=interrupted)
    features = cache.open()
    assert cache.calls == [4, 1]
    fresh = sam.encode([records.image(split[2])])["image"]
    torch.testing.assert_close(features([2])["image"], fresh, rtol=2e-3, atol=2e-3)


def test_a_half_written_row_is_encoded_again(cache):
    """A row counts once its checksum is written, which comes after its features."""
    before = cache.open()([0, 1, 2, 3])["image"]
    folder = cache.folders[0]
    maps = np.memmap(folder / "image.f16", np.float16, "r+").reshape(9, -1)
    maps[1, maps.shape[1] // 2 :] = 0
    sums = np.memmap(folder / "rows.u64", np.uint64, "r+")
    sums[1] = 0
    for written in (maps, sums):
        written.flush()
    assert embedding_cache.count_missing(cache.segmenter, cache.source()) == 1
    assert torch.equal(cache.open()([0, 1, 2, 3])["image"], before) and cache.calls == [4]


def test_a_row_that_changed_on_disk_is_refused(cache):
    cache.open()
    file = cache.folders[0] / "image.f16"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    features = cache.open()
    with pytest.raises(UserError, match="row 4 changed on disk; delete the folder"):
        for i in range(9):
            features([i])


def test_too_small_a_disk_is_refused_before_anything_is_encoded(cache, monkeypatch):
    monkeypatch.setattr(embedding_cache.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(UserError, match="take 0.0 GB and 0.0 GB are free; free some space"):
        cache.open()
    assert cache.calls == [1]


def test_features_that_exceed_half_precision_are_refused(cache):
    with pytest.raises(UserError, match="exceed half precision, first in the batch of test/000"):
        cache.open(encode=lambda model, images: {"image": torch.full((len(images), 2), 1e6)})


def test_models_without_an_encoder_are_not_cached(blobs, tmp_path):
    unet, path = models.load("unet").create("tiny", 0), blobs("test", 3)
    cache = Cache(unet, path, tmp_path / "embeddings")
    features = cache.open()
    assert not (tmp_path / "embeddings").exists() and embedding_cache.count_missing(unet, cache.source()) == 0
    image = records.image(records.open_split(path)[1])
    assert np.allclose(features([1])["pixels"][0], unet.transform.to_input([image])[0])
