"""SAM (Kirillov et al. 2023), as transformers' SamModel: ViT encoder, prompt encoder, two-way mask decoder.

Released as facebook/sam-vit-base, -large and -huge, and as sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth and
sam_vit_h_4b8939.pth. The longer side of an image is resized to 1024 and the rest is padded.
"""

from transformers import SamConfig

from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.nn.sam_segmenter import SamSegmenter


class Sam(SamSegmenter):
    """SAM; takes points, a box or both, and masks, and generates masks without a prompt."""

    NAME = "sam"
    OFFICIAL = ("facebook/sam-vit-base", "70c1a07f894ebb5b307fd9eaaee97b9dfc16068f")

    @staticmethod
    def image_transform(config: SamConfig) -> ImageTransform:
        return ImageTransform(config.vision_config.image_size, True, IMAGENET_MEAN, IMAGENET_STD)
