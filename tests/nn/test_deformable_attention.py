"""Deformable attention against transformers' layer."""

import pytest
import torch
from promptseg.nn import deformable_attention
from promptseg.nn.overrides import override_forward
from transformers.models.grounding_dino.modeling_grounding_dino import MultiScaleDeformableAttention

SHAPES = [(7, 11), (4, 6), (1, 3)]


@pytest.mark.parametrize("low, high", [(0.1, 0.9), (-0.3, 1.3), (-40.0, 40.0)], ids=["inside", "at edges", "far off"])
def test_points_are_read_as_transformers_layer_reads_them(low, high):
    torch.manual_seed(0)
    sizes = torch.tensor(SHAPES)
    starts = torch.tensor([0, 77, 101])
    value = torch.randn(2, 104, 3, 8)
    places = low + (high - low) * torch.rand(2, 30, 3, len(SHAPES), 4, 2)
    weights = torch.rand(2, 30, 3, len(SHAPES), 4)
    given = (value, sizes, SHAPES, starts, places, weights, 64)
    layer = MultiScaleDeformableAttention()
    theirs = layer(*given)
    override_forward(layer, deformable_attention.FORWARDS)
    ours = layer(*given)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * max(1.0, high))
    assert theirs.abs().max() > 0.5 or low < -1


def test_each_image_and_each_head_reads_its_own_pixels():
    value = torch.arange(2 * 4 * 3, dtype=torch.float32).view(2, 4, 3, 1)  # two images of 2 x 2 pixels, three heads
    center = torch.tensor([0.75, 0.25]).expand(2, 1, 3, 1, 1, 2)  # of the pixel at the upper right
    layer = MultiScaleDeformableAttention()
    override_forward(layer, deformable_attention.FORWARDS)
    out = layer(value, torch.tensor([[2, 2]]), [(2, 2)], torch.tensor([0]), center, torch.ones(2, 1, 3, 1, 1), 64)
    torch.testing.assert_close(out, value[:, 1].transpose(1, 2))
