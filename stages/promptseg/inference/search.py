"""Search for the best prompt on a validation split, where each image is encoded once for all candidates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from promptseg import models, prompts
from promptseg.core import files, progress
from promptseg.core.errors import UserError
from promptseg.core.search import Search
from promptseg.data import point_clouds, records
from promptseg.data.records import Prediction, UnpackedPrediction
from promptseg.evaluation.run_scores import RunScores
from promptseg.inference import training_support
from promptseg.inference.class_maps import predict_candidates
from promptseg.inference.prediction import Inputs, Job, load, needs_foreground, prompt_source
from promptseg.inference.racing import Standing, race
from promptseg.inference.training_support import TrainingSupport
from promptseg.inference.validation import ValidationSplit, unused_columns
from promptseg.prompts import PromptConfig
from promptseg.report import tables

DIGITS = 6  # after the decimal point


@dataclass(frozen=True)
class Outputs:
    """Files that `search` writes.

    Attributes:
        winner: JSON, see `searched.take_winner`.
        ranking: CSV with `rank`, `prompt` in words, `iou` on the validation split, and `images`, of how many.
    """

    winner: Path
    ranking: Path


def search(settings: Search, inputs: Inputs, outputs: Outputs) -> None:
    """Score candidates on a validation split and write the best, the first of equal ones, and their ranking.

    Many candidates are scored in rounds (`racing`).

    Args:
        settings: model and candidates.
        inputs: `split` is the validation split.
        outputs: what is written.

    Raises:
        UserError: the model does not take a candidate, no validation image has ground truth, or an input is missing or
            damaged.
    """
    candidates = settings.prompts
    for prompt in candidates:
        models.load(settings.model).check_prompt(prompt)
    prepare_split = load(settings.model, settings.dataset, inputs, all(map(needs_foreground, candidates)))
    job, unused = prepare_split(inputs.split), min(map(unused_columns, candidates), key=len)
    support = [training_support.choose(prompt, inputs.train) if inputs.train else None for prompt in candidates]
    scoring = _Scoring(replace(job, records=records.open_split(inputs.split, unused)), candidates, support)
    standings, passes = scoring.run()
    ranking = [
        {"prompt": candidates[each.candidate].describe(), "iou": round(each.score, DIGITS), "images": each.images}
        for each in standings
    ]
    if job.processes.main:
        winner = candidates[standings[0].candidate].model_dump(mode="json", by_alias=True, exclude_defaults=True)
        about = {"prompt": winner, "score": ranking[0]["iou"], "candidates": len(candidates), **passes}
        files.write_json(outputs.winner, about | {"ranking": ranking})
        rows = [{"rank": rank, **row} for rank, row in enumerate(ranking, 1)]
        tables.write_rows(outputs.ranking, ["rank", "prompt", "iou", "images"], rows)
    job.processes.close()


@dataclass
class _Scoring:
    """Scores of candidates, record by record. support: of the training split, for the candidates that take it."""

    job: Job
    candidates: list[Any]
    support: list[TrainingSupport | None]
    encoded: set[int] = field(default_factory=set)  # numbers of records
    decoded: int = 0

    def run(self) -> tuple[list[Standing], dict[str, int]]:
        """Rank the candidates, and count the passes of all processes by name."""
        processes, split = self.job.processes, self.job.records
        images = ValidationSplit(split, processes).with_truth
        if not images:
            raise UserError(
                f"{split.path}: no image has a mask that would tell which prompt is best; raise val_fraction"
            )
        # Neighbors of a stack or a clip are alike: the first images of a split say little about the others.
        shuffled = np.random.default_rng(split.metadata["seed"]).permutation(images).tolist()
        standings = race(len(self.candidates), shuffled, self._score)
        encoded, decoded = zip(*processes.gather((len(self.encoded), self.decoded)), strict=True)
        return standings, {"encoder_passes": sum(encoded), "decoder_passes": sum(decoded)}

    def _score(self, candidates: list[int], images: Sequence[int]) -> list[RunScores]:
        """Score these candidates on these images."""
        validation = ValidationSplit(self.job.records, self.job.processes, images)
        indexes = progress.bar(validation.indexes, desc="search", main=self.job.processes.main)
        predictions = (list(self._predict(index, candidates)) for index in indexes)
        return validation.score_candidates(predictions, len(candidates))

    def _predict(self, index: int, candidates: list[int]) -> Iterator[Prediction]:
        """Predict a record for each of these candidates."""
        record, metadata = self.job.records[index], self.job.records.metadata
        plain = prompt_source(record, metadata, PromptConfig(), None)  # so that its mask is decoded once
        built = []
        for candidate in candidates:
            prompt, support = self.candidates[candidate], self.support[candidate]
            source = prompt_source(record, metadata, prompt, support) if prompt.support else plain
            built.append(prompts.build_prompts(prompt, source)[0])
        features = self.job.features([index]) if any(built) else {}
        if any(map(len, built)):
            self.encoded.add(index)
        self.decoded += sum(map(len, built))
        size, exclusive = (record.height, record.width), point_clouds.is_point_cloud(metadata)
        is_tile = metadata["score"] != "tile" and size != (record.source_height, record.source_width)
        for maps in predict_candidates(self.job.segmenter, features, built, plain.classes, size, exclusive):
            if is_tile:  # packed, as those of a large image are held until all are there
                yield Prediction(record.id, maps.packed(), "[]")
            else:
                yield UnpackedPrediction(record.id, b"", "[]", values=maps.quantized())
