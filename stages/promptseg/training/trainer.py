"""Fine-tune a model: one loop, on one process or many.

The gradient of a step is the mean over its masks, summed over the processes that share the batch, so the curve does not
depend on their number, up to the order of floating-point sums. A checkpoint is written after each epoch.
"""

import contextlib
import math
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from promptseg.core import devices, files, progress
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import finetuned_weights, weights
from promptseg.training import checkpoint_manager, curve, early_stopping, epochs, event_log, fit_check
from promptseg.training.checkpoint_manager import Checkpoint, CheckpointManager
from promptseg.training.optimizer_steps import NonFiniteLossError, OptimizerSteps
from promptseg.training.setup import Inputs, Job, Setup
from promptseg.training.training_run import TRAIN, Phase, TrainingRun

NOT_DECISIVE = {"log"}  # settings that the weights do not depend on


@dataclass(frozen=True)
class Outputs:
    """Paths that a run writes.

    Attributes:
        resume: folder of checkpoints while it trains, removed at the end; events are in one beside it (`event_log`).
        weights: folder of the trained weights; where training is repeated those of the first seed, with the others in
            seed-<seed>.
        curve: CSV file of the training curve, with the first seed.
    """

    resume: Path
    weights: Path
    curve: Path


def finetune(job: Job, inputs: Inputs, outputs: Outputs) -> None:
    """Fine-tune a run, and save the weights of the best epoch on the validation split, or of the last one.

    With several seeds it is trained with one after the other; one that has ended is not trained again when the stage is
    killed in the next.

    Args:
        job: the run.
        inputs: what is read.
        outputs: what is written.

    Raises:
        UserError: as `setup.set_up`; or the run does not fit into memory or on the disk, or a loss is not finite.
    """
    processes = Processes()
    devices.configure_torch(processes)
    digests = {name: files.sha256(getattr(inputs, name)) for name in ("train", "val")}

    def checkpoints(setup: Setup) -> CheckpointManager:
        resume = outputs.resume / f"seed-{setup.job.seed}" if job.run.train.seeds else outputs.resume
        return _checkpoint_manager(setup, digests, resume)

    trained = []
    for seed in job.run.train.seeds or [job.seed]:
        seeded = replace(job, seed=seed)
        setup = fit_check.fit_or_raise(seeded, inputs, processes, lambda setup: checkpoints(setup).exists())
        for split in (setup.train_split, setup.val_split):
            split.cache_features(setup.checkpoint, inputs.cache, processes)
        name = f"seed-{seed}" if job.run.train.seeds else ""
        trained.append(_train(setup.training, checkpoints(setup), outputs, name))
    _write(trained, processes, outputs)


def _checkpoint_manager(setup: Setup, digests: dict[str, str], resume: Path) -> CheckpointManager:
    """Checkpoints of a fine-tuned run. digests: of its splits."""
    config, job = setup.config, setup.job
    metadata = {
        "classes": list(setup.train_split.classes),
        "images": setup.train_split.source_images,
        "train": config.model_dump(exclude_defaults=True, exclude=NOT_DECISIVE),
    }
    if "lora" in config.trainable:
        metadata["lora"] = config.lora.model_dump()

    def write_weights(folder: Path, parameters: dict[str, torch.Tensor], threshold: float | None) -> None:
        chosen = {} if threshold is None else {"threshold": threshold}
        name = setup.training.segmenter.NAME
        finetuned_weights.write(folder, parameters, name, setup.checkpoint, metadata | chosen)

    decisive = {
        **digests,
        "model": job.run.model,
        "seed": job.seed,
        "checkpoint": setup.checkpoint,
        "settings": config.model_dump(mode="json", exclude=NOT_DECISIVE),
        "prompt": job.run.prompt.model_dump(mode="json"),  # by which the best epoch is chosen
        "epochs": [phase.epochs for phase in setup.training.phases],
    }
    return CheckpointManager(resume, decisive, write_weights, setup.training.processes)


def train(run: TrainingRun, checkpoints: CheckpointManager, outputs: Outputs) -> None:
    """Train through all phases, from the latest checkpoint on; write the best weights and the curve.

    Args:
        run: what is trained.
        checkpoints: in `outputs.resume`, which is removed at the end.
        outputs: weights and curve are written.

    Raises:
        UserError: a loss is not finite.
    """
    _write([_train(run, checkpoints, outputs)], run.processes, outputs)


@dataclass(frozen=True)
class _Trained:
    """What a training leaves in its resume folder. name: of its weights beside others; best: folder of these."""

    name: str
    rows: list[dict]
    best: Path


