"""`promptseg doctor --fit`: whether a fine-tuned run fits on this machine, and how long it takes."""

from pathlib import Path

from promptseg.core import study
from promptseg.core.errors import UserError
from promptseg.core.runs import FineTune

PREPARED, CHECKPOINTS, CACHE = Path("data/prepared"), Path("data/checkpoints"), Path("data/embeddings")


def plan(name: str) -> None:
    """Print the memory and time that a run of params.yaml needs.

    Raises:
        UserError: the run is not a fine-tuned one, its inputs are missing, or it does not fit; the message then names
            settings that would.
    """
    settings = study.load()
    run = settings.run(name)
    if not isinstance(run, FineTune):
        raise UserError(f"{name} is not fine-tuned; fine-tuned runs: {', '.join(settings.finetune)}")
    dataset, checkpoint = PREPARED / run.dataset, CHECKPOINTS / run.model
    stages = {dataset: f"preprocess@{run.dataset}", checkpoint: f"checkpoint@{run.model}"}
    missing = {path: stage for path, stage in stages.items() if not path.exists()}
    if missing:
        raise UserError(f"{next(iter(missing))}: not found; `dvc repro {' '.join(missing.values())}` makes it")
    from promptseg import models
    from promptseg.training import fit_check
    from promptseg.training.setup import Inputs, Job

    config = run.train.completed(models.load(run.model).TRAIN_DEFAULTS)
    fit = fit_check.describe_fit(
        Job(run, settings.scale.max_epochs, settings.seed),
        Inputs(dataset / "train.parquet", dataset / "val.parquet", checkpoint, CACHE),
    )
    print(f"{name}: {', '.join(config.trainable or [])} of {run.model} on {run.dataset}")
    print(fit)
