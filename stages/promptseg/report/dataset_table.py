"""Table of the datasets: what of each split was kept and dropped."""

import csv
import io
import json
from pathlib import Path

from promptseg.core.errors import UserError
from promptseg.core.files import write_text

SPLITS = ("train", "val", "test")


def split_table(datasets: list[str], folder: Path) -> tuple[list[str], list[dict]]:
    """Read the summaries that preprocessing wrote.

    Args:
        datasets: names.
        folder: of <dataset>.json, {split: {key: number}} and {key: number} for the whole dataset.

    Returns:
        Column names; a row for each dataset and split, and one for the dataset (split `all`) where it has numbers.

    Raises:
        UserError: a file is missing or damaged.
    """
    rows = []
    for dataset in datasets:
        values = _read(folder / f"{dataset}.json")
        splits = {name: counts for name, counts in values.items() if isinstance(counts, dict)}
        whole = {name: count for name, count in values.items() if name not in splits}
        for split in sorted(splits, key=lambda split: (*SPLITS, split).index(split)):
            rows.append({"dataset": dataset, "split": split} | splits[split])
        rows += [{"dataset": dataset, "split": "all"} | whole] if whole else []
    return list(dict.fromkeys(key for row in rows for key in row)), rows


def write_dataset_table(path: Path, datasets: list[str], folder: Path) -> None:
    """Write the rows of `split_table` as CSV."""
    columns, rows = split_table(datasets, folder)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or ["dataset", "split"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _read(path: Path) -> dict[str, dict | int]:
    """Counts by split, and counts of the whole dataset, such as its near-duplicates."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run `dvc repro`") from None
    if not isinstance(values, dict) or any(not isinstance(values.get(split, {}), dict) for split in SPLITS):
        raise UserError(f"{path}: expected {{split: {{key: number}}}}; delete it and run `dvc repro`")
    return values
