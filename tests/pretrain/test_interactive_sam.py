"""Interactive training of SAM: rounds, corrections and losses."""

import numpy as np
import pytest
import torch
from prompted_images import sample_prompted_image
from promptseg.nn import sam_network
from promptseg.nn.segmenter import LossContext
from promptseg.training.losses import dice
from sam_models import InteractiveSam, _iou
from synthetic_scenes import sam_training
from transformers import SamModel


@pytest.fixture(scope="module")
def batch():
    """A segmenter with features, prompts and loss context of two images."""
    segmenter, config = InteractiveSam(sam_network.create(SamModel, "tiny", 0)), sam_training()
    config = config.model_copy(update={"kinds": {"flat": 1.0}})
    samples = [sample_prompted_image(0, "train", index, config) for index in (0, 1)]
    transform, side = segmenter.transform, segmenter.side
    target = torch.from_numpy(
        np.stack([transform.from_image(each, side) for sample in samples for each in sample.targets])
    )
    content = [transform.from_image(np.ones(sample.image.shape[:2], bool), side) for sample in samples]
    weight = torch.from_numpy(np.repeat(np.stack(content) >= 0.5, 4, axis=0).astype(np.float32))
    features = segmenter.encode([sample.image for sample in samples])
    prompts = [[prompt.to_model(transform, *sample.image.shape[:2]) for prompt in sample.prompts] for sample in samples]
    return segmenter, features, prompts, LossContext(dice, lambda side: (target, weight), 1, [5, 6])


def test_only_the_first_point_gets_three_masks(batch, monkeypatch):
    segmenter, features, prompts, context = batch
    calls, real = [], segmenter.network.forward

    def forward(*args, **named):
        points, boxes = named["input_points"], named["input_boxes"]
        shapes = [0 if points is None else points.shape[2], boxes is not None, named["input_masks"] is not None]
        calls.append((*shapes, named["multimask_output"]))
        return real(*args, **named)

    monkeypatch.setattr(segmenter.network, "forward", forward)
    segmenter.corrections, segmenter.corrected_share = 2, 1.0
    logits, losses = segmenter.compute_loss(features, prompts, context)
    assert logits.shape == (8, segmenter.side, segmenter.side) and losses.shape == (8,) and losses.requires_grad
    boxes = [(0, True, False, False), (1, True, True, False), (2, True, True, False), (2, True, True, False)]
    points = [(1, False, False, True), (2, False, True, False), (3, False, True, False), (3, False, True, False)]
    assert calls == boxes + points


def test_only_a_share_of_the_images_is_corrected_and_none_in_validation(batch):
    segmenter, *_, context = batch
    segmenter.corrections, segmenter.corrected_share = 2, 0.5
    many = LossContext(context.loss, context.targets, 1, list(range(400)))
    (uncorrected, none), (corrected, some) = segmenter._images_by_corrections(many)
    assert sorted(uncorrected + corrected) == list(range(400)) and 150 < len(corrected) < 250
    assert (none, some) == (-1, 2)
    validation = LossContext(context.loss, context.targets, 0, [1, 2, 3])
    assert segmenter._images_by_corrections(validation) == [([0, 1, 2], -1)]


def test_curriculum_epochs_have_cross_entropy_and_the_others_focal_loss(batch):
    segmenter, features, prompts, context = batch
    segmenter.corrections, segmenter.corrected_share, segmenter.curriculum_epochs = 0, 0.0, 1
    losses = {}
    for epoch in range(3):
        in_epoch = LossContext(dice, context.targets, epoch, [5, 6])
        losses[epoch] = segmenter.compute_loss(features, prompts, in_epoch)[1]
    assert torch.equal(losses[0], losses[1]) and not torch.allclose(losses[1], losses[2])


def test_corrections_lie_in_the_error_region_with_the_label_of_the_target(batch):
    segmenter, *_ = batch
    target = torch.zeros(2, 128, 128)
    target[:, 20:60, 30:90] = 1
    logits = torch.where(target > 0, 5.0, -5.0)
    logits[0, 20:25, 30:90] = -5  # false negative
    logits[1, 100:110, 100:110] = 5  # false positive
    points, labels = segmenter._sample_correction(logits, target, torch.ones_like(target), torch.Generator())
    assert labels[:, 0, 0].tolist() == [1, 0]
    (x0, y0), (x1, y1) = (points[:, 0, 0] * segmenter.side / segmenter.transform.size).tolist()
    assert 20 <= y0 < 25 and 30 <= x0 < 90 and 100 <= y1 < 110 and 100 <= x1 < 110


def test_iou_of_logits():
    target = torch.zeros(1, 8, 8)
    target[:, :4] = 1
    logits = torch.full((1, 8, 8), -1.0)
    logits[:, 2:6] = 1
    assert _iou(logits, target, torch.ones_like(target)).item() == pytest.approx(2 / 6)
