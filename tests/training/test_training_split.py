"""Splits as the training loop takes them: targets, ignored pixels, prompts by epoch, and features."""

import numpy as np
import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.core.train_config import Augment
from promptseg.data import image_io, masks, records
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import PromptConfig
from promptseg.training import record_split
from promptseg.training.record_split import RecordSplit
from promptseg.training.training_split import TrainingItem


class Bare(Segmenter):
    """Takes images of 24 by 40 pixels unscaled, above 16 rows of padding; features are mean colors."""

    NAME, PROMPTS, TRAINABLE = "bare", frozenset({"box"}), {}
    transform = ImageTransform(40, True, (0, 0, 0), (1, 1, 1))

    def __init__(self):
        super().__init__()
        self.weight, self.encoded = torch.nn.Parameter(torch.ones(1)), 0

    def encode(self, images):
        self.encoded += len(images)
        return {"mean": self.transform.to_input(images).mean((2, 3)) * self.weight.detach()}


@pytest.fixture
def path(tmp_path):
    """Two images; half of the first one's object's lower part is ignored, and so are pixels beside it."""
    path = tmp_path / "training.parquet"
    rng = np.random.default_rng(0)
    with records.RecordWriter(path, records.Record, {"classes": ["thing"], "score": "image"}) as out:
        for id in "ab":
            mask = np.zeros((24, 40), np.uint8)
            mask[4:10, 6:20] = 1
            if id == "a":
                mask[8:20, 10:30] = 255
                mask[0, 36:40] = mask[1, 39] = 255  # half of a pixel of a target of 20, and most of the next
            mask[21:23, 30:33] = 1
            image = rng.integers(0, 256, (24, 40, 3), np.uint8)
            encoded = image_io.encode_png(image), image_io.encode_png(mask)
            foreground = int(np.count_nonzero(mask == 1))
            out.add(records.Record(id, "g", *encoded, 24, 40, id, 0, 0, 24, 40, foreground=foreground))
    return path


def make_split(path, segmenter=None, augment=None, seed: int = 0, **prompt) -> RecordSplit:
    return RecordSplit(path, segmenter or Bare(), PromptConfig(**prompt or {"box": True}), augment, seed)


@pytest.mark.parametrize("epoch", [0, 1])
def test_ignored_pixels_have_no_weight_and_are_no_target(path, epoch):
    target, weight = make_split(path).take(0, epoch).targets(20)  # each of its pixels is four of the image's
    inside, counted = np.zeros((2, 1, 20, 20))
    inside[0, 2:4, 3:10] = inside[0, 4, 3:5] = 1
    inside[0, 10:12, 15:17] = 0.5, 0.25
    counted[0, :12] = 1
    counted[0, 4:10, 5:15] = counted[0, 0, 19] = 0
    np.testing.assert_array_equal(target, inside)
    np.testing.assert_array_equal(weight, counted)


def test_there_is_a_target_for_each_instance_made_from_one_full_mask_at_a_time(path, monkeypatch):
    item = make_split(path, box=True, per="instance").take(1, 1)
    assert len(item.prompts) == len(item.regions) == 2 and item.regions[0].mask.size < 24 * 40
    full, real = [], masks.Region.full
    monkeypatch.setattr(masks.Region, "full", lambda region: full.append(real(region)) or full[-1])
    target, weight = item.targets(40)
    assert len(full) == 2 and target.shape == weight.shape == (2, 40, 40)
    np.testing.assert_array_equal(target[:, :24], full)
    assert item.targets(40)[0] is target and len(full) == 2  # made once


def test_targets_of_several_items_are_in_the_order_of_their_prompts(path):
    split = make_split(path, box=True, per="instance")
    items = [split.take(1, 1), split.take(0, 1)]
    target, weight = split.targets(items, 20)
    assert target.shape == weight.shape == (4, 20, 20)
    for values, item in zip(target.split(2), items, strict=True):
        np.testing.assert_array_equal(values, item.targets(20)[0])
    assert 20 in split.take(1, 1)._targets  # from now on threads make them beforehand


def test_prompts_and_item_seeds_differ_by_epoch_and_seed_and_not_by_rerun(path):
    def sampled(seed: int, epoch: int) -> tuple:
        item = make_split(path, seed=seed, points=3).take(0, epoch)
        return item.seed, tuple(item.prompts[0].get("points").coordinates.ravel())

    items = [sampled(0, 0), sampled(0, 1), sampled(0, 2), sampled(1, 1)]
    assert len({seed for seed, _ in items}) == len({points for _, points in items}) == 4
    assert items[1] == sampled(0, 1)


