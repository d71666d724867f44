"""Fine-tune any model: one loop, on one process or many.

A step's gradient is the mean over its maps, summed over the processes that share the batch, so the curve does not
depend on how many there are (up to the order of floating-point sums). Where it stands is kept after each epoch.
"""

import contextlib
import functools
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from promptseg.core import files, params, progress
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Segmenter
from promptseg.training import curve as curves
from promptseg.training import early_stopping, epochs, fit_check
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.epochs import Phase
from promptseg.training.optimizer_steps import NonFiniteLossError, Steps
from promptseg.training.setup import TRAIN, Inputs, Setup
from promptseg.training.training_split import Split


def finetune(
    run: params.FineTune, max_epochs: int | None, seed: int, inputs: Inputs, resume: Path, out: Path, curve: Path
) -> None:
    """Train a run; write what it learned, from the epoch with the best IoU on the validation split, and its curve (CSV).

    resume: folder for where this run's training stands, removed at its end. Raises UserError for a prompt or a part that
    the model does not have, an empty training split, a run that does not fit into memory or on the disk, or a loss that
    is not finite.
    """
    processes = Processes()
    given = {"model": run.model, "train": files.sha256(inputs.train), "val": files.sha256(inputs.val), "seed": seed}

    def state(ready: Setup) -> CheckpointManager:
        about = {"classes": list(ready.splits[0].classes), "train": ready.settings.model_dump(exclude_defaults=True)}
        if "lora" in ready.settings.parts:
            about["lora"] = ready.settings.lora.model_dump()
        keep = functools.partial(finetuned_weights.write, name=ready.segmenter.NAME, checkpoint=ready.digest, about=about)
        chosen = {
            "settings": ready.settings.model_dump(mode="json"),
            "epochs": [phase.epochs for phase in ready.phases],
        }
        return CheckpointManager(resume, {**given, "checkpoint": ready.digest, **chosen}, keep, processes)

    def begun(ready: Setup) -> bool:
        return state(ready).begun()

    ready = fit_check.fitted(run, max_epochs, seed, inputs, processes, begun)
    for split in ready.splits:
        split.keep(ready.digest, inputs.cache, processes)
    learn(ready.segmenter, ready.splits, ready.phases, ready.learned, state(ready), processes, seed, out, curve)


def learn(
    segmenter: Segmenter, splits: Sequence[Split], phases: list[Phase], learned: list[str], state: CheckpointManager,
    processes: Processes, seed: int, out: Path, curve: Path,
) -> None:  # fmt: skip
    """Go through the phases from where the state stands; write the best epoch and the curve, and remove the state.

    splits: to learn from, and to measure on; learned: names of what any phase teaches. Raises UserError for a loss that
    is not finite.
    """
    rows = _rows(segmenter, splits, phases, learned, state, processes, seed)
    if processes.main:
        best = state.best()
        weights.check(best)
        with files.replacing(out) as aside:
            shutil.copytree(best, aside)
        files.write_text(curve, curves.text(rows))
        state.remove()
    processes.wait()
    processes.close()


def _rows(
    segmenter: Segmenter, splits: Sequence[Split], phases: list[Phase], learned: list[str], state: CheckpointManager,
    processes: Processes, seed: int,
) -> list[dict]:  # fmt: skip
    """The curve's rows, of the epochs that were and of those to come. The state has the best one's weights."""
    parameters = dict(segmenter.named_parameters())
    train, val = splits
    rows, values, moments = state.read()
    segmenter.load_state_dict(values, strict=False)
    if rows and processes.main:
        print(f"training goes on after epoch {rows[-1]['epoch']}", file=sys.stderr)
    bar = progress.bar(
        main=processes.main, desc="train", unit=" pictures", initial=len(rows) * len(train),
        total=sum(phase.epochs for phase in phases) * len(train),
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
        while len(own) < phase.epochs and not early_stopping.stalled(own, phase.settings.patience):
            try:
                seen = epochs.learn(segmenter, train, phase, steps, processes, seed, len(own) + 1, bar)
                with steps.average.in_place() if steps.average else contextlib.nullcontext():
                    checked = epochs.measure(segmenter, val, phase, processes)
                    row = curves.row(len(rows) + 1, phase.name, seen, checked, steps.lr)
                    rows.append(row)
                    own.append(row)
                    if phase.name == TRAIN and early_stopping.best(own) is row:
                        state.hold(row["epoch"], {name: parameters[name] for name in learned})
            except NonFiniteLossError as failure:
                line = f"epoch {len(rows) + 1}: the loss is no longer finite, at pictures {', '.join(failure.ids)}"
                if best := state.best():
                    line += f"; the best so far stays in {best} until it is trained anew"
                raise UserError(f"{line}; lower train.lr or set train.clip") from None
            if processes.main:
                state.write(rows, {name: parameters[name] for name in learned}, steps.state())
                if warning := early_stopping.warning(own):
                    bar.write(warning, sys.stderr)
    bar.close()
    return rows
