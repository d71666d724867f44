"""Check that a run fits into memory and on the disk before it starts; where it does not, suggest settings that do."""

import sys
from collections.abc import Callable, Iterator

from promptseg.core import devices
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.core.train_config import CompleteTrain, Lora, Train
from promptseg.core.units import format_bytes
from promptseg.training import forecast
from promptseg.training.forecast import ResourceForecast
from promptseg.training.setup import Inputs, Job, Setup, set_up

LONG_RUN = 500  # images over all epochs from which on a run is measured first, about 50 times what that takes


def fit_or_raise(job: Job, inputs: Inputs, processes: Processes, has_started: Callable[[Setup], bool]) -> Setup:
    """Set up a run, print its forecast if it is long, and choose the batch if batch_size is auto.

    Args:
        job: the run.
        inputs: what is read.
        processes: all of them must call this.
        has_started: whether there is a checkpoint of this setup; then it resumes as it was.

    Raises:
        UserError: the run does not fit, or as `set_up`.
    """
    setup = set_up(job, inputs, processes)
    candidates = list(_batch_choices(setup))
    for candidate in candidates:
        if has_started(candidate):
            return candidate
    images = len(setup.train_split) * sum(phase.epochs for phase in setup.training.phases)
    if not setup.auto_batch_size and images < LONG_RUN:
        return setup
    chosen, text = _choose(candidates, inputs, processes)
    if processes.main:
        print(text, file=sys.stderr)
    return chosen


def describe_fit(job: Job, inputs: Inputs) -> str:
    """Describe what a run needs, in a few lines; it does not start.

    Raises:
        UserError: the run does not fit; it names settings that do.
    """
    processes = Processes()
    devices.configure_torch(processes)
    candidates = list(_batch_choices(set_up(job, inputs, processes)))
    return _choose(candidates, inputs, processes)[1]


def _choose(candidates: list[Setup], inputs: Inputs, processes: Processes) -> tuple[Setup, str]:
    """The first candidate that fits, and its forecast in words."""
    measured = forecast.measure(candidates[0], inputs.cache, processes)
    fitting = (setup for setup in candidates if measured.fits_memory(setup.config.batch_size))
    chosen = next(fitting, None)
    if chosen is None:
        raise UserError(_memory_message(measured, candidates[-1], inputs, processes))
    if not measured.fits_disk:
        raise UserError(
            f"{inputs.cache}: the features of {measured.images[2]:,} images take {format_bytes(measured.cache_bytes)} "
            f"and {format_bytes(measured.free_bytes)} are free; free some space, link it to a larger disk or lower "
            "scale.max_images"
        )
    return chosen, measured.describe(chosen.config.batch_size)


def _batch_choices(setup: Setup) -> Iterator[Setup]:
    """The setup itself; with `batch_size: auto` also with half as many images a batch, and so on, in the same steps."""
    yield setup
    while setup.auto_batch_size and setup.config.batch_size > 1:
        setup = setup.with_batches(setup.config.batch_size // 2, setup.config.grad_accumulation_steps * 2)
        yield setup


def _memory_message(measured: ResourceForecast, setup: Setup, inputs: Inputs, processes: Processes) -> str:
    suggestions = _smaller_batch(measured, setup.config)
    for description, train in _alternatives(setup):
        other = set_up(setup.job.with_train(train), inputs, processes)
        needs = forecast.measure(other, inputs.cache, processes)
        if needs.fits_memory(other.config.batch_size):
            suggestions.append(f"{description}, {needs.describe_peak(other.config.batch_size)}")
        else:
            suggestions += [f"{description} with {smaller}" for smaller in _smaller_batch(needs, other.config)]
    needed = measured.describe_peak(setup.config.batch_size)
    advice = f"these settings fit: {'; '.join(suggestions)}" if suggestions else "no other settings of this run fit"
    return (
        f"a batch of {setup.config.batch_size} needs {needed} of memory and {format_bytes(measured.limit)} are "
        f"available; {advice}"
    )


def _smaller_batch(measured: ResourceForecast, config: CompleteTrain) -> list[str]:
    """The largest fraction of a batch that fits, in the same steps; empty where none does."""
    for divisor in range(2, config.batch_size + 1):
        batch_size = config.batch_size // divisor
        if config.batch_size % divisor == 0 and measured.fits_memory(batch_size):
            steps = config.grad_accumulation_steps * divisor
            needed = measured.describe_peak(batch_size)
            return [f"batch_size: {batch_size} and grad_accumulation_steps: {steps}, {needed}"]
    return []


def _alternatives(setup: Setup) -> Iterator[tuple[str, Train]]:
    """Settings that need less memory, with their descriptions."""
    segmenter, train = setup.training.segmenter, setup.job.run.train
    in_encoder = [name for name in segmenter.TRAINABLE if segmenter.trains_encoder(name)]
    if not in_encoder:
        return
    if not segmenter.encoder_trainable:
        if train.augment is not None:
            yield "augment: null, so that features are cached", train.model_copy(update={"augment": None})
        return
    decoders = [name for name in setup.config.trainable if name not in in_encoder]
    decoders = decoders or [name for name in segmenter.TRAINABLE if name not in in_encoder][:1]
    if "lora" in in_encoder and "lora" not in setup.config.trainable:
        trainable = ["lora", *decoders]
        yield (
            f"trainable: [{', '.join(trainable)}]",
            train.model_copy(update={"lora": Lora(), "trainable": trainable}),
        )
    if decoders:
        augment = ", augment: null" * (train.augment is not None)
        yield (
            f"trainable: [{', '.join(decoders)}]{augment}, so that features are cached",
            train.model_copy(update={"lora": Lora(), "trainable": decoders, "augment": None}),
        )