def test_prompts_are_in_pixels_of_the_input(path):
    half = Bare()
    half.transform = ImageTransform(20, True, (0, 0, 0), (1, 1, 1))
    corners = make_split(path, half).take(1, 1).prompts[0].get("box").corners
    np.testing.assert_array_equal(corners, np.array([6, 4, 32, 22]) / 2)


def test_instances_of_the_source_are_augmented_with_their_mask(tmp_path):
    mask = np.zeros((24, 40), np.uint8)
    mask[4:10, 6:20] = 1
    instances = np.where(mask, np.where(np.arange(40) < 12, 700, 2), 0).astype(np.uint16)  # 6 and 8 columns, touching
    pixels = [image_io.encode_png(each) for each in (np.zeros((24, 40, 3), np.uint8), mask, instances)]
    with records.RecordWriter(tmp_path / "a", records.Record, {"classes": ["thing"]}) as out:
        out.add(records.Record("a", "g", *pixels[:2], 24, 40, "a", 0, 0, 24, 40, foreground=84, instances=pixels[2]))
    augment = Augment(flip=["horizontal"], rotate=0, scale=0, brightness=0)
    split = make_split(tmp_path / "a", augment=augment, box=True, per="instance")
    items = [split.take(0, epoch) for epoch in range(9)]
    found = [[(region.left, *region.mask.shape) for region in item.regions] for item in items]
    plain, flipped = [(6, 6, 6), (12, 6, 8)], [(20, 6, 8), (28, 6, 6)]
    assert found[0] == plain and flipped in found and all(each in (plain, flipped) for each in found)
    assert len(make_split(tmp_path / "a", box=True, per="image").take(0, 1).prompts) == 1


def test_augmentation_changes_training_and_not_validation(path):
    split, plain = make_split(path, augment=Augment(rotate=90.0)), make_split(path)
    assert np.array_equal(split.take(0, 0).image, plain.take(0, 0).image)
    images = [split.take(0, epoch).image for epoch in (0, 1, 2)]
    assert not np.array_equal(images[0], images[1]) and not np.array_equal(images[1], images[2])


def test_cached_features_are_those_of_the_images_and_are_encoded_once(path, tmp_path):
    segmenter = Bare()
    split = make_split(path, segmenter)
    items = [split.take(index, 1) for index in (1, 0)]
    features = split.features(items)["mean"]
    assert split.cacheable and split.count_missing("digest", tmp_path / "cache") == 2
    split.cache_features("digest", tmp_path / "cache", Processes())
    assert split.count_missing("digest", tmp_path / "cache") == 0
    before = segmenter.encoded
    cached = [split.take(index, 1) for index in (1, 0)]
    torch.testing.assert_close(split.features(cached)["mean"], features, rtol=1e-3, atol=0.1)
    assert segmenter.encoded == before and cached[0].image is None and split.id(1) == "b"


def test_features_of_augmented_images_and_trained_encoders_are_not_cached(path, tmp_path):
    trained = Bare()
    trained.encoder_trainable = True
    for split in (make_split(path, augment=Augment()), make_split(path, trained)):
        assert not split.cacheable and split.count_missing("digest", tmp_path) == 0
        split.cache_features("digest", tmp_path, Processes())
        assert split.take(0, 1).image is not None and not list(tmp_path.glob("bare-*"))


def test_pinned_features_are_used_until_they_are_unpinned(path):
    segmenter = Bare()
    split = make_split(path, segmenter)
    items = [split.take(index, 1) for index in (0, 1)]
    expected = split.features(items)["mean"]
    split.pin_features(items)
    before = segmenter.encoded
    torch.testing.assert_close(split.features(items)["mean"], expected)
    assert segmenter.encoded == before
    split.unpin_features()
    split.features(items)
    assert segmenter.encoded == before + 2


def test_decoded_masks_are_cached_within_a_budget(path, monkeypatch):
    decoded, real = [], records.mask
    monkeypatch.setattr(records, "mask", lambda record: decoded.append(record.id) or real(record))
    monkeypatch.setattr(record_split, "MASK_CACHE_BYTES", 24 * 40)  # one mask
    split = make_split(path)
    for index in (0, 0, 1, 1, 0):
        assert isinstance(split.take(index, 1), TrainingItem)
    assert decoded == ["a", "b", "a"]
