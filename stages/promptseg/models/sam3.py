"""SAM 3 (Carion et al. 2025) for images, as transformers' Sam3Model: all instances of what a prompt names or shows.

Released as facebook/sam3, whose file is that of the video model, which contains this one. Both sides of an image are
resized to 1008. `encode` is the ViT alone (10.6 MB an image in half precision); the neck, whose maps are five times as
large, runs once in each `decode`. Each phrase passes the text encoder once.
"""

import json
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchEncoding, Sam3Config, Sam3Model
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import Sam3ImageSegmentationOutput, Sam3VisionEncoderOutput

from promptseg.core.errors import UserError
from promptseg.core.train_config import Train
from promptseg.nn import precision, pretrained, text_encoder, weights
from promptseg.nn.image_transform import HALF_MEAN, HALF_STD, ProbabilityTransform
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

VISUAL = "visual"  # the phrase beside exemplars without text
PADDING = -10  # label of a box that is none
NEAR_ONE = -1e-7  # logarithm of the largest probability, which float32 tells from 1
WIDTH = dict(hidden_size=32, num_attention_heads=4)
LAYERS = dict(intermediate_size=64, num_layers=2, **WIDTH)
TINY = {
    "vision_config": dict(
        backbone_config=dict(
            model_type="sam3_vit_model", hidden_size=64, intermediate_size=128, num_hidden_layers=4,
            num_attention_heads=4, image_size=80, patch_size=8, window_size=5, global_attn_indexes=[1, 3],
            pretrain_image_size=40,
        ),
        fpn_hidden_size=32, backbone_feature_sizes=[[40, 40], [20, 20], [10, 10]],
    ),
    "text_config": dict(
        model_type="clip_text_model", max_position_embeddings=32, projection_dim=32, **text_encoder.TINY_TEXT
    ),
    "geometry_encoder_config": dict(roi_size=3, **LAYERS), "detr_encoder_config": LAYERS,
    "detr_decoder_config": dict(num_queries=16, **LAYERS), "mask_decoder_config": WIDTH,
}  # fmt: skip


