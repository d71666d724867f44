"""Run inference on a split and write probability maps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from promptseg import models, prompts
from promptseg.core import devices, progress
from promptseg.core.devices import Processes
from promptseg.core.runs import Run
from promptseg.data import generated_masks, point_clouds, records
from promptseg.data.records import Prediction, Record, RecordReader
from promptseg.inference import embedding_cache
from promptseg.inference.class_maps import predict_classes
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import PromptSource

CHUNK = 16  # records that a process takes at a time


@dataclass(frozen=True)
class Inputs:
    """Paths that a run reads.

    Attributes:
        split: Parquet shards of the test split.
        checkpoint: folder of released weights.
        cache: folder of the embedding caches.
        finetuned: folder of a fine-tuned run's weights; None for a zero-shot run.
    """

    split: Path
    checkpoint: Path
    cache: Path
    finetuned: Path | None = None


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


def predict(run: Run, inputs: Inputs, out: Path) -> None:
    """Predict all records of a split; the bytes do not depend on the number of processes.

    Args:
        run: model and prompt.
        inputs: what is read.
        out: Parquet file of predictions, a row for each record, in the split's order.

    Raises:
        UserError: the model does not take the prompt or the modality, or an input is missing or damaged.
    """
    models.segmenter_class(run.model).check_prompt(run.prompt)  # before hours of encoding
    job = prepare(run.model, run.dataset, inputs)
    metadata = {
        "classes": job.records.metadata["classes"],
        "model": run.model,
        "prompt": run.prompt.model_dump(exclude_defaults=True),
        "oracle": run.prompt.oracle,
        "seed": job.records.metadata["seed"],
    }
    write_predictions(job, out, metadata, lambda index: _predict_record(job, index, run))


def prepare(model: str, dataset: str, inputs: Inputs) -> Job:
    """Load a model and compute or open the features of a split. Raises UserError where they do not fit."""
    processes = Processes()
    devices.configure_torch(processes)
    split = records.open_split(inputs.split)
    segmenter = models.load(model).load(inputs.checkpoint, len(split.metadata["classes"])).to(processes.device)
    segmenter.check_modality(split.metadata.get("modality", "image"), dataset)
    digest = weights.digest(inputs.checkpoint)
    if inputs.finetuned is not None:
        digest = finetuned_weights.apply(segmenter, digest, inputs.finetuned)
    cache = embedding_cache.Source(inputs.split, split, digest, inputs.cache)
    return Job(segmenter, embedding_cache.features(segmenter, cache, processes), split, processes)


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


def _predict_record(job: Job, index: int, run: Run) -> Prediction:
    record, metadata = job.records[index], job.records.metadata
    features = job.features([index])
    if run.prompt.kind == "automatic":
        from promptseg.inference import automatic_masks  # imports torchvision, which takes seconds

        image = records.image(record)
        masks = automatic_masks.generate(job.segmenter, features, image, run.prompt.generator)
        return Prediction(record.id, b"", prompts.to_json([]), generated_masks.to_json(masks))
    source = prompt_source(record, metadata, run)
    image_prompts, _ = prompts.build_prompts(run.prompt, source)
    shape = (len(source.classes), record.height, record.width)
    exclusive = point_clouds.is_point_cloud(metadata)
    maps = predict_classes(job.segmenter, features, image_prompts, shape, exclusive)
    return Prediction(record.id, maps.packed(), prompts.to_json(image_prompts))


def prompt_source(record: Record, metadata: dict, run: Run) -> PromptSource:
    """What a run's prompts for a record are built from. metadata: of the record's split, which has the study's seed."""
    return PromptSource(
        id=record.id,
        mask=records.mask(record),
        classes=metadata["classes"],
        seed=metadata["seed"],
        text=record.text,
        support=records.support(record) if run.prompt.support else None,
        requested=metadata.get("classes_by_category", {}).get(record.text),
        is_classification=metadata.get("is_classification", False),
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
