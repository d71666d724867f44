"""What the default study shows, by the metrics in the repository, which `make repro` makes again to the byte."""

import pandas as pd
import pytest
from conftest import ROOT
from promptseg.core import study
from promptseg.core.params import Scale

STUDY = study.load(ROOT / "params.yaml")
BOARD = pd.read_csv(ROOT / "plots" / "leaderboard.csv").set_index("run")
GAINS = pd.read_csv(ROOT / "plots" / "gains.csv")


def iou(run: str) -> float:
    return BOARD.loc[run, "headline"]


def test_it_is_at_the_default_scale():
    assert STUDY.scale == Scale(data="sample", checkpoints="tiny", max_epochs=3, max_images=32)


def test_a_box_beats_a_point_for_sam():
    """Three datasets have both; at least two of them must show it."""
    points = {"em-sam-box": "em-sam-points", "fires-sam-box": "fires-sam-point", "covid-sam-box": "covid-sam-point"}
    assert sum(iou(box) > iou(point) for box, point in points.items()) >= 2


def test_a_good_phrase_beats_the_whole_image_and_wrong_or_unknown_words():
    """The tiny CLIPSeg was never trained on flames; "bright orange blob" describes what they look like."""
    good = iou("fires-clipseg-orange")
    assert good > max(iou("fires-whole"), iou("fires-clipseg-dark"), iou("fires-clipseg"))
    ious = pd.read_csv(ROOT / "plots" / "searches" / "em-phrases.csv").set_index("prompt")["iou"]
    assert ious['"dark spots"'] > max(ious[f'"{words}"'] for words in ("mitochondria", "human cell", "nucleus"))


def test_every_dataset_of_images_and_every_box_prompt_has_its_floor():
    """Point clouds have none, nor does a prompt by mask, which is the ground truth itself."""
    missing = BOARD[
        BOARD["floor"].isna() & ~BOARD["model"].isin(["filled_box", "whole_image", "random_mask", "nothing"])
    ]
    assert set(missing["dataset"]) == {"modelnet40"}


def test_most_fine_tuning_with_the_prompt_of_the_test_gains_and_none_is_shown_to_hurt():
    """SAM on EM, three epochs of five slices, is the one that does not."""
    runs = [STUDY.finetune[after.split()[0]] for after in GAINS["after"]]
    same = GAINS[[run.prompt.kind == run.train.prompt.kind for run in runs]]
    assert len(same) >= 8 and set(same[same["gain"] <= 0]["after"]) <= {"em-sam-20", "em-sam-lora-20"}
    assert not (same["gain_ci_high"] < 0).any()


def test_it_is_not_worth_it_where_training_and_test_prompts_differ():
    """The study's recipe for fires: trained with points, tested with a box."""
    assert iou("fires-sam-20") < iou("fires-sam-box") < iou("fires-sam-box-20")


@pytest.mark.parametrize("column", ["headline", "iou_ci_low", "iou_ci_high", "floor", "iou_tuned", "false_alarm_rate"])
def test_scores_are_shares(column):
    values = BOARD[column].dropna()
    assert len(values) and values.between(0, 1).all()


def test_an_interval_holds_the_score_and_needs_five_groups():
    low, high = BOARD["iou_ci_low"], BOARD["iou_ci_high"]
    assert (low.isna() | ((low <= BOARD["headline"]) & (BOARD["headline"] <= high))).all()
    assert low[BOARD["groups"] < 5].isna().all()
