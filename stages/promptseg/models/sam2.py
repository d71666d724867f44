"""SAM 2 (Ravi et al. 2024) for images, as transformers' Sam2Model: Hiera encoder with two high-resolution skips.

Released as facebook/sam2.1-hiera-tiny, -small, -base-plus and -large, and as sam2.1_hiera_tiny.pt and so on. Both sides
of an image are resized to 1024.
"""

from pathlib import Path
from typing import Self

from transformers import Sam2Config, Sam2Model

from promptseg.nn import sam2_checkpoint, weights
from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.nn.sam2_segmenter import Sam2Segmenter

# 128 pixels with patches of 2, so that the embedding has 16 x 16 positions and masks have 64 x 64. The third stage has
# the blocks of the tiny SAM's encoder after its first block, from which it is trained.
TINY = {
    "vision_config": dict(
        backbone_config=dict(
            model_type="sam2_hiera_det_model", hidden_size=16, image_size=[128, 128], patch_stride=[2, 2],
            mlp_ratio=2.0, blocks_per_stage=[1, 1, 8, 1], embed_dim_per_stage=[16, 64, 128, 160],
            num_attention_heads_per_stage=[1, 2, 4, 5], window_size_per_stage=[8, 8, 8, 8],
            global_attention_blocks=[5, 8, 9], window_positional_embedding_background_size=[16, 16],
        ),
        backbone_channel_list=[160, 128, 64, 16], backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]],
        fpn_hidden_size=96,
    ),
    "prompt_encoder_config": dict(hidden_size=96, image_size=128, patch_size=8),
    # The stability of a mask of 64 x 64 says little: a pixel of a small object is more than its threshold allows.
    "mask_decoder_config": dict(
        hidden_size=96, mlp_dim=192, num_attention_heads=4, iou_head_hidden_dim=96,
        dynamic_multimask_via_stability=False,
    ),
}  # fmt: skip


class Sam2(Sam2Segmenter):
    """SAM 2 for images; takes points, a box or both, and masks, and generates masks without a prompt."""

    NAME = "sam2"
    OFFICIAL = ("facebook/sam2.1-hiera-tiny", "de431c4043854a71d8101e17995dfe596bf101a5")
    NETWORK, TINY = Sam2Model, TINY

    @staticmethod
    def image_transform(config: Sam2Config) -> ImageTransform:
        return ImageTransform(config.prompt_encoder_config.image_size, False, IMAGENET_MEAN, IMAGENET_STD)

    @classmethod
    def convert(cls, source: Path) -> Self:
        if weights.is_single_file(source):
            return cls(sam2_checkpoint.convert(source)).eval()
        return super().convert(source)
