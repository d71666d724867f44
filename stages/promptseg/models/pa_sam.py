"""PA-SAM (Xie et al. 2024): frozen SAM ViT-L with a prompt adapter in its mask decoder.

Its authors released the state dict of the decoder (epoch_20.pth), which belongs to sam_vit_l_0b3195.pth: `convert`
takes a folder with both, or one file with all tensors, as their train.py merges them. Both sides of an image are
resized to 1024, as in the authors' evaluation.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from transformers import SamConfig

from promptseg.core.errors import UserError
from promptseg.nn import sam_checkpoint
from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.nn.prompt_adapter import AdaptedMasks, AdaptedSam, HardPoints, guide
from promptseg.nn.sam_segmenter import SamSegmenter
from promptseg.nn.segmenter import Features, LossContext
from promptseg.prompts import Prompt

RELEASED_FILES = "a folder with sam_vit_l_0b3195.pth and the file that PA-SAM's authors released"
EPOCHS_WITHOUT_HARD_POINTS = 5  # of training
SAM, ADAPTER = "image_encoder.pos_embed", "prompt_adapter.static_refined_token.weight"  # tensors that identify a file


class PaSam(SamSegmenter):
    """PA-SAM.

    Attributes:
        samples_hard_points: whether hard points are sampled in training, as its authors do; otherwise they are those of
            inference.
    """

    NAME = "pa_sam"
    NETWORK = AdaptedSam
    PROMPTS = frozenset({"points", "box"})
    TRAIN_DEFAULTS = {"trainable": ["adapter"], "loss": "dice_bce", "lr": 1e-3, "batch_size": 4}
    # All that the authors train; the two-way transformer and the IoU head stay those of SAM.
    TRAINABLE = {
        "adapter": tuple(
            f"network.mask_decoder.{name}"
            for name in ("prompt_adapter.", "guiding_conv.", "upscale_", "output_hypernetworks_mlps.", "mask_tokens.")
        )
    }

    single_mask, samples_hard_points = True, True

    @staticmethod
    def image_transform(config: SamConfig) -> ImageTransform:
        return ImageTransform(config.vision_config.image_size, False, IMAGENET_MEAN, IMAGENET_STD)

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        if size != "tiny":
            remedy = f"give {RELEASED_FILES} as models.pa_sam.source"
            raise UserError(f"pa_sam: its released weights are on no hub; {remedy}")
        return super().create(size, seed)

    @classmethod
    def convert(cls, source: Path) -> Self:
        return cls(sam_checkpoint.load(AdaptedSam, _merged(source), source)).eval()

    def encode(self, images: list[np.ndarray]) -> Features:
        pixels = self.transform.to_input(images).to(self.device)
        side = 4 * self.network.config.prompt_encoder_config.image_embedding_size
        with self.encoder_context():
            image = self.network.vision_encoder(pixels).last_hidden_state.float()
        return {"image": image, "guide": guide(pixels, side)}

    def decode_batch(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        return self.adapt(features, prompts).logits.unflatten(0, (len(prompts), -1))

    def compute_loss(
        self, features: Features, prompts: list[list[Prompt]], context: LossContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum the losses of the mask and of the intermediate mask and the cross-entropy of the uncertainty, unweighted.

        The target of the uncertainty is where the coarse mask is wrong; the released code has a band along the outline
        instead.
        """
        enabled = not 1 <= context.epoch <= EPOCHS_WITHOUT_HARD_POINTS
        noise = None
        if enabled and context.epoch and self.samples_hard_points:
            noise = self._noise(context.seeds, len(prompts[0]))
        masks = self.adapt(features, prompts, enabled, noise)
        logits, uncertainty = masks.logits.float(), masks.uncertainty.float()
        target, weight = context.targets(masks.coarse.shape[-1])
        wrong = (masks.coarse > 0) != (target >= 0.5)
        entropy = -torch.where(wrong, uncertainty, 1 - uncertainty).clamp(min=1e-12).log()
        entropy = (entropy * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)
        losses = context.loss(logits, *context.targets(logits.shape[-1]))
        return logits, losses + context.loss(masks.intermediate.float(), target, weight) + entropy

    def adapt(
        self, features: Features, prompts: list[list[Prompt]], hard: bool = True, noise: torch.Tensor | None = None
    ) -> AdaptedMasks:
        """Predict masks for all prompts, (n * p, ...), with the maps that the adapter's losses need.

        Args:
            features: of n images.
            prompts: as in `decode`.
            hard: whether there are hard points.
            noise: (2, n * p, grid ** 2) Gumbel noise by which they are sampled; None: those of inference.
        """
        sparse = self.sparse_prompts(prompts)
        return self.network.adapt(features["image"], features["guide"], *sparse, HardPoints(hard, noise))

    def _noise(self, seeds: list[int], prompts: int) -> torch.Tensor:
        """Gumbel noise (2, n * prompts, grid ** 2), that of each image from its own seed."""
        count = self.network.config.prompt_encoder_config.image_embedding_size**2
        uniform = [torch.rand(2, prompts, count, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return -torch.log(-torch.log(torch.cat(uniform, dim=1).clamp(1e-7, 1 - 1e-7))).to(self.device)


def _merged(source: Path) -> dict[str, torch.Tensor]:
    """SAM's tensors, with those of PA-SAM's mask decoder. Raises UserError if either is missing."""
    paths = [source]
    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.suffix in sam_checkpoint.SUFFIXES)
    files = [sam_checkpoint.read(path) for path in paths]
    merged = {}
    for tensors in sorted(files, key=lambda tensors: ADAPTER in tensors):  # PA-SAM's decoder replaces that of SAM
        prefix = "mask_decoder." if ADAPTER in tensors else ""
        merged.update({prefix + name: tensor for name, tensor in tensors.items()})
    for name in (SAM, "mask_decoder." + ADAPTER):
        if name not in merged:
            raise UserError(f"{source}: no tensor {name} in its .pth files; {RELEASED_FILES} is expected")
    return merged
