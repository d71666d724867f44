"""Run inference on a split and write probability maps."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from promptseg import models, prompts
from promptseg.core import devices, progress
from promptseg.core.devices import Processes
from promptseg.core.runs import Run
from promptseg.data import generated_masks, point_clouds, records
from promptseg.data.records import Prediction, Record, RecordReader
from promptseg.inference import embedding_cache
from promptseg.inference.class_maps import predict_classes, unprompted_background
from promptseg.inference.validation import ValidationSplit, unused_columns
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import PromptConfig, PromptSource

CHUNK = 16  # records that a process takes at a time


@dataclass(frozen=True)
class Inputs:
    """Paths that a run reads.

    Attributes:
        split: Parquet shards of the test split.
        checkpoint: folder of released weights.
        cache: folder of the embedding caches.
        finetuned: folder of a fine-tuned run's weights; None for a zero-shot run.
        val: Parquet shards of the validation split, on which the threshold is chosen; None: it is not chosen.
    """

    split: Path
    checkpoint: Path
    cache: Path
    finetuned: Path | None = None
    val: Path | None = None


@dataclass(frozen=True)
class Job:
    """What predicts the records of a split.

    Attributes:
        segmenter: the loaded model.
        features: indexes of records -> their features.
        records: of the split.
        processes: that share the work.
    """

    segmenter: Segmenter
    features: Callable[[list[int]], Features]
    records: RecordReader
    processes: Processes

    def predict(self, index: int, prompt: PromptConfig) -> Prediction:
        """Predict a record of the split."""
        features = functools.partial(self.features, [index])
        return predict_record(self.segmenter, features, self.records[index], self.records.metadata, prompt)


def predict(run: Run, inputs: Inputs, out: Path) -> None:
    """Predict all records of a split; the bytes do not depend on the number of processes.

    Args:
        run: model and prompt.
        inputs: what is read.
        out: Parquet file of predictions, a row for each record, in the split's order. Its metadata has the `threshold`
            that was chosen on the validation split, where one was.

    Raises:
        UserError: the model does not take the prompt or the modality, or an input is missing or damaged.
    """
    models.segmenter_class(run.model).check_prompt(run.prompt)  # before hours of encoding
    prepare_split = load(run.model, run.dataset, inputs, only_foreground=_needs_foreground(run.prompt))
    threshold = choose_threshold(prepare_split, inputs.val, run.prompt) if inputs.val else None
    job = prepare_split(inputs.split)
    metadata = {
        "classes": job.records.metadata["classes"],
        "model": run.model,
        "prompt": run.prompt.model_dump(exclude_defaults=True),
        "oracle": run.prompt.oracle,
        "seed": job.records.metadata["seed"],
    }
    if threshold is not None:
        metadata["threshold"] = threshold
    write_predictions(job, out, metadata, lambda index: job.predict(index, run.prompt))


def load(model: str, dataset: str, inputs: Inputs, only_foreground: bool) -> Callable[[Path], Job]:
    """Load a model.

    Args:
        model: name of the model.
        dataset: name of the dataset.
        inputs: what is read.
        only_foreground: records without foreground in the ground truth need no features.

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
        source = embedding_cache.Source(path, split, digest, inputs.cache)
        needed = np.flatnonzero(split.column("foreground")).tolist() if only_foreground else None
        return Job(segmenter, embedding_cache.features(segmenter, source, processes, needed), split, processes)

    return prepare_split


def choose_threshold(prepare_split: Callable[[Path], Job], val: Path, prompt: PromptConfig) -> float | None:
    """Choose the threshold of `histogram.THRESHOLDS` with the best headline metric on a validation split.

    Args:
        prepare_split: of `load`.
        val: Parquet shards of the validation split.
        prompt: of the run.

    Returns:
        The threshold; None where there are no probabilities to choose one for (automatic masks, point clouds), no
        records or no ground truth.
    """
    split = records.open_split(val)
    if len(split) == 0 or prompt.kind == "automatic" or point_clouds.is_point_cloud(split.metadata):
        return None
    job = replace(prepare_split(val), records=records.open_split(val, unused_columns(prompt)))
    validation = ValidationSplit(job.records, job.processes)
    indexes = progress.bar(validation.indexes, desc="validate", main=job.processes.main)
    scores = validation.score(job.predict(index, prompt) for index in indexes)
    return None if scores is None else scores.best_threshold()


