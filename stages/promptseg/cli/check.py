"""Checks of params.yaml before anything runs; a fine-tuned run would otherwise reach its test prompt after hours."""

import contextlib
from collections.abc import Iterator, Sized
from pathlib import Path
from typing import Any

from promptseg import datasets, models
from promptseg.cli.raw_folders import RAW, check_name, download_name
from promptseg.core import study
from promptseg.core.errors import UserError
from promptseg.core.params import PATH, Dataset
from promptseg.core.runs import Cascade, FineTune, Run
from promptseg.core.search import Search
from promptseg.core.searched import Searched
from promptseg.core.study import Study
from promptseg.inference import detections
from promptseg.nn import precision
from promptseg.preprocessing import class_selection


def check() -> str:
    """Check params.yaml against readers, models, losses and optimizers.

    Returns:
        One line with what the file has.

    Raises:
        UserError: the first thing that cannot work.
    """
    settings = study.load()
    for download in settings.download.values():
        datasets.load(download.reader)
    for name, entry in settings.datasets.items():
        _check_raw(name, entry, settings)
    classes = {name: _classes(name, entry) for name, entry in settings.datasets.items()}
    modalities = {name: datasets.modality(name, entry) for name, entry in settings.datasets.items()}
    for name, model in settings.models.items():
        precision.check(model.precision, models.load(name))
    for section in ("search", *study.RUN_SECTIONS):
        for name, run in getattr(settings, section).items():
            with _named(f"{section}.{name}"):
                models.load(run.model).check_modality(modalities[run.dataset], run.dataset)
                if isinstance(run, Cascade):
                    _check_cascade(run, settings)
                elif isinstance(run, Search):
                    for prompt in run.prompts:
                        _check_prompt(run.model, prompt, classes[run.dataset])
                elif not isinstance(run, Searched):  # whose prompt is among those of a search
                    _check_prompts(run, classes[run.dataset])
    zero_shot = {**settings.zero_shot, **settings.searched}
    counts: dict[str, Sized] = {
        "dataset": settings.datasets, "model": settings.models, "zero-shot run": zero_shot,
        "cascade": settings.cascade, "fine-tuned run": settings.finetune,
    }  # fmt: skip
    words = [f"{len(entries)} {noun}{'' if len(entries) == 1 else 's'}" for noun, entries in counts.items()]
    return f"{PATH}: {', '.join(words)}"


def _check_raw(name: str, entry: Dataset, settings: Study) -> None:
    """Raise UserError for names that commands cannot have, and unless `download` fills data/raw by the same reader."""
    check_name(entry.raw, f"params.yaml: datasets.{name}.raw")
    source = download_name(entry.raw)
    if source is None:
        return
    if source not in settings.download:
        raise UserError(
            f"params.yaml: datasets.{name}.raw: nothing fills {RAW / source}; add {source} to download, or give a "
            "folder of your own"
        )
    if settings.download[source].reader != entry.reader:
        raise UserError(
            f"params.yaml: datasets.{name}.reader: {entry.reader!r}, but download.{source} fills {RAW / source} for "
            f"{settings.download[source].reader!r}"
        )


def _classes(name: str, entry: Dataset) -> list[str]:
    """Names of the classes that a dataset has in the study."""
    reader, options = datasets.load(entry.reader), datasets.options(name, entry)
    known = datasets.classes(reader, *options, folder=Path(entry.raw))
    selected, _ = class_selection.select(known, entry.classes, f"datasets.{name}.classes")
    return list(selected)


@contextlib.contextmanager
def _named(key: str) -> Iterator[None]:
    """Name the run in the messages of checks that do not know it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"params.yaml: {key}: {str(error).removeprefix('params.yaml: ')}") from error


def _check_prompts(run: Run, classes: list[str]) -> None:
    """Raise UserError unless the model takes the prompts of a run and can be trained as it says."""
    _check_prompt(run.model, run.prompt, classes)
    if isinstance(run, FineTune):
        from promptseg.training import train_settings

        segmenter = models.load(run.model)
        config = run.train.completed(segmenter.TRAIN_DEFAULTS)
        segmenter.check_training(config)
        config.prompt.check(classes, "train.prompt")
        train_settings.check(config)


def _check_prompt(model: str, prompt: Any, classes: list[str]) -> None:
    models.load(model).check_prompt(prompt)
    prompt.check(classes, "prompt")


def _check_cascade(run: Cascade, settings: Study) -> None:
    """Raise UserError unless the model takes the prompts of a cascade and the other run has probability maps."""
    if not {"points", "box", "mask"} <= models.load(run.model).PROMPTS:
        raise UserError(
            f"{run.model} takes no points, boxes and masks, as a cascade needs; use a model that does, such as sam2"
        )
    source = settings.run(run.source)
    if models.load(source.model).DETECTS:
        detections.check_cascade(run.prompt)
    if isinstance(source, Run) and not isinstance(source, Searched) and source.prompt.kind == "automatic":
        raise UserError(
            f"from: {run.source} has automatic masks, which have no probability maps to refine; choose another run"
        )
