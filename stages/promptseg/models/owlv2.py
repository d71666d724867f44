"""OWLv2 (Minderer et al. 2023), as transformers' Owlv2ForObjectDetection: boxes for a phrase or for a query image.

Released as google/owlv2-base-patch16-ensemble and others, under Apache 2.0. An image is padded to a square on the right
and below and resized to 960. The vision encoder runs once an image; the heads, which compare each of its patches with a
phrase, once for all prompts. A support image is the query of image-guided detection, after visual prompt engineering;
the patch of highest objectness in it is what is searched for, and of several support images the best one counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from transformers import BatchEncoding, Owlv2Config, Owlv2ForObjectDetection
from transformers.models.owlv2.modeling_owlv2 import Owlv2ImageGuidedObjectDetectionOutput, Owlv2ObjectDetectionOutput

from promptseg.data.image_io import to_rgb
from promptseg.nn import precision, pretrained, text_encoder, visual_prompt, weights
from promptseg.nn.detector import Detector, DetectorTransform
from promptseg.nn.image_transform import CLIP_MEAN, CLIP_STD
from promptseg.nn.lru_cache import LRUCache
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt
from promptseg.prompts.support import Step, SupportImage

TINY = {
    "vision_config": dict(
        hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, image_size=128, patch_size=16
    ),
    "text_config": {**text_encoder.TINY_TEXT, "initializer_factor": 4.0}, "projection_dim": 64,
    "initializer_factor": 0.1,  # of the heads, whose scores are all 0 or 1 otherwise
}  # fmt: skip


@dataclass(frozen=True)
class Owlv2Transform(DetectorTransform):
    """The transform of transformers' processor, which blurs what it shrinks and pads with black."""

    keep_aspect: bool = True
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    def to_input(self, images: list[np.ndarray]) -> torch.Tensor:
        """Convert images (h, w[, 3]) uint8 to (n, 3, size, size) float32."""
        shown = [np.array(to_rgb(image)) for image in images]  # torch warns of arrays that cannot be written
        return self.processor(shown, input_data_format="channels_last", return_tensors="pt").pixel_values

    @property
    def processor(self):
        """The image processor of transformers at this size."""
        from transformers import Owlv2ImageProcessor  # imports torchvision, which takes seconds

        return Owlv2ImageProcessor(size={"height": self.size, "width": self.size})


class Owlv2(Detector):
    """OWLv2; takes text, or support images."""

    NAME = "owlv2"
    OFFICIAL = ("google/owlv2-base-patch16-ensemble", "cfd3195ba4ea9592eec887ded089f4c08eff231d")
    PROMPTS = frozenset({"text", "support"})
    # Of a query image transformers keeps any box by default; 0.9 is what its documentation of that detection uses.
    SCORES = {"text": 0.1, "support": 0.9}
    ENCODER = ("network.owlv2.vision_model.", "network.layer_norm.")
    transform: Owlv2Transform

    def __init__(self, network: Owlv2ForObjectDetection, tokenizer: dict[str, bytes]):
        super().__init__()
        self.network, self.transform = network, Owlv2Transform(network.config.vision_config.image_size)
        max_length = network.config.text_config.max_position_embeddings
        self.phrases = text_encoder.PhraseEmbeddings(tokenizer, max_length, self._embed_phrases)
        self.queries = LRUCache(self._embed_support, lambda item: (item[0].digest, item[1]))

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        if size != "tiny":
            pretrained.refuse_random(cls.NAME)
        torch.manual_seed(seed)
        return cls(Owlv2ForObjectDetection(Owlv2Config(**TINY)), text_encoder.letters()).eval()

    @classmethod
    def convert(cls, source: Path) -> Self:
        files = text_encoder.read(source)
        return cls(pretrained.convert(Owlv2ForObjectDetection, source), files).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        config, tensors = weights.read(folder)
        network = pretrained.load(Owlv2ForObjectDetection, config, tensors, folder)
        return precision.stored(cls(network, text_encoder.read(folder)), config).eval()

    def encode(self, images: list[np.ndarray]) -> Features:
        return {"image": self._embed_image(self.transform.to_input(images))}

    def detect_image(
        self, features: Features, prompts: list[Prompt], scores: list[float]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        image = features["image"]
        guided = prompts[0].get("support") is not None
        queries = [self._queries(prompt) for prompt in prompts]
        logits = self.network.class_predictor(image, torch.cat(queries)[None])[0].split([*map(len, queries)], dim=-1)
        boxes = self.network.box_predictor(image, image)
        for own, lowest in zip(logits, scores, strict=True):
            yield self._similar(own, boxes, lowest) if guided else self._named(own, boxes, lowest)

    def configuration(self) -> dict:
        return {"model": self.NAME, "network": pretrained.configuration(self.network)}

    def files(self) -> dict[str, bytes]:
        return self.phrases.files

    def _embed_image(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, patches, width) of the patches."""
        with self.encoder_context():
            return self.network.image_embedder(pixels.to(self.device))[0].flatten(1, 2).float()

    def _queries(self, prompt: Prompt) -> torch.Tensor:
        """Embeddings (q, width) of a phrase, or of support images."""
        support = prompt.get("support")
        if support is None:
            return torch.stack(self.phrases([prompt.get("text").phrase]))
        # One at a time: the last bits depend on the batch, and here on nothing that was embedded before.
        return torch.cat([torch.stack(self.queries([(each, support.visual_prompt)])) for each in support.images])

    def _embed_phrases(self, tokens: BatchEncoding) -> torch.Tensor:
        return self.network.owlv2.get_text_features(**tokens.to(self.device)).pooler_output

    def _embed_support(self, items: list[tuple[SupportImage, tuple[Step, ...]]]) -> torch.Tensor:
        """Embeddings (n, width) of what support images show."""
        pixels = [
            visual_prompt.prepare(
                self.transform.to_input([support.image])[0],
                self.transform.from_image(support.mask, self.transform.size),
                steps,
            )
            for support, steps in items
        ]
        image = self._embed_image(torch.stack(pixels))
        return self.network.embed_image_query(image, image)[0][:, 0]

    def _named(self, logits: torch.Tensor, boxes: torch.Tensor, lowest: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes and scores for a phrase. logits: (1, patches, 1); boxes: (1, patches, 4), shares of the input."""
        out = Owlv2ObjectDetectionOutput(logits=logits, pred_boxes=boxes)
        (found,) = self.transform.processor.post_process_object_detection(out, lowest, [(self.transform.size,) * 2])
        return found["boxes"], found["scores"]

    def _similar(self, logits: torch.Tensor, boxes: torch.Tensor, lowest: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes and scores for query images, of boxes that overlap the best. Arguments as of `_named`."""
        out = Owlv2ImageGuidedObjectDetectionOutput(logits=logits, target_pred_boxes=boxes)
        sizes = torch.full((1, 2), self.transform.size)
        (found,) = self.transform.processor.post_process_image_guided_detection(out, lowest, target_sizes=sizes) or [
            {"boxes": boxes[0, :0], "scores": logits[0, :0, 0]}
        ]
        # It returns how far a score is on the way from a tenth of the highest to the highest, for display.
        return found["boxes"], (torch.sigmoid(logits.max()) + 1e-6) * (0.1 + 0.9 * found["scores"])
