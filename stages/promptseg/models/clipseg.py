"""CLIPSeg (Lueddecke & Ecker 2022), as transformers' CLIPSegForImageSegmentation: frozen CLIP, a small decoder.

Released as CIDAS/clipseg-rd64-refined. Both sides of a picture become 352. The vision part runs once a picture and
only as far as the decoder looks; a phrase runs through the text part once.
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from promptseg import phrases, weights
from promptseg.errors import Problem
from promptseg.frame import Frame
from promptseg.prompts import Prompt
from promptseg.segmenter import Features, Segmenter

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SIZE = 352
TINY_SIZE = 160
TINY = {
    "vision_config": dict(
        hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, image_size=160, patch_size=8
    ),
    "text_config": phrases.TINY_TEXT,
    "projection_dim": 64, "extract_layers": [1, 2, 3], "reduce_dim": 32, "decoder_intermediate_size": 128,
    "use_complex_transposed_convolution": True,
}  # fmt: skip


class ClipSeg(Segmenter):
    NAME = "clipseg"
    PROMPTS = frozenset({"text"})
    PARTS = {"decoder": ("network.decoder.",)}

    def __init__(self, network: CLIPSegForImageSegmentation, tokenizer: dict[str, bytes], size: int):
        super().__init__()
        self.network, self.frame = network, Frame(size, False, MEAN, STD)
        longest = network.config.text_config.max_position_embeddings
        self.phrases = phrases.Phrases(tokenizer, longest, self._embed)

    @torch.no_grad()
    def encode(self, images: list[np.ndarray]) -> Features:
        vision = self.network.clip.vision_model
        layers = list(self.network.config.extract_layers)
        hidden = vision.embeddings(self.frame.pixels(images).to(self.device), interpolate_pos_encoding=True)
        hidden = vision.pre_layrnorm(hidden)
        features = {}
        for index, layer in enumerate(vision.encoder.layers[: max(layers) + 1]):
            hidden = layer(hidden, attention_mask=None)
            if index in layers:
                features[f"layer{index}"] = hidden
        return features

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        n, p = len(prompts), len(prompts[0])
        conditions = torch.stack([self.phrases(prompt.text) for row in prompts for prompt in row])
        activations = [
            features[f"layer{index}"].repeat_interleave(p, dim=0) for index in self.network.config.extract_layers
        ]
        logits = self.network.decoder(activations, conditions).logits
        return logits.reshape(n, p, *logits.shape[-2:])

    def configuration(self) -> dict:
        network = self.network.config.to_dict()
        network.pop("transformers_version", None)
        return {"model": self.NAME, "network": network, "size": self.frame.size}

    def files(self) -> dict[str, bytes]:
        return self.phrases.files

    def _embed(self, ids: torch.Tensor) -> torch.Tensor:
        """A phrase's tokens (1, length) -> (1, projection_dim), its CLIP text embedding, the condition of CLIPSeg."""
        return self.network.get_conditional_embeddings(batch_size=1, input_ids=ids.to(self.device))


def create(size: str, seed: int) -> ClipSeg:
    if size != "tiny":
        raise Problem("clipseg: it is only of use with its released weights; set models.clipseg.official or source")
    torch.manual_seed(seed)
    network = CLIPSegForImageSegmentation(CLIPSegConfig(**TINY))
    return ClipSeg(network, phrases.letters(), TINY_SIZE).eval()


def convert(source: Path) -> ClipSeg:
    config, tensors = weights.released(source)
    tokenizer = phrases.read(source)
    config = CLIPSegConfig.from_dict(json.loads(config.read_text()))
    network = weights.fill(CLIPSegForImageSegmentation, config, weights.tensors(tensors), source)
    return ClipSeg(network, tokenizer, SIZE).eval()


def load(folder: Path, classes: int) -> ClipSeg:
    config, tensors = weights.read(folder)
    config_, tensors = CLIPSegConfig.from_dict(config["network"]), weights.without(tensors, "network.")
    network = weights.fill(CLIPSegForImageSegmentation, config_, tensors, folder)
    return ClipSeg(network, phrases.read(folder), config["size"]).eval()
