"""Setups of SAM and its relatives, which are trained with point and box prompts on images rendered during training."""

import functools
from pathlib import Path

import initial_weights
from generated_split import GeneratedSplit
from interactive_sam import InteractiveSam
from pretraining import Setup, checkpoint_writer, complete
from promptseg.core.devices import Processes
from promptseg.models import sam
from promptseg.models.medsam import MedSam
from promptseg.models.pa_sam import PaSam
from promptseg.nn import sam_network
from promptseg.nn.prompt_adapter import AdaptedSam
from promptseg.nn.segmenter import Segmenter
from promptseg.training import epochs
from settings import SamTraining
from transformers import SamConfig, SamModel
from world import rendering

INITIAL_IMAGES = 64  # that the initial weights are fitted to
# 16 x 16 patches of 8 pixels, for which tokens are wide enough; masks are 64 x 64.
NETWORK = {
    "vision_config": sam_network.TINY["vision_config"] | dict(
        hidden_size=128, output_channels=96, num_hidden_layers=6, image_size=128, global_attn_indexes=[2, 5],
        num_pos_feats=48, scale=1.0,  # SAM's scale of positional frequencies; transformers' is half the hidden size
    ),
    "prompt_encoder_config": dict(hidden_size=96, image_size=128, patch_size=8),
    "mask_decoder_config": dict(hidden_size=96, mlp_dim=192, num_attention_heads=4, iou_head_hidden_dim=96),
}  # fmt: skip


def build_sam(config: SamTraining, seed: int, start: None, processes: Processes) -> Setup:
    """Set up SAM with its interactive training, from initial weights."""
    segmenter = InteractiveSam(SamModel(SamConfig(**NETWORK)))
    images = [rendering.render(seed, "train", index, "general").image for index in range(INITIAL_IMAGES)]
    initial_weights.initialize_sam(segmenter.network, segmenter.transform.to_input(images))
    segmenter.corrections, segmenter.corrected_share = config.corrections, config.corrected_share
    segmenter.curriculum_epochs = sum(config.curriculum.values())
    return _setup(segmenter, config, seed, processes)


def build_medsam(config: SamTraining, seed: int, start: Path, processes: Processes) -> Setup:
    """Set up MedSAM (Ma et al. 2024) from SAM: its image transform, box prompts alone, a single mask."""
    return _setup(MedSam(sam.load(start, 1).network), config, seed, processes)


def build_pa_sam(config: SamTraining, seed: int, start: Path, processes: Processes) -> Setup:
    """Set up PA-SAM (Xie et al. 2024), an adapter in a frozen SAM.

    Its hard points are not sampled at random during training: among the 256 positions of so small an image, random ones
    made it worse with those of inference.
    """
    network = AdaptedSam(SamConfig(**NETWORK))
    network.load_state_dict(sam.load(start, 1).network.state_dict(), strict=False)
    initial_weights.zero_initialize_adapter(network.mask_decoder)
    segmenter = PaSam(network)
    segmenter.samples_hard_points = False
    return _setup(segmenter, config, seed, processes)


def _setup(segmenter: Segmenter, config: SamTraining, seed: int, processes: Processes) -> Setup:
    segmenter.to(processes.device)
    train = complete(config.train, segmenter)
    splits = [
        GeneratedSplit(split, count, segmenter, config, seed, processes)
        for split, count in (("train", config.images), ("val", config.val_images))
    ]
    trainable = segmenter.set_trainable(train.trainable)
    losses = functools.partial(epochs.mask_losses, segmenter, train)
    return Setup(segmenter, train, splits, trainable, losses, checkpoint_writer(segmenter))


BUILDERS = {"sam": build_sam, "medsam": build_medsam, "pa_sam": build_pa_sam}
