"""PA-SAM (Xie et al. 2024): frozen SAM ViT-L, and a prompt adapter inside its mask decoder.

Released by its authors as the state dict of the decoder (epoch_20.pth), which belongs to sam_vit_l_0b3195.pth: give a
folder with both. One file with all of them, as their train.py merges them, is taken as well. Both sides of a picture
become 1024, as the authors evaluate it.
"""

from pathlib import Path

import numpy as np
import torch

from promptseg.core.errors import UserError
from promptseg.nn import precision, sam_checkpoint, sam_network, weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.prompt_adapter import Adapted, AdaptedSam, guide
from promptseg.nn.sam_network import MEAN, STD
from promptseg.nn.segmenter import Features, LossContext, SamSegmenter
from promptseg.prompts import Prompt

OFFICIAL = "a folder with sam_vit_l_0b3195.pth and the file that PA-SAM's authors released"
WITHOUT = 5  # so many epochs of training have no hard points yet
SAM, ADAPTER = "image_encoder.pos_embed", "prompt_adapter.static_refined_token.weight"


class PaSam(SamSegmenter):
    NAME = "pa_sam"
    PROMPTS = frozenset({"points", "box"})
    # All that the authors train; the two-way transformer and the head for the predicted IoU stay SAM's.
    PARTS = {
        "adapter": tuple(
            f"network.mask_decoder.{name}"
            for name in ("prompt_adapter.", "guiding_conv.", "upscale_", "output_hypernetworks_mlps.", "mask_tokens.")
        )
    }

    drawn = True  # whether hard points are a random draw while it learns, as its authors have it; False: those in use

    def __init__(self, network: AdaptedSam):
        frame = ImageTransform(network.config.vision_config.image_size, False, MEAN, STD)
        super().__init__(network, frame, single_mask=True)

    def encode(self, images: list[np.ndarray]) -> Features:
        pixels = self.frame.pixels(images).to(self.device)
        side = 4 * self.network.config.prompt_encoder_config.image_embedding_size
        return {"image": self.network.get_image_embeddings(pixels), "guide": guide(pixels, side)}

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        return self.adapt(features, prompts).logits.unflatten(0, (len(prompts), -1))

    def teach(
        self, features: Features, prompts: list[list[Prompt]], lesson: LossContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Three losses, unweighted: of the answer, of the intermediate mask, and the cross-entropy of the uncertainty
        against where the coarse mask is wrong (the released code has a band along the outline there).
        """
        hard = not 1 <= lesson.epoch <= WITHOUT
        noise = self._noise(lesson.seeds, len(prompts[0])) if hard and lesson.epoch and self.drawn else None
        found = self.adapt(features, prompts, hard, noise)
        logits, uncertainty = found.logits.float(), found.uncertainty.float()
        target, weight = lesson.truth(found.coarse.shape[-1])
        wrong = (found.coarse > 0) != (target >= 0.5)
        doubt = -torch.where(wrong, uncertainty, 1 - uncertainty).clamp(min=1e-12).log()
        doubt = (doubt * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)
        masks = lesson.loss(logits, *lesson.truth(logits.shape[-1]))
        return logits, masks + lesson.loss(found.intermediate.float(), target, weight) + doubt

    def adapt(
        self, features: Features, prompts: list[list[Prompt]], hard: bool = True, noise: torch.Tensor | None = None
    ) -> Adapted:
        """The answers to all prompts, (n * p, ...), with what the adapter's losses are about; hard, noise: as
        AdaptedSam.adapt takes them."""
        points, labels, boxes = (self._stack(prompts, name) for name in ("points", "labels", "box"))
        return self.network.adapt(features["image"], features["guide"], points, labels, boxes, hard, noise)

    def _noise(self, seeds: list[int], prompts: int) -> torch.Tensor:
        """Gumbel noise (2, n * prompts, grid^2), that of a picture from its own seed."""
        places = self.network.config.prompt_encoder_config.image_embedding_size**2
        drawn = [torch.rand(2, prompts, places, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return -torch.log(-torch.log(torch.cat(drawn, dim=1).clamp(1e-7, 1 - 1e-7))).to(self.device)


def create(size: str, seed: int) -> PaSam:
    if size != "tiny":
        raise UserError(f"pa_sam: its released weights are on no hub; give {OFFICIAL} as models.pa_sam.source")
    return PaSam(sam_network.create(AdaptedSam, size, seed)).eval()


def convert(source: Path) -> PaSam:
    original = _merged(source)
    config = sam_checkpoint.config(original, source)
    return PaSam(weights.fill(AdaptedSam, config, sam_checkpoint.converted(original), source)).eval()


def load(folder: Path, classes: int) -> PaSam:
    config, network = sam_network.load(AdaptedSam, folder)
    return precision.stored(PaSam(network), config).eval()


def _merged(source: Path) -> dict[str, torch.Tensor]:
    """SAM's tensors with the adapter's decoder in place of its own. Raises UserError if one of the two is not there."""
    paths = (
        sorted(path for path in source.iterdir() if path.suffix in sam_checkpoint.SUFFIXES)
        if source.is_dir()
        else [source]
    )
    merged = {}
    parts = [sam_checkpoint.tensors(path) for path in paths]
    for part in sorted(
        parts, key=lambda part: ADAPTER in part
    ):  # the adapter's last: its decoder is the one that counts
        beginning = "mask_decoder." if ADAPTER in part else ""
        merged.update({beginning + name: tensor for name, tensor in part.items()})
    for name in (SAM, "mask_decoder." + ADAPTER):
        if name not in merged:
            raise UserError(f"{source}: no tensor {name} in its .pth files; {OFFICIAL} is expected")
    return merged
