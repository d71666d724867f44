"""Runs with several seeds: each is trained, or prompted, and scored; the first is the run."""

import json
import shutil

import numpy as np
import pytest
from promptseg import models
from promptseg.core.runs import FineTune, Run
from promptseg.data import records
from promptseg.evaluation import evaluate, score_table
from promptseg.inference import prediction
from promptseg.nn import weights
from promptseg.prompts import PromptConfig
from promptseg.training import checkpoint_manager, trainer
from promptseg.training.setup import Inputs, Job

TRAIN = {"epochs": 1, "prompt": {"points": 1}, "lr": 0.01}


@pytest.fixture
def folder(tmp_path, blobs):
    """A folder with a tiny checkpoint of SAM and three splits."""
    model = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "c", model.configuration(), model.state_dict(), model.files())
    for seed, (split, count) in enumerate({"train": 4, "val": 2, "test": 3}.items()):
        blobs(split, count, seed=seed)
    return tmp_path


def finetune(folder, out, seed=0, **train):
    run = {"dataset": "em", "model": "sam", "prompt": {"points": 1}, "train": {**TRAIN, **train}}
    settings = FineTune.model_validate(run)
    inputs = Inputs(folder / "train.parquet", folder / "val.parquet", folder / "c", folder / "e")
    outputs = trainer.Outputs(folder / f"{out}.resume", folder / out, folder / f"{out}.csv")
    trainer.finetune(Job(settings, None, seed), inputs, outputs)
    assert not outputs.resume.exists()
    return settings


def summary(folder, run, finetuned=None):
    """Predict and evaluate; returns the predictions and the summary of the scores."""
    inputs = prediction.Inputs(folder / "test.parquet", folder / "c", folder / "e", finetuned)
    prediction.predict(run, inputs, folder / "p.parquet")
    paths = evaluate.Outputs(folder / "m.json", folder / "s.parquet", folder / "plots")
    evaluate.evaluate(folder / "test.parquet", folder / "p.parquet", paths)
    assert len(json.loads(paths.metrics.read_text())) <= 8
    rows = [row.probability for row in records.open_predictions(folder / "p.parquet")]
    return rows, score_table.read_summary(paths.scores)


def test_training_is_repeated_with_each_seed_and_the_first_is_the_run(folder):
    run = finetune(folder, "w", seeds=[3, 10, 2])
    alone = {}
    for seed in (3, 10, 2):
        plain = finetune(folder, f"w{seed}", seed=seed)
        alone[seed] = summary(folder, plain, folder / f"w{seed}")
        trained = folder / "w" if seed == 3 else folder / f"w/seed-{seed}"
        assert (trained / weights.TENSORS).read_bytes() == (folder / f"w{seed}" / weights.TENSORS).read_bytes()
    assert (folder / "w.csv").read_bytes() == (folder / "w3.csv").read_bytes()
    rows, told = summary(folder, run, folder / "w")
    assert rows == alone[3][0] and "seed_mean" not in alone[3][1]
    scores = [alone[seed][1]["iou_mean"] for seed in (3, 10, 2)]
    assert told["seed_scores"] == [[3, scores[0]], [10, scores[1]], [2, scores[2]]] and len(set(scores)) == 3
    assert told["seed_mean"] == pytest.approx(np.mean(scores), abs=1e-6)
    assert told["seed_std"] == pytest.approx(np.std(scores, ddof=1), abs=1e-6)
    assert told["iou_mean"] == scores[0]


def test_a_training_that_has_ended_is_not_repeated_when_the_next_is_killed(folder, monkeypatch):
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0)
    finetune(folder, "w", seeds=[1, 2])
    real, started, resumed = trainer._Loop.run_phases, [], []

    def killed(self):
        started.append(self._run.seed)
        if started == [1, 2]:
            raise KeyboardInterrupt
        resumed.append(len(self._rows))
        return real(self)

    monkeypatch.setattr(trainer._Loop, "run_phases", killed)
    before = {path: path.read_bytes() for path in (folder / "w").rglob("*") if path.is_file()}
    shutil.rmtree(folder / "w")
    with pytest.raises(KeyboardInterrupt):
        finetune(folder, "w", seeds=[1, 2])
    assert not (folder / "w").exists()
    finetune(folder, "w", seeds=[1, 2])
    assert started == [1, 2, 1, 2] and resumed == [0, 1, 0]  # epochs that were there
    assert {path: path.read_bytes() for path in (folder / "w").rglob("*") if path.is_file()} == before


def test_random_points_are_drawn_with_each_seed(folder):
    def points(seeds):
        return Run(dataset="em", model="sam", prompt=PromptConfig(points=1, seeds=seeds))

    rows, told = summary(folder, points([7, 0, 5]))
    assert [seed for seed, _ in told["seed_scores"]] == [7, 0, 5]
    for seed, score in told["seed_scores"]:
        alone, own = summary(folder, points([seed, 99]))
        assert own["iou_mean"] == score and (alone == rows) == (seed == 7)
    plain, own = summary(folder, Run(dataset="em", model="sam", prompt=PromptConfig(points=1)))
    assert own["iou_mean"] == told["seed_scores"][1][1]  # the study's seed is 0


@pytest.mark.parametrize(("prompt", "words"), [
    ({"text": ["a"], "seeds": [0, 1]}, "seeds belongs to box and exemplars and points"),
    ({"points": 1, "sampling": "center", "seeds": [0, 1]}, "nothing else is random here"),
    ({"box": True, "seeds": [0, 1]}, "nothing else is random here"),
    ({"points": 1, "seeds": [0, 0]}, "each seed once"),
    ({"points": 1, "seeds": [0]}, "at least 2 items"),
])  # fmt: skip
def test_seeds_that_repeat_nothing_are_refused(prompt, words):
    with pytest.raises(ValueError, match=words):
        PromptConfig(**prompt)


def test_a_fine_tuned_run_has_its_seeds_in_train():
    run = {"dataset": "em", "model": "sam", "prompt": {"points": 1}, "train": TRAIN}
    seeded = {"points": 1, "seeds": [0, 1]}
    with pytest.raises(ValueError, match="prompt: seeds belongs to train, which is repeated"):
        FineTune.model_validate({**run, "prompt": seeded})
    with pytest.raises(ValueError, match="prompt: seeds belongs to train itself"):
        FineTune.model_validate({**run, "train": {**TRAIN, "prompt": seeded}})
