"""Training curve: a row for each epoch, as CSV."""

import csv
import io

from promptseg.training.running_metrics import EpochMetrics

COLUMNS = (
    "epoch", "phase", "loss", "dice_loss", "val_loss", "val_iou", "lr",
    "foreground", "val_foreground", "target_foreground", "val_target_foreground",
)  # fmt: skip


def make_row(epoch: int, phase: str, train: EpochMetrics, val: EpochMetrics, lr: float) -> dict:
    """Make the row of an epoch.

    Args:
        epoch: 1, 2, ... over all phases.
        phase: name of the phase.
        train: metrics while training.
        val: metrics on the validation split after the epoch.
        lr: learning rate of the last step.
    """
    return {
        "epoch": epoch, "phase": phase, "loss": train.loss, "dice_loss": train.dice_loss,
        "val_loss": val.loss, "val_iou": val.iou, "lr": lr,
        "foreground": train.foreground, "val_foreground": val.foreground,
        "target_foreground": train.target_foreground, "val_target_foreground": val.target_foreground,
    }  # fmt: skip


def to_csv(rows: list[dict]) -> str:
    """Format rows as CSV with six digits; a metric that is None is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = [row[column] for column in COLUMNS]
        writer.writerow("" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in values)
    return out.getvalue()
