"""Low-rank adapters: without effect at first, of the configured rank, and merged into their layers."""

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.core.runs import FineTune
from promptseg.core.train_config import Lora
from promptseg.data import records
from promptseg.inference import embedding_cache, embedding_source, prediction
from promptseg.nn import finetuned_weights, lora, weights
from promptseg.training import setup, trainer

TARGETS = (".qkv", ".attention.q_proj", ".attention.k_proj", ".attention.v_proj", ".channel_mixer.conv1.c",
           ".channel_mixer.conv2.c")  # fmt: skip
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.mark.parametrize("name", [name for name in models.names() if "lora" in models.load(name).TRAINABLE])
def test_adapters_have_no_effect_until_trained_and_add_a_matrix_of_their_rank(name):
    model = models.load(name).create("tiny", 0)
    before = model.encode([IMAGE])
    layers = {name: module.weight.clone() for name, module in model.named_modules() if name.endswith(TARGETS)}
    adapters = lora.attach(model, model.LORA_TARGETS, Lora(rank=2, alpha=6.0))
    # but for rounding in RepViT, whose layers are folded only without an adapter
    torch.testing.assert_close(model.encode([IMAGE]), before, rtol=0, atol=1e-6 if name == "edgetam" else 0)
    pairs = {}
    for key, value in model.state_dict().items():
        if ".lora_" in key:
            torch.nn.init.normal_(value)
            pairs.setdefault(key.split(".lora_")[0], []).append(value.clone())
    adapters.merge_and_unload()
    assert len(pairs) == len(layers) > 0
    for key, (a, b) in pairs.items():
        # Hu et al. 2022, section 4.1; a convolution's kernel is 1 x 1
        added = (model.state_dict()[f"{key}.weight"] - layers[key]).flatten(1)
        torch.testing.assert_close(added, 6.0 / 2 * b.flatten(1) @ a.flatten(1), rtol=1e-3, atol=1e-4)
        assert torch.linalg.matrix_rank(added.double(), atol=1e-3) == 2


def test_a_run_stores_its_adapters_alone_and_predicts_with_its_own_features(blobs, tmp_path):
    model = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "c", model.configuration(), model.state_dict())
    prompt = {"prompt": {"box": True}}
    train = {**prompt, "epochs": 1, "lr": 0.05, "trainable": ["lora"], "lora": {"rank": 2}, "batch_size": 1}
    run = FineTune.model_validate({"dataset": "em", "model": "sam", **prompt, "train": train})
    path, val, cache = blobs("train", 2), blobs("val", 1, seed=1), tmp_path / "embeddings"
    trainer.finetune(
        setup.Job(run, None, 0), setup.Inputs(path, val, tmp_path / "c", cache),
        trainer.Outputs(tmp_path / "r", tmp_path / "w", tmp_path / "w.csv"),
    )  # fmt: skip
    config, trained = weights.read(tmp_path / "w")
    assert config["lora"] == {"rank": 2, "alpha": 16.0} and all(".lora_" in name for name in trained)
    released, split = models.load("sam").load(tmp_path / "c", 1), records.open_split(path)

    def first_features(digest: str) -> torch.Tensor:
        source = embedding_source.Source(path, split, digest, cache)
        return embedding_cache.features(released, source, Processes())([0])["image"]

    digest = weights.digest(tmp_path / "c")
    plain = first_features(digest)
    prediction.predict(run, prediction.Inputs(path, tmp_path / "c", cache, tmp_path / "w"), tmp_path / "p.parquet")
    assert len(list(cache.glob("sam-*/about.json"))) == 2  # of the released encoder and of the run
    own = finetuned_weights.apply(released, digest, tmp_path / "w")
    assert own != digest
    tuned = first_features(own)
    with torch.no_grad():
        fresh = released.encode([records.image(split[0])])["image"]
    assert len(list(cache.glob("sam-*/about.json"))) == 2
    torch.testing.assert_close(tuned, fresh.half().float())
    assert not torch.allclose(tuned, plain, atol=1e-3)