def _train(run: TrainingRun, checkpoints: CheckpointManager, outputs: Outputs, name: str = "") -> _Trained:
    rows = _Loop(run, checkpoints, event_log.folder(outputs.resume) / name).run_phases()
    return _Trained(name, rows, checkpoints.best_folder())  # type: ignore[arg-type]  # the first epoch has made one


def _write(trained: list[_Trained], processes: Processes, outputs: Outputs) -> None:
    """Write the weights and the curve of the first training, the weights of the others beside, and end."""
    first = trained[0]
    if processes.main:
        with files.replacing(outputs.weights) as aside:
            for each in trained:
                weights.check(each.best)
                shutil.copytree(each.best, aside if each is first else aside / each.name)
        files.write_text(outputs.curve, curve.to_csv(first.rows))
        checkpoint_manager.remove(outputs.resume)
    processes.wait()
    processes.close()


class _Loop:
    """The epochs of a run that are left."""

    def __init__(self, run: TrainingRun, checkpoints: CheckpointManager, events: Path):
        self._run, self._checkpoints = run, checkpoints
        self._parameters = dict(run.segmenter.named_parameters())
        checkpoint = checkpoints.load()
        run.segmenter.load_state_dict(checkpoint.parameters, strict=False)
        self._rows, self._optimizer_state = checkpoint.rows, checkpoint.optimizer
        if self._rows and run.processes.main:
            print(f"resuming after epoch {self._rows[-1]['epoch']}", file=sys.stderr)
        self._log = None
        if run.processes.main and run.phases[0].config.log:
            self._log = event_log.EventLog(events, len(self._rows))
        images = len(run.train_split)
        self._bar = progress.bar(
            main=run.processes.main, desc="train", unit=" images", initial=len(self._rows) * images,
            total=sum(phase.epochs for phase in run.phases) * images,
        )  # fmt: skip

    def run_phases(self) -> list[dict]:
        """Train, and return the rows of the curve; the checkpoint manager has the best weights."""
        for phase in self._run.phases:
            self._run_phase(phase)
        self._bar.close()
        if self._log:
            self._log.close()
        return self._rows

    def _run_phase(self, phase: Phase) -> None:
        for name, parameter in self._parameters.items():
            parameter.requires_grad_(name in phase.trainable)
        batches = math.ceil(len(self._run.train_split) / phase.config.batch_size)
        steps_per_epoch = math.ceil(batches / phase.config.grad_accumulation_steps)
        trainable = {name: self._parameters[name] for name in phase.trainable}
        steps = OptimizerSteps(trainable, phase.config, self._run.processes, steps_per_epoch * phase.epochs)
        rows = [row for row in self._rows if row["phase"] == phase.name]
        if rows and rows[-1] is self._rows[-1]:  # the checkpoint is of this phase
            steps.load_state_dict(self._optimizer_state, steps_per_epoch * len(rows))
        while len(rows) < phase.epochs and not early_stopping.should_stop(rows, phase.config.patience):
            self._run_epoch(phase, steps, rows)

    def _run_epoch(self, phase: Phase, steps: OptimizerSteps, rows: list[dict]) -> None:
        """Train and validate once, and write a checkpoint. rows: of the phase, to which one is added."""
        try:
            metrics = epochs.train_epoch(self._run, phase, steps, len(rows) + 1, self._bar)
            with steps.ema.applied() if steps.ema else contextlib.nullcontext():
                val_metrics = epochs.validate(self._run, phase)
                row = curve.make_row(len(self._rows) + 1, phase.name, metrics, val_metrics, steps.lr)
                self._rows.append(row)
                rows.append(row)
                if self._log:
                    self._log.add(row)
                if phase.name == TRAIN and (phase.config.keep == "last" or early_stopping.best_row(rows) is row):
                    self._checkpoints.keep_best(row["epoch"], self._trained(), val_metrics.threshold)
        except NonFiniteLossError as failure:
            raise UserError(self._non_finite_message(failure.ids)) from None
        if self._run.processes.main:
            self._checkpoints.save(Checkpoint(self._rows, self._trained(), steps.state_dict()))
            if warning := early_stopping.warning(rows):
                self._bar.write(warning, sys.stderr)

    def _trained(self) -> dict[str, torch.Tensor]:
        return {name: self._parameters[name] for name in self._run.trained_parameters}

    def _non_finite_message(self, ids: list[str]) -> str:
        best = self._checkpoints.best_folder()
        kept = f"; the best weights so far stay in {best} until the run is trained again" if best else ""
        return (
            f"epoch {len(self._rows) + 1}: the loss is not finite at images {', '.join(ids)}{kept}; lower train.lr or "
            "set train.max_grad_norm"
        )
