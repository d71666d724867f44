"""Fusion layers of Grounding DINO against transformers' own, on the same weights."""

import numpy as np
import pytest
import torch
from own_layers import own_layers
from promptseg import models
from promptseg.nn import text_fusion
from promptseg.nn.overrides import override_forward
from promptseg.prompts import Prompt
from promptseg.prompts.text import Text
from torch import nn
from transformers import GroundingDinoConfig
from transformers.models.grounding_dino.modeling_grounding_dino import (
    GroundingDinoBiMultiHeadAttention,
    MultiScaleDeformableAttention,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


@pytest.mark.parametrize("tokens", [1, 5, 40])
@pytest.mark.parametrize("masked", [False, True])
def test_a_layer_returns_what_transformers_layer_returns(tokens, masked):
    torch.manual_seed(tokens)
    config = GroundingDinoConfig(d_model=32, encoder_ffn_dim=256, encoder_attention_heads=8)
    layer = GroundingDinoBiMultiHeadAttention(config).eval()
    for linear in layer.children():
        nn.init.normal_(linear.bias)
    image, text = 2 * torch.randn(2, 77, 32), 2 * torch.randn(2, tokens, 32)
    masks = {}
    if masked:  # the end of the second image and, where it has several tokens, of its caption
        masks = {
            "vision_attention_mask": torch.zeros(2, 77, dtype=bool),
            "text_attention_mask": torch.zeros(2, tokens, dtype=bool),
        }
        masks["vision_attention_mask"][1, 50:] = True
        masks["text_attention_mask"][1, 3:] = True
    theirs = [out for out, _ in layer(image, text, **masks)]
    override_forward(layer, text_fusion.FORWARDS)
    ours = [out for out, _ in layer(image, text, **masks)]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert all(out.std() > 0.1 for out in theirs)


@torch.no_grad()
def test_scores_and_boxes_of_the_whole_network_are_those_of_transformers_layers():
    model = models.load("grounding_dino").create("tiny", 3)
    for name, value in model.named_parameters():
        if name.endswith(("vision_param", "text_param")):
            value.fill_(1.0)  # 1e-4 as initialized, which would hide a mistake
    features, prompts = model.encode([IMAGE]), [Prompt.of(Text("red circle"))]
    ours = next(model.detect_image(features, prompts, [0.0]))
    with own_layers(model) as layers:
        theirs = next(model.detect_image(features, prompts, [0.0]))
    assert {type(layer) for layer in layers} == {GroundingDinoBiMultiHeadAttention, MultiScaleDeformableAttention}
    assert len(theirs[0]) > 10
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
