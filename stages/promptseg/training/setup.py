"""Load a fine-tuned run: model, trainable parameters, phases and splits."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from promptseg import models
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.core.runs import FineTune
from promptseg.core.train_config import CompleteTrain, Train
from promptseg.data import records
from promptseg.data.nested_subset import nested_subset
from promptseg.inference import training_support
from promptseg.inference.validation import ValidationSplit, unused_columns
from promptseg.nn import lora, precision, weights
from promptseg.nn.segmenter import Segmenter
from promptseg.training import epochs, train_settings
from promptseg.training.record_split import RecordSplit
from promptseg.training.training_run import PRETEXT, TRAIN, Phase, TrainingRun
from promptseg.training.validation import Validation


@dataclass(frozen=True)
class Job:
    """What params.yaml says of a run.

    Attributes:
        run: the run.
        max_epochs: upper limit for the epochs of each phase; None: as the run says.
        seed: of the study.
    """

    run: FineTune
    max_epochs: int | None
    seed: int

    def with_train(self, train: Train) -> "Job":
        """The same job with other settings."""
        return replace(self, run=self.run.model_copy(update={"train": train}))


@dataclass(frozen=True)
class Inputs:
    """Paths that a run reads.

    Attributes:
        train: Parquet shards of the training split.
        val: Parquet shards of the validation split.
        checkpoint: folder of released weights.
        cache: folder of the embedding caches.
    """

    train: Path
    val: Path
    checkpoint: Path
    cache: Path


@dataclass(frozen=True)
class Setup:
    """A run that is loaded and adapted; nothing is encoded yet.

    Attributes:
        job: its settings are completed with the model's defaults.
        config: of the job, with a number as batch_size.
        training: what the loop needs.
        train_split: of `training`, with what caching needs.
        val_split: likewise.
        checkpoint: digest of the released weights.
    """

    job: Job
    config: CompleteTrain
    training: TrainingRun
    train_split: RecordSplit
    val_split: RecordSplit
    checkpoint: str

    @property
    def auto_batch_size(self) -> bool:
        """Whether the largest batch that fits into memory is to be chosen."""
        return self.job.run.train.batch_size == "auto"

    def with_batches(self, batch_size: int, grad_accumulation_steps: int) -> "Setup":
        """The same setup with other batches."""
        update = {"batch_size": batch_size, "grad_accumulation_steps": grad_accumulation_steps}
        phases = [replace(phase, config=phase.config.model_copy(update=update)) for phase in self.training.phases]
        return replace(
            self, config=self.config.model_copy(update=update), training=replace(self.training, phases=phases)
        )


def set_up(job: Job, inputs: Inputs, processes: Processes) -> Setup:
    """Load the model, freeze and adapt it, and open the splits.

    Args:
        job: the run.
        inputs: what is read.
        processes: they share the work; the model goes to their device.

    Raises:
        UserError: the model does not take the modality, the prompts or the trainable parts, a setting is missing or
            unknown, the training split is empty, or an input is missing or damaged.
    """
    run = job.run
    train_records = records.open_split(inputs.train)
    metadata = train_records.metadata
    segmenter = models.load(run.model).load(inputs.checkpoint, len(metadata["classes"])).to(processes.device)
    job = job.with_train(run.train.completed(segmenter.TRAIN_DEFAULTS))
    segmenter.check_modality(metadata.get("modality", "image"), run.dataset)
    segmenter.check_training(job.run.train)
    segmenter.check_prompt(run.prompt)
    config = train_settings.check(job.run.train)
    segmenter.prepare_finetuned()
    torch.manual_seed(job.seed)  # for the initial weights of adapters
    phases = _phases(segmenter, config, job.max_epochs)
    if len(train_records) == 0:
        remedy = f"lower datasets.{run.dataset}.min_foreground, or add images: a test alone is for zero-shot runs"
        raise UserError(f"{inputs.train}: no images to train on; {remedy}")
    fraction = config.train_fraction
    used = nested_subset(train_records.column("group"), fraction, metadata["seed"])
    support, test_support = (training_support.choose(p, inputs.train, fraction) for p in (config.prompt, run.prompt))
    train = RecordSplit(inputs.train, segmenter, config.prompt, config.augment, job.seed, support, used)
    val = RecordSplit(inputs.val, segmenter, config.prompt, None, job.seed, support)
    scored = ValidationSplit(records.open_split(inputs.val, unused_columns(run.prompt)), processes)
    validation = Validation(scored, run.prompt.first, test_support)
    training = TrainingRun(segmenter, train, val, phases, processes, job.seed, validation)
    return Setup(job, config, training, train, val, weights.digest(inputs.checkpoint))


def _phases(segmenter: Segmenter, config: CompleteTrain, max_epochs: int | None) -> list[Phase]:
    """The pretext task where there is one, then the masks; the model is left as the last phase needs it."""
    pretext_epochs, train_epochs = (min(count, max_epochs or count) for count in (config.pretext_epochs, config.epochs))
    phases = []
    if pretext_epochs:
        without_ema = config.model_copy(update={"ema_decay": None})  # the next phase continues from the last weights
        trainable = segmenter.set_trainable_prefixes(segmenter.PRETEXT)
        losses = functools.partial(epochs.pretext_losses, segmenter)
        phases.append(Phase(PRETEXT, pretext_epochs, without_ema, trainable, losses, order_key=(1,)))
    if "lora" in config.trainable:
        lora.attach(segmenter, segmenter.LORA_TARGETS, config.lora)
    trainable = segmenter.set_trainable(config.trainable)
    if segmenter.encoder_trainable:
        precision.apply(segmenter, "fp32")  # a copy of the weights in bf16 would not be trained with them
    losses = functools.partial(epochs.mask_losses, segmenter, config)
    return [*phases, Phase(TRAIN, train_epochs, config, trainable, losses)]
