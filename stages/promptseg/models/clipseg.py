"""CLIPSeg (Lueddecke & Ecker 2022), as transformers' CLIPSegForImageSegmentation: frozen CLIP, a small decoder.

Released as CIDAS/clipseg-rd64-refined. Both sides of a picture become 352. The vision part runs once a picture and
only as far as the decoder looks; a phrase runs through the text part once, a support picture through the vision part.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from promptseg.base.errors import Problem
from promptseg.networks import phrases, precision, support, weights
from promptseg.networks.frame import Frame
from promptseg.networks.prompts import Example, Prompt
from promptseg.networks.segmenter import Features, Segmenter

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
KEPT = 4096  # embeddings of phrases, and of support pictures; 8 MB


class ClipSeg(Segmenter):
    NAME = "clipseg"
    PROMPTS = frozenset({"text", "image", "text + image"})
    PARTS = {"decoder": ("network.decoder.",)}
    ENCODER = ("network.clip.vision_model.",)

    def __init__(self, network: CLIPSegForImageSegmentation, tokenizer: dict[str, bytes], size: int):
        super().__init__()
        self.network, self.frame, self._files = network, Frame(size, False, MEAN, STD), tokenizer
        self._tokenizer = phrases.tokenizer(tokenizer)
        self._longest = network.config.text_config.max_position_embeddings
        # A run asks the same few phrases of every picture, and in every epoch shows the same examples.
        self._phrases: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._examples: OrderedDict[bytes, torch.Tensor] = OrderedDict()

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
        conditions = torch.cat([self._conditions(row) for row in prompts])
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
        return self._files

    def _conditions(self, asked: list[Prompt]) -> torch.Tensor:
        """(p, projection_dim), what FiLM takes: embeddings of phrases, of examples, or points on the line between.

        Neither is normalised, as in training.py of the original. New phrases of a picture go through the text part
        together, which reads its weights once; those of other pictures do not, so that their company changes no bit.
        """
        texts = list(dict.fromkeys(prompt.text for prompt in asked if prompt.text is not None))
        embedded = _kept(self._phrases, texts, self._embed_phrases)
        conditions = []
        for prompt in asked:
            condition = embedded.get(prompt.text)
            if prompt.example is not None:
                digest = prompt.example.digest
                shown = _kept(self._examples, [digest], lambda _: self._embed_example(prompt.example))[digest]
                condition = shown if prompt.mix is None else torch.lerp(condition, shown, prompt.mix)
            conditions.append(condition)
        return torch.stack(conditions)

    @torch.no_grad()
    def _embed_example(self, example: Example) -> torch.Tensor:
        """A support picture -> (1, projection_dim) its CLIP image embedding, at the same size as the other pictures."""
        cover = self.frame.from_picture(example.mask, self.frame.size)
        pixels = support.prepare(self.frame.pixels([example.image])[0], cover, example.prepare)
        pixels = pixels[None].to(self.device)
        return self.network.get_conditional_embeddings(batch_size=1, conditional_pixel_values=pixels)

    @torch.no_grad()
    def _embed_phrases(self, texts: list[str]) -> torch.Tensor:
        """Phrases -> (n, projection_dim) their CLIP text embeddings, as CLIPSeg is conditioned on them."""
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
        ).to(self.device)
        return self.network.get_conditional_embeddings(batch_size=len(texts), **tokens)


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
    return restore(*weights.read(folder), folder)


def restore(config: dict, tensors: dict[str, torch.Tensor], folder: Path) -> ClipSeg:
    """From its configuration and tensors, and the tokenizer's files in the folder, which may be another model's."""
    config_, tensors = CLIPSegConfig.from_dict(config["network"]), weights.without(tensors, "network.")
    network = weights.fill(CLIPSegForImageSegmentation, config_, tensors, folder)
    return precision.stored(ClipSeg(network, phrases.read(folder), config["size"]), config).eval()


def _kept(known: OrderedDict, keys: list, embed: Callable[[list], torch.Tensor]) -> dict:
    """What each of the keys stands for: out of `known`, or made by one call of `embed` and kept there."""
    new = [key for key in keys if key not in known]
    if new:
        known.update(zip(new, embed(new)))
    found = {key: known[key] for key in keys}
    while len(known) > KEPT:
        known.popitem(last=False)
    return found
