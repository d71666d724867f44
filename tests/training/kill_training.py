"""Train a tiny model and kill it often, for test_checkpoint_manager.py.

Usage: python tests/training/kill_training.py FOLDER KILLS. It runs in a process of its own on one core: its forks have
all that is imported, and no threads that a fork would lose.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

EVERYTHING_WITH_STATE = {
    "epochs": 6, "pretext_epochs": 2, "lr": 2e-3, "trainable": ["all"], "batch_size": 2, "grad_accumulation_steps": 2,
    "max_grad_norm": 1.0, "ema_decay": 0.8, "optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine",
    "warmup": 0.2, "patience": 4, "augment": {"rotate": 20.0}, "loss": "dice_focal",
}  # fmt: skip


def train(folder: Path, out: str, seed: int = 0, **settings) -> None:
    """Train on what test_checkpoint_manager.py has put into the folder."""
    from promptseg.core.runs import FineTune
    from promptseg.training import checkpoint_manager, trainer
    from promptseg.training.setup import Inputs, Job

    checkpoint_manager.SAVE_INTERVAL = 0.0  # these epochs are shorter than the usual interval
    settings = {**EVERYTHING_WITH_STATE, **settings}
    run = FineTune.model_validate({"dataset": "em", "model": "autoencoder", "prompt": {}, "train": settings})
    inputs = Inputs(folder / "train.parquet", folder / "val.parquet", folder / "c", folder / "embeddings")
    outputs = trainer.Outputs(folder / f"{out}.state", folder / out, folder / f"{out}.csv")
    trainer.finetune(Job(run, None, seed), inputs, outputs)


def output_bytes(folder: Path, out: str) -> dict[str, bytes]:
    """The bytes of weights and curve."""
    paths = [*sorted((folder / out).iterdir()), folder / f"{out}.csv"]
    return {path.name.replace(out, ""): path.read_bytes() for path in paths}


def fork(folder: Path, out: str) -> int:
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
    start = time.monotonic()
    train(folder, "whole")
    duration, expected = time.monotonic() - start, output_bytes(folder, "whole")
    rng, resumable, finished = random.Random(0), 0, 0
    while kills:
        pid, deadline = fork(folder, "broken"), time.monotonic() + rng.uniform(0, duration / 2)
        ended = (0, 0)
        while ended == (0, 0) and time.monotonic() < deadline:
            ended = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.002)
        if ended == (0, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            kills -= 1
            resumable += any((folder / "broken.state").glob("epoch-*"))
        else:  # it ended before its kill; the next one starts from the beginning
            assert ended[1] == 0 and output_bytes(folder, "broken") == expected
            finished += 1
    train(folder, "broken")
    assert output_bytes(folder, "broken") == expected
    print(f"{finished + 1} runs ended, {resumable} kills left a checkpoint")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
