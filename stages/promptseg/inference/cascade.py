"""Cascades: the predictions of one run become the prompts of SAM or SAM 2.

Each connected component of a probability map becomes a prompt, or each box of a detector, and the masks of a class are
united. So SAM is prompted by text (through CLIPSeg or a detector) or by any fine-tuned model, and no prompt is taken
from the ground truth.
"""

from pathlib import Path

from promptseg import models, prompts
from promptseg.core.errors import UserError
from promptseg.core.runs import Cascade
from promptseg.data import records
from promptseg.data.records import Prediction, RecordReader
from promptseg.inference import detections, prediction, prediction_file
from promptseg.inference.class_maps import predict_classes
from promptseg.inference.component_prompts import cascade_prompts
from promptseg.inference.prediction import Inputs, Job


def predict_cascade(run: Cascade, inputs: Inputs, source: Path, out: Path) -> None:
    """Refine the predictions of another run.

    Args:
        run: model and how components or boxes become prompts.
        inputs: split and checkpoint.
        source: predictions of the other run.
        out: Parquet file of predictions.

    Raises:
        UserError: the model takes no points and boxes, or the other run has no probability maps of this split, or has
            boxes and the prompts are others.
    """
    if not {"points", "box", "mask"} <= models.load(run.model).PROMPTS:
        raise UserError(
            f"params.yaml: {run.model} takes no points, boxes and masks, as a cascade needs; use a model that does,"
            " such as sam2"
        )
    coarse = records.open_predictions(source)
    if coarse.column("id") != records.open_split(inputs.split).column("id"):
        raise UserError(f"{source}: predictions of another split than {inputs.split}; run `dvc repro`")
    if len(coarse) and coarse[0].generated_masks:
        raise UserError(f"{source}: automatic masks, which have no probability maps to refine; choose another run")
    if len(coarse) and detections.from_json(coarse[0].prompts) is not None:
        detections.check_cascade(run.prompt)
    job = prediction.load(run.model, run.dataset, inputs, coarse.metadata["oracle"])(inputs.split)
    metadata = {
        "classes": coarse.metadata["classes"],
        "model": run.model,
        "prompt": run.prompt.model_dump(),
        "oracle": coarse.metadata["oracle"],
    }
    prediction_file.write_predictions(job, out, metadata, lambda index: _refine(job, coarse, index, run))


def _refine(job: Job, coarse: RecordReader, index: int, run: Cascade) -> Prediction:
    """The prediction of one record."""
    record, row = job.records[index], coarse[index]
    coarse_maps = records.unpack(row, len(coarse.metadata["classes"]))
    image_prompts = cascade_prompts(coarse_maps, row.prompts, run.prompt)
    features = job.features([index]) if image_prompts else {}
    maps = predict_classes(job.segmenter, features, image_prompts, coarse_maps.shape)
    described = prompts.from_json(row.prompts) + image_prompts  # a figure shows both
    return Prediction(record.id, maps.packed(), prompts.to_json(described))
