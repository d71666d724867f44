"""PointCLIP (Zhang et al. 2022; V2, Zhu et al. 2023): CLIP on depth maps of a point cloud; nothing is trained.

Six maps (data/depth_maps.py) pass CLIP's vision encoder. To classify a cloud, each map's embedding is compared with the
phrase's, and the cosines are averaged over the views by their weights (V1 sums them, which gives the same ranking). To
segment its parts, every patch is compared with the phrase, and a point takes the mean over the views that show it (V2),
or over all views where it is hidden in each. A phrase is put into V1's template for depth maps.

View weights are equal: those published were searched for on the test split, and V2's are of ten tilted views. V2's
phrases, hundreds written by GPT-3, were searched for likewise. As in the authors' code, depth maps in [0, 1] are not
normalized by CLIP's mean and standard deviation.
"""

from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPModel

from promptseg.data import point_clouds
from promptseg.data.depth_maps import VIEWS, Views
from promptseg.nn import clip, precision, pretrained, text_encoder, weights
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

TEMPLATE = "point cloud depth map of a {}."


class PointClip(Segmenter):
    """PointCLIP.

    Args:
        network: CLIP.
        tokenizer: contents of its tokenizer's files by name.
        weights: of depth_maps.VIEWS, in their order.
    """

    NAME = "pointclip"
    OFFICIAL, RELEASED = clip.OFFICIAL, weights.PICKLED_TENSORS
    BACKBONE = "clip"
    MODALITY = point_clouds.MODALITY
    ENCODER = ("network.vision_model.",)
    PROMPTS = frozenset({"text"})
    TRAINABLE = {}
    transform: Views  # type: ignore[assignment]  # in the place of an ImageTransform, see Segmenter.MODALITY

    def __init__(self, network: CLIPModel, tokenizer: dict[str, bytes], weights: list[float]):
        super().__init__()
        self.network, self.weights = network, weights
        self.transform = Views(network.config.vision_config.image_size)
        self.phrases = clip.phrase_embeddings(network, tokenizer)

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        return cls(*clip.create(cls.NAME, size, seed), [1.0] * len(VIEWS)).eval()

    @classmethod
    def convert(cls, source: Path, size: Literal["full", "tiny"] = "full") -> Self:
        """From CLIP in the layout of the hub. size: ignored, as nothing is built on it."""
        return cls(*clip.convert(source), [1.0] * len(VIEWS)).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        config, tensors = weights.read(folder)
        network = pretrained.load(CLIPModel, config, tensors, folder)
        return precision.stored(cls(network, text_encoder.read(folder), config["weights"]), config).eval()

    def encode(self, images: list[np.ndarray]) -> Features:
        """Embed the six depth maps of each cloud.

        Returns:
            `whole` (n, 6, width), embeddings of the maps, and `patches` (n, 6, width, g, g), of their patches, both of
            length 1; `pixels` (n, 6, points, 2), row and column of each point in the maps; `visible` (n, 6, points), 1
            where nothing occludes it.
        """
        depths = [self.transform.render(point_clouds.decode(image)) for image in images]
        maps = torch.from_numpy(np.concatenate([each.maps for each in depths])).to(self.device)
        with self.encoder_context():
            out = self.network.vision_model(maps[:, None].expand(-1, 3, -1, -1))
            tokens = self.network.vision_model.post_layernorm(out.last_hidden_state)
            embeddings = F.normalize(self.network.visual_projection(tokens).float(), dim=-1)
        embeddings = embeddings.unflatten(0, (len(images), len(VIEWS)))
        side = int((tokens.shape[1] - 1) ** 0.5)
        return {
            "whole": embeddings[:, :, 0],
            "patches": embeddings[:, :, 1:].mT.unflatten(3, (side, side)),
            "pixels": torch.from_numpy(np.stack([each.pixels for each in depths])).float().to(self.device),
            "visible": torch.from_numpy(np.stack([each.visible for each in depths])).float().to(self.device),
        }

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        """Compute logits (n, p, points, 2), CLIP's scale times a cosine; for classification equal at all points."""
        phrases = torch.stack([self._embed_phrases(row) for row in prompts])
        cosines = self._classify if prompts[0][0].is_classification else self._segment
        values = cosines(features, phrases, torch.tensor(self.weights, device=self.device))
        return (self.network.logit_scale.exp() * values)[..., None].expand(-1, -1, -1, 2)

    def configuration(self) -> dict:
        network = pretrained.configuration(self.network)
        return {"model": self.NAME, "network": network, "weights": self.weights}

    def files(self) -> dict[str, bytes]:
        return self.phrases.files

    def _embed_phrases(self, prompts: list[Prompt]) -> torch.Tensor:
        """Text embeddings (p, width) of length 1."""
        phrases = [TEMPLATE.format(prompt.get("text").phrase) for prompt in prompts]
        return F.normalize(torch.stack(self.phrases(phrases)), dim=-1)

    @staticmethod
    def _classify(features: Features, phrases: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Mean cosine (n, p, points) of the views with phrases (n, p, width)."""
        cosines = torch.einsum("nvc,npc->nvp", features["whole"], phrases)
        mean = torch.einsum("nvp,v->np", cosines, weights / weights.sum())
        return mean[..., None].expand(-1, -1, features["visible"].shape[2])

    def _segment(self, features: Features, phrases: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Mean cosine (n, p, points) of a point's patches with phrases (n, p, width), over the views that show it."""
        cosines = torch.einsum("nvcgh,npc->nvpgh", features["patches"], phrases)
        # Pixel centers in grid_sample's coordinates: the same as upsampling the cosines to the map and picking pixels.
        centers = ((features["pixels"] + 0.5) / self.transform.size * 2 - 1).flip(-1)
        sampled = F.grid_sample(
            cosines.flatten(0, 1), centers.flatten(0, 1)[:, None], padding_mode="border", align_corners=False
        )
        sampled = sampled[:, :, 0].unflatten(0, cosines.shape[:2])  # (n, v, p, points)
        shares = features["visible"] * weights[:, None]
        shares = torch.where(shares.sum(1, keepdim=True) > 0, shares, weights[:, None])
        return torch.einsum("nvpk,nvk->npk", sampled, shares / shares.sum(1, keepdim=True))
