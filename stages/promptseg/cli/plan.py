"""Will a fine-tuned run fit on this machine, and how long will it take?"""

from pathlib import Path

from promptseg.core import params
from promptseg.core.errors import UserError

PREPARED, CHECKPOINTS, CACHE = Path("data/prepared"), Path("data/checkpoints"), Path("data/embeddings")


def plan(name: str) -> None:
    """Print the plan of a run of params.yaml. Raises UserError where it is none that trains, where its inputs are not
    here, and, with what would, where it does not fit."""
    settings = params.load()
    run = settings.run(name)
    if not isinstance(run, params.FineTune):
        raise UserError(f"{name} trains nothing; fine-tuned runs: {', '.join(settings.finetune)}")
    dataset, checkpoint = PREPARED / run.dataset, CHECKPOINTS / run.model
    brought = {dataset: f"preprocess@{run.dataset}", checkpoint: f"checkpoint@{run.model}"}
    missing = {path: stage for path, stage in brought.items() if not path.exists()}
    if missing:
        raise UserError(f"{next(iter(missing))}: not there; `dvc repro {' '.join(missing.values())}` makes it")
    from promptseg.training import fit_check
    from promptseg.training.setup import Inputs

    inputs = Inputs(dataset / "train.parquet", dataset / "val.parquet", checkpoint, CACHE)
    print(f"{name}: {', '.join(run.train.parts)} of {run.model} on {run.dataset}")
    print(fit_check.look(run, settings.scale.max_epochs, settings.seed, inputs))
