"""The tracker of SAM 3 (Carion et al. 2025) for images, as transformers' Sam3TrackerModel: prompted as SAM 2 is.

Released as facebook/sam3, after its licence is accepted there; the files are those of the video model, of which the
detector's vision encoder, the tracker's neck and its prompt encoder and mask decoder are taken. Both sides of an image
are resized to 1008.
"""

from transformers import PretrainedConfig, Sam3TrackerConfig, Sam3TrackerModel

from promptseg.nn.image_transform import HALF_MEAN, HALF_STD, ImageTransform
from promptseg.nn.sam2_segmenter import Sam2Segmenter
from promptseg.nn.sam_segmenter import TINY_MASK_DECODER

# The mask decoder takes three maps. The released neck has a fourth, coarser one, which the authors drop before they add
# the "no memory" embedding to the coarsest; transformers' Sam3TrackerModel does so after, and drops the embedding too.
SCALES = [4.0, 2.0, 1.0]


class Sam3Tracker(Sam2Segmenter):
    """The tracker of SAM 3; takes points, a box or both, and masks, and generates masks without a prompt."""

    NAME = "sam3_tracker"
    OFFICIAL = ("facebook/sam3", "3c879f39826c281e95690f02c7821c4de09afae7")
    NETWORK = Sam3TrackerModel
    TINY = {
        "vision_config": dict(
            backbone_config=dict(
                model_type="sam3_vit_model", hidden_size=64, intermediate_size=128, num_hidden_layers=4,
                num_attention_heads=4, image_size=224, window_size=8, global_attn_indexes=[1, 3],
                pretrain_image_size=112,
            ),
            fpn_hidden_size=64, backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]], scale_factors=SCALES,
        ),
        "prompt_encoder_config": dict(hidden_size=64, image_size=224),
        "mask_decoder_config": TINY_MASK_DECODER,
    }  # fmt: skip
    FULL = {"vision_config": dict(scale_factors=SCALES)}
    LORA_TARGETS = (".attention.q_proj", ".attention.k_proj", ".attention.v_proj")

    @staticmethod
    def image_transform(config: Sam3TrackerConfig) -> ImageTransform:
        return ImageTransform(config.prompt_encoder_config.image_size, False, HALF_MEAN, HALF_STD)

    @classmethod
    def image_config(cls, released: dict) -> PretrainedConfig:
        config = super().image_config(released.get("tracker_config", released))
        config.vision_config.scale_factors = config.vision_config.scale_factors[: len(SCALES)]
        return config
