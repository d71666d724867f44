"""`promptseg doctor --fit`: whether a run fits on this machine, and how long it takes."""

from pathlib import Path

from promptseg.core import study
from promptseg.core.errors import UserError
from promptseg.core.runs import FineTune
from promptseg.core.units import format_bytes, format_seconds

PREPARED, CHECKPOINTS, CACHE = Path("data/prepared"), Path("data/checkpoints"), Path("data/embeddings")


def plan(name: str) -> None:
    """Print the memory and time that a run of params.yaml needs.

    Raises:
        UserError: its inputs are missing, or it does not fit; of a fine-tuned run the message then names settings that
            would.
    """
    settings = study.load()
    run = settings.run(name)
    dataset, checkpoint = PREPARED / run.dataset, CHECKPOINTS / run.model
    stages = {dataset: f"preprocess@{run.dataset}", checkpoint: f"checkpoint@{run.model}"}
    missing = {path: stage for path, stage in stages.items() if not path.exists()}
    if missing:
        raise UserError(f"{next(iter(missing))}: not found; `dvc repro {' '.join(missing.values())}` makes it")
    if not isinstance(run, FineTune):
        print(f"{name}: {run.model} on {run.dataset}")
        print(_of_prediction(run.model, dataset / "test.parquet", checkpoint))
        return
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


def _of_prediction(model: str, test: Path, checkpoint: Path) -> str:
    """Measure one image of the test split, and describe that and what the split takes."""
    from promptseg import models
    from promptseg.core import devices
    from promptseg.data import records
    from promptseg.inspection.measure import measure

    devices.configure_torch(devices.Processes())
    split = records.open_split(test)
    segmenter = models.load(model).load(checkpoint, len(split.metadata["classes"]))
    speed = measure(segmenter, records.image(split[0]), "an object")
    encoding, features = format_seconds(len(split) * speed.encode), format_bytes(len(split) * speed.features)
    return f"an image   {speed.describe()}\n{len(split):,} images  encoded in {encoding}, features {features}"
