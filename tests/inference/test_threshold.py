"""The threshold of a run: the best on the validation split, kept in the metadata of its predictions."""

from pathlib import Path

import numpy as np
import pytest
from promptseg import models
from promptseg.core.runs import Run
from promptseg.data import records
from promptseg.evaluation.histogram import THRESHOLDS
from promptseg.inference import prediction
from promptseg.inference.validation import has_threshold
from promptseg.nn import weights
from promptseg.prompts import PromptConfig


def store(folder: Path, name: str) -> Path:
    model = models.load(name).create("tiny", 0)
    weights.write(folder, model.configuration(), model.state_dict(), model.files())
    return folder


def mean_ious(split: Path, predictions: Path) -> list[float]:
    """Mean IoU over the images with a disc, at each threshold, of masks compared pixel by pixel."""
    ious = []
    for record, row in zip(records.open_split(split), records.open_predictions(predictions), strict=True):
        target, (values,) = records.mask(record) == 1, records.unpack(row, 1)
        if target.any():
            masks = [values / 256 >= threshold for threshold in THRESHOLDS]
            ious.append([np.sum(mask & target) / np.sum(mask | target) for mask in masks])
    return np.mean(ious, axis=0).tolist()


def test_it_is_the_best_on_the_validation_split_and_not_on_the_test_split(blobs, tmp_path):
    checkpoint, cache = store(tmp_path / "c", "clipseg"), tmp_path / "e"
    run = Run(dataset="em", model="clipseg", prompt=PromptConfig(text=["disc"]))
    test, val = blobs("test", 3), blobs("val", 5, seed=1, empty=(1,))
    prediction.predict(run, prediction.Inputs(val, checkpoint, cache), tmp_path / "val.out")
    prediction.predict(run, prediction.Inputs(test, checkpoint, cache, val=val), tmp_path / "test.out")
    prediction.predict(run, prediction.Inputs(test, checkpoint, cache), tmp_path / "plain.out")
    ious = mean_ious(val, tmp_path / "val.out")
    best = [threshold for threshold, iou in zip(THRESHOLDS, ious, strict=True) if iou == max(ious)]
    chosen = records.open_predictions(tmp_path / "test.out")
    assert chosen.metadata["threshold"] == min(best, key=lambda threshold: abs(threshold - 0.5)) != 0.5
    without = records.open_predictions(tmp_path / "plain.out")
    assert without.metadata == {k: v for k, v in chosen.metadata.items() if k != "threshold"}
    assert list(without) == list(chosen)


@pytest.mark.parametrize(
    "model, prompt, val",
    [("sam", {"automatic": {"points": 2}}, {"count": 2}), ("sam", {"points": 1}, {"count": 0}),
     ("sam", {"points": 1}, {"count": 2, "empty": (0, 1)})],
    ids=["automatic masks", "no records", "no ground truth"],
)  # fmt: skip
def test_there_is_none_without_probabilities_records_or_ground_truth(blobs, tmp_path, model, prompt, val):
    checkpoint, run = store(tmp_path / "c", model), Run(dataset="em", model=model, prompt=PromptConfig(**prompt))
    inputs = prediction.Inputs(blobs("test", 2), checkpoint, tmp_path / "e", val=blobs("val", **val))
    prediction.predict(run, inputs, tmp_path / "out.parquet")
    assert "threshold" not in records.open_predictions(tmp_path / "out.parquet").metadata


def test_point_clouds_have_none_as_each_point_has_a_class(tmp_path):
    with records.RecordWriter(tmp_path / "val", records.Record, {"classes": ["a"], "modality": "point_cloud"}) as out:
        out.add(records.Record("a", "g", b"", b"", 9, 2, "a", 0, 0, 9, 2, foreground=18))
    assert prediction.choose_threshold(pytest.fail, tmp_path / "val", PromptConfig(text=["a"])) is None


def test_there_is_none_where_the_background_takes_what_no_other_class_claims(blobs, tmp_path):
    with records.RecordWriter(tmp_path / "val", records.Record, {"classes": ["background", "dog"]}) as out:
        out.add(records.open_split(blobs("one", 1))[0])
    assert prediction.choose_threshold(pytest.fail, tmp_path / "val", PromptConfig(text="class")) is None
    alone = {"classes": ["background"], "modality": "image"}
    assert has_threshold(alone, PromptConfig()) and not has_threshold(alone, PromptConfig(automatic=True))