def write_predictions(job: Job, out: Path, metadata: dict, predict_record: Callable[[int], Prediction]) -> None:
    """Write a prediction for each record, computed by all processes of the job.

    Args:
        job: model, features and records.
        out: Parquet file.
        metadata: of the file.
        predict_record: index of a record -> its prediction.
    """
    processes = job.processes
    own = out if processes.world == 1 else _share(out, processes.rank)
    with records.RecordWriter(own, Prediction, metadata) as writer:
        chunks = list(processes.chunks(len(job.records), CHUNK))
        for chunk in progress.bar(chunks, desc="predict", main=processes.main):
            for index in chunk:
                writer.add(predict_record(index))
    processes.wait()
    if processes.main and processes.world > 1:
        _merge(out, processes.world, len(job.records), metadata)
    processes.close()


def _needs_foreground(prompt: PromptConfig) -> bool:
    """Whether a run has nothing to prompt for, or to match its masks with, in a record without foreground."""
    return prompt.oracle or prompt.kind == "automatic"


def predict_record(
    segmenter: Segmenter, features: Callable[[], Features], record: Record, metadata: dict, prompt: PromptConfig
) -> Prediction:
    """Predict a record.

    Args:
        segmenter: the model.
        features: computes or reads the record's; not called where it has no prompts, or no foreground to match
            automatic masks with.
        record: its image is needed for automatic masks alone.
        metadata: of its split.
        prompt: of the run.
    """
    if prompt.kind == "automatic":
        masks = []
        if record.foreground:
            from promptseg.inference import automatic_masks  # imports torchvision, which takes seconds

            masks = automatic_masks.generate(segmenter, features(), records.image(record), prompt.generator)
        return Prediction(record.id, b"", prompts.to_json([]), generated_masks.to_json(masks))
    source = prompt_source(record, metadata, prompt)
    image_prompts, _ = prompts.build_prompts(prompt, source)
    shape = (len(source.classes), record.height, record.width)
    exclusive = point_clouds.is_point_cloud(metadata)
    encoded = features() if image_prompts else {}
    background = unprompted_background(source.classes, image_prompts)
    maps = predict_classes(segmenter, encoded, image_prompts, shape, exclusive, background)
    return Prediction(record.id, maps.packed(), prompts.to_json(image_prompts))


def prompt_source(record: Record, metadata: dict, prompt: PromptConfig) -> PromptSource:
    """What prompts for a record are built from. metadata: of the record's split, which has the study's seed."""
    return PromptSource(
        id=record.id,
        mask=records.mask(record),
        classes=metadata["classes"],
        seed=metadata["seed"],
        text=record.text,
        support=records.support(record) if prompt.support else None,
        requested=metadata.get("classes_by_category", {}).get(record.text),
        is_classification=metadata.get("is_classification", False),
        instances=records.instances(record),
        words=metadata.get("words", ()),
    )


def _share(out: Path, rank: int) -> Path:
    return out.with_name(f".{out.name}.share{rank}")


def _merge(out: Path, world: int, count: int, metadata: dict) -> None:
    """Merge the processes' shares in the order of the split."""
    shares = [records.open_predictions(_share(out, rank)) for rank in range(world)]
    with records.RecordWriter(out, Prediction, metadata) as writer:
        for index in range(count):
            chunk, position = divmod(index, CHUNK)
            turn, rank = divmod(chunk, world)
            writer.add(shares[rank][turn * CHUNK + position])
    for share in out.parent.glob(f".{out.name}.share*"):  # also those of an earlier, larger group that was killed
        share.unlink()
