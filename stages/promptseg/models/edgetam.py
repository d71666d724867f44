"""EdgeTAM (Zhou et al. 2025) for images, as transformers' EdgeTamModel: SAM 2 with a RepViT-M1 of timm as encoder.

Released as yonigozlan/EdgeTAM-hf, converted from facebook/EdgeTAM. Both sides of an image are resized to 1024.
"""

from typing import Any, Self

import torch
from transformers import EdgeTamConfig, EdgeTamModel

from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.nn.overrides import override_forward
from promptseg.nn.sam2_segmenter import Sam2Segmenter
from promptseg.nn.sam_segmenter import TINY_MASK_DECODER


def _repvit(**sizes: list[int]) -> dict[str, Any]:
    arguments = dict(in_chans=3, features_only=True, out_indices=[0, 1, 2, 3], **sizes)
    return dict(model_type="timm_wrapper", architecture="repvit_m1", num_classes=0, model_args=arguments)


class EdgeTam(Sam2Segmenter):
    """EdgeTAM; takes points, a box or both, and masks, and generates masks without a prompt."""

    NAME = "edgetam"
    OFFICIAL = ("yonigozlan/EdgeTAM-hf", "c266ce53b3fc00f0f495b583f6a116c4e57f53bb")
    NETWORK = EdgeTamModel
    TINY = {
        "vision_config": dict(
            backbone_config=_repvit(embed_dim=[16, 32, 64, 128], depth=[1, 1, 1, 1]),
            backbone_channel_list=[128, 64, 32, 16], backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]],
            fpn_hidden_size=64,
        ),
        "prompt_encoder_config": dict(hidden_size=64, image_size=256, patch_size=16),
        "mask_decoder_config": TINY_MASK_DECODER,
    }  # fmt: skip
    FULL = {"vision_config": dict(backbone_config=_repvit())}  # the default of transformers is another backbone
    LORA_TARGETS = (".channel_mixer.conv1.c", ".channel_mixer.conv2.c")

    def __init__(self, network: EdgeTamModel):
        super().__init__(network)
        from promptseg.nn import repvit  # late: it imports timm, for a second

        override_forward(network.vision_encoder, repvit.FORWARDS)

    @staticmethod
    def image_transform(config: EdgeTamConfig) -> ImageTransform:
        return ImageTransform(config.prompt_encoder_config.image_size, False, IMAGENET_MEAN, IMAGENET_STD)

    def train(self, mode: bool = True) -> Self:
        """Switch to training, except for batch norms, which keep their statistics whatever else is in a batch."""
        super().train(mode)
        for module in self.network.vision_encoder.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        return self
