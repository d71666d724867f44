"""The run that is exported: its entry in params.yaml, its files, and its model with the weights that were tested."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptseg.core.errors import UserError
from promptseg.core.runs import Cascade, FineTune, Run
from promptseg.core.study import Study
from promptseg.report.floors import TRIVIAL

if TYPE_CHECKING:  # torch and pyarrow take seconds, and checks need neither
    from promptseg.nn.segmenter import Segmenter


@dataclass(frozen=True)
class Folders:
    """Folders that the pipeline fills; each has the files of runs, models or datasets by name.

    Attributes:
        prepared: of datasets.
        checkpoints: of models.
        weights: of fine-tuned runs.
        predictions: Parquet files of runs.
        scores: Parquet files of runs.
        summaries: JSON files of datasets.
    """

    prepared: Path = Path("data/prepared")
    checkpoints: Path = Path("data/checkpoints")
    weights: Path = Path("data/weights")
    predictions: Path = Path("data/predictions")
    scores: Path = Path("data/scores")
    summaries: Path = Path("data/summaries")


@dataclass(frozen=True)
class ExportedRun:
    """A run to export.

    Attributes:
        name: of the run.
        study: params.yaml.
        folders: of the pipeline.
    """

    name: str
    study: Study
    folders: Folders = Folders()

    def check(self) -> None:
        """Raise UserError unless params.yaml has the run, and it is of images."""
        from promptseg.data import point_clouds

        if point_clouds.is_point_cloud(self.split_metadata):
            raise UserError(
                f"{self.name}: {self.entry.dataset} holds point clouds, and only runs on images are exported"
            )

    @property
    def entry(self) -> Run | Cascade:
        """Its entry in params.yaml. Raises UserError where there is none."""
        return self.study.run(self.name)

    @property
    def split(self) -> Path:
        """Parquet shards of the test split."""
        return self.folders.prepared / self.entry.dataset / "test.parquet"

    @property
    def predictions(self) -> Path:
        """Parquet file of its predictions."""
        return self.folders.predictions / f"{self.name}.parquet"

    @property
    def scores(self) -> Path:
        """Table of its scores."""
        return self.folders.scores / f"{self.name}.parquet"

    @property
    def finetuned(self) -> Path | None:
        """Folder of its fine-tuned weights; None where it is not trained."""
        return self.folders.weights / self.name if isinstance(self.entry, FineTune) else None

    @functools.cached_property
    def split_metadata(self) -> dict:
        """Metadata of the test split: classes, title, licence, ..."""
        from promptseg.data import records

        return records.open_split(self.split).metadata

    @property
    def classes(self) -> list[str]:
        """Names of the classes 1, 2, ..."""
        return self.split_metadata["classes"]

    @functools.cached_property
    def training(self) -> dict[str, Any]:
        """config.json of its fine-tuned weights; empty where it is not trained."""
        from promptseg.nn import finetuned_weights

        return finetuned_weights.metadata(self.finetuned) if self.finetuned else {}

    @property
    def threshold(self) -> float:
        """Probability from which on a pixel is foreground, as `promptseg segment` uses it."""
        return self.training.get("threshold", 0.5)

    def segmenter(self) -> "Segmenter":
        """Load its model, with adapters merged. Raises UserError for a floor, which has no weights."""
        from promptseg import models
        from promptseg.nn import finetuned_weights, weights

        model = self.entry.model
        if model in TRIVIAL:
            raise UserError(f"{self.name}: {model} is a floor without weights; --format coco, labels or fiftyone")
        checkpoint = self.folders.checkpoints / model
        segmenter = models.load(model).load(checkpoint, len(self.classes))
        if self.finetuned:
            finetuned_weights.apply(segmenter, weights.digest(checkpoint), self.finetuned)
        return segmenter.eval()
