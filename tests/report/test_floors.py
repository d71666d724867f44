"""Floors of runs and means over folds: which runs are compared with which."""

import pytest
from promptseg import models
from promptseg.nn.trivial import TrivialSegmenter
from promptseg.report.floors import TRIVIAL, add_floors
from promptseg.report.folds import fold_means
from small_studies import BOX, EACH, LOOSE, VOC, parsed, rows_of


def test_the_trivial_models_are_those_of_their_class():
    assert {name for name in models.names() if issubclass(models.load(name), TrivialSegmenter)} == TRIVIAL


def test_a_floor_is_the_filled_box_of_the_same_prompt_or_the_best_run_that_is_not_prompted():
    study = parsed(
        zero_shot=[
            ("box", ("em", "sam", BOX)), ("loose", ("em", "sam", LOOSE)), ("each", ("em", "sam2", EACH)),
            ("both", ("em", "sam", {**BOX, "points": 2})), ("point", ("em", "sam", {"points": 1})),
            ("text", ("em", "clipseg", {"text": ["cell"]})), ("grid", ("em", "sam", {"automatic": True})),
            ("filled", ("em", "filled_box", BOX)), ("filled-each", ("em", "filled_box", EACH)),
            ("whole", ("em", "whole_image", {})), ("random", ("em", "random_mask", {})),
            ("swept", ("em", "sam", {**BOX, "jitter": [0, 0.1]})),
            ("elsewhere", ("voc", "sam", {"points": 1})),
        ],
        finetune=[("tuned", ("em", "sam", BOX, {"epochs": 3, "prompt": {"points": 1}}))],
        cascade=[("refined", {"dataset": "em", "from": "text", "model": "sam"})],
    )  # fmt: skip
    rows = rows_of(
        study, box=0.5, loose=0.4, each=0.7, both=0.55, point=0.2, text=0.19999, grid=0.1, filled=0.5, filled_each=0.8,
        swept=0.6, whole=0.2, random=0.15, elsewhere=0.3, tuned=0.49, refined=0.6,
    )  # fmt: skip
    add_floors(study, rows)
    assert {row["run"]: (row["floor"], row["below_floor"]) for row in rows} == {
        "box": (0.5, False), "both": (0.5, False), "tuned": (0.5, True), "each": (0.8, True),
        "swept": (0.5, False),  # that of its first value
        "loose": (None, None),  # there is no filled box with the same jitter
        "point": (0.2, False), "text": (0.2, True), "grid": (0.2, True), "refined": (0.2, False),
        "filled": (None, None), "filled-each": (None, None), "whole": (None, None), "random": (None, None),
        "elsewhere": (None, None),  # nor any floor on this dataset
    }  # fmt: skip


def test_a_mean_over_folds_needs_the_same_run_on_each_of_them():
    datasets = {name: {**VOC, "options": {"fold": fold}} for fold, name in enumerate(("p0", "p1", "p2"))}
    datasets |= {"tiled": {**VOC, "tile": 64, "options": {"fold": 3}}, "voc": VOC}
    text, support = {"text": "caption"}, {"support": True}
    zero_shot = [(f"{name}-text", (name, "clipseg", text)) for name in datasets]
    zero_shot += [(f"{name}-shot", (name, "clipseg", support)) for name in ("p0", "p2")]
    study = parsed(zero_shot=zero_shot, datasets=datasets)
    headlines = {"p0_text": 0.2, "p1_text": 0.3, "p2_text": 0.7, "tiled_text": 0.9, "voc_text": 0.9}
    (mean,) = fold_means(study, rows_of(study, **headlines, p0_shot=0.5, p2_shot=0.6))
    assert mean["headline"] == pytest.approx(0.4) and mean["runs"] == ["p0-text", "p1-text", "p2-text"]
    assert (mean["datasets"], mean["prompt"]) == (["p0", "p1", "p2"], "caption")
