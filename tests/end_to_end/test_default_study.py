"""What the default study shows, by the metrics in the repository, which `make repro` makes again to the byte."""

import json

import pandas as pd
import pytest
from conftest import ROOT
from promptseg.core import study
from promptseg.core.params import Scale

STUDY = study.load(ROOT / "params.yaml")


def iou(run: str) -> float:
    return json.loads((ROOT / "metrics" / f"{run}.json").read_text())["iou_mean"]


def foreground(dataset: str) -> float:
    """Share of the test split's pixels that are foreground: the pooled IoU of predicting the whole image."""
    table = pd.read_csv(ROOT / "plots" / "datasets.csv")
    return float(table[(table.dataset == dataset) & (table.split == "test")].foreground.iloc[0])


def setting(run) -> tuple:
    return run.dataset, run.model, run.prompt


# Fine-tuned runs that were trained with the kind of prompt that they are tested with, each with the zero-shot run of
# the same model, dataset and prompt.
PAIRS = [
    (name, zero)
    for name, run in STUDY.finetune.items()
    for zero, other in STUDY.zero_shot.items()
    if run.prompt.kind == run.train.prompt.kind and setting(other) == setting(run)
]


def test_it_is_at_the_default_scale():
    assert STUDY.scale == Scale(data="sample", checkpoints="tiny", max_epochs=3, max_images=32)


def test_a_box_beats_a_point_for_sam():
    """Three datasets have both; at least two of them must show it."""
    points = {"em-sam-box": "em-sam-points", "fires-sam-box": "fires-sam-point", "covid-sam-box": "covid-sam-point"}
    assert sum(iou(box) > iou(point) for box, point in points.items()) >= 2


def test_a_good_phrase_beats_the_whole_image_and_wrong_or_unknown_words():
    """The tiny CLIPSeg was never trained on flames; "bright orange blob" describes what they look like."""
    good = iou("fires-clipseg-orange")
    assert good > max(foreground("fires"), iou("fires-clipseg-dark"), iou("fires-clipseg"))
    assert iou("em-clipseg-dark") > max(iou(f"em-clipseg-{word}") for word in ("mitochondria", "cell", "nucleus"))


@pytest.mark.parametrize("tuned, zero", PAIRS)
def test_fine_tuning_is_worth_it(tuned, zero):
    assert iou(tuned) > iou(zero)
    assert len(PAIRS) >= 15


def test_it_is_not_worth_it_where_training_and_test_prompts_differ():
    """The study's recipe for fires: trained with points, tested with a box."""
    assert iou("fires-sam-20") < iou("fires-sam-box") < iou("fires-sam-box-20")
