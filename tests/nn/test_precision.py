"""Precision of the encoder: as params.yaml says, stored in the checkpoint, and separate in the cache."""

import json

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.core.params import Model, ParamsFile
from promptseg.nn import finetuned_weights, precision, weights

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
WITH_ENCODER = [name for name in models.names() if models.load(name).ENCODER]


def write_checkpoint(name: str, setting: str, folder):
    """Write a tiny checkpoint as the checkpoint stage does."""
    model = models.load(name).create("tiny", 0)
    config = {**model.configuration(), **precision.configuration(setting, model)}
    weights.write(folder / setting, config, model.state_dict(), model.files())
    return folder / setting


def test_an_unknown_precision_is_refused_in_one_line(tmp_path):
    (tmp_path / "params.yaml").write_text("models: {sam: {precision: fp16}}\n")
    with pytest.raises(UserError, match=r"params.yaml: models.sam.precision: .*'fp32', 'bf16' or 'auto'.*got 'fp16'$"):
        ParamsFile(tmp_path / "params.yaml").model("sam")


def test_models_without_an_encoder_refuse_all_but_fp32():
    for name in sorted(set(models.names()) - set(WITH_ENCODER)):
        for setting in ("bf16", "auto"):
            with pytest.raises(UserError, match=rf"models.{name}.precision: it has no frozen encoder"):
                precision.check(setting, models.load(name))
        precision.check("fp32", models.load(name))


def test_fp32_is_the_default_and_not_written_into_the_checkpoint(tmp_path):
    model = models.load("sam2").create("tiny", 0)
    weights.write(tmp_path / "plain", model.configuration(), model.state_dict(), model.files())
    assert Model().precision == model.encoder_precision == "fp32"
    assert weights.digest(write_checkpoint("sam2", "fp32", tmp_path)) == weights.digest(tmp_path / "plain")
    assert weights.digest(write_checkpoint("sam2", "bf16", tmp_path)) != weights.digest(tmp_path / "plain")  # its cache


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_bf16_is_close_to_fp32_keeps_weights_and_modules_and_can_be_undone(name, tmp_path):
    exact, rounded = (models.load(name).load(write_checkpoint(name, s, tmp_path), 1) for s in ("fp32", "bf16"))
    assert (exact.encoder_precision, rounded.encoder_precision) == ("fp32", "bf16")
    state = rounded.state_dict()
    assert exact.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in exact.state_dict().items())
    assert [type(module) for module in exact.modules()] == [type(module) for module in rounded.modules()]
    features, expected = rounded.encode([IMAGE]), exact.encode([IMAGE])
    for key, values in expected.items():
        assert features[key].dtype == torch.float32
        assert (features[key] - values).abs().mean() < 0.02 * values.std(), key
    assert any(not torch.equal(features[key], values) for key, values in expected.items())
    again = precision.apply(rounded, "fp32").encode([IMAGE])
    assert all(torch.equal(again[key], values) for key, values in expected.items())


def test_encoder_context_leaves_the_decoder_in_float32():
    model = precision.apply(models.load("sam").create("tiny", 0), "bf16")
    with model.encoder_context():
        assert torch.is_autocast_enabled("cpu") and not torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()


def test_a_trained_encoder_computes_in_fp32(tmp_path):
    exact, rounded = (models.load("sam").load(write_checkpoint("sam", s, tmp_path), 1) for s in ("fp32", "bf16"))
    trainable = exact.set_trainable(["encoder"])
    trained = {name: exact.state_dict()[name] for name in trainable}
    finetuned_weights.write(tmp_path / "run", trained, "sam", "digest", {})
    finetuned_weights.apply(rounded, "digest", tmp_path / "run")
    for key, values in exact.encode([IMAGE]).items():
        torch.testing.assert_close(rounded.encode([IMAGE])[key], values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("speedup", "iou", "expected"), [(0.0, -1.0, "bf16"), (1e9, -1.0, "fp32"), (0.0, 1.0, "fp32")])
@pytest.mark.parametrize("name", ["sam2", "clipseg", "clip_decoder_cnn"])
def test_auto_is_bf16_only_where_it_is_faster_and_masks_stay(name, speedup, iou, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "MIN_SPEEDUP", speedup)
    monkeypatch.setattr(precision, "MIN_IOU", iou)
    config = json.loads((write_checkpoint(name, "auto", tmp_path) / weights.CONFIG).read_text())
    assert config.get("precision", "fp32") == expected
