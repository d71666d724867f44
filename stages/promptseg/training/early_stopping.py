"""Decisions from the training curve: the best epoch, when to stop, and a warning when the foreground collapses."""

MAX_FACTOR, MAX_DIFFERENCE = 3.0, 0.3  # by which predicted foreground may differ from that of the ground truth
WARN_AFTER = 2  # epochs in a row


def best_row(rows: list[dict]) -> dict:
    """The first of the rows with the highest val_iou; the last row where there is no validation split."""
    validated = [row for row in rows if row["val_iou"] is not None]
    return max(validated, key=lambda row: row["val_iou"]) if validated else rows[-1]


def should_stop(rows: list[dict], patience: int | None) -> bool:
    """Whether the best row is `patience` epochs old; never where patience is None."""
    return patience is not None and bool(rows) and len(rows) - 1 - rows.index(best_row(rows)) >= patience


def foreground_collapse(row: dict) -> bool:
    """Whether the predicted foreground is far from that of the ground truth.

    That is by more than MAX_FACTOR, or by more than MAX_DIFFERENCE of the image; on the validation split, else on the
    training split. The study saw it after 50 epochs on the fires, where the whole image became foreground.
    """
    _, predicted, target = _foreground(row)
    if predicted is None or target is None:
        return False
    return (
        predicted > MAX_FACTOR * target or target > MAX_FACTOR * predicted or abs(predicted - target) > MAX_DIFFERENCE
    )


def warning(rows: list[dict]) -> str | None:
    """A line in the epoch in which the foreground has collapsed for WARN_AFTER epochs; None in all other epochs."""
    collapsed = next((i for i, row in enumerate(reversed(rows)) if not foreground_collapse(row)), len(rows))
    if collapsed != WARN_AFTER:
        return None
    split, predicted, target = _foreground(rows[-1])
    return (
        f"warning: epoch {rows[-1]['epoch']}: predicted foreground {predicted:.3f}, ground truth {target:.3f} on "
        f"{split} images for {WARN_AFTER} epochs; check the training curve, set train.patience or lower train.lr"
    )


def _foreground(row: dict) -> tuple[str, float | None, float | None]:
    """Name of the split that counts, predicted foreground and that of the target."""
    if row["val_foreground"] is None:
        return "training", row["foreground"], row["target_foreground"]
    return "validation", row["val_foreground"], row["val_target_foreground"]
