"""Fine-tune any model: one loop, on one process or many.

A step's gradient is the mean over its maps, summed over the processes that share the batch, so the curve does not
depend on how many there are (up to the order of floating-point sums). Where it stands is kept after each epoch.
"""

import contextlib
import csv
import functools
import io
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from promptseg import container, models
from promptseg.base import files, params
from promptseg.base.errors import Problem
from promptseg.features import finetuned, lora
from promptseg.features.distributed import Processes
from promptseg.learning import epochs, pretraining, watching
from promptseg.learning.epochs import Phase
from promptseg.learning.measuring import Means
from promptseg.learning.resuming import State
from promptseg.learning.splits import Split
from promptseg.learning.steps import Diverged, Steps
from promptseg.networks import precision, weights
from promptseg.networks.segmenter import Segmenter

COLUMNS = (
    "epoch", "phase", "loss", "val_loss", "val_iou", "lr",
    "foreground", "val_foreground", "true_foreground", "val_true_foreground",
)  # fmt: skip
PRETRAIN, TRAIN = "pretrain", "train"


def finetune(
    run: params.FineTune, max_epochs: int | None, seed: int, train: Path, val: Path, checkpoint: Path, cache: Path,
    resume: Path, out: Path, curve: Path,
) -> None:  # fmt: skip
    """Train a run; write what it learned, from the epoch with the best IoU on `val`, and its curve (CSV).

    train, val: containers; checkpoint: folder of released weights; cache: folder of the embedding caches; resume:
    folder for where this run's training stands, removed at its end. Raises Problem for a prompt or a part that the
    model does not have, an empty training split, or a loss that is not finite.
    """
    processes = Processes()
    settings = run.train
    segmenter = models.load(run.model).load(checkpoint, len(container.pairs(train).about["classes"]))
    segmenter.to(processes.device)
    segmenter.check_kind(container.pairs(train).about.get("kind", "picture"), run.dataset)
    segmenter.check_training(settings)
    segmenter.check_prompt(run.prompt)
    segmenter.trained()
    digest = weights.digest(checkpoint)
    torch.manual_seed(seed)  # adapters begin at random
    phases = _phases(segmenter, settings, max_epochs)
    learned = sorted({name for phase in phases for name in phase.learned})
    splits = [
        Split(path, segmenter, digest, cache, settings.prompt, augment, seed, processes)
        for path, augment in ((train, settings.augment), (val, None))
    ]
    if len(splits[0]) == 0:
        raise Problem(f"{train}: no pictures to train on; lower datasets.{run.dataset}.min_foreground")
    about = {"classes": list(splits[0].classes), "train": settings.model_dump(exclude_defaults=True)}
    if "lora" in settings.parts:
        about["lora"] = settings.lora.model_dump()
    inputs = {
        "model": run.model, "checkpoint": digest, "train": files.sha256(train), "val": files.sha256(val), "seed": seed,
        "settings": settings.model_dump(mode="json"), "epochs": [phase.epochs for phase in phases],
    }  # fmt: skip
    state = State(resume, inputs, processes)
    keep = functools.partial(finetuned.write, segmenter=segmenter, learned=learned, checkpoint=digest, about=about)
    rows = _learn(segmenter, splits, phases, learned, state, keep, processes, seed)
    if processes.main:
        best = state.best(watching.best(rows)["epoch"])
        weights.check(best)
        with files.replacing(out) as aside:
            shutil.copytree(best, aside)
        files.write_text(curve, _csv(rows))
        state.remove()
    processes.wait()
    processes.close()


def _phases(segmenter: Segmenter, settings: params.Train, max_epochs: int | None) -> list[Phase]:
    """The pretext where there is one, then the masks; the model is left as the last of them needs it."""
    before, count = (min(count, max_epochs or count) for count in (settings.pretrain, settings.epochs))
    phases = []
    if before:
        plain = settings.model_copy(update={"ema": None})  # its last epoch is the one to go on from
        pretext = functools.partial(pretraining.losses, segmenter)
        phases.append(Phase(PRETRAIN, before, plain, segmenter.learn(segmenter.PRETRAIN), pretext, (1,)))
    if "lora" in settings.parts:
        lora.attach(segmenter, segmenter.ADAPTED, settings.lora)
    learned = segmenter.train_only(settings.parts)
    if segmenter.encoder_learns:
        precision.apply(segmenter, "fp32")  # a copy of the weights in bf16 would not learn with them
    return [*phases, Phase(TRAIN, count, settings, learned, functools.partial(epochs.answers, segmenter, settings))]


def _learn(
    segmenter: Segmenter, splits: list[Split], phases: list[Phase], learned: list[str], state: State,
    keep: Callable[[Path], None], processes: Processes, seed: int,
) -> list[dict]:  # fmt: skip
    """Go through the phases from where the state stands; the curve's rows. The best epoch is kept in the state."""
    parameters = dict(segmenter.named_parameters())
    train, val = splits
    rows, values, moments = state.read()
    segmenter.load_state_dict(values, strict=False)
    if rows and processes.main:
        print(f"training goes on after epoch {rows[-1]['epoch']}", file=sys.stderr)
    progress = tqdm(
        total=sum(phase.epochs for phase in phases) * len(train), initial=len(rows) * len(train), unit=" pictures",
        desc="train", disable=not (processes.main and sys.stderr.isatty()), leave=False,
    )  # fmt: skip
    for phase in phases:
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in phase.learned)
        each = math.ceil(math.ceil(len(train) / phase.settings.batch) / phase.settings.accumulate)
        learning = {name: parameters[name] for name in phase.learned}
        steps = Steps(learning, phase.settings, processes, each * phase.epochs)
        own = [row for row in rows if row["phase"] == phase.name]
        if own and own[-1] is rows[-1]:
            steps.resume(moments, each * len(own))
        while len(own) < phase.epochs and not watching.stalled(own, phase.settings.patience):
            best = watching.best(own)["epoch"] if own and phase.name == TRAIN else None
            try:
                seen = epochs.learn(segmenter, train, phase, steps, processes, seed, len(own) + 1, progress)
                with steps.average.in_place() if steps.average else contextlib.nullcontext():
                    checked = epochs.measure(segmenter, val, phase, processes)
                    row = _row(len(rows) + 1, phase.name, seen, checked, steps.lr)
                    rows.append(row)
                    own.append(row)
                    if phase.name == TRAIN and watching.best(own) is row:
                        best = row["epoch"]
                        if processes.main:
                            keep(state.best(best))
            except Diverged as failure:
                line = f"epoch {len(rows) + 1}: the loss is no longer finite, at pictures {', '.join(failure.ids)}"
                if best:
                    line += f"; epoch {best}, the best so far, stays in {state.best(best)} until it is trained anew"
                raise Problem(f"{line}; lower train.lr or set train.clip") from None
            if processes.main:
                state.write(rows, best, {name: parameters[name] for name in learned}, steps.state())
                if warning := watching.warning(own):
                    progress.write(warning, sys.stderr)
    progress.close()
    return rows


def _row(epoch: int, phase: str, train: Means, val: Means, lr: float) -> dict:
    return {
        "epoch": epoch, "phase": phase, "loss": train.loss, "val_loss": val.loss, "val_iou": val.iou, "lr": lr,
        "foreground": train.foreground, "val_foreground": val.foreground,
        "true_foreground": train.true, "val_true_foreground": val.true,
    }  # fmt: skip


def _csv(rows: list[dict]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = [row[column] for column in COLUMNS]
        writer.writerow("" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in values)
    return out.getvalue()
