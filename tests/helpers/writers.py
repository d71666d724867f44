"""Each kind of file that promptseg writes, as a script: python writers.py KIND FOLDER writes one into the folder."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from promptseg.core import files, stage
from promptseg.core.devices import Processes
from promptseg.data import records
from promptseg.data.records import Record
from promptseg.evaluation import score_table
from promptseg.nn import weights
from promptseg.report import canvas
from promptseg.training.checkpoint_manager import Checkpoint, CheckpointManager


class Writer(NamedTuple):
    """A kind of output. name: of the file or folder."""

    name: str
    write: Callable[[Path], None]


def _split(path: Path) -> None:
    noise = np.random.default_rng(0)
    with records.RecordWriter(path, Record, {"classes": ["a"]}) as writer:
        for number in range(3):
            data = noise.bytes(900), noise.bytes(90)
            writer.add(Record(f"a{number}", "g", *data, 3, 4, "a", 0, 0, 3, 4, foreground=3))


def _scores(path: Path) -> None:
    counts = {"group": "g", "class": "disc", "tp": 3, "fp": 2, "fn": 1}
    rows = [{"id": f"image {number}", **counts, "iou": number / 40} for number in range(40)]
    score_table.write_table(path, rows, {"iou_mean": 0.5})


def _weights(path: Path) -> None:
    tensors = {name: torch.arange(float(size)) for name, size in (("a", 300), ("b", 7))}
    weights.write(path, {"model": "tiny"}, tensors, {"vocab.json": b"{}"})


def _checkpoint(path: Path) -> None:
    state = Checkpoint([{"epoch": 2}], {"a": torch.ones(200)}, {"step.a": torch.tensor(3.0)})
    CheckpointManager(path.parent, {"seed": 0}, weights.write, Processes()).save(state)


def _figure(path: Path) -> None:
    canvas.write_png(path, np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))


WRITERS = {
    "text": Writer("a.csv", lambda path: files.write_text(path, "epoch,loss\n" * 90)),
    "JSON": Writer("a.json", lambda path: files.write_json(path, {"iou": [0.25] * 90})),
    "split": Writer("a.parquet", _split),
    "scores": Writer("scores.parquet", _scores),
    "weights": Writer("weights", _weights),
    "training checkpoint": Writer("resume/epoch-0002", _checkpoint),
    "figure": Writer("a.png", _figure),
}

if __name__ == "__main__":
    name, write = WRITERS[sys.argv[1]]
    stage.guarded(lambda: write(Path(sys.argv[2]) / name))
