"""Prompted images and splits that are rendered during training."""

from dataclasses import replace

import generated_split
import numpy as np
import pytest
from generated_split import GeneratedSplit, PromptSampling, sample_prompted_image
from imports import STAGES
from promptseg.core.devices import Processes
from promptseg.data import masks
from promptseg.models.sam import Sam
from promptseg.nn import sam_network
from synthetic_scenes import PRETRAIN, sam_training
from transformers import SamModel

SAMPLING = PromptSampling((("general", 1.0),), 4, 4, 0.1)


@pytest.fixture
def split():
    def make(count):
        segmenter = Sam(sam_network.create(SamModel, "tiny", 0))
        return GeneratedSplit("train", count, segmenter, sam_training(), 0, Processes())

    return make


def targets_of(split, index, epoch):
    """Target masks at the resolution of the model's input."""
    return split.take(index, epoch).targets(256)[0]


def test_boxes_come_before_points_and_both_fit_their_targets():
    sample, again = (sample_prompted_image(0, "train", 3, SAMPLING) for _ in range(2))
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
    tight, moved = (sample_prompted_image(0, "train", 3, replace(SAMPLING, jitter=jitter)) for jitter in (0.0, 0.1))
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
    kinds, real = [], generated_split.sample_prompted_image

    def sample(seed, name, index, sampling):
        kinds.append([kind for kind, _ in sampling.kinds])
        return real(seed, name, index, sampling)

    monkeypatch.setattr(generated_split, "sample_prompted_image", sample)
    made = split(3)
    for epoch in (1, 2, 3, 0):
        made.take(1, epoch)
    assert kinds == [["flat"], ["plain"], ["general"], ["general"]]


def test_images_of_other_processes_are_the_same(split, monkeypatch):
    alone, pooled = split(4), split(4)
    monkeypatch.setenv("PYTHONPATH", f"{PRETRAIN}:{STAGES}")
    pooled._pool = generated_split._process_pool(1)
    for epoch in (1, 2, 0):
        for index in (2, 0, 3, 1):
            own, other = (made.take(index, epoch) for made in (alone, pooled))
            assert np.array_equal(own.image, other.image)
            assert np.array_equal(own.targets(256)[0], other.targets(256)[0])
    pooled._pool.shutdown()
