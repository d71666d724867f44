"""What can be known to be wrong before anything runs: a finetune run's prompt is first read hours into it."""

from promptseg import datasets, models, params
from promptseg.errors import Problem
from promptseg.segmenter import Segmenter


def check() -> str:
    """A line that says what params.yaml holds. Raises Problem with the first thing that cannot work."""
    settings = params.load()
    for name in settings.datasets:
        datasets.load(name)
    for name in {**settings.zero_shot, **settings.finetune}:
        run = settings.run(name)
        segmenter = segmenter_class(run.model)
        segmenter.check_prompt(run.prompt)
        classes = len(datasets.load(run.dataset).CLASSES)
        for prompt in (run.prompt, getattr(run, "train", run).prompt):
            segmenter.check_prompt(prompt)
            if prompt.text is not None and len(prompt.text) != classes:
                raise Problem(
                    f"params.yaml: {name}: {len(prompt.text)} phrases, but {run.dataset} has {classes} classes"
                )
    for name, run in settings.finetune.items():
        segmenter_class(run.model).check_parts(run.train.parts)
    counts = f"{len(settings.datasets)} datasets, {len(settings.models)} models"
    return f"params.yaml: {counts}, {len(settings.zero_shot)} zero-shot and {len(settings.finetune)} fine-tuned runs"


def segmenter_class(model: str) -> type[Segmenter]:
    """The class behind a model's module."""
    module = models.load(model)
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Segmenter) and value.__module__ == module.__name__
    )
    return found
