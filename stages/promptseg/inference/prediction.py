"""Run inference on a split and write probability maps."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from promptseg import models, prompts
from promptseg.core import devices, progress
from promptseg.core.devices import Processes
from promptseg.core.runs import Run
from promptseg.data import generated_masks, point_clouds, records
from promptseg.data.records import Prediction, Record, RecordReader
from promptseg.evaluation.run_scores import RunScores
from promptseg.inference import absent_phrase, detections, embedding_cache, embedding_source, sweeps, training_support
from promptseg.inference.class_maps import predict_source
from promptseg.inference.prediction_file import write_predictions
from promptseg.inference.training_support import TrainingSupport
from promptseg.inference.validation import ValidationSplit, has_threshold, unused_columns
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import PromptConfig, PromptSource


@dataclass(frozen=True)
class Inputs:
    """Paths that a run reads.

    Attributes:
        split: Parquet shards of the test split.
        checkpoint: folder of released weights.
        cache: folder of the embedding caches.
        finetuned: folder of a fine-tuned run's weights, which have its threshold; None for a zero-shot run.
        val: Parquet shards of the validation split, on which the threshold of a zero-shot run is chosen; None: it is
            not chosen.
        train: Parquet shards of the training split, for support images; None where none are taken from it.
    """

    split: Path
    checkpoint: Path
    cache: Path
    finetuned: Path | None = None
    val: Path | None = None
    train: Path | None = None


@dataclass(frozen=True)
class Job:
    """What predicts the records of a split.

    Attributes:
        segmenter: the loaded model.
        features: indexes of records -> their features.
        records: of the split.
        processes: that share the work.
        support: support images of the training split, where the prompt takes them.
    """

    segmenter: Segmenter
    features: Callable[[list[int]], Features]
    records: RecordReader
    processes: Processes
    support: TrainingSupport | None = None

    def predict(self, index: int, prompt: PromptConfig) -> Prediction:
        """Predict a record of the split."""
        features = functools.partial(self.features, [index])
        record, metadata = self.records[index], self.records.metadata
        return predict_record(self.segmenter, features, record, metadata, prompt, self.support)


def predict(run: Run, inputs: Inputs, out: Path, found: dict | None = None) -> None:
    """Predict all records of a split; the bytes do not depend on the number of processes.

    Args:
        run: model and prompt.
        inputs: what is read.
        out: Parquet file of predictions, a row for each record, in the split's order. Its metadata has the `threshold`
            that was chosen on the validation split, where one was; of a fine-tuned run `train_images`, the number of
            images that it was trained on; of a run with text what `absent_phrase.measure` returns; of a run in several
            steps `sweep`, what and which they are; of a run with the winner of a search, `search`, what was found; of a
            run with seeds `seed_scores`, [seed, headline] of each, null of the first, whose predictions these are.
        found: of `searched.take_winner`, where the prompt is from there.

    Raises:
        UserError: the model does not take the prompt or the modality, or an input is missing or damaged.
    """
    models.load(run.model).check_prompt(run.prompt)  # before hours of encoding
    about = finetuned_weights.metadata(inputs.finetuned) if inputs.finetuned else {}
    fraction = about.get("train", {}).get("train_fraction", 1.0)
    support = training_support.choose(run.prompt, inputs.train, fraction) if inputs.train else None
    prepare_split = load(run.model, run.dataset, inputs, needs_foreground(run.prompt), support)
    threshold = choose_threshold(prepare_split, inputs.val, run.prompt.first) if inputs.val else about.get("threshold")
    seeds = _score_seeds(run, inputs, prepare_split, about.get("train", {}).get("seeds"), support)
    job = prepare_split(inputs.split)
    metadata: dict[str, Any] = {
        "classes": job.records.metadata["classes"],
        "model": run.model,
        "prompt": run.prompt.model_dump(exclude_defaults=True),
        "oracle": run.prompt.oracle,
        **absent_phrase.measure(job, run.prompt),
    }
    if run.prompt.sweep is not None:
        metadata["sweep"] = {"by": run.prompt.sweep.by, "steps": list(run.prompt.sweep.steps)}
    if threshold is not None:
        metadata["threshold"] = threshold
    if "images" in about:
        metadata["train_images"] = about["images"]
    if seeds:
        metadata["seed_scores"] = seeds
    if found is not None:
        metadata["search"] = found
    write_predictions(job, out, metadata, lambda index: job.predict(index, run.prompt))


def load(
    model: str, dataset: str, inputs: Inputs, only_foreground: bool, support: TrainingSupport | None = None
) -> Callable[[Path], Job]:
    """Load a model.

    Args:
        model: name of the model.
        dataset: name of the dataset.
        inputs: what is read.
        only_foreground: records without foreground in the ground truth need no features.
        support: of the jobs.

    Returns:
        path of a split -> what predicts it; computes or opens its features.

    Raises:
        UserError: they do not fit.
    """
    processes = Processes()
    devices.configure_torch(processes)
    metadata = records.open_split(inputs.split).metadata
    segmenter = models.load(model).load(inputs.checkpoint, len(metadata["classes"])).to(processes.device)
    segmenter.check_modality(metadata.get("modality", "image"), dataset)
    digest = weights.digest(inputs.checkpoint)
    if inputs.finetuned is not None:
        digest = finetuned_weights.apply(segmenter, digest, inputs.finetuned)

    def prepare_split(path: Path) -> Job:
        split = records.open_split(path)
        source = embedding_source.Source(path, split, digest, inputs.cache)
        needed = np.flatnonzero(split.column("foreground")).tolist() if only_foreground else None
        features = embedding_cache.features(segmenter, source, processes, needed)
        return Job(segmenter, features, split, processes, support)

    return prepare_split


def choose_threshold(prepare_split: Callable[[Path], Job], val: Path, prompt: PromptConfig) -> float | None:
    """Choose the threshold of `histogram.THRESHOLDS` with the best headline metric on a validation split.

    Args:
        prepare_split: of `load`.
        val: Parquet shards of the validation split.
        prompt: of the run.

    Returns:
        The threshold; None where none has an effect (`validation.has_threshold`), or where there are no records or no
        ground truth.
    """
    split = records.open_split(val)
    if len(split) == 0 or not has_threshold(split.metadata, prompt):
        return None
    scores = _score(prepare_split, val, prompt, "validate")
    return None if scores is None else scores.best_threshold()


def _score(prepare_split: Callable[[Path], Job], path: Path, prompt: PromptConfig, desc: str) -> RunScores | None:
    """Score a prompt on a split without writing predictions; None where no image has ground truth."""
    job = replace(prepare_split(path), records=records.open_split(path, unused_columns(prompt)))
    split = ValidationSplit(job.records, job.processes)
    indexes = progress.bar(split.indexes, desc=desc, main=job.processes.main)
    return split.score(job.predict(index, prompt) for index in indexes)


def _score_seeds(
    run: Run, inputs: Inputs, prepare_split: Callable[[Path], Job], trained: list[int] | None,
    support: TrainingSupport | None,
) -> list[tuple[int, float | None]]:  # fmt: skip
    """Headline of the test split with each seed but the first; trained: seeds of a fine-tuned run."""
    found: list[tuple[int, float | None]] = []
    for seed in trained or run.prompt.seeds or []:
        scores, prompt = None, run.prompt
        if found and trained:
            assert inputs.finetuned is not None  # as its metadata has the seeds
            repeated = replace(inputs, finetuned=inputs.finetuned / f"seed-{seed}")
            prepare = load(run.model, run.dataset, repeated, needs_foreground(prompt), support)
            scores = _score(prepare, inputs.split, prompt, f"seed {seed}")
        elif found:
            prompt = prompt.model_copy(update={"seeds": [seed]})
            scores = _score(prepare_split, inputs.split, prompt, f"seed {seed}")
        found.append((seed, scores.headline() if scores else None))
    return found


def needs_foreground(prompt: PromptConfig) -> bool:
    """Whether a run has nothing to prompt for, or to match its masks with, in a record without foreground."""
    return prompt.oracle or prompt.kind == "automatic"


def predict_record(
    segmenter: Segmenter, features: Callable[[], Features], record: Record, metadata: dict, prompt: PromptConfig,
    support: TrainingSupport | None = None,
) -> Prediction:  # fmt: skip
    """Predict a record.

    Args:
        segmenter: the model.
        features: computes or reads the record's; not called where it has no prompts, or no foreground to match
            automatic masks with.
        record: its image is needed for automatic masks alone.
        metadata: of its split.
        prompt: of the run.
        support: support images of the training split, where the prompt takes them.
    """
    if prompt.kind == "automatic":
        masks = []
        if record.foreground:
            from promptseg.inference import automatic_masks  # imports torchvision, which takes seconds

            masks = automatic_masks.generate(segmenter, features(), records.image(record), prompt.generator)
        return Prediction(record.id, b"", prompts.to_json([]), generated_masks.to_json(masks))
    source = prompt_source(record, metadata, prompt, support)
    if prompt.sweep is not None:
        swept = sweeps.predict_sweep(segmenter, features, prompt, source)
        return Prediction(record.id, swept.maps.packed(), prompts.to_json(swept.prompts), sweep=swept.scores)
    maps, image_prompts = predict_source(segmenter, features, prompt, source, point_clouds.is_point_cloud(metadata))
    return Prediction(record.id, maps.packed(), detections.to_json(image_prompts, maps.detections))


def prompt_source(
    record: Record, metadata: dict, prompt: PromptConfig, support: TrainingSupport | None
) -> PromptSource:
    """What prompts for a record are built from.

    Args:
        record: the record.
        metadata: of its split, which has the study's seed.
        prompt: of the run.
        support: support images of the training split, where the prompt takes them.
    """
    shown = training_support.own_support(record, len(metadata["classes"])) if prompt.support is True else {}
    return PromptSource(
        id=record.id,
        mask=records.mask(record),
        classes=metadata["classes"],
        seed=prompt.seeds[0] if prompt.seeds else metadata["seed"],
        text=record.text,
        support=support.for_record(record.id) if support else shown,
        requested=metadata.get("classes_by_category", {}).get(record.text),
        is_classification=metadata.get("is_classification", False),
        instances=records.instances(record),
        words=metadata.get("words", ()),
    )
