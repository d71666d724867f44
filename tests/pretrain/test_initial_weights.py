"""Initial weights of the tiny SAM."""

import initial_weights
import pytest
import sam_models
import torch
from transformers import SamConfig, SamModel


@pytest.fixture(scope="module")
def network():
    """Initial weights, fitted to images of four flat regions each."""
    return _initialized()


def _initialized():
    torch.manual_seed(0)
    return initial_weights.initialize_sam(SamModel(SamConfig(**sam_models.NETWORK)), _flat_regions(16)[0]).eval()


def _flat_regions(count):
    """Images (n, 3, 128, 128) of four regions, each of its own color, and the regions' indices (n, 128, 128)."""
    regions = torch.nn.functional.interpolate(torch.randn(count, 4, 5, 5), (128, 128), mode="bicubic").argmax(dim=1)
    colors = torch.randn(count, 4, 3)
    return torch.stack([own[region] for own, region in zip(colors, regions, strict=True)]).movedim(3, 1), regions


def test_before_training_a_point_selects_similar_pixels(network):
    torch.manual_seed(1)
    pixels, regions = _flat_regions(40)
    points = torch.randint(8, 120, (40, 2))
    with torch.no_grad():
        logits = network(pixels, input_points=points[:, None, None] + 0.5, multimask_output=False).pred_masks[:, 0, 0]
    areas = []
    for mask, region, (x, y) in zip(logits, regions[:, 1::2, 1::2], points // 2, strict=True):
        inside, outside = mask[region == region[y, x]], mask[region != region[y, x]]
        if len(outside):
            areas.append((inside[:, None] > outside[None]).float().mean())
    assert torch.stack(areas).mean() > 0.7
    assert -2.5 < logits.mean() < 0, "neither everything nor nothing is foreground"


def test_positional_embeddings_are_distinct_and_weights_depend_on_the_seed_alone(network):
    positions = network.vision_encoder.pos_embed[0].flatten(0, 1)
    distances = torch.cdist(positions, positions) + 1e9 * torch.eye(len(positions))
    assert distances.min() > 0.1
    again = _initialized().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in network.state_dict().items())
