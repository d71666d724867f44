"""PointCLIP (Zhang et al. 2022; V2, Zhu et al. 2023): CLIP looks at depth maps of a point cloud; nothing is trained.

Six maps (depth_maps.py) go through CLIP's vision tower. Asked for the class of the whole cloud, each map's embedding is
compared with the phrase's, and the views' cosines are averaged by their weights (V1; it adds them up, which ranks
alike). Asked for parts, every patch is compared with the phrase, and a point takes the mean over the views that show
it (V2), all views where none does. A phrase stands in V1's words for a depth map.

View weights are equal: those that were published were searched for on the test split, and V2's belong to ten tilted
views. So were V2's phrases, hundreds written by GPT-3. As in the authors' code, CLIP sees maps from 0 to 1 as they are,
without its own mean and deviation.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPModel

from promptseg.data import point_clouds
from promptseg.data.depth_maps import VIEWS, Views
from promptseg.nn import clip, precision, text_encoder, weights
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

RELEASED = weights.OLD
BACKBONE = "clip"
TEMPLATE = "point cloud depth map of a {}."


class PointClip(Segmenter):
    """weights: one for each of depth_maps.VIEWS."""

    NAME = "pointclip"
    MODALITY = point_clouds.KIND
    ENCODER = ("network.vision_model.",)
    PROMPTS = frozenset({"text"})
    PARTS = {}

    def __init__(self, network: CLIPModel, tokenizer: dict[str, bytes], weights: list[float]):
        super().__init__()
        self.network, self.weights = network, weights
        self.frame = Views(network.config.vision_config.image_size)
        self.phrases = clip.phrases_of(network, tokenizer)

    @torch.no_grad()
    def encode(self, images: list[np.ndarray]) -> Features:
        """Embeddings of length 1: `whole` (n, 6, width), a map's; `patches` (n, 6, width, g, g), those of its patches.

        `pixels` (n, 6, points, 2): each point's row and column in the maps; `seen` (n, 6, points): 1 where it shows.
        """
        looks = [self.frame.look(point_clouds.decode(image)) for image in images]
        maps = torch.from_numpy(np.concatenate([look.maps for look in looks])).to(self.device)
        out = self.network.vision_model(maps[:, None].expand(-1, 3, -1, -1))
        tokens = self.network.vision_model.post_layernorm(out.last_hidden_state)
        embedded = F.normalize(self.network.visual_projection(tokens), dim=-1).unflatten(0, (len(images), len(VIEWS)))
        side = int((tokens.shape[1] - 1) ** 0.5)
        return {
            "whole": embedded[:, :, 0],
            "patches": embedded[:, :, 1:].mT.unflatten(3, (side, side)),
            "pixels": torch.from_numpy(np.stack([look.pixels for look in looks])).float().to(self.device),
            "seen": torch.from_numpy(np.stack([look.seen for look in looks])).float().to(self.device),
        }

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        """Logits (n, p, points, 2): CLIP's scale times a cosine; of a whole cloud the same for all its points."""
        words = torch.stack([self._words(row) for row in prompts])
        asked = self._of_cloud if prompts[0][0].whole else self._of_points
        cosines = asked(features, words, torch.tensor(self.weights, device=self.device))
        return (self.network.logit_scale.exp() * cosines)[..., None].expand(-1, -1, -1, 2)

    def configuration(self) -> dict:
        network = clip.configuration(self.network)
        return {"model": self.NAME, "network": network, "weights": self.weights}

    def files(self) -> dict[str, bytes]:
        return self.phrases.files

    def _words(self, asked: list[Prompt]) -> torch.Tensor:
        """(p, width), each of length 1."""
        return F.normalize(torch.stack(self.phrases([TEMPLATE.format(prompt.text) for prompt in asked])), dim=-1)

    @staticmethod
    def _of_cloud(features: Features, words: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """words: (n, p, width) of length 1 -> (n, p, points), the mean cosine of the views."""
        cosines = torch.einsum("nvc,npc->nvp", features["whole"], words)
        mean = torch.einsum("nvp,v->np", cosines, weights / weights.sum())
        return mean[..., None].expand(-1, -1, features["seen"].shape[2])

    def _of_points(self, features: Features, words: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """words: (n, p, width) of length 1 -> (n, p, points), the mean over the views that show a point."""
        cosines = torch.einsum("nvcgh,npc->nvpgh", features["patches"], words)
        # Centers of pixels as grid_sample counts: the same as enlarging the cosines to the map and picking pixels.
        places = ((features["pixels"] + 0.5) / self.frame.size * 2 - 1).flip(-1)
        found = F.grid_sample(
            cosines.flatten(0, 1), places.flatten(0, 1)[:, None], padding_mode="border", align_corners=False
        )
        found = found[:, :, 0].unflatten(0, cosines.shape[:2])  # (n, v, p, points)
        counts = features["seen"] * weights[:, None]
        counts = torch.where(counts.sum(1, keepdim=True) > 0, counts, weights[:, None])
        return torch.einsum("nvpk,nvk->npk", found, counts / counts.sum(1, keepdim=True))


def create(size: str, seed: int) -> PointClip:
    network, tokenizer = clip.create(PointClip.NAME, size, seed)
    return PointClip(network, tokenizer, [1.0] * len(VIEWS)).eval()


def convert(source: Path) -> PointClip:
    """CLIP from the hub's files."""
    network, tokenizer = clip.convert(source)
    return PointClip(network, tokenizer, [1.0] * len(VIEWS)).eval()


def load(folder: Path, classes: int) -> PointClip:
    config, tensors = weights.read(folder)
    network = clip.load(config["network"], tensors, folder)
    return precision.stored(PointClip(network, text_encoder.read(folder), config["weights"]), config).eval()
