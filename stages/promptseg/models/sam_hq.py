"""HQ-SAM (Ke et al. 2023), as transformers' SamHQModel: SAM with a token for masks of finer outline.

Released as syscv-community/sam-hq-vit-base, -large and -huge, and as sam_hq_vit_b.pth, _l and _h. The new token's mask
is predicted with features of an early layer of the encoder, and its logits are added to those of SAM's mask, as in the
authors' predictor; their training script scores it alone. The longer side of an image is resized to 1024 and the rest
is padded.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from transformers import SamHQConfig, SamHQModel

from promptseg.nn import pretrained, sam_checkpoint, sam_segmenter, weights
from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.nn.sam_segmenter import SamSegmenter
from promptseg.nn.segmenter import Features

# The authors' names of what SAM does not have -> transformers'.
_NAMES = [(r"\.hf_token\.", ".hq_token."), (r"\.hf_mlp\.", ".hq_mask_mlp.")] + [
    (rf"\.{name}\.{index}\.", f".{own}_{layer}.")
    for name, own in (
        ("compress_vit_feat", "compress_vit"),
        ("embedding_encoder", "encoder"),
        ("embedding_maskfeature", "mask"),
    )
    for index, layer in ((0, "conv1"), (1, "norm"), (3, "conv2"))
]


class SamHq(SamSegmenter):
    """HQ-SAM; takes points, a box or both, and masks, and generates masks without a prompt."""

    NAME = "sam_hq"
    OFFICIAL = ("syscv-community/sam-hq-vit-base", None)
    NETWORK = SamHQModel
    TINY = {**sam_segmenter.TINY, "mask_decoder_config": {**sam_segmenter.TINY_MASK_DECODER, "vit_dim": 64}}
    TRAIN_DEFAULTS = {"trainable": ["hq_token"], "loss": "dice_bce", "lr": 1e-3, "batch_size": 4}
    TRAINABLE = {
        **SamSegmenter.TRAINABLE,
        "hq_token": tuple(  # what its authors train; all else stays that of SAM
            f"network.mask_decoder.{name}"
            for name in ("hq_token.", "hq_mask_mlp.", "compress_vit_", "encoder_", "mask_conv", "mask_norm")
        ),
    }

    @staticmethod
    def image_transform(config: SamHQConfig) -> ImageTransform:
        return ImageTransform(config.vision_config.image_size, True, IMAGENET_MEAN, IMAGENET_STD)

    def __init__(self, network: SamHQModel):
        super().__init__(network)
        _use_updated_tokens(network.mask_decoder)

    @classmethod
    def convert(cls, source: Path) -> Self:
        if not weights.is_single_file(source):
            return super().convert(source)
        original = sam_checkpoint.read(source)
        inferred = sam_checkpoint.infer_config(original, source)
        parts = {
            f"{name}_config": {key: value for key, value in part.to_dict().items() if key != "model_type"}
            for name, part in (
                ("vision", inferred.vision_config),
                ("prompt_encoder", inferred.prompt_encoder_config),
                ("mask_decoder", inferred.mask_decoder_config),
            )
        }
        parts["mask_decoder_config"]["vit_dim"] = inferred.vision_config.hidden_size
        state = sam_checkpoint.rename(original, _NAMES)
        return cls(pretrained.fill(SamHQModel, SamHQConfig(**parts), state, source)).eval()

    def encode(self, images: list[np.ndarray]) -> Features:
        with self.encoder_context():
            out = self.network.vision_encoder(self.transform.to_input(images).to(self.device))
            return {"image": out.last_hidden_state.float(), "early": out.intermediate_embeddings[0].float()}

    def image_inputs(self, features: Features) -> dict[str, Any]:
        return {**super().image_inputs(features), "intermediate_embeddings": [features["early"]]}


def _use_updated_tokens(decoder: torch.nn.Module) -> None:
    """Let a SamHQMaskDecoder upscale the image tokens that its transformer returns, as the authors' does.

    That of transformers 5.23 drops them and upscales those from before, with height and width exchanged. Where a later
    one does not, nothing changes.
    """
    updated: list[torch.Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: tuple, out: tuple[torch.Tensor, torch.Tensor]) -> None:
        updated[:] = [out[1]]

    def replace(_module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (updated.pop().transpose(2, 3).reshape(inputs[0].shape),)

    decoder.transformer.register_forward_hook(keep)
    decoder.upscale_conv1.register_forward_pre_hook(replace)
