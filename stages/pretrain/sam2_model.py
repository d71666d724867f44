"""SAM 2, which is trained from the tiny SAM in minutes instead of hours.

It takes over SAM's prompt encoder and mask decoder, whose layers it has too, and the blocks of SAM's encoder as blocks
of Hiera's third stage, which has as many positions. In the pretext epochs Hiera is fitted to SAM's encoder block by
block on rendered images (distillation; Romero et al. 2015, FitNets): its first stages replace SAM's patch embedding,
and the attention learns to do without relative positions. Then everything is trained interactively as SAM is. What
SAM's decoder lacks starts at zero: the skips from the first two stages, and the token of the object score, which is not
trained.
"""

import functools
import re
from pathlib import Path

import initial_weights
import torch
from pretraining import RenderedSplit, Setup
from promptseg.core.train_config import CompleteTrain
from promptseg.models.sam import Sam
from promptseg.models.sam2 import Sam2
from promptseg.training.running_metrics import MetricSums
from promptseg.training.training_split import TrainingItem
from sam_models import InteractiveSegmenter, prompted_splits
from settings import SamTraining
from torch import nn
from transformers import Sam2Config, Sam2Model, SamModel

FIRST_BLOCK = 3  # of Hiera that is one of SAM's: after a block each in two stages, and the one that pools for the third
# Factors of initial weights, for values about as large as SAM's: its tokens have a standard deviation of 3.9, and its
# image embedding one of 0.33.
TOKEN, EMBEDDING = 3.0, 0.05
QUALITY_SLOPE = 4.0  # of the logit of a predicted IoU where that is 0.5: SAM 2 applies a sigmoid to it and SAM does not
_NAMES = [(".mlp.lin1.", ".mlp.proj_in."), (".mlp.lin2.", ".mlp.proj_out."), (".out_proj.", ".o_proj.")]
_BLOCK = re.compile(r"^vision_encoder\.layers\.(\d+)\.")
_POINTS = "prompt_encoder.point_embed"
_QUALITY = "mask_decoder.iou_prediction_head.proj_out"


class InteractiveSam2(InteractiveSegmenter, Sam2):
    """SAM 2 with SAM's interactive training; its pretext task is to imitate SAM's encoder."""

    PRETEXT = ("network.vision_encoder.",)


def build_sam2(config: SamTraining, seed: int, start: Path) -> Setup:
    """Set up SAM 2 with its distillation from a SAM, and its interactive training."""
    sam = Sam.load(start, 1).network.requires_grad_(False)
    segmenter = InteractiveSam2(initialize(Sam2Model(Sam2Config(**Sam2.TINY)), sam))
    segmenter.configure(config)
    losses, splits = functools.partial(distillation_losses, sam), prompted_splits(segmenter, config, seed)
    return Setup(segmenter, splits, pretext_losses=losses, pretext_lr=config.pretext_lr)


def initialize(network: Sam2Model, sam: SamModel) -> Sam2Model:
    """Initialize a network in place, from torch's seed and a SAM; returns the same network."""
    initial_weights.initialize_layers(network)
    decoder = network.mask_decoder
    for layer in (decoder.conv_s0, decoder.conv_s1, decoder.obj_score_token):  # what SAM's decoder has not
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
    hiera, neck = network.vision_encoder.backbone, network.vision_encoder.neck
    hiera.blocks[FIRST_BLOCK - 1].proj.weight.data *= TOKEN
    for convolution in neck.convs[:2]:  # of the last two stages
        convolution.weight.data *= EMBEDDING
    positions = hiera.pos_embed
    positions.data[0] = initial_weights.sinusoids(*positions.shape[2:], positions.shape[1]).movedim(-1, 0)
    network.load_state_dict(network.state_dict() | _of_sam(sam.state_dict(), network.state_dict().keys()))
    return network


def _of_sam(state: dict[str, torch.Tensor], known: set[str]) -> dict[str, torch.Tensor]:
    """SAM's tensors under the names of Sam2Model, where that has them; relative positions and the neck it has not."""
    tensors = {f"{_POINTS}.weight": torch.cat([state[f"{_POINTS}.{label}.weight"] for label in range(4)])}
    for name, tensor in state.items():
        name = _BLOCK.sub(lambda match: f"vision_encoder.backbone.blocks.{FIRST_BLOCK + int(match[1])}.", name)
        for own, of_sam2 in _NAMES:
            name = name.replace(own, of_sam2)
        if name in known:
            tensors[name] = tensor
    tensors[f"{_QUALITY}.weight"] = QUALITY_SLOPE * tensors[f"{_QUALITY}.weight"]
    tensors[f"{_QUALITY}.bias"] = QUALITY_SLOPE * (tensors[f"{_QUALITY}.bias"] - 0.5)
    return tensors


def distillation_losses(
    sam: SamModel, segmenter: InteractiveSam2, config: CompleteTrain, split: RenderedSplit, items: list[TrainingItem],
    epoch: int, sums: MetricSums,
) -> list[torch.Tensor]:  # fmt: skip
    """Compute the losses (n,) of a batch as a Phase takes them: squared errors relative to the variance in SAM.

    That of the image embedding counts as much as those of all blocks together.
    """
    pixels = segmenter.transform.to_input([item.image for item in items]).to(segmenter.device)
    expected = sam.to(segmenter.device).vision_encoder(pixels, output_hidden_states=True)
    found = segmenter.network.vision_encoder(pixels, output_hidden_states=True)
    blocks = zip(found.hidden_states[FIRST_BLOCK:], expected.hidden_states)  # each has the input of its first block too
    blocks = torch.stack([_relative_error(*pair) for pair in blocks])
    losses = _relative_error(found.fpn_hidden_states[-1], expected.last_hidden_state) + blocks.mean(dim=0)
    sums.add_losses(losses)
    return [losses]


def _relative_error(found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Mean squared error of each image, (n,), relative to the variance over the batch."""
    return (found - expected).square().flatten(1).mean(dim=1) / expected.var()


BUILDERS = {"sam2": build_sam2}
