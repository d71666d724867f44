"""Grounding DINO (Liu et al. 2023), as transformers' GroundingDinoForObjectDetection: boxes for a phrase.

Released as IDEA-Research/grounding-dino-tiny and -base, under Apache 2.0. The shorter side of an image is resized to
800, or less where the longer one would exceed 1333. Its text is part of all that follows the backbone, so only the
backbone runs once an image, and the rest for each phrase; or once for all phrases of an image, where the prompt says
`together`: then they share a caption, as in its authors' evaluation on COCO, and each changes the boxes of the others.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from transformers import BertTokenizer, GroundingDinoConfig, GroundingDinoForObjectDetection
from transformers.modeling_outputs import BackboneOutput

from promptseg.core.errors import UserError
from promptseg.data.image_io import to_rgb
from promptseg.nn import deformable_attention, precision, pretrained, text_fusion, weights
from promptseg.nn.detector import Detector, DetectorTransform
from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD
from promptseg.nn.overrides import override_forward
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt

VOCABULARY = "vocab.txt"  # of BERT's tokenizer
SHORTEST, LONGEST, TINY_SHORTEST, TINY_LONGEST = 800, 1333, 128, 192  # sides of the input, pixels
TINY = {
    "backbone_config": dict(
        model_type="swin", embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 8], window_size=4, image_size=128,
        out_indices=[2, 3, 4],
    ),
    "text_config": dict(
        model_type="bert", hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        vocab_size=1187,
    ),
    "d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_queries": 50,
}  # fmt: skip
# Fused in the two networks that it is built of; its own layers have no fused attention in transformers.
ATTENTION = {"": "eager", "text_config": "sdpa", "backbone_config": "sdpa"}


@dataclass(frozen=True)
class GroundingDinoTransform(DetectorTransform):
    """The transform of transformers' processor; maps and boxes are over a square of the longest side.

    Attributes:
        shortest: longest length of the shorter side, pixels; `size` is that of the longer one.
    """

    size: int = LONGEST
    keep_aspect: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    shortest: int = SHORTEST

    def to_input(self, images: list[np.ndarray]) -> torch.Tensor:
        """Convert an image (h, w[, 3]) uint8 to (1, 3, height, width) float32; others would be padded to one size."""
        from transformers import GroundingDinoImageProcessor  # imports torchvision, which takes seconds

        processor = GroundingDinoImageProcessor(size={"shortest_edge": self.shortest, "longest_edge": self.size})
        shown = np.array(to_rgb(*images))  # torch warns of arrays that cannot be written
        return processor(shown, input_data_format="channels_last", return_tensors="pt").pixel_values


class GroundingDino(Detector):
    """Grounding DINO; takes text."""

    NAME = "grounding_dino"
    OFFICIAL = ("IDEA-Research/grounding-dino-tiny", "a2bb814dd30d776dcf7e30523b00659f4f141c71")
    PROMPTS = frozenset({"text"})
    JOINS_PHRASES = True
    SCORES = {"text": 0.25}
    ENCODER = ("network.model.backbone.",)
    transform: GroundingDinoTransform

    def __init__(self, network: GroundingDinoForObjectDetection, vocabulary: bytes, longest: int, shortest: int):
        super().__init__()
        self.network, self.transform = network, GroundingDinoTransform(longest, shortest=shortest)
        override_forward(network, {**text_fusion.FORWARDS, **deformable_attention.FORWARDS})
        self.vocabulary = vocabulary
        tokens = vocabulary.decode().splitlines()
        self.tokenizer = BertTokenizer(vocab={token: number for number, token in enumerate(tokens)})

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        if size != "tiny":
            pretrained.refuse_random(cls.NAME)
        torch.manual_seed(seed)
        network = GroundingDinoForObjectDetection(GroundingDinoConfig(**TINY))
        return cls(network, letters(), TINY_LONGEST, TINY_SHORTEST).eval()

    @classmethod
    def convert(cls, source: Path) -> Self:
        vocabulary = _read_vocabulary(source)
        network = pretrained.convert(GroundingDinoForObjectDetection, source, ATTENTION)
        return cls(network, vocabulary, LONGEST, SHORTEST).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        config, tensors = weights.read(folder)
        network = pretrained.load(GroundingDinoForObjectDetection, config, tensors, folder, ATTENTION)
        model = cls(network, _read_vocabulary(folder), config["longest"], config["shortest"])
        return precision.stored(model, config).eval()

    def encode(self, images: list[np.ndarray]) -> Features:
        """The backbone's maps of each level, flattened and padded to those of the largest input, and their sizes."""
        each = [self._encode_image(image) for image in images]
        return {name: torch.cat([features[name] for features in each]) for name in each[0]}

    def detect_image(
        self, features: Features, prompts: list[Prompt], scores: list[float]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        maps = []
        for level, (height, width) in enumerate(features["sizes"][0].int().tolist()):
            tokens = features[f"level{level}"][:, : height * width]
            maps.append(tokens.transpose(1, 2).unflatten(2, (height, width)))
        phrases = [prompt.get("text").phrase.strip().lower().rstrip(". ") for prompt in prompts]
        lowest = iter(scores)
        for caption, spans in self._captions(phrases, any(prompt.together for prompt in prompts)):
            length = self.network.config.max_text_len
            tokens = self.tokenizer(caption, truncation=True, max_length=length, return_tensors="pt").to(self.device)
            with _backbone_of(self.network, maps):
                # The pixels are not read; only their number of images and channels.
                out = self.network(pixel_values=maps[0][:, :3], **tokens)
            logits = out.logits
            for span in spans:
                out.logits = logits[..., span]
                yield self._boxes(out, next(lowest))

    def configuration(self) -> dict:
        network = pretrained.configuration(self.network)
        transform = {"longest": self.transform.size, "shortest": self.transform.shortest}
        return {"model": self.NAME, "network": network, **transform}

    def files(self) -> dict[str, bytes]:
        return {VOCABULARY: self.vocabulary}

    def _encode_image(self, image: np.ndarray) -> Features:
        backbone = self.network.model.backbone.conv_encoder.model
        with self.encoder_context():
            maps = backbone(self.transform.to_input([image]).to(self.device)).feature_maps
        features = {"sizes": torch.tensor([[each.shape[2:] for each in maps]], dtype=torch.float32)}
        for level, values in enumerate(maps):
            stride = backbone.config.patch_size * 2 ** (backbone.out_indices[level] - 1)
            most = -(-self.transform.size // stride) * -(-self.transform.shortest // stride)
            tokens = values.float().flatten(2).transpose(1, 2)
            features[f"level{level}"] = F.pad(tokens, (0, 0, 0, most - tokens.shape[1]))
        return features | {"sizes": features["sizes"].to(self.device)}

    def _captions(self, phrases: list[str], together: bool) -> Iterator[tuple[str, list[slice]]]:
        """Captions as the processor writes them, each with the tokens whose highest logit is the score of a phrase.

        Of a phrase by itself these are all, as the processor takes it; in a caption of several its own. As many phrases
        share a caption as the network reads at once.
        """
        if not together:
            yield from ((f"{phrase}.", [slice(None)]) for phrase in phrases)
            return
        shared: list[str] = []
        spans: list[slice] = []
        start, most = 1, self.network.config.max_text_len - 1  # [CLS] comes first, and [SEP] last
        for phrase in phrases:
            length = len(self.tokenizer.tokenize(phrase))
            if shared and start + length + 1 > most:
                yield ". ".join(shared) + ".", spans
                shared, spans, start = [], [], 1
            shared.append(phrase)
            spans.append(slice(start, start + max(length, 1)))  # of nothing but dots, the next one
            start += length + 1
        yield ". ".join(shared) + ".", spans

    def _boxes(self, out: Any, lowest: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes in pixels of the input and scores, of the network's output for the tokens of one phrase."""
        from transformers import GroundingDinoImageProcessor  # imports torchvision, which takes seconds

        sizes = [(self.transform.size, self.transform.size)]
        (found,) = GroundingDinoImageProcessor().post_process_object_detection(out, lowest, sizes)
        return found["boxes"], found["scores"]


@contextlib.contextmanager
def _backbone_of(network: GroundingDinoForObjectDetection, maps: list[torch.Tensor]) -> Iterator[None]:
    """Let a network read these maps in place of what its backbone would compute.

    So all else is transformers' own forward, which takes pixels alone.
    """
    encoder = network.model.backbone.conv_encoder
    backbone, encoder.model = encoder.model, _Computed(maps)
    try:
        yield
    finally:
        encoder.model = backbone


class _Computed(torch.nn.Module):
    """A backbone whose maps are known."""

    def __init__(self, maps: list[torch.Tensor]):
        super().__init__()
        self.maps = maps

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BackboneOutput:
        return BackboneOutput(feature_maps=tuple(self.maps))


def _read_vocabulary(folder: Path) -> bytes:
    if not (folder / VOCABULARY).is_file():
        raise UserError(f"{folder / VOCABULARY}: not found; phrases need the tokenizer's {VOCABULARY}")
    return (folder / VOCABULARY).read_bytes()


def letters() -> bytes:
    """A vocabulary of BERT's tokenizer that has letters alone, with the special tokens and `.` and `?` in their places.

    transformers' Grounding DINO knows the latter by their numbers.
    """
    tokens = ["[PAD]", *(f"[unused{number}]" for number in range(1, 999))]
    tokens[100:104] = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = [chr(code) for code in range(33, 127)]
    return "".join(f"{token}\n" for token in [*tokens, *characters, *(f"##{each}" for each in characters)]).encode()
