"""The embedding cache: right, made once, resumable, and refused when it changed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.data import records
from promptseg.inference import embedding_cache
from promptseg.nn import batch_sizes


@pytest.fixture(scope="module")
def sam():
    """Encodes four of the nine pictures at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(batch_sizes.PIXELS, "cpu", 4 * 256 * 256)
        yield models.load("sam").create("tiny", 0)


@pytest.fixture
def setting(blobs, tmp_path, sam):
    """A container of nine pictures and a way to open its features, counting the encoder's calls."""
    path = blobs("test", 9)

    class Opened:
        calls: list[int] = []
        cache = tmp_path / "embeddings"

        def __call__(self, checkpoint: str = "digest", encode=None):
            self.calls = []
            own = type(sam).encode

            def counted(model, images):
                self.calls.append(len(images))
                return (encode or own)(model, images)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(sam), "encode", counted)
                return embedding_cache.features(sam, checkpoint, path, records.pairs(path), self.cache, Processes())

        @property
        def folders(self):
            return sorted(p for p in self.cache.iterdir() if p.is_dir())

    return Opened(), records.pairs(path)


def test_what_comes_out_is_what_the_encoder_gives_in_half_precision(setting, sam):
    open_, pairs = setting
    features = open_()
    for i in (0, 3, 8):
        expected = sam.encode([records.image(pairs[i])])["image"]
        torch.testing.assert_close(features([i])["image"], expected, rtol=2e-3, atol=2e-3)
    both = features([7, 1])["image"]
    assert both.dtype == torch.float32 and torch.equal(both[1], features([1])["image"][0])


def test_a_second_stage_encodes_nothing_and_another_checkpoint_everything(setting):
    open_, _ = setting
    open_()
    assert sum(open_.calls) == 1 + 9  # one to learn the shapes
    open_()
    assert open_.calls == []
    open_("another digest")
    assert sum(open_.calls) == 10 and len(open_.folders) == 2


def test_other_images_at_the_same_path_are_encoded_again(setting, blobs, sam):
    open_, _ = setting
    open_()
    path = blobs("test", 9, seed=1)  # the same ids at the same path
    features = open_()
    assert sum(open_.calls) == 10 and len(open_.folders) == 2
    fresh = sam.encode([records.image(records.pairs(path)[2])])["image"]
    torch.testing.assert_close(features([2])["image"], fresh, rtol=2e-3, atol=2e-3)


def test_another_image_transform_has_features_of_its_own(setting, sam, monkeypatch):
    open_, _ = setting
    open_()
    monkeypatch.setattr(sam, "frame", replace(sam.frame, mean=(120.0, 116.28, 103.53)))
    open_()
    assert sum(open_.calls) == 10 and len(open_.folders) == 2


def test_other_code_of_the_encoder_has_features_of_its_own(setting, sam, monkeypatch):
    """An encoder of the same weights, name and frame that is written in another file: this one."""

    class Inverted(type(sam)):
        def encode(self, images):
            return super().encode([255 - image for image in images])

    open_, _ = setting
    open_()
    monkeypatch.setattr(sam, "__class__", Inverted)
    open_()
    assert sum(open_.calls) == 10 and len(open_.folders) == 2


def test_a_chunk_that_lacks_one_row_is_encoded_again(setting):
    open_, _ = setting
    before = open_()(list(range(9)))["image"]
    sums = np.memmap(open_.folders[0] / "rows.u64", np.uint64, "r+")
    sums[5] = 0  # as a stage that was killed while it wrote the second chunk leaves it
    sums.flush()
    features = open_()
    assert open_.calls == [4]
    assert torch.equal(features(list(range(9)))["image"], before)


def test_a_stage_that_dies_leaves_whole_rows_and_the_next_one_goes_on(setting, sam):
    open_, pairs = setting
    own, done = type(sam).encode, []

    def dies(model, images):
        if len(done) == 2:  # the shapes, one chunk, and then
            raise KeyboardInterrupt
        done.append(len(images))
        return own(model, images)

    with pytest.raises(KeyboardInterrupt):
        open_(encode=dies)
    features = open_()
    assert open_.calls == [4, 1]
    fresh = sam.encode([records.image(pairs[2])])["image"]
    torch.testing.assert_close(features([2])["image"], fresh, rtol=2e-3, atol=2e-3)


def test_a_row_that_changed_on_disk_is_refused(setting):
    open_, _ = setting
    open_()
    file = open_.folders[0] / "image.f16"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    features = open_()
    with pytest.raises(UserError, match="row 4 changed on disk; delete the folder"):
        for i in range(9):
            features([i])


def test_too_small_a_disk_is_said_before_anything_is_encoded(setting, monkeypatch):
    open_, _ = setting
    monkeypatch.setattr(embedding_cache.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(UserError, match="take 0.0 GB and 0.0 GB are free; make room"):
        open_()
    assert open_.calls == [1]


def test_features_beyond_half_precision_are_refused(setting):
    open_, _ = setting
    with pytest.raises(UserError, match="beyond half precision"):
        open_(encode=lambda model, images: {"image": torch.full((len(images), 2), 1e6)})


def test_models_that_only_scale_pixels_are_not_cached(blobs, tmp_path):
    unet, path = models.load("unet").create("tiny", 0), blobs("test", 3)
    features = embedding_cache.features(unet, "d", path, records.pairs(path), tmp_path / "embeddings", Processes())
    assert not (tmp_path / "embeddings").exists()
    assert np.allclose(features([1])["pixels"][0], unet.frame.pixels([records.image(records.pairs(path)[1])])[0])
