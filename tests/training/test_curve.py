"""The training curve as CSV."""

from promptseg.training import curve
from promptseg.training.running_metrics import EpochMetrics


def test_a_row_has_the_metrics_of_both_splits_in_their_columns():
    train, val = EpochMetrics(1 / 3, 0.5, 0.25, 0.125), EpochMetrics(2.0, 0.75, 0.1, 0.2)
    row = curve.make_row(7, "train", train, val, 1e-4)
    assert curve.to_csv([row]).splitlines() == [
        "epoch,phase,loss,val_loss,val_iou,lr,foreground,val_foreground,target_foreground,val_target_foreground",
        "7,train,0.333333,2,0.75,0.0001,0.25,0.1,0.125,0.2",
    ]


def test_metrics_that_are_none_are_empty():
    row = curve.make_row(1, "pretext", EpochMetrics(0.5, None, None, None), EpochMetrics(None, None, None, None), 0.1)
    assert curve.to_csv([row]).splitlines()[1] == "1,pretext,0.5,,,0.1,,,,"
