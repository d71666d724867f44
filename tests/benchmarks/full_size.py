"""Models in the layout of their release with random weights, for benchmarks: their speed does not depend on values.

Text models have the vocabulary of `text_encoder.letters`, which needs no file of the hub.
"""

from collections.abc import Callable

import torch
import transformers
from bench_clipseg import create_network, create_segmenter
from promptseg import models
from promptseg.models import grounding_dino, owlv2, sam3
from promptseg.nn import text_encoder
from promptseg.nn.segmenter import Segmenter

LETTERS = {"vocab_size": 514, "pad_token_id": 513, "bos_token_id": 512, "eos_token_id": 513}
SAM3_TEXT = dict(
    model_type="clip_text_model", hidden_size=1024, intermediate_size=4096, projection_dim=512, num_hidden_layers=24,
    num_attention_heads=16, max_position_embeddings=32, **LETTERS,
)  # fmt: skip


def create(name: str) -> Segmenter:
    """Create a model.

    Args:
        name: of a module in promptseg.models.
    """
    torch.manual_seed(0)
    return (CREATORS[name]() if name in CREATORS else models.load(name).create("full", 0)).eval()


def _create_owlv2() -> Segmenter:
    config = transformers.Owlv2Config(text_config=LETTERS, vision_config={"image_size": 960})
    return owlv2.Owlv2(transformers.Owlv2ForObjectDetection(config), text_encoder.letters())


def _create_grounding_dino() -> Segmenter:
    config = transformers.GroundingDinoConfig(
        backbone_config=dict(
            model_type="swin", embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7,
            out_indices=[2, 3, 4],
        )
    )  # fmt: skip
    network, size = transformers.GroundingDinoForObjectDetection(config), grounding_dino
    return size.GroundingDino(network, size.letters(), size.LONGEST, size.SHORTEST)


def _create_sam3() -> Segmenter:
    network = transformers.Sam3Model(transformers.Sam3Config(text_config=SAM3_TEXT))
    return sam3.Sam3(network, text_encoder.letters())


CREATORS: dict[str, Callable[[], Segmenter]] = {
    "clipseg": lambda: create_segmenter(create_network()),
    "owlv2": _create_owlv2,
    "grounding_dino": _create_grounding_dino,
    "sam3": _create_sam3,
}
