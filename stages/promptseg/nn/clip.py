"""CLIP itself (Radford et al. 2021): made tiny, out of the hub's files, or out of one of our checkpoints.

It is transformers' CLIPModel, released as openai/clip-vit-base-patch16; in our checkpoints its tensors are named
`network.<name>`. What is built on it, each model's own file says.
"""

import json
from pathlib import Path

import torch
from transformers import BatchEncoding, CLIPConfig, CLIPModel

from promptseg.core.errors import UserError
from promptseg.nn import text_encoder, weights

TINY = {
    "vision_config": dict(
        hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, image_size=128, patch_size=8
    ),
    "text_config": text_encoder.TINY_TEXT, "projection_dim": 64,
}  # fmt: skip


def create(name: str, size: str, seed: int) -> tuple[CLIPModel, dict[str, bytes]]:
    """A tiny network with seeded weights, and its tokenizer's files. name: of the model that is built on it.

    Raises UserError for any other size: without its released weights CLIP is of no use.
    """
    if size != "tiny":
        raise UserError(f"{name}: it is only of use on released CLIP weights; set models.{name}.official or source")
    torch.manual_seed(seed)
    return CLIPModel(CLIPConfig(**TINY)), text_encoder.letters()


def convert(source: Path) -> tuple[CLIPModel, dict[str, bytes]]:
    """The network and its tokenizer's files out of a folder as the hub has it."""
    config, tensors = weights.released(source)
    tokenizer = text_encoder.read(source)
    config = CLIPConfig.from_dict(json.loads(config.read_text()))
    return weights.fill(CLIPModel, config, weights.tensors(tensors), source), tokenizer


def load(config: dict, tensors: dict[str, torch.Tensor], folder: Path) -> CLIPModel:
    """The network of a checkpoint of ours, by its configuration and all its tensors. folder: where they are from."""
    own = {name: tensor for name, tensor in tensors.items() if name.startswith("network.")}
    return weights.fill(CLIPModel, CLIPConfig.from_dict(config), weights.without(own, "network."), folder)


def configuration(network: CLIPModel) -> dict:
    """What `load` takes as config, as JSON."""
    config = network.config.to_dict()
    config.pop("transformers_version", None)
    return config


def phrases_of(network: CLIPModel, tokenizer: dict[str, bytes]) -> text_encoder.Phrases:
    """Phrases -> CLIP's text embeddings (projection_dim,), not normalized, as CLIPSeg takes them."""

    def embed(tokens: BatchEncoding) -> torch.Tensor:
        return network.get_text_features(**tokens.to(network.device)).pooler_output

    return text_encoder.Phrases(tokenizer, network.config.text_config.max_position_embeddings, embed)
