"""CLIPSeg (Lueddecke & Ecker 2022), as transformers' CLIPSegForImageSegmentation: frozen CLIP, a small decoder.

Released as CIDAS/clipseg-rd64-refined. Both sides of an image are resized to 352. The vision encoder runs once an image
and only up to the last block that the decoder reads; each phrase passes the text encoder once, each support image the
vision encoder.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from transformers import BatchEncoding, CLIPSegConfig, CLIPSegForImageSegmentation

from promptseg.nn import precision, pretrained, text_encoder, visual_prompt, weights
from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.nn.lru_cache import LRUCache
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.support import Step, Support, SupportImage

SIZE, TINY_SIZE = 352, 160  # of the input, pixels
TINY = {
    "vision_config": dict(
        hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, image_size=160, patch_size=8
    ),
    "text_config": text_encoder.TINY_TEXT,
    "projection_dim": 64, "extract_layers": [1, 2, 3], "reduce_dim": 32, "decoder_intermediate_size": 128,
    "use_complex_transposed_convolution": True,
}  # fmt: skip


class ClipSeg(Segmenter):
    """CLIPSeg; takes text, support images, and mixtures of the two."""

    NAME = "clipseg"
    OFFICIAL = ("CIDAS/clipseg-rd64-refined", "999e0328d9e10b484360c477313983f9afdd7050")
    PROMPTS = frozenset({"text", "support", "text + support"})
    TRAIN_DEFAULTS = {"trainable": ["decoder"], "loss": "dice", "lr": 1e-3, "batch_size": 2}
    TRAINABLE = {"decoder": ("network.decoder.",)}
    ENCODER = ("network.clip.vision_model.",)
    TINY = TINY

    def __init__(self, network: CLIPSegForImageSegmentation, tokenizer: dict[str, bytes], size: int):
        super().__init__()
        self.network, self.transform = network, ImageTransform(size, False, IMAGENET_MEAN, IMAGENET_STD)
        max_length = network.config.text_config.max_position_embeddings
        self.phrases = text_encoder.PhraseEmbeddings(tokenizer, max_length, self._embed_phrases)
        self.support_embeddings = LRUCache(self._embed_support, lambda item: (item[0].digest, item[1]))

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        if size != "tiny":
            pretrained.refuse_random(cls.NAME)
        torch.manual_seed(seed)
        return cls(CLIPSegForImageSegmentation(CLIPSegConfig(**TINY)), text_encoder.letters(), TINY_SIZE).eval()

    @classmethod
    def convert(cls, source: Path) -> Self:
        files = text_encoder.read(source)
        return cls(pretrained.convert(CLIPSegForImageSegmentation, source), files, SIZE).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        config, tensors = weights.read(folder)
        network = pretrained.load(CLIPSegForImageSegmentation, config, tensors, folder)
        return precision.stored(cls(network, text_encoder.read(folder), config["size"]), config).eval()

    def encode(self, images: list[np.ndarray]) -> Features:
        vision = self.network.clip.vision_model
        layers = list(self.network.config.extract_layers)
        features = {}
        with self.encoder_context():
            pixels = self.transform.to_input(images).to(self.device)
            hidden = vision.pre_layrnorm(vision.embeddings(pixels, interpolate_pos_encoding=True))
            for index, layer in enumerate(vision.encoder.layers[: max(layers) + 1]):
                hidden = layer(hidden, attention_mask=None)
                if index in layers:
                    features[f"layer{index}"] = hidden.float()
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
        network = pretrained.configuration(self.network)
        return {"model": self.NAME, "network": network, "size": self.transform.size}

    def files(self) -> dict[str, bytes]:
        return self.phrases.files

    def _conditions(self, prompts: list[Prompt]) -> torch.Tensor:
        """Conditional embeddings (p, projection_dim) for FiLM: of phrases, of support images, or interpolated.

        Neither is normalized, as in training.py of the original.
        """
        phrases = [prompt.get("text").phrase for prompt in prompts if prompt.get("text")]
        by_phrase = dict(zip(phrases, self.phrases(phrases)))
        conditions = []
        for prompt in prompts:
            text, support = prompt.get("text"), prompt.get("support")
            condition = by_phrase[text.phrase] if text else None
            if support:
                embedding = self._support_embedding(support)
                condition = embedding if condition is None else torch.lerp(condition, embedding, support.weight)
            conditions.append(condition)
        return torch.stack(conditions)

    def _embed_phrases(self, tokens: BatchEncoding) -> torch.Tensor:
        return self.network.get_conditional_embeddings(batch_size=len(tokens.input_ids), **tokens.to(self.device))

    def _support_embedding(self, support: Support) -> torch.Tensor:
        """Embedding (projection_dim,) of all support images of a prompt."""
        # One at a time: the last bits depend on the batch, and here on nothing that was embedded before.
        embeddings = [self.support_embeddings([(image, support.visual_prompt)])[0] for image in support.images]
        return embeddings[0] if len(embeddings) == 1 else mean_embedding(torch.stack(embeddings))

    def _embed_support(self, items: list[tuple[SupportImage, tuple[Step, ...]]]) -> torch.Tensor:
        """CLIP image embeddings (n, projection_dim) of support images, at the input size of other images."""
        pixels = torch.stack([self._prepare(*item) for item in items]).to(self.device)
        with self.encoder_context():
            out = self.network.get_conditional_embeddings(batch_size=len(items), conditional_pixel_values=pixels)
            return out.float()

    def _prepare(self, support: SupportImage, steps: tuple[Step, ...]) -> torch.Tensor:
        """A support image after visual prompt engineering, (3, size, size) float32."""
        (pixels,) = self.transform.to_input([support.image])
        coverage = self.transform.from_image(support.mask, self.transform.size)
        return visual_prompt.prepare(pixels, coverage, steps)


def mean_embedding(embeddings: torch.Tensor) -> torch.Tensor:
    """Average embeddings so that each counts the same, whatever its length.

    The paper has one support image. The direction is that of the mean of the unit vectors, as CLIP's own ensembles of
    phrases are averaged (Radford et al. 2021); the length is the mean length, since CLIPSeg is conditioned on
    embeddings that are not normalized.

    Args:
        embeddings: (k, width) float32.

    Returns:
        (width,) float32.
    """
    direction = F.normalize(F.normalize(embeddings, dim=1).mean(dim=0), dim=0)
    return direction * embeddings.norm(dim=1).mean()
