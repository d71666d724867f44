"""The curve of a training: a row an epoch."""

import csv
import io

from promptseg.training.running_metrics import Means

COLUMNS = (
    "epoch", "phase", "loss", "val_loss", "val_iou", "lr",
    "foreground", "val_foreground", "true_foreground", "val_true_foreground",
)  # fmt: skip


def row(epoch: int, phase: str, train: Means, val: Means, lr: float) -> dict:
    """lr: the rate of the epoch's last step."""
    return {
        "epoch": epoch, "phase": phase, "loss": train.loss, "val_loss": val.loss, "val_iou": val.iou, "lr": lr,
        "foreground": train.foreground, "val_foreground": val.foreground,
        "true_foreground": train.true, "val_true_foreground": val.true,
    }  # fmt: skip


def text(rows: list[dict]) -> str:
    """As CSV, with six digits; empty where there was nothing to measure."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in rows:
        values = [each[column] for column in COLUMNS]
        writer.writerow("" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in values)
    return out.getvalue()
