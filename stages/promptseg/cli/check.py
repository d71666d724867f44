"""What can be known to be wrong before anything runs: a finetune run's prompt is first read hours into it."""

from promptseg import datasets, models, prompts
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.nn import precision
from promptseg.nn.segmenter import Segmenter
from promptseg.preprocessing import class_selection

NAMED = {  # keys with a default that dvc.yaml names all the same
    "source": "null: as scale says",
}


def check() -> str:
    """A line that says what params.yaml holds. Raises UserError with the first thing that cannot work."""
    settings = params.load()
    classes, kinds = {}, {}
    for section in ("datasets", "models"):
        for name, entry in getattr(settings, section).items():
            for key in [key for key in NAMED if key in type(entry).model_fields and key not in entry.model_fields_set]:
                raise UserError(f"params.yaml: {section}.{name}.{key}: missing; DVC tracks it by name ({NAMED[key]})")
    for name, dataset in settings.datasets.items():
        known = datasets.classes(datasets.load(dataset.reader), *datasets.options(name, dataset))
        kinds[name] = datasets.kind(name, dataset)
        classes[name], _ = class_selection.select(known, dataset.classes, f"datasets.{name}.classes")
    for name, model in settings.models.items():
        precision.check(model.precision, segmenter_class(name))
    for name in {**settings.zero_shot, **settings.finetune}:
        run = settings.run(name)
        segmenter = segmenter_class(run.model)
        segmenter.check_modality(kinds[run.dataset], run.dataset)
        segmenter.check_prompt(run.prompt)
        for prompt in (run.prompt, getattr(run, "train", run).prompt):
            segmenter.check_prompt(prompt)
            prompts.check_phrases(prompt.text, classes[run.dataset], name)
    for name, run in settings.finetune.items():
        segmenter_class(run.model).check_training(run.train)
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
