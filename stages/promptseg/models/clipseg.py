"""CLIPSeg (Lueddecke & Ecker 2022), as transformers' CLIPSegForImageSegmentation: frozen CLIP, a small decoder.

Released as CIDAS/clipseg-rd64-refined. Both sides of a picture become 352. The vision part runs once a picture and
only as far as the decoder looks; a phrase runs through the text part once, a support picture through the vision part.
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import BatchEncoding, CLIPSegConfig, CLIPSegForImageSegmentation

from promptseg.core.errors import UserError
from promptseg.nn import precision, text_encoder, visual_prompt, weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.lru_cache import LRUCache
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt, SupportExample

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SIZE = 352
TINY_SIZE = 160
TINY = {
    "vision_config": dict(
        hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, image_size=160, patch_size=8
    ),
    "text_config": text_encoder.TINY_TEXT,
    "projection_dim": 64, "extract_layers": [1, 2, 3], "reduce_dim": 32, "decoder_intermediate_size": 128,
    "use_complex_transposed_convolution": True,
}  # fmt: skip


class ClipSeg(Segmenter):
    NAME = "clipseg"
    PROMPTS = frozenset({"text", "image", "text + image"})
    PARTS = {"decoder": ("network.decoder.",)}
    ENCODER = ("network.clip.vision_model.",)

    def __init__(self, network: CLIPSegForImageSegmentation, tokenizer: dict[str, bytes], size: int):
        super().__init__()
        self.network, self.frame = network, ImageTransform(size, False, MEAN, STD)
        self.phrases = text_encoder.Phrases(tokenizer, network.config.text_config.max_position_embeddings, self._of_words)
        self.examples = LRUCache(self._of_examples, lambda example: example.digest)

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
        return self.phrases.files

    def _conditions(self, asked: list[Prompt]) -> torch.Tensor:
        """(p, projection_dim), what FiLM takes: embeddings of phrases, of examples, or points on the line between.

        Neither is normalized, as in training.py of the original.
        """
        texts = [prompt.text for prompt in asked if prompt.text is not None]
        words = dict(zip(texts, self.phrases(texts)))
        conditions = []
        for prompt in asked:
            condition = words.get(prompt.text)
            if prompt.example is not None:
                (shown,) = self.examples([prompt.example])
                condition = shown if prompt.mix is None else torch.lerp(condition, shown, prompt.mix)
            conditions.append(condition)
        return torch.stack(conditions)

    def _of_words(self, tokens: BatchEncoding) -> torch.Tensor:
        """CLIP's text embeddings (n, projection_dim), as CLIPSeg is conditioned on them."""
        return self.network.get_conditional_embeddings(batch_size=len(tokens.input_ids), **tokens.to(self.device))

    def _of_examples(self, examples: list[SupportExample]) -> torch.Tensor:
        """Support pictures -> (n, projection_dim) their CLIP image embeddings, at the size of the other pictures."""
        pixels = torch.stack([
            visual_prompt.prepare(
                self.frame.pixels([each.image])[0], self.frame.from_picture(each.mask, self.frame.size), each.prepare
            )
            for each in examples
        ])  # fmt: skip
        return self.network.get_conditional_embeddings(
            batch_size=len(examples), conditional_pixel_values=pixels.to(self.device)
        )


def create(size: str, seed: int) -> ClipSeg:
    if size != "tiny":
        raise UserError("clipseg: it is only of use with its released weights; set models.clipseg.official or source")
    torch.manual_seed(seed)
    network = CLIPSegForImageSegmentation(CLIPSegConfig(**TINY))
    return ClipSeg(network, text_encoder.letters(), TINY_SIZE).eval()


def convert(source: Path) -> ClipSeg:
    config, tensors = weights.released(source)
    tokenizer = text_encoder.read(source)
    config = CLIPSegConfig.from_dict(json.loads(config.read_text()))
    network = weights.fill(CLIPSegForImageSegmentation, config, weights.tensors(tensors), source)
    return ClipSeg(network, tokenizer, SIZE).eval()


def load(folder: Path, classes: int) -> ClipSeg:
    return restore(*weights.read(folder), folder)


def restore(config: dict, tensors: dict[str, torch.Tensor], folder: Path) -> ClipSeg:
    """From its configuration and tensors, and the tokenizer's files in the folder, which may be another model's."""
    config_, tensors = CLIPSegConfig.from_dict(config["network"]), weights.without(tensors, "network.")
    network = weights.fill(CLIPSegForImageSegmentation, config_, tensors, folder)
    return precision.stored(ClipSeg(network, text_encoder.read(folder), config["size"]), config).eval()
