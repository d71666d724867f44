"""The network of CLIP (Radford et al. 2021) for all models built on it.

It is transformers' CLIPModel, released as openai/clip-vit-base-patch16.
"""

from pathlib import Path

import torch
from transformers import BatchEncoding, CLIPConfig, CLIPModel

from promptseg.nn import pretrained, text_encoder
from promptseg.nn.text_encoder import PhraseEmbeddings

OFFICIAL = ("openai/clip-vit-base-patch16", "57c216476eefef5ab752ec549e440a49ae4ae5f3")
TINY = {
    "vision_config": dict(
        hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, image_size=128, patch_size=8
    ),
    "text_config": text_encoder.TINY_TEXT, "projection_dim": 64,
}  # fmt: skip


def create(name: str, size: str, seed: int) -> tuple[CLIPModel, dict[str, bytes]]:
    """Create a tiny network with seeded random weights.

    Args:
        name: of the model that is built on it.
        size: "tiny".
        seed: of the weights.

    Returns:
        The network and the contents of its tokenizer's files by name.

    Raises:
        UserError: any other size.
    """
    if size != "tiny":
        pretrained.refuse_random(name)
    torch.manual_seed(seed)
    return CLIPModel(CLIPConfig(**TINY)), text_encoder.letters()


def convert(source: Path) -> tuple[CLIPModel, dict[str, bytes]]:
    """Build the network from a folder in the layout of the hub.

    Returns:
        The network and the contents of its tokenizer's files by name.

    Raises:
        UserError: the files are missing or do not fit.
    """
    files = text_encoder.read(source)
    return pretrained.convert(CLIPModel, source), files


def phrase_embeddings(network: CLIPModel, tokenizer: dict[str, bytes]) -> PhraseEmbeddings:
    """Cached text embeddings (projection_dim,) of phrases, not normalized, as CLIPSeg takes them."""

    def encode(tokens: BatchEncoding) -> torch.Tensor:
        return network.get_text_features(**tokens.to(network.device)).pooler_output

    return PhraseEmbeddings(tokenizer, network.config.text_config.max_position_embeddings, encode)
