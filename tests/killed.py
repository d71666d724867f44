"""Trains a tiny model until it was killed often enough: python tests/killed.py FOLDER KILLS, for test_resuming.py.

In a process of its own on one core: what it forks has all that is imported, and no threads that a fork would lose.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

ALL = {
    "epochs": 6, "pretrain": 2, "lr": 2e-3, "parts": ["all"], "batch": 2, "accumulate": 2, "clip": 1.0, "ema": 0.8,
    "optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine", "warmup": 0.2, "patience": 4,
    "augment": {"rotate": 20.0}, "loss": "dice_focal",
}  # fmt: skip


def train(folder: Path, out: str, seed: int = 0, **settings) -> None:
    """A run with all that has a state of its own, on what test_resuming.py has laid into the folder."""
    from promptseg.core import params
    from promptseg.training import checkpoint_manager, trainer
    from promptseg.training.setup import Inputs

    checkpoint_manager.EVERY = 0.0  # these epochs are shorter than what lies between two states
    run = {"dataset": "em", "model": "autoencoder", "prompt": {}, "train": {**ALL, **settings}}
    trainer.finetune(
        params.FineTune.model_validate(run), None, seed,
        Inputs(folder / "train.parquet", folder / "val.parquet", folder / "c", folder / "embeddings"),
        folder / f"{out}.state", folder / out, folder / f"{out}.csv",
    )  # fmt: skip


def made(folder: Path, out: str) -> dict[str, bytes]:
    """The bytes of weights and curve."""
    paths = [*sorted((folder / out).iterdir()), folder / f"{out}.csv"]
    return {path.name.replace(out, ""): path.read_bytes() for path in paths}


def child(folder: Path, out: str) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            train(folder, out)
            code = 0
        finally:
            os._exit(code)
    return pid


def main(folder: Path, kills: int) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    train(folder, "warm")
    begun = time.monotonic()
    train(folder, "whole")
    whole, expected = time.monotonic() - begun, made(folder, "whole")
    rng, gone_on, done = random.Random(0), 0, 0
    while kills:
        pid, until = child(folder, "broken"), time.monotonic() + rng.uniform(0, whole / 2)
        ended = (0, 0)
        while ended == (0, 0) and time.monotonic() < until:
            ended = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.002)
        if ended == (0, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            kills -= 1
            gone_on += any((folder / "broken.state").glob("epoch-*"))
        else:  # it outlived its kill; the next one starts anew
            assert ended[1] == 0 and made(folder, "broken") == expected
            done += 1
    train(folder, "broken")
    assert made(folder, "broken") == expected
    print(f"{done + 1} runs ended, {gone_on} kills left a state")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