class Sam3(Segmenter):
    """SAM 3; takes text, exemplar boxes in the same image, and both together."""

    NAME = "sam3"
    OFFICIAL = ("facebook/sam3", "3c879f39826c281e95690f02c7821c4de09afae7")
    PROMPTS = frozenset({"text", "exemplars", "text + exemplars"})
    READOUTS = ("semantic", "instances")
    ENCODER = ("network.vision_encoder.backbone.",)
    LORA_TARGETS = (".attention.q_proj", ".attention.k_proj", ".attention.v_proj")
    # What the semantic map depends on; queries, their boxes and scores have no part in it.
    MASK_DECODER = tuple(
        f"network.mask_decoder.{name}" for name in ("pixel_decoder.", "semantic_projection.", "prompt_cross_attn")
    )
    DECODER = (
        "network.vision_encoder.neck.", "network.geometry_encoder.", "network.detr_encoder.", *MASK_DECODER,
    )  # fmt: skip
    TRAINABLE = {
        "mask_decoder": MASK_DECODER,
        "decoder": DECODER,
        "encoder": ENCODER,
        "lora": ("network.vision_encoder.backbone.*.lora_",),
        "all": (*ENCODER, *DECODER),
    }
    TRAIN_DEFAULTS = {"trainable": ["mask_decoder"], "loss": "dice", "lr": 1e-4, "batch_size": 2}

    def __init__(self, network: Sam3Model, tokenizer: dict[str, bytes]):
        super().__init__()
        self.network, self.transform = (
            network,
            ProbabilityTransform(network.config.image_size, False, HALF_MEAN, HALF_STD),
        )
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # training does not depend on the number of processes
        max_length = network.config.text_config.max_position_embeddings
        self.phrases = text_encoder.PhraseEmbeddings(tokenizer, max_length, self._embed_phrases)

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        if size != "tiny":
            pretrained.refuse_random(cls.NAME)
        torch.manual_seed(seed)
        return cls(Sam3Model(Sam3Config(**TINY)), text_encoder.letters()).eval()

    @classmethod
    def convert(cls, source: Path) -> Self:
        """From a folder of the hub, of the video model or of this one alone."""
        files = text_encoder.read(source)
        config, tensors = weights.released(source)
        settings = json.loads(config.read_text())
        settings = Sam3Config.from_dict(settings.get("detector_config", settings))
        state = weights.without_prefix(weights.tensors(tensors), "detector_model.")
        return cls(pretrained.fill(Sam3Model, settings, state, source), files).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        config, tensors = weights.read(folder)
        network = pretrained.load(Sam3Model, config, tensors, folder)
        return precision.stored(cls(network, text_encoder.read(folder)), config).eval()

    @classmethod
    def check_training(cls, config: Train) -> None:
        super().check_training(config)
        if config.prompt.readout == "instances":
            raise UserError(f"params.yaml: {cls.NAME} is trained by its semantic map; leave out train.prompt.readout")

    def encode(self, images: list[np.ndarray]) -> Features:
        with self.encoder_context():
            pixels = self.transform.to_input(images).to(self.device)
            return {"image": self.network.vision_encoder.backbone(pixels).last_hidden_state.float()}

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        side = self.transform.size // self.network.config.vision_config.backbone_config.patch_size
        maps, positions = self.network.vision_encoder.neck(features["image"].mT.unflatten(2, (side, side)))
        vision = Sam3VisionEncoderOutput(fpn_hidden_states=maps, fpn_position_encoding=positions)
        # One by one: a batch of them is no faster and takes a gigabyte each at the full size.
        return torch.stack([self._predict(vision, list(column)) for column in zip(*prompts)], dim=1)

    def configuration(self) -> dict:
        return {"model": self.NAME, "network": pretrained.configuration(self.network)}

    def files(self) -> dict[str, bytes]:
        return self.phrases.files

    def _predict(self, vision: Sam3VisionEncoderOutput, prompts: list[Prompt]) -> torch.Tensor:
        """Logits (n, side, side) for one prompt for each of n images."""
        texts = [prompt.get("text") for prompt in prompts]
        phrases = self.phrases([text.phrase if text else VISUAL for text in texts])
        lengths = torch.tensor([len(phrase) for phrase in phrases], device=self.device)
        out = self.network(
            vision_embeds=vision,
            text_embeds=BaseModelOutputWithPooling(pooler_output=pad_sequence(phrases, batch_first=True)),
            attention_mask=torch.arange(int(lengths.max()), device=self.device) < lengths[:, None],
            **self._boxes(prompts),
        )
        return instance_map(out) if prompts[0].readout == "instances" else out.semantic_seg[:, 0]

    def _boxes(self, prompts: list[Prompt]) -> dict[str, torch.Tensor]:
        """The exemplars of n prompts: relative center and size, (n, k, 4), and labels (n, k)."""
        exemplars = [prompt.get("exemplars") for prompt in prompts]
        if exemplars[0] is None:
            return {}
        corners = pad_sequence([torch.from_numpy(each.corners) for each in exemplars], batch_first=True)
        first, last = (corners / self.transform.size).float().to(self.device).split(2, dim=-1)
        labels = [torch.from_numpy(each.labels) for each in exemplars]
        return {
            "input_boxes": torch.cat([(first + last) / 2, last - first], dim=-1),
            "input_boxes_labels": pad_sequence(labels, True, PADDING).to(self.device),
        }

    def _embed_phrases(self, tokens: BatchEncoding) -> list[torch.Tensor]:
        """Embeddings of the tokens of each phrase, (length, width), without those of padding."""
        embeddings = self.network.get_text_features(**tokens.to(self.device)).pooler_output
        lengths = tokens.attention_mask.sum(dim=1).tolist()
        return [each[:length].clone() for each, length in zip(embeddings, lengths)]


def instance_map(out: Sam3ImageSegmentationOutput) -> torch.Tensor:
    """Join the instances to one map: at each pixel the largest product of score, presence and mask over the queries.

    The scores are those of Sam3Processor's post_process_instance_segmentation. Computed by logarithms, so that small
    probabilities keep their order.

    Args:
        out: of n images.

    Returns:
        Logits (n, side, side).
    """
    scores = F.logsigmoid(out.pred_logits) + F.logsigmoid(out.presence_logits)
    largest = (scores[..., None, None] + F.logsigmoid(out.pred_masks)).amax(dim=1).clamp(max=NEAR_ONE)
    return largest - torch.log(-torch.expm1(largest))
