"""What the rows of a training curve say: which epoch to keep, when to stop, and when the masks leave the truth."""

FACTOR, DIFFERENCE = 3.0, 0.3  # how far the share that is marked may be from the true one
RUNNING = 2  # so many epochs one after the other


def best(rows: list[dict]) -> dict:
    """The first of the rows with the highest val_iou; the last of all where there is no validation split."""
    measured = [row for row in rows if row["val_iou"] is not None]
    return max(measured, key=lambda row: row["val_iou"]) if measured else rows[-1]


def stalled(rows: list[dict], patience: int | None) -> bool:
    """Whether the best row lies `patience` rows back; never where patience is None."""
    return patience is not None and bool(rows) and len(rows) - 1 - rows.index(best(rows)) >= patience


def foreground_collapse(row: dict) -> bool:
    """Whether the masks have more than FACTOR times the foreground of the true ones, less than that part of it, or
    differ from it by more than DIFFERENCE of the picture; on the validation split, else on the training split.

    So looks what the study saw after 50 epochs on the fires, where the whole picture became the mask.
    """
    marked, true = (row["val_foreground"], row["val_true_foreground"])
    if marked is None:
        marked, true = row["foreground"], row["true_foreground"]
    if marked is None:
        return False
    return marked > FACTOR * true or true > FACTOR * marked or abs(marked - true) > DIFFERENCE


def warning(rows: list[dict]) -> str | None:
    """A line for the epoch in which the masks have been foreground_collapse for RUNNING epochs; None for all others."""
    length = next((back for back, row in enumerate(reversed(rows)) if not foreground_collapse(row)), len(rows))
    if length != RUNNING:
        return None
    row = rows[-1]
    split = "train" if row["val_foreground"] is None else "validation"
    marked, true = (row[f"{'val_' * (split == 'validation')}{name}"] for name in ("foreground", "true_foreground"))
    return (
        f"warning: epoch {row['epoch']}: the masks mark {marked:.3f} of the {split} pictures where {true:.3f} is true, "
        f"{RUNNING} epochs running; watch the curve, set train.patience or lower train.lr"
    )
