"""Our attention layers against transformers' own, fused and plain, on the same weights."""

import json

import numpy as np
import pytest
import torch
from own_layers import own_layers
from promptseg import models
from promptseg.nn import attention, weights
from transformers.models.sam.modeling_sam import SamVisionAttention
from transformers.models.sam_hq.modeling_sam_hq import SamHQVisionAttention

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
PLAIN = {"sam": SamVisionAttention, "sam_hq": SamHQVisionAttention}  # classes of their own


def model_with_positions(name: str):
    """A tiny model with random relative positions; they are initialized as zeros, which would hide a mistake."""
    model = models.load(name).create("tiny", 2)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "rel_pos" in parameter_name:
                parameter.normal_(0, 0.3)
    return model


@pytest.mark.parametrize("name", ["sam", "sam_hq", "sam2"])
@pytest.mark.parametrize("limit", [1, attention.BIAS_BYTES])
def test_outputs_equal_those_of_transformers_bit_for_bit(name, limit, monkeypatch):
    monkeypatch.setattr(attention, "BIAS_BYTES", limit)
    model = model_with_positions(name)
    ours = model.encode([IMAGE, IMAGE[::-1]])
    with own_layers(model) as layers:
        theirs = model.encode([IMAGE, IMAGE[::-1]])
    assert len(layers) == len([module for module in model.modules() if type(module) in attention.FORWARDS]) > 0
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("name", ["sam", "sam_hq", "sam2", "sam3_tracker", "clipseg", "clip_decoder_unet"])
def test_fused_attention_equals_plain_attention(name):
    model = model_with_positions(name)
    fused = model.encode([IMAGE])
    with own_layers(model) as layers:
        assert (len(layers) > 0) is (name in ("sam", "sam_hq", "sam2"))
        if name in PLAIN:
            for layer in layers:
                layer.__class__ = PLAIN[name]
        else:
            model.network.set_attn_implementation("eager")
        for key, plain in model.encode([IMAGE]).items():
            torch.testing.assert_close(fused[key], plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in models.names() if models.load(name).ENCODER])
def test_loaded_networks_are_fused_whatever_their_configuration_says(name, tmp_path):
    model = models.load(name).create("tiny", 0)
    config = model.configuration()
    vision = "backbone_config" if name == "grounding_dino" else "vision_config"
    for part in (config["network"], config["network"][vision]):
        part["attn_implementation"] = "eager"
    weights.write(tmp_path / "c", json.loads(json.dumps(config)), model.state_dict(), model.files())
    network = models.load(name).load(tmp_path / "c", 1).network
    parts = [module for module in network.modules() if hasattr(module, "_supports_sdpa")]
    if name == "grounding_dino":  # its own layers are not fused in transformers, those that it is built of are
        assert {type(part).__name__ for part in parts if part.config is network.config} == {
            type(part).__name__ for part in parts if not part._supports_sdpa
        }
        parts = [part for part in parts if part.config is not network.config]
    configs = {id(part.config): part.config for part in parts}
    assert len(configs) > 0 and {config._attn_implementation for config in configs.values()} == {"sdpa"}
