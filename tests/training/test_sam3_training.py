"""SAM 3 through the one loop, by phrases and by exemplars."""

import pytest
import torch
from promptseg.core.runs import FineTune
from promptseg.inference import prediction
from promptseg.training.setup import Job
from tiny_training import make_inputs, train_tiny


@pytest.mark.parametrize("prompt", [{"text": ["disc"]}, {"text": ["disc"], "exemplars": 2}])
def test_it_is_trained_by_the_one_loop_and_predicts_by_either_readout(prompt, blobs, tmp_path):
    train = {"prompt": prompt, "epochs": 3, "lr": 3e-3, "trainable": ["decoder"]}
    settings = {"dataset": "em", "model": "sam3", "prompt": {**prompt, "readout": "instances"}, "train": train}
    run, inputs = FineTune.model_validate(settings), make_inputs(blobs, tmp_path, "sam3", count=4, val=1)
    curve, trained = train_tiny(Job(run, None, 0), inputs, tmp_path)
    assert curve["loss"].iloc[-1] < curve["loss"].iloc[0] - 0.01 and trained
    again = train_tiny(Job(run, None, 0), inputs, tmp_path, "again")[1]
    assert all(torch.equal(value, again[name]) for name, value in trained.items())
    given = prediction.Inputs(inputs.val, inputs.checkpoint, inputs.cache, tmp_path / "w")
    prediction.predict(run, given, tmp_path / "p.parquet")
