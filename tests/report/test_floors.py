"""Floors of runs, gains of fine-tuning, means over folds: which runs are compared with which."""

from types import SimpleNamespace

import pytest
from promptseg import models
from promptseg.core.settings import validate
from promptseg.core.study import Study
from promptseg.nn.trivial import TrivialSegmenter
from promptseg.report.floors import TRIVIAL, add_floors
from promptseg.report.folds import fold_means
from promptseg.report.gains import gains

EM = {"raw": "data/raw/em", "reader": "em"}
VOC = {"raw": "data/raw/voc", "reader": "voc"}
BOX, LOOSE, EACH = {"box": True}, {"box": True, "jitter": 0.02}, {"box": True, "per": "instance"}


def parsed(zero_shot=(), finetune=(), cascade=(), datasets=None, max_epochs=None) -> Study:
    """A study of runs given as name: (dataset, model, prompt), and train settings for fine-tuned ones."""
    runs = {name: dict(zip(("dataset", "model", "prompt", "train"), run)) for name, run in [*zero_shot, *finetune]}
    return validate(
        Study,
        {
            "scale": {"max_epochs": max_epochs},
            "datasets": datasets or {"em": EM, "voc": VOC},
            "models": {name: {} for name in ("sam", "sam2", "clipseg", *TRIVIAL)},
            "zero_shot": {name: runs[name] for name, _ in zero_shot},
            "cascade": dict(cascade),
            "finetune": {name: runs[name] for name, _ in finetune},
        },
        "params.yaml",
    )


def rows_of(study: Study, **headlines: float) -> list[dict]:
    """Rows with the headlines of runs, whose names have _ for -."""
    rows = []
    for name, run in study.runs.items():
        words = {"dataset": run.dataset, "model": run.model, "prompt": run.prompt.describe(), "training": "zero-shot"}
        rows.append({"run": name, "headline": headlines[name.replace("-", "_")], **words})
    return rows


def test_the_trivial_models_are_those_of_their_class():
    assert {name for name in models.names() if issubclass(models.segmenter_class(name), TrivialSegmenter)} == TRIVIAL


def test_a_floor_is_the_filled_box_of_the_same_prompt_or_the_best_run_that_is_not_prompted():
    study = parsed(
        zero_shot=[
            ("box", ("em", "sam", BOX)), ("loose", ("em", "sam", LOOSE)), ("each", ("em", "sam2", EACH)),
            ("both", ("em", "sam", {**BOX, "points": 2})), ("point", ("em", "sam", {"points": 1})),
            ("text", ("em", "clipseg", {"text": ["cell"]})), ("grid", ("em", "sam", {"automatic": True})),
            ("filled", ("em", "filled_box", BOX)), ("filled-each", ("em", "filled_box", EACH)),
            ("whole", ("em", "whole_image", {})), ("random", ("em", "random_mask", {})),
            ("elsewhere", ("voc", "sam", {"points": 1})),
        ],
        finetune=[("tuned", ("em", "sam", BOX, {"epochs": 3, "prompt": {"points": 1}}))],
        cascade=[("refined", {"dataset": "em", "from": "text", "model": "sam"})],
    )  # fmt: skip
    rows = rows_of(
        study, box=0.5, loose=0.4, each=0.7, both=0.55, point=0.2, text=0.19999, grid=0.1, filled=0.5, filled_each=0.8,
        whole=0.2, random=0.15, elsewhere=0.3, tuned=0.49, refined=0.6,
    )  # fmt: skip
    add_floors(study, rows)
    assert {row["run"]: (row["floor"], row["below_floor"]) for row in rows} == {
        "box": (0.5, False), "both": (0.5, False), "tuned": (0.5, True), "each": (0.8, True),
        "loose": (None, None),  # there is no filled box with the same jitter
        "point": (0.2, False), "text": (0.2, True), "grid": (0.2, True), "refined": (0.2, False),
        "filled": (None, None), "filled-each": (None, None), "whole": (None, None), "random": (None, None),
        "elsewhere": (None, None),  # nor any floor on this dataset
    }  # fmt: skip


def test_gains_are_of_the_same_model_dataset_and_test_prompt_each_training_once():
    point, text = {"points": 1}, {"text": ["cell"]}
    train = {"epochs": 20, "prompt": point}
    study = parsed(
        max_epochs=3,
        zero_shot=[
            ("point", ("em", "sam", point)), ("box", ("em", "sam", BOX)), ("point2", ("em", "sam2", point)),
            ("text", ("em", "clipseg", text)), ("other", ("voc", "sam", point)),
        ],
        finetune=[
            ("point-20", ("em", "sam", point, train)),
            ("point-50", ("em", "sam", point, {**train, "epochs": 50, "patience": 10})),  # no patience within 3 epochs
            ("point-last", ("em", "sam", point, {**train, "keep": "last"})),
            ("box-20", ("em", "sam", BOX, train)),  # trained with a point, tested with a box
            ("words-20", ("em", "clipseg", {"text": ["spots"]}, {"epochs": 20, "prompt": text})),  # nothing before
        ],
    )  # fmt: skip
    headlines = {"point": 0.3, "box": 0.6, "point2": 0.9, "text": 0.1, "other": 0.2}
    headlines |= {"point_20": 0.4, "point_50": 0.4, "point_last": 0.25, "box_20": 0.5, "words_20": 0.8}
    found = gains(study, rows_of(study, **headlines))
    assert [(pair["before"], pair["after"], pytest.approx(pair["gain"])) for pair in found] == [
        ("point", ["point-20", "point-50"], 0.1), ("point", ["point-last"], -0.05), ("box", ["box-20"], -0.1),
    ]  # fmt: skip
    unlimited = study.model_copy(update={"scale": SimpleNamespace(max_epochs=None)})
    assert [pair["after"] for pair in gains(unlimited, rows_of(study, **headlines))][:2] == [["point-20"], ["point-50"]]


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
