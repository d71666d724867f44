"""Low-rank adapters: nothing at first, the right size, and added into their layers in the end."""

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.data import records
from promptseg.inference import embedding_cache, prediction
from promptseg.nn import finetuned_weights, lora, weights
from promptseg.training import trainer
from promptseg.training.setup import Inputs

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.mark.parametrize("name", ["sam", "sam2", "medsam"])
def test_adapters_change_nothing_until_they_learn_and_their_rank_is_that_of_what_they_add(name):
    model = models.load(name).create("tiny", 0)
    before = model.encode([PICTURE])
    layers = {key: value.clone() for key, value in model.state_dict().items() if key.endswith("qkv.weight")}
    adapters = lora.attach(model, model.LORA_TARGETS, params.Lora(rank=2, alpha=6.0))
    assert all(torch.equal(value, before[key]) for key, value in model.encode([PICTURE]).items())
    pairs = {}
    for key, value in model.state_dict().items():
        if ".lora_" in key:
            torch.nn.init.normal_(value)
            pairs.setdefault(key.split(".lora_")[0], []).append(value.clone())
    adapters.merge_and_unload()
    assert len(pairs) == len(layers) > 0
    for key, (a, b) in pairs.items():
        added = model.state_dict()[f"{key}.weight"] - layers[f"{key}.weight"]
        torch.testing.assert_close(added, 6.0 / 2 * b @ a, rtol=1e-3, atol=1e-4)  # Hu et al. 2022, section 4.1
        assert torch.linalg.matrix_rank(added.double(), atol=1e-3) == 2


def test_a_run_keeps_its_adapters_alone_and_predicts_with_features_of_its_own(blobs, tmp_path):
    model = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "c", model.configuration(), model.state_dict())
    train = {"prompt": {"box": True}, "epochs": 1, "lr": 0.05, "parts": ["lora"], "lora": {"rank": 2}, "batch": 2}
    run = params.FineTune.model_validate({"dataset": "em", "model": "sam", "prompt": {"box": True}, "train": train})
    truth, cache = blobs("train", 4), tmp_path / "embeddings"
    trainer.finetune(
        run, None, 0, Inputs(truth, blobs("val", 2, seed=1), tmp_path / "c", cache), tmp_path / "r", tmp_path / "w",
        tmp_path / "w.csv",
    )  # fmt: skip
    config, learned = weights.read(tmp_path / "w")
    assert config["lora"] == {"rank": 2, "alpha": 16.0} and all(".lora_" in name for name in learned)
    released = models.load("sam").load(tmp_path / "c", 1)
    digest = weights.digest(tmp_path / "c")
    plain = embedding_cache.features(released, digest, truth, records.pairs(truth), cache, Processes())([0])["image"]
    prediction.predict(run, 0, truth, tmp_path / "c", tmp_path / "w", cache, tmp_path / "p.parquet")
    assert len(list(cache.glob("sam-*/about.json"))) == 2  # the released encoder's, and the run's
    own = finetuned_weights.apply(released, digest, tmp_path / "w")
    assert own != digest
    tuned = embedding_cache.features(released, own, truth, records.pairs(truth), cache, Processes())([0])["image"]
    with torch.no_grad():
        fresh = released.encode([records.image(records.pairs(truth)[0])])["image"]
    assert len(list(cache.glob("sam-*/about.json"))) == 2
    torch.testing.assert_close(tuned, fresh.half().float())
    assert not torch.allclose(tuned, plain, atol=1e-3)
