"""Will it fit? A long run is planned before it begins; one that does not fit is told what would."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.training import forecast
from promptseg.training.forecast import Plan
from promptseg.training.setup import Inputs, Setup, set_up

LONG = 500  # pictures that a run goes through, at least, to be planned first: fifty times what planning takes


def fitted(
    run: params.FineTune, max_epochs: int | None, seed: int, inputs: Inputs, processes: Processes,
    begun: Callable[[Setup], bool],
) -> Setup:  # fmt: skip
    """A run set up, its plan printed if it is long, and the batch chosen if that is auto.

    begun: whether a run that is set up so has been begun; then it goes on as it was. Raises UserError if it does not fit.
    """
    ready = set_up(run, max_epochs, seed, inputs, processes)
    choices = list(_choices(run, ready))
    for choice in choices:
        if begun(choice):
            return choice
    passes = len(ready.splits[0]) * sum(phase.epochs for phase in ready.phases)
    if run.train.batch != "auto" and passes < LONG:
        return ready
    chosen, text = _planned(run, choices, max_epochs, seed, inputs, processes)
    if processes.main:
        print(text, file=sys.stderr)
    return chosen


def look(run: params.FineTune, max_epochs: int | None, seed: int, inputs: Inputs) -> str:
    """The plan of a run, which is not begun. Raises UserError with what would fit, if it does not."""
    processes = Processes()
    choices = list(_choices(run, set_up(run, max_epochs, seed, inputs, processes)))
    return _planned(run, choices, max_epochs, seed, inputs, processes)[1]


def _planned(
    run: params.FineTune, choices: list[Setup], max_epochs: int | None, seed: int, inputs: Inputs, processes: Processes
) -> tuple[Setup, str]:
    """The first of the choices that fits, and its plan in words."""
    plan = forecast.measure(choices[0], inputs.cache, processes)
    chosen = next((choice for choice in choices if plan.goes(choice.settings.batch)), choices[-1])
    _check(plan, chosen, run, max_epochs, seed, inputs, processes)
    return chosen, plan.text(chosen.settings.batch)


def _choices(run: params.FineTune, ready: Setup) -> Iterator[Setup]:
    """The run as it is; with batch: auto also with half as many pictures together, and so on, in the same steps."""
    yield ready
    while run.train.batch == "auto" and ready.settings.batch > 1:
        smaller = {"batch": ready.settings.batch // 2, "accumulate": ready.settings.accumulate * 2}
        settings = ready.settings.model_copy(update=smaller)
        phases = [replace(phase, settings=phase.settings.model_copy(update=smaller)) for phase in ready.phases]
        ready = replace(ready, settings=settings, phases=phases)
        yield ready


def _check(
    plan: Plan, chosen: Setup, run: params.FineTune, max_epochs: int | None, seed: int, inputs: Inputs,
    processes: Processes,
) -> None:  # fmt: skip
    """Raise UserError with what would fit, if this does not."""
    if plan.goes(chosen.settings.batch):
        if not plan.stores:
            raise UserError(
                f"{inputs.cache}: the features of {plan.pictures[2]:,} pictures take {forecast.size(plan.disk)} and "
                f"{forecast.size(plan.free)} are free; make room, link it to a larger disk or lower scale.max_images"
            )
        return
    would = _smaller(plan, chosen.settings)
    for what, train in _others(run.train, chosen):
        other = set_up(run.model_copy(update={"train": train}), max_epochs, seed, inputs, processes)
        planned = forecast.measure(other, inputs.cache, processes)
        if planned.goes(other.settings.batch):
            would.append(f"{what}, {forecast.size(planned.peak(other.settings.batch))}")
        else:
            would += [f"{what} with {smaller}" for smaller in _smaller(planned, other.settings)]
    peak = plan.peak(chosen.settings.batch)
    takes = forecast.size(peak) if peak is not None else "more"
    advice = f"what would fit: {'; '.join(would)}" if would else "nothing that it could do in its place would fit"
    raise UserError(
        f"a step of {chosen.settings.batch} takes {takes} of memory, where there may be {forecast.size(plan.limit)}; {advice}"
    )


def _smaller(plan: Plan, settings: params.Train) -> list[str]:
    """The largest part of a batch that goes, in steps as before."""
    for parts in range(2, settings.batch + 1):
        batch = settings.batch // parts
        if settings.batch % parts == 0 and plan.goes(batch):
            accumulate = settings.accumulate * parts
            return [f"batch: {batch} and accumulate: {accumulate}, {forecast.size(plan.peak(batch))}"]
    return []


def _others(train: params.Train, ready: Setup) -> Iterator[tuple[str, params.Train]]:
    """Settings that take less, and what to call them."""
    segmenter = ready.segmenter
    encoding = [part for part in segmenter.PARTS if segmenter.trains_encoder(part)]
    if not encoding:
        return
    if not segmenter.encoder_trainable:
        if train.augment is not None:
            yield "no augment, so that features are computed once", train.model_copy(update={"augment": None})
        return
    decoders = [part for part in train.parts if part not in encoding]
    decoders = decoders or [part for part in segmenter.PARTS if part not in encoding][:1]
    plain = {"lora": params.Lora()}
    if "lora" in encoding and "lora" not in train.parts:
        parts = ["lora", *decoders]
        yield f"parts: [{', '.join(parts)}]", train.model_copy(update={**plain, "parts": parts})
    if decoders:
        less = {**plain, "parts": decoders, "augment": None}
        augment = ", no augment" * (train.augment is not None)
        yield (
            f"parts: [{', '.join(decoders)}]{augment}, whose features are computed once",
            train.model_copy(update=less),
        )
