"""Our attention layers against transformers' own, fused and not, on the same weights."""

import json

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.cli import check
from promptseg.nn import attention, weights
from transformers.models.sam.modeling_sam import SamVisionAttention, SamVisionSdpaAttention
from transformers.models.sam2.modeling_sam2 import Sam2MultiScaleAttention

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
THEIRS = {attention.RelativeAttention: SamVisionSdpaAttention, attention.HieraAttention: Sam2MultiScaleAttention}


def encoder(name: str):
    """A tiny model; relative positions are zeros as they are made, and would hide a mistake."""
    model = models.load(name).create("tiny", 2)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "rel_pos" in parameter_name:
                parameter.normal_(0, 0.3)
    return model


def changed(model, classes: dict) -> int:
    """Give the layers of these classes others in their place; how many there were."""
    layers = [module for module in model.modules() if type(module) in classes]
    for layer in layers:
        layer.__class__ = classes[type(layer)]
    return len(layers)


@pytest.mark.parametrize("name", ["sam", "sam2"])
@pytest.mark.parametrize("limit", [1, attention.BIAS_BYTES])
def test_no_bit_differs_from_transformers_own(name, limit, monkeypatch):
    monkeypatch.setattr(attention, "BIAS_BYTES", limit)
    model = encoder(name)
    ours = model.encode([PICTURE, PICTURE[::-1]])
    assert changed(model, THEIRS) == len([m for m in model.modules() if type(m) in THEIRS.values()]) > 0
    theirs = model.encode([PICTURE, PICTURE[::-1]])
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_sams_fused_attention_equals_the_plain_one():
    model = encoder("sam")
    fused = model.encode([PICTURE])["image"]
    assert changed(model, {attention.RelativeAttention: SamVisionAttention})
    torch.testing.assert_close(fused, model.encode([PICTURE])["image"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["sam2", "clipseg", "clip_decoder_unet"])
def test_fused_attention_equals_the_plain_one(name):
    model = encoder(name)
    fused = model.encode([PICTURE])
    changed(model, THEIRS)
    model.network.set_attn_implementation("eager")
    for key, plain in model.encode([PICTURE]).items():
        torch.testing.assert_close(fused[key], plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", models.names())
def test_what_is_loaded_is_fused_whatever_its_configuration_says(name, tmp_path):
    if check.segmenter_class(name).ENCODER == ():
        pytest.skip("no network of transformers")
    model = models.load(name).create("tiny", 0)
    config = model.configuration()
    for part in (config["network"], config["network"]["vision_config"]):
        part["attn_implementation"] = "eager"
    weights.write(tmp_path / "c", json.loads(json.dumps(config)), model.state_dict(), model.files())
    network = models.load(name).load(tmp_path / "c", 1).network
    configs = {id(module.config): module.config for module in network.modules() if hasattr(module, "_supports_sdpa")}
    assert {config._attn_implementation for config in configs.values()} == {"sdpa"}
