"""Prompted images: their targets, their prompts, and the split that is rendered during training."""

import numpy as np
import prompted_images
import pytest
import settings
from prompted_images import PromptedSplit, sample_prompted_image
from promptseg.data import masks
from promptseg.models.sam import Sam
from promptseg.nn import sam_network
from synthetic_scenes import INDICES, sam_training
from transformers import SamModel
from world import rendering
from world.scene import KINDS

PROMPTS = settings.Prompts(kinds={"general": 1.0}, boxes=4, points=4, jitter=0.1)


@pytest.fixture
def split():
    def make(count):
        segmenter = Sam(sam_network.create(SamModel, "tiny", 0))
        return PromptedSplit("train", count, segmenter, sam_training(), 0)

    return make


def targets_of(split, index, epoch):
    """Target masks at the resolution of the model's input."""
    return split.take(index, epoch).targets(256)[0]


def test_boxes_come_before_points_and_both_fit_their_targets():
    sample, again = (sample_prompted_image(0, "train", 3, PROMPTS) for _ in range(2))
    assert (sample.image == again.image).all() and len(sample.prompts) == len(sample.targets) == 8
    assert [prompt.get("box") is not None for prompt in sample.prompts] == 4 * [True] + 4 * [False]
    for prompt, target in zip(sample.prompts, sample.targets, strict=True):
        if points := prompt.get("points"):
            assert target[int(points.coordinates[0, 1]), int(points.coordinates[0, 0])] and points.labels == [1]
        else:
            y, x = np.nonzero(target)
            corners, tight = prompt.get("box").corners, np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
            assert (np.abs(corners - tight) <= 20).all() and (corners[2:] > corners[:2]).all()


def test_without_jitter_boxes_are_tight_and_all_else_is_equal():
    tight, moved = (
        sample_prompted_image(0, "train", 3, PROMPTS.model_copy(update={"jitter": jitter})) for jitter in (0.0, 0.1)
    )
    for prompt, other, target in zip(tight.prompts[:4], moved.prompts[:4], tight.targets, strict=False):
        corners, other_corners = prompt.get("box").corners, other.get("box").corners
        assert (corners == masks.bounding_box(target)).all() and (other_corners != corners).any()
    for prompt, other in zip(tight.prompts[4:], moved.prompts[4:], strict=True):
        assert (prompt.get("points").coordinates == other.get("points").coordinates).all()


def test_each_epoch_has_its_own_images_and_validation_always_the_same(split):
    made = split(3)
    first, second, validated, again = (targets_of(made, 1, epoch) for epoch in (1, 2, 0, 0))
    assert not np.array_equal(first, second)
    assert np.array_equal(validated, again)


def test_curriculum_sets_the_kinds_of_the_first_epochs_and_not_of_validation(split, monkeypatch):
    kinds, real = [], prompted_images.sample_prompted_image

    def sample(seed, name, index, config):
        kinds.append(list(config.kinds))
        return real(seed, name, index, config)

    monkeypatch.setattr(prompted_images, "sample_prompted_image", sample)
    made = split(3)
    for epoch in (1, 2, 3, 0):
        made.take(1, epoch)
    assert kinds == [["flat"], ["plain"], ["general"], ["general"]]


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_large_enough_and_visible(kind):
    count = 0
    for index in INDICES:
        scene = rendering.render(0, "val", index, kind)
        targets = prompted_images.sample_targets(np.random.default_rng(index), scene, 6)
        assert len(targets) in (0, 6)
        count += len(targets) > 0
        for mask in targets:
            assert mask.dtype == bool and mask.sum() >= prompted_images.MIN_PIXELS
            assert prompted_images.is_visible(scene.image, mask)
    assert count > 0.7 * len(INDICES)


def test_no_object_is_visible_in_a_flat_image():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    flat = np.full((60, 60, 3), 90, np.uint8)
    assert not prompted_images.is_visible(flat, mask)
    flat[mask] = 110
    assert prompted_images.is_visible(flat, mask)
