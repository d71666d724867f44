"""SAM and its relatives, which learn from points and boxes on pictures drawn as they go."""

import functools
from pathlib import Path

import first_weights
from drawn import Drawn
from interactive import InteractiveSam
from pretraining import Lessons, writer
from promptseg.core.devices import Processes
from promptseg.models import sam as sam_model
from promptseg.models.medsam import MedSam
from promptseg.models.pa_sam import PaSam
from promptseg.nn import sam_network
from promptseg.nn.prompt_adapter import AdaptedSam
from promptseg.nn.segmenter import Segmenter
from promptseg.training import epochs
from settings import SamSegmenter
from transformers import SamConfig, SamModel
from world import scene

PICTURES = 64  # that first weights are fitted to
# A picture is 16 x 16 patches of 8 pixels, which a token has room for, and the masks are 64 x 64.
SIZE = {
    "vision_config": sam_network.TINY["vision_config"] | dict(
        hidden_size=128, output_channels=96, num_hidden_layers=6, image_size=128, global_attn_indexes=[2, 5],
        num_pos_feats=48, scale=1.0,  # of the places' frequencies, SAM's; transformers takes half the hidden size
    ),
    "prompt_encoder_config": dict(hidden_size=96, image_size=128, patch_size=8),
    "mask_decoder_config": dict(hidden_size=96, mlp_dim=192, num_attention_heads=4, iou_head_hidden_dim=96),
}  # fmt: skip


def sam(asked: SamSegmenter, seed: int, start: None, processes: Processes) -> Lessons:
    """From nothing, as SAM is trained (interactive.py)."""
    segmenter = InteractiveSam(SamModel(SamConfig(**SIZE)))
    pictures = [scene.draw(seed, "train", number, "general").image for number in range(PICTURES)]
    first_weights.draw(segmenter.network, segmenter.frame.pixels(pictures))
    segmenter.corrections, segmenter.corrected = asked.corrections, asked.corrected
    segmenter.easy = sum(asked.easy.values())
    return _lessons(segmenter, asked, seed, processes)


def medsam(asked: SamSegmenter, seed: int, start: Path, processes: Processes) -> Lessons:
    """From SAM, as MedSAM is trained (Ma et al. 2024): its way to scale pictures, boxes alone, one mask."""
    return _lessons(MedSam(sam_model.load(start, 1).network), asked, seed, processes)


def pa_sam(asked: SamSegmenter, seed: int, start: Path, processes: Processes) -> Lessons:
    """An adapter with first weights of its own in a frozen SAM, as PA-SAM is trained (Xie et al. 2024), but for its hard
    points: drawn at random among the 256 places of so small a picture, they left it worse at those in use."""
    network = AdaptedSam(SamConfig(**SIZE))
    network.load_state_dict(sam_model.load(start, 1).network.state_dict(), strict=False)
    first_weights.unheard(network.mask_decoder)
    segmenter = PaSam(network)
    segmenter.drawn = False
    return _lessons(segmenter, asked, seed, processes)


def _lessons(segmenter: Segmenter, asked: SamSegmenter, seed: int, processes: Processes) -> Lessons:
    segmenter.to(processes.device)
    splits = [
        Drawn(split, count, segmenter, asked, seed, processes)
        for split, count in (("train", asked.pictures), ("val", asked.val))
    ]
    learned = segmenter.set_trainable(asked.train.parts)
    losses = functools.partial(epochs.answers, segmenter, asked.train)
    return Lessons(segmenter, splits, learned, losses, writer(segmenter))


TRAINED = {"sam": sam, "medsam": medsam, "pa_sam": pa_sam}
