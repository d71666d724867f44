"""What the default study shows, by the metrics in the repository, which `make repro` makes again to the byte."""

import json

import pytest
from conftest import ROOT
from promptseg.core import params

PARAMS = params.load(ROOT / "params.yaml")


def metrics(name: str) -> dict:
    return json.loads((ROOT / "metrics" / f"{name}.json").read_text())


def iou(run: str) -> float:
    return metrics(run)["iou_mean"]


def pairs() -> list[tuple[str, str]]:
    """Fine-tuned runs that were taught with what they are asked with, each with the zero-shot run of the same model, on
    the same pictures, asked the same."""
    taught = {name: run for name, run in PARAMS.finetune.items() if run.prompt.kind == run.train.prompt.kind}
    alike = {
        name: [zero for zero, other in PARAMS.zero_shot.items() if _asked(other) == _asked(run)]
        for name, run in taught.items()
    }
    return [(name, zero) for name, zeros in alike.items() for zero in zeros]


def _asked(run) -> tuple:
    return run.dataset, run.model, run.prompt


def test_it_is_at_the_default_scale():
    assert PARAMS.scale == params.Scale(data="sample", checkpoints="tiny", max_epochs=3, max_images=32)


def test_a_box_says_more_than_a_point_to_sam():
    """Of fires, EM, COVID and Cityscapes, three are asked both ways; two have to say so."""
    asked = (
        ("em-sam-box", "em-sam-points"),
        ("fires-sam-box", "fires-sam-point"),
        ("covid-sam-box", "covid-sam-point"),
    )
    assert sum(iou(box) > iou(point) for box, point in asked) >= 2


def test_a_good_phrase_beats_the_whole_picture_and_a_wrong_one():
    """Flames are never drawn in the world that CLIPSeg learned from; "bright orange blob" says what they look like."""
    good = iou("fires-clipseg-orange")
    assert good > metrics("data/fires")["test"]["foreground"]
    assert good > iou("fires-clipseg-dark")


def test_words_that_are_known_beat_words_that_are_not():
    assert iou("em-clipseg-dark") > max(iou(f"em-clipseg-{word}") for word in ("mitochondria", "cell", "nucleus"))
    assert iou("fires-clipseg-orange") > iou("fires-clipseg")


def test_there_are_pairs_to_compare():
    assert len(pairs()) >= 15


@pytest.mark.parametrize("tuned, zero", pairs())
def test_fine_tuning_is_worth_it(tuned, zero):
    assert iou(tuned) > iou(zero)


def test_it_is_not_worth_it_where_it_is_taught_with_something_else():
    """The study's recipe for fires: taught with points, asked with a box."""
    zero, other, same = iou("fires-sam-box"), iou("fires-sam-20"), iou("fires-sam-box-20")
    assert other < zero < same
