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

from promptseg import progress
from promptseg.base import files, params
from promptseg.base.errors import Problem
from promptseg.features import finetuned
from promptseg.features.distributed import Processes
from promptseg.learning import curve as curves
from promptseg.learning import epochs, fitting, watching
from promptseg.learning.epochs import Phase
from promptseg.learning.resuming import State
from promptseg.learning.setup import TRAIN, Inputs, Setup
from promptseg.learning.splits import Split
from promptseg.learning.steps import Diverged, Steps
from promptseg.networks import weights
from promptseg.networks.segmenter import Segmenter


def finetune(
    run: params.FineTune, max_epochs: int | None, seed: int, inputs: Inputs, resume: Path, out: Path, curve: Path
) -> None:
    """Train a run; write what it learned, from the epoch with the best IoU on the validation split, and its curve (CSV).

    resume: folder for where this run's training stands, removed at its end. Raises Problem for a prompt or a part that
    the model does not have, an empty training split, a run that does not fit into memory or on the disk, or a loss that
    is not finite.
    """
    processes = Processes()
    given = {"model": run.model, "train": files.sha256(inputs.train), "val": files.sha256(inputs.val), "seed": seed}

    def state(ready: Setup) -> State:
        about = {"classes": list(ready.splits[0].classes), "train": ready.settings.model_dump(exclude_defaults=True)}
        if "lora" in ready.settings.parts:
            about["lora"] = ready.settings.lora.model_dump()
        keep = functools.partial(finetuned.write, name=ready.segmenter.NAME, checkpoint=ready.digest, about=about)
        chosen = {
            "settings": ready.settings.model_dump(mode="json"),
            "epochs": [phase.epochs for phase in ready.phases],
        }
        return State(resume, {**given, "checkpoint": ready.digest, **chosen}, keep, processes)

    def begun(ready: Setup) -> bool:
        return state(ready).begun()

    ready = fitting.fitted(run, max_epochs, seed, inputs, processes, begun)
    for split in ready.splits:
        split.keep(ready.digest, inputs.cache, processes)
    learn(ready.segmenter, ready.splits, ready.phases, ready.learned, state(ready), processes, seed, out, curve)


def learn(
    segmenter: Segmenter, splits: Sequence[Split], phases: list[Phase], learned: list[str], state: State,
    processes: Processes, seed: int, out: Path, curve: Path,
) -> None:  # fmt: skip
    """Go through the phases from where the state stands; write the best epoch and the curve, and remove the state.

    splits: to learn from, and to measure on; learned: names of what any phase teaches. Raises Problem for a loss that
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
    segmenter: Segmenter, splits: Sequence[Split], phases: list[Phase], learned: list[str], state: State,
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
        while len(own) < phase.epochs and not watching.stalled(own, phase.settings.patience):
            try:
                seen = epochs.learn(segmenter, train, phase, steps, processes, seed, len(own) + 1, bar)
                with steps.average.in_place() if steps.average else contextlib.nullcontext():
                    checked = epochs.measure(segmenter, val, phase, processes)
                    row = curves.row(len(rows) + 1, phase.name, seen, checked, steps.lr)
                    rows.append(row)
                    own.append(row)
                    if phase.name == TRAIN and watching.best(own) is row:
                        state.hold(row["epoch"], {name: parameters[name] for name in learned})
            except Diverged as failure:
                line = f"epoch {len(rows) + 1}: the loss is no longer finite, at pictures {', '.join(failure.ids)}"
                if best := state.best():
                    line += f"; the best so far stays in {best} until it is trained anew"
                raise Problem(f"{line}; lower train.lr or set train.clip") from None
            if processes.main:
                state.write(rows, {name: parameters[name] for name in learned}, steps.state())
                if warning := watching.warning(own):
                    bar.write(warning, sys.stderr)
    bar.close()
    return rows
