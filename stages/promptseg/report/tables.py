"""Tables as CSV files, and the table of the datasets: what of each split was kept and dropped."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.csv

from promptseg.core.errors import UserError, of_system
from promptseg.core.files import write_text

SPLITS = ("train", "val", "test")


def read_columns(path: Path, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read columns of numbers from a CSV file.

    Args:
        path: file with a header.
        columns: names of the columns to read.

    Returns:
        By name, float64 values; NaN where a field is empty.

    Raises:
        UserError: the file or a column is missing, or a field is not a number.
    """
    options = pyarrow.csv.ConvertOptions(
        include_columns=columns, column_types=dict.fromkeys(columns, pyarrow.float64())
    )
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except pyarrow.ArrowException as error:
        damaged = UserError(f"{path}: {error.args[0]}; delete it and run `dvc repro`")
        raise of_system(error, path) or damaged from None
    return {name: table[name].to_numpy() for name in columns}


def write_rows(path: Path, columns: list[str] | tuple[str, ...], rows: list[dict]) -> None:
    """Write rows as CSV: an empty field where a row has no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def dataset_table(datasets: list[str], folder: Path) -> tuple[list[str], list[dict]]:
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
        values = _read_summary(folder / f"{dataset}.json")
        splits = {name: counts for name, counts in values.items() if isinstance(counts, dict)}
        whole = {name: count for name, count in values.items() if name not in splits}
        for split in sorted(splits, key=lambda split: (*SPLITS, split).index(split)):
            rows.append({"dataset": dataset, "split": split} | splits[split])
        rows += [{"dataset": dataset, "split": "all"} | whole] if whole else []
    return list(dict.fromkeys(["dataset", "split", *(key for row in rows for key in row)])), rows


def training_images(dataset: str, folder: Path) -> int | None:
    """Read of how many images there are records to train on; None where the summary does not say.

    Raises:
        UserError: the file is missing or damaged.
    """
    return _read_summary(folder / f"{dataset}.json").get("train", {}).get("images_kept")


def _read_summary(path: Path) -> dict[str, Any]:
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
