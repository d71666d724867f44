"""Segmenter for SAM 2 and for models with its mask decoder: EdgeTAM, and the tracker of SAM 3.

Their vision encoders return three maps, of which the mask decoder takes the finer two beside the image embedding.
"""

import json
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from promptseg.nn import pretrained, weights
from promptseg.nn.sam_segmenter import SamSegmenter
from promptseg.nn.segmenter import Features


class _NoPositions(nn.Module):
    """Positions of the encoder's maps, which only the memory of earlier frames of a video reads: zeros."""

    def forward(self, shape: torch.Size, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros((), device=device, dtype=dtype).expand(shape)


class Sam2Segmenter(SamSegmenter):
    """A transformers network with the modules and the forward signature of Sam2Model."""

    # The mask decoder's first convolutions depend on the image alone, so their output is part of the features.
    ENCODER = ("network.vision_encoder.", "network.no_memory_embedding", "network.mask_decoder.conv_s")
    # The object-score head has no part in the masks of a single image, so there is no gradient to train it.
    DECODER = tuple(
        f"network.mask_decoder.{name}"
        for name in ("transformer", "mask_tokens", "iou_token", "upscale", "output_hyper", "iou_pred")
    )
    TRAINABLE = {
        "mask_decoder": DECODER,
        "encoder": ENCODER,
        "lora": SamSegmenter.TRAINABLE["lora"],
        "all": (*ENCODER, "network.prompt_encoder.", *DECODER),
    }

    def __init__(self, network: PreTrainedModel):
        super().__init__(network)
        network.vision_encoder.neck.position_encoding = _NoPositions()  # sines and cosines: 0.1 s an image

    @classmethod
    def convert(cls, source: Path) -> Self:
        """From a folder of the hub, whose files are of the video model or of the image model, a part of it."""
        config, tensors = weights.released(source)
        settings = cls.image_config(json.loads(config.read_text()))
        return cls(pretrained.fill(cls.NETWORK, settings, weights.tensors(tensors), source)).eval()

    @classmethod
    def image_config(cls, released: dict) -> PretrainedConfig:
        """Configuration of the image model from a released config.json, which names the video model."""
        return cls.NETWORK.config_class.from_dict({**released, "model_type": cls.NETWORK.config_class.model_type})

    def encode(self, images: list[np.ndarray]) -> Features:
        decoder = self.network.mask_decoder
        with self.encoder_context():
            pixels = self.transform.to_input(images).to(self.device)
            high, middle, low = self.network.vision_encoder(pixels).fpn_hidden_states
            low = low + self.network.no_memory_embedding.reshape(1, -1, 1, 1)
            features = {"high": decoder.conv_s0(high), "middle": decoder.conv_s1(middle), "low": low}
            return {name: values.float() for name, values in features.items()}

    def prepare_finetuned(self) -> None:
        super().prepare_finetuned()
        # Otherwise an unstable single mask is replaced by one of the three, which fine-tuning does not train.
        self.network.mask_decoder.dynamic_multimask_via_stability = False

    def image_embeddings(self, features: Features) -> list[torch.Tensor]:
        return [features["high"], features["middle"], features["low"]]
