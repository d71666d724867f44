"""Conventions of published figures against their definitions and the field's libraries, on random masks."""

import cv2
import numpy as np
import pytest
import torch
from promptseg.data.image_io import IGNORED
from promptseg.evaluation.conventions import (
    CLIPSEG_SIDE,
    CLIPSEG_THRESHOLDS,
    clipseg_ap,
    clipseg_fg_iou,
    clipseg_miou,
    mmseg_miou,
    nnunet_dice,
)
from promptseg.evaluation.scored_images import ScoredImage
from torchmetrics.functional import jaccard_index

SIDE = CLIPSEG_SIDE


def smooth(rng, height, width):
    noise = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 12)
    return (noise - noise.min()) / np.ptp(noise)


def made(probability, target, number=0):
    return ScoredImage(str(number), str(number), np.zeros((*target.shape, 3), np.uint8), target, probability, [])


def phrases(count=12, height=SIDE, width=SIDE):
    """Images of one phrase each; the prediction of one is empty."""
    rng = np.random.default_rng(0)
    for number in range(count):
        stored = (255 * smooth(rng, height, width)).astype(np.uint8) * (number != 3)
        target = (smooth(rng, height, width) > rng.uniform(0.4, 0.7)).astype(np.uint8)
        yield made(stored[None], target, number)


def several_classes(count=6, classes=4):
    """Images of several classes with ignored pixels; the last class is in no image and in no prediction."""
    rng = np.random.default_rng(1)
    for number in range(count):
        maps = np.stack([255 * smooth(rng, 60, 80) for _ in range(classes)]).astype(np.uint8)
        maps[-1] = 0
        target = np.stack([smooth(rng, 60, 80) for _ in range(classes)])[:-1].argmax(axis=0).astype(np.uint8)
        target[:10] = IGNORED
        yield made(maps, target, number)


def counted(image, threshold):
    """tp, fp and fn of an image of one class, at the middles of the stored values."""
    predicted, target = (image.probability[0] + 0.5) / 256 > threshold, image.target == 1
    return np.array([np.sum(predicted & target), np.sum(predicted & ~target), np.sum(~predicted & target)])


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_clipseg_adds_one_to_the_union_of_each_phrase_or_of_all(threshold):
    outcomes = [counted(image, threshold) for image in phrases()]
    assert clipseg_miou(phrases(), threshold) == pytest.approx(
        np.mean([tp / (1 + tp + fp + fn) for tp, fp, fn in outcomes])
    )
    tp, fp, fn = np.sum(outcomes, axis=0)
    assert clipseg_fg_iou(phrases(), threshold) == pytest.approx(tp / (1 + tp + fp + fn))


def test_clipseg_ap_is_the_area_under_the_curve_of_49_thresholds():
    totals = np.array([np.sum([counted(image, each) for image in phrases()], axis=0) for each in CLIPSEG_THRESHOLDS])
    tp, fp, fn = totals[totals[:, :2].sum(axis=1) > 0].T
    recall, precision = tp / (1 + tp + fn), tp / (1 + tp + fp)
    order = np.argsort(recall)
    trapezoids = np.trapezoid(precision[order], recall[order])
    assert len(CLIPSEG_THRESHOLDS) == 49 and clipseg_ap(phrases(), 0.5) == pytest.approx(trapezoids, abs=2e-3)


def test_clipseg_compares_at_352_pixels_with_masks_as_torch_resizes_them():
    (image,) = phrases(1, 240, 321)
    mask = torch.tensor(image.target)[None, None].float()
    target = torch.nn.functional.interpolate(mask, (SIDE, SIDE), mode="nearest")[0, 0].numpy()
    values = torch.tensor((image.probability[0] + 0.5) / 256)[None, None].float()
    probability = torch.nn.functional.interpolate(values, (SIDE, SIDE), mode="bilinear")[0, 0].numpy()
    tp, union = np.sum((probability > 0.5) & (target > 0)), np.sum((probability > 0.5) | (target > 0))
    assert clipseg_fg_iou([image], 0.5) == pytest.approx(tp / (1 + union), abs=1e-4)


def test_mmseg_pools_the_pixels_of_all_images_and_leaves_out_what_is_nowhere():
    images = list(several_classes())
    labels = [image.target[(image.target != IGNORED) & (image.target > 0)] for image in images]
    predicted = [
        (image.probability.argmax(axis=0) + 1)[(image.target != IGNORED) & (image.target > 0)] for image in images
    ]
    expected = jaccard_index(
        torch.tensor(np.concatenate(predicted) - 1), torch.tensor(np.concatenate(labels) - 1), "multiclass",
        num_classes=3, average="macro",
    )  # fmt: skip
    assert mmseg_miou(iter(images), 0.5) == pytest.approx(float(expected))


def test_nnunet_averages_dice_over_images_then_classes_and_skips_what_is_empty_in_both():
    images, per_class = list(several_classes()), {}
    for image in images:
        best, valid = image.probability.argmax(axis=0), image.target != IGNORED
        for number, stored in enumerate(image.probability):
            predicted = (best == number) & ((stored + 0.5) / 256 > 0.5) & valid
            target = (image.target == number + 1) & valid
            if predicted.any() or target.any():
                dice = 2 * np.sum(predicted & target) / (predicted.sum() + target.sum())
                per_class.setdefault(number, []).append(dice)
    assert 3 not in per_class and len(per_class) == 3
    assert nnunet_dice(iter(images), 0.5) == pytest.approx(np.mean([np.mean(values) for values in per_class.values()]))
