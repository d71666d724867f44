"""A run made ready to be trained: the model, what of it learns and when, and the pictures."""

import functools
from dataclasses import dataclass
from pathlib import Path

import torch

from promptseg import models
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.data import records
from promptseg.nn import lora, precision, weights
from promptseg.nn.segmenter import Segmenter
from promptseg.training import epochs, pretext
from promptseg.training.epochs import Phase
from promptseg.training.training_split import Split

PRETRAIN, TRAIN = "pretrain", "train"


@dataclass(frozen=True)
class Inputs:
    """train, val: containers; checkpoint: folder of released weights; cache: folder of the embedding caches."""

    train: Path
    val: Path
    checkpoint: Path
    cache: Path


@dataclass(frozen=True)
class Setup:
    """A model, what of it learns, and the splits to learn from and to measure on.

    settings: the run's, with a batch in numbers; learned: parameters that any phase teaches; digest: of the released
    weights.
    """

    settings: params.Train
    segmenter: Segmenter
    phases: list[Phase]
    splits: tuple[Split, Split]
    learned: list[str]
    digest: str


def set_up(run: params.FineTune, max_epochs: int | None, seed: int, inputs: Inputs, processes: Processes) -> Setup:
    """Load, freeze and adapt; nothing is encoded yet. Raises UserError for a prompt or a part that the model does not
    have, and where there are no pictures to learn from."""
    settings = run.train.model_copy(update={"batch": run.train.pictures})
    about = records.pairs(inputs.train).about
    segmenter = models.load(run.model).load(inputs.checkpoint, len(about["classes"])).to(processes.device)
    segmenter.check_modality(about.get("kind", "picture"), run.dataset)
    segmenter.check_training(settings)
    segmenter.check_prompt(run.prompt)
    segmenter.trained()
    torch.manual_seed(seed)  # adapters begin at random
    phases = _phases(segmenter, settings, max_epochs)
    learned = sorted({name for phase in phases for name in phase.learned})
    train, val = (
        Split(path, segmenter, settings.prompt, augment, seed, processes)
        for path, augment in ((inputs.train, settings.augment), (inputs.val, None))
    )
    if len(train) == 0:
        raise UserError(f"{inputs.train}: no pictures to train on; lower datasets.{run.dataset}.min_foreground")
    return Setup(settings, segmenter, phases, (train, val), learned, weights.digest(inputs.checkpoint))


def _phases(segmenter: Segmenter, settings: params.Train, max_epochs: int | None) -> list[Phase]:
    """The pretext where there is one, then the masks; the model is left as the last of them needs it."""
    before, count = (min(count, max_epochs or count) for count in (settings.pretrain, settings.epochs))
    phases = []
    if before:
        plain = settings.model_copy(update={"ema": None})  # its last epoch is the one to go on from
        pretext = functools.partial(pretext.losses, segmenter)
        phases.append(Phase(PRETRAIN, before, plain, segmenter.learn(segmenter.PRETRAIN), pretext, (1,)))
    if "lora" in settings.parts:
        lora.attach(segmenter, segmenter.LORA_TARGETS, settings.lora)
    learned = segmenter.set_trainable(settings.parts)
    if segmenter.encoder_trainable:
        precision.apply(segmenter, "fp32")  # a copy of the weights in bf16 would not learn with them
    return [*phases, Phase(TRAIN, count, settings, learned, functools.partial(epochs.answers, segmenter, settings))]
