"""The training curve: metrics of an epoch, CSV, the best epoch, early stopping and the warning about the foreground."""

import math

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.training import curve, early_stopping
from promptseg.training.running_metrics import EpochMetrics, MetricSums


def rows(ious: list, predicted: list | None = None, target: float = 0.2) -> list[dict]:
    predicted = predicted or [target] * len(ious)
    return [
        {"epoch": epoch, "val_iou": iou, "foreground": 0.5, "target_foreground": 0.5,
         "val_foreground": foreground, "val_target_foreground": target}
        for epoch, (iou, foreground) in enumerate(zip(ious, predicted, strict=True), 1)
    ]  # fmt: skip


def test_ignored_pixels_enter_no_mean_over_the_masks():
    """Of the first mask four pixels count: two are predicted, three are the object's, one is both.

    Of the second five count and are predicted, and four of them are the object's. A predicted pixel has the probability
    s; so of the first mask y p is s + 2 (1 - s), y 3 and p 2 s + 2 (1 - s), of the second 4 s, 4 and 5 s.
    """
    prediction = torch.tensor([[[1, 1, 0], [1, 0, 0]], [[1, 1, 1], [1, 1, 1]]])
    target = torch.tensor([[[1, 0, 1], [0, 1, 1]], [[1, 1, 1], [1, 1, 0]]])
    weight = torch.tensor([[[1, 1, 1], [0, 1, 0]], [[1, 1, 1], [1, 0, 1]]])
    sums = MetricSums()
    sums.add_masks(6.0 * prediction - 3, target.float(), weight.float())
    s = 1 / (1 + math.exp(-3))
    dice = ((1 - (2 * (2 - s) + 1) / (3 + 2 + 1)) + (1 - (2 * 4 * s + 1) / (4 + 5 * s + 1))) / 2
    means = dice, (1 / 4 + 4 / 5) / 2, (2 / 4 + 5 / 5) / 2, (3 / 4 + 4 / 5) / 2
    assert sums.mean(Processes()) == (None, *map(pytest.approx, means), None)


def test_an_empty_mask_that_is_predicted_empty_has_an_iou_of_one():
    sums = MetricSums()
    for logit in (-3.0, 3.0):
        sums.add_masks(torch.full((1, 2, 2), logit), torch.zeros(1, 2, 2), torch.ones(1, 2, 2))
    assert sums.mean(Processes())[2:] == (0.5, 0.5, 0.0, None)


def test_losses_are_averaged_over_their_number_and_nothing_is_none():
    sums = MetricSums()
    assert sums.mean(Processes()) == (None,) * 6
    sums.add_losses(torch.tensor([1.0, 2.0]))
    sums.add_losses(torch.tensor([6.0]))
    assert sums.mean(Processes()) == (3.0, *(None,) * 5)
    assert sums.describe() == {"loss": "3.000", "iou": "0.000"}


def test_a_row_of_the_csv_has_the_metrics_of_both_splits_and_none_is_empty():
    none = EpochMetrics(None, None, None, None, None)
    train, val = EpochMetrics(1 / 3, 0.2, 0.5, 0.25, 0.125), EpochMetrics(2.0, 0.3, 0.75, 0.1, 0.2)
    both = curve.make_row(7, "train", train, val, 1e-4)
    assert curve.to_csv([both, curve.make_row(1, "pretext", none._replace(loss=0.5), none, 0.1)]).splitlines() == [
        "epoch,phase,loss,dice_loss,val_loss,val_iou,lr,foreground,val_foreground,target_foreground,"
        "val_target_foreground",
        "7,train,0.333333,0.2,2,0.75,0.0001,0.25,0.1,0.125,0.2",
        "1,pretext,0.5,,,,0.1,,,,",
    ]


def test_the_best_row_is_the_first_of_the_highest_and_the_last_without_validation():
    assert early_stopping.best_row(rows([0.1, 0.5, 0.5, 0.2]))["epoch"] == 2
    assert early_stopping.best_row(rows([None, None, None]))["epoch"] == 3


@pytest.mark.parametrize(
    "ious, patience, stop",
    [([0.5, 0.4], 1, True), ([0.5, 0.4], 2, False), ([0.5, 0.4, 0.5], 2, True), ([0.4, 0.5], 1, False),
     ([0.5, 0.4, 0.3], None, False), ([], 1, False), ([None, None], 1, False)],
)  # fmt: skip
def test_training_stops_when_the_best_row_is_patience_epochs_old(ious, patience, stop):
    assert early_stopping.should_stop(rows(ious), patience) is stop


@pytest.mark.parametrize(
    "predicted, target, collapsed",
    [(0.2, 0.1, False), (0.31, 0.1, True), (0.04, 0.1, False), (0.03, 0.1, True), (1.0, 0.6, True), (0.8, 0.6, False),
     (0.0, 0.01, True), (0.0, 0.0, False)],
)  # fmt: skip
def test_the_foreground_collapses_beyond_a_factor_or_a_difference(predicted, target, collapsed):
    assert early_stopping.foreground_collapse(rows([0.1], [predicted], target)[0]) is collapsed


def test_the_warning_comes_in_the_second_epoch_in_a_row_and_not_again():
    foreground = [0.2, 0.9, 0.2, 0.9, 0.9, 1.0, 0.2, 1.0, 1.0]
    warnings = [early_stopping.warning(rows([0.1] * n, foreground[:n])) for n in range(1, 10)]
    assert [epoch for epoch, line in enumerate(warnings, 1) if line] == [5, 9]
    assert warnings[4].startswith(
        "warning: epoch 5: predicted foreground 0.900, ground truth 0.200 on validation images for 2 epochs; "
    )


def test_without_a_validation_split_training_images_count():
    without = [
        row | {"val_foreground": None, "foreground": 0.9, "target_foreground": 0.1} for row in rows([None, None])
    ]
    assert "foreground 0.900, ground truth 0.100 on training images" in early_stopping.warning(without)
    nothing = [row | {"foreground": None, "target_foreground": None} for row in without]  # of a pretext task
    assert early_stopping.warning(nothing) is None
