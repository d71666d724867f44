"""The precision of an encoder: as params.yaml says, kept in the checkpoint, and never mixed up with another."""

import json

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.cli.check import segmenter_class
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.data import records
from promptseg.download import checkpoints
from promptseg.inference import embedding_cache
from promptseg.nn import finetuned_weights, precision, weights

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
WITH_ENCODER = [name for name in models.names() if segmenter_class(name).ENCODER]


def obtain(name: str, wanted: str, folder):
    settings = params.Model(source="tiny", precision=wanted)
    checkpoints.obtain(name, settings, params.Scale(checkpoints="tiny"), 0, folder / wanted)
    return folder / wanted


def test_a_wrong_value_is_one_clear_line():
    with pytest.raises(UserError, match=r"params.yaml: models.sam.precision: .*'fp32', 'bf16' or 'auto'.*got 'fp16'$"):
        params.parse({"datasets": {}, "models": {"sam": {"precision": "fp16"}}})


@pytest.mark.parametrize("name", sorted(set(models.names()) - set(WITH_ENCODER)))
def test_what_has_no_encoder_of_its_own_refuses_all_but_fp32(name):
    with pytest.raises(UserError, match=rf"models.{name}.precision: it has no frozen encoder"):
        precision.check("bf16", segmenter_class(name))


def test_fp32_is_the_default_and_leaves_the_checkpoint_as_it_was(tmp_path):
    model = models.load("sam2").create("tiny", 0)
    weights.write(tmp_path / "plain", model.configuration(), model.state_dict(), model.files())
    assert params.Model().precision == "fp32"
    assert weights.digest(obtain("sam2", "fp32", tmp_path)) == weights.digest(tmp_path / "plain")


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_bf16_is_close_and_not_the_same_and_keeps_the_weights(name, tmp_path):
    exact, rough = (models.load(name).load(obtain(name, wanted, tmp_path), 1) for wanted in ("fp32", "bf16"))
    assert all(torch.equal(value, rough.state_dict()[key]) for key, value in exact.state_dict().items())
    given, expected = rough.encode([PICTURE]), exact.encode([PICTURE])
    for key, values in expected.items():
        assert given[key].dtype == torch.float32
        assert (given[key] - values).abs().mean() < 0.02 * values.std(), key
    assert any(not torch.equal(given[key], values) for key, values in expected.items())


def test_an_encoder_that_learned_computes_in_fp32(tmp_path):
    exact, rough = (models.load("sam").load(obtain("sam", wanted, tmp_path), 1) for wanted in ("fp32", "bf16"))
    learned = exact.set_trainable(["encoder"])
    finetuned_weights.write(tmp_path / "run", {name: exact.state_dict()[name] for name in learned}, "sam", "digest", {})
    finetuned_weights.apply(rough, "digest", tmp_path / "run")
    for key, values in exact.encode([PICTURE]).items():
        torch.testing.assert_close(rough.encode([PICTURE])[key], values, rtol=1e-4, atol=1e-5)


def test_caches_of_two_precisions_are_kept_apart(blobs, tmp_path):
    path, found = blobs("test", 2), {}
    for wanted in ("fp32", "bf16"):
        folder = obtain("sam", wanted, tmp_path)
        model = models.load("sam").load(folder, 1)
        digest, pairs = weights.digest(folder), records.pairs(path)
        features = embedding_cache.features(model, digest, path, pairs, tmp_path / "embeddings", Processes())
        found[wanted] = features([0])["image"]
        fresh = model.encode([records.image(pairs[0])])["image"]
        assert torch.equal(found[wanted], fresh.half().float())
    assert not torch.equal(found["fp32"], found["bf16"])
    assert len([entry for entry in (tmp_path / "embeddings").iterdir() if entry.is_dir()]) == 2


@pytest.mark.parametrize(("faster", "iou", "expected"), [(0.0, -1.0, "bf16"), (1e9, -1.0, "fp32"), (0.0, 1.0, "fp32")])
@pytest.mark.parametrize("name", ["sam2", "clipseg", "clip_decoder_cnn"])
def test_auto_takes_bf16_only_where_it_is_faster_and_the_masks_stay(name, faster, iou, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "FASTER", faster)
    monkeypatch.setattr(precision, "IOU", iou)
    config = json.loads((obtain(name, "auto", tmp_path) / weights.CONFIG).read_text())
    assert config.get("precision", "fp32") == expected
