"""Touching cells in a user's folder, prepared as the pipeline does: how many prompts they make."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from promptseg import prompts
from promptseg.core import params
from promptseg.data import records
from promptseg.data.records import Record
from promptseg.inference.prediction import prompt_source
from promptseg.preprocessing import prepare
from promptseg.prompts import PromptConfig

ROWS, COLUMNS, SIDE = 3, 4, 12
# Touching cells with background around: one connected component.
CELLS = np.pad(np.kron(np.arange(1, ROWS * COLUMNS + 1).reshape(ROWS, COLUMNS), np.ones((SIDE, SIDE), int)), 6)
COUNT = ROWS * COLUMNS
POINT = PromptConfig(points=1, per="instance")

Write = Callable[[Path, str, np.ndarray], None]  # of the masks of an image: folder, name, instances


def png(path: Path, values: np.ndarray, dtype: type = np.uint8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(dtype)).save(path)


def prepared(root: Path, write: Write, options: dict, **settings) -> tuple[list[Record], dict, dict]:
    """The test's records of a folder, their metadata and the summary. Images and masks are in the same folder."""
    rng = np.random.default_rng(0)
    for name in ("p1", "p2"):
        png(root / f"raw/{name}.png", rng.integers(0, 256, (*CELLS.shape, 3)))
        write(root / "raw", name, CELLS)
    options = {"images": "{name}.png", "splits": {"train": "p1", "test": "p2"}} | options
    about = {"raw": str(root / "raw"), "reader": "folder", "options": options, "val_fraction": 0.0} | settings
    dataset = params.validate(params.Dataset, about, "params.yaml", "datasets.mine")
    paths = prepare.Paths(root / "raw", root / "out", root / "summary.json")
    prepare.prepare("mine", dataset, None, 0, paths)
    split = records.open_split(paths.out / "test.parquet")
    return list(split), split.metadata, json.loads(paths.metrics.read_text())


def count(record: Record, metadata: dict, target: int = 1) -> int:
    built, regions = prompts.build_prompts(POINT, prompt_source(record, metadata, POINT, None))
    for prompt, region in zip(built, regions, strict=True):
        assert (records.mask(record)[region.full()] == prompt.target).all()
    return sum(prompt.target == target for prompt in built)
