"""Folded and blockwise layers of RepViT against timm's own, on the same weights."""

import numpy as np
import pytest
import torch
from own_layers import own_layers
from promptseg import models
from promptseg.core.train_config import Lora
from promptseg.nn import lora, repvit
from timm.models.repvit import ConvNorm, RepVggDw, RepVitMlp
from torch import nn
from transformers import EdgeTamModel

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
CLOSE = dict(rtol=1e-5, atol=1e-5)


def with_statistics(seed: int):
    """A tiny EdgeTAM with random statistics and scales of batch norms; initialized, they hide a mistake."""
    model = models.load("edgetam").create("tiny", seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.normal_(0, 0.5)
    return model


def gradients(model) -> dict[str, torch.Tensor]:
    """Gradient of the features' mean square by each parameter of the encoder."""
    model.zero_grad()
    sum(values.square().mean() for values in model.encode([IMAGE, IMAGE[::-1]]).values()).backward()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("block", [1, 1000, repvit.BLOCK])
def test_features_and_gradients_equal_those_of_timms_layers(block, monkeypatch):
    monkeypatch.setattr(repvit, "BLOCK", block)
    model = with_statistics(1)
    assert model.set_trainable(["encoder"])
    ours, our_gradients = model.encode([IMAGE, IMAGE[::-1]]), gradients(model)
    with own_layers(model.network.vision_encoder) as layers:
        theirs, their_gradients = model.encode([IMAGE, IMAGE[::-1]]), gradients(model)
    assert {type(layer) for layer in layers} == {ConvNorm, RepVggDw, RepVitMlp}
    torch.testing.assert_close(ours, theirs, **CLOSE)
    assert len(their_gradients) > 50
    torch.testing.assert_close(our_gradients, their_gradients, rtol=1e-3, atol=1e-6)


@torch.no_grad()
def test_features_equal_those_of_a_network_of_transformers():
    model = with_statistics(2)
    plain = EdgeTamModel(model.network.config).eval()
    plain.load_state_dict(model.network.state_dict())
    expected = plain.get_image_features(model.transform.to_input([IMAGE])).fpn_hidden_states
    features = model.encode([IMAGE])
    for name, values in zip(("high", "middle", "low"), expected):  # (h * w, 1, c)
        values = values.squeeze(1).T.unflatten(1, features[name].shape[-2:])[None]
        added = model.network.no_memory_embedding.reshape(1, -1, 1, 1) if name == "low" else 0
        torch.testing.assert_close(features[name], values + added, **CLOSE)


@torch.no_grad()
def test_trained_adapters_have_the_effect_that_they_have_in_timms_layers():
    model = with_statistics(3)
    before = model.encode([IMAGE])["low"]
    lora.attach(model, model.LORA_TARGETS, Lora(rank=2))
    for name, value in model.named_parameters():
        if ".lora_" in name:
            value.normal_(0, 0.1)
    ours = model.encode([IMAGE])["low"]
    with own_layers(model.network.vision_encoder):
        torch.testing.assert_close(ours, model.encode([IMAGE])["low"], **CLOSE)
    assert not torch.allclose(ours, before, atol=0.01)
