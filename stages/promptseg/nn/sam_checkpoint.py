"""SAM's released .pth files, in the layout of the package segment_anything, converted to transformers' SamModel.

They are sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth and sam_vit_h_4b8939.pth (Kirillov et al. 2023). Files of models
that were trained from them have the same names: MedSAM's medsam_vit_b.pth all of them, PA-SAM's file those of the mask
decoder and more. segment_anything's own sam_model_registry has to be told the size, takes no file of a
decoder alone, and builds a network of its own that nothing here would use.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import torch
from transformers import SamConfig, SamModel

from promptseg.core.errors import UserError
from promptseg.core.files import sha256
from promptseg.nn import pretrained, weights

N = TypeVar("N", bound=SamModel)
# The six digits in the names are from their MD5 sums.
SHA256 = {
    "sam_vit_b_01ec64.pth": "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    "sam_vit_l_0b3195.pth": "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    "sam_vit_h_4b8939.pth": "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
}
SUFFIXES = (".pth", ".pt", ".bin", ".ckpt")
ROOTS = ("image_encoder", "vision_encoder")  # of SAM's own names, and of transformers'
# transformers has names of its own for the first and the last layer of the original's three-layer perceptrons.
_PERCEPTRON = re.compile(r"(_head|_mlp|_mlps\.\d+)\.layers\.([012])\.")
_LAYERS = {"0": "proj_in", "1": "layers.0", "2": "proj_out"}
_ENCODER_NAMES = [
    (r"^image_encoder\.", "vision_encoder."),
    (r"\.blocks\.", ".layers."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.neck\.0\.", ".neck.conv1."),
    (r"\.neck\.1\.", ".neck.layer_norm1."),
    (r"\.neck\.2\.", ".neck.conv2."),
    (r"\.neck\.3\.", ".neck.layer_norm2."),
]
# Of the prompt encoder and the mask decoder, which SAM 2 has as well.
DECODER_NAMES = [
    (r"\.norm(\d|_final_attn)\.", r".layer_norm\1."),
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
]
_POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a file under their own names, without what a trainer put before or beside them.

    Raises:
        UserError: the file cannot be read, or has the name of a released file and another content.
    """
    if path.name in SHA256 and path.is_file() and sha256(path) != SHA256[path.name]:
        raise UserError(f"{path}: not the released file of this name (another SHA-256); fetch it again, or rename it")
    return weights.tensors(path, ROOTS)


def load(network_class: type[N], original: dict[str, torch.Tensor], where: Path) -> N:
    """Build a network from the tensors of a file. Raises UserError if they are not those of a SAM."""
    return pretrained.fill(network_class, infer_config(original, where), rename(original), where)


def rename(original: dict[str, torch.Tensor], patterns: Iterable[tuple[str, str]] = ()) -> dict[str, torch.Tensor]:
    """The same tensors under the names of SamModel, those of `patterns` under further ones."""
    state = renamed(original, [*_ENCODER_NAMES, *DECODER_NAMES, *patterns])
    if _POSITIONS in state:
        state["shared_image_embedding.positional_embedding"] = state[_POSITIONS]
    return state


def renamed(original: dict[str, torch.Tensor], patterns: list[tuple[str, str]]) -> dict[str, torch.Tensor]:
    """Rename tensors by regular expressions and replacements, unless they have transformers' names already."""
    if any(name.startswith("vision_encoder.") for name in original):
        return dict(original)
    state = {}
    for name, tensor in original.items():
        for pattern, replacement in patterns:
            name = re.sub(pattern, replacement, name)
        state[_PERCEPTRON.sub(lambda match: f"{match[1]}.{_LAYERS[match[2]]}.", name)] = tensor
    return state


def infer_config(original: dict[str, torch.Tensor], where: Path) -> SamConfig:
    """Infer the architecture from the tensors' shapes: ViT-B, ViT-L, ViT-H, and smaller ones in tests.

    Args:
        original: tensors under their own names, or under those of SamModel.
        where: the file, for messages.

    Returns:
        The configuration. What the shapes do not show is as released: 8 heads in the mask decoder.

    Raises:
        UserError: these are not the tensors of a SAM.
    """
    state = rename(original)

    def tensor(name: str) -> torch.Tensor:
        """The tensor of this name in the authors' layout."""
        (own,) = renamed({name: torch.empty(0)}, _ENCODER_NAMES + DECODER_NAMES)
        if own not in state:
            raise UserError(f"{where}: no SAM of segment_anything's layout; it lacks {name}")
        return state[own]

    position = tensor("image_encoder.pos_embed")
    blocks = [name for name in state if re.fullmatch(r"vision_encoder\.layers\.\d+\.layer_norm1\.weight", name)]
    relative = [tensor(f"image_encoder.blocks.{i}.attn.rel_pos_h") for i in range(len(blocks))]
    patch = tensor("image_encoder.patch_embed.proj.weight").shape[-1]
    mlp = tensor("image_encoder.blocks.0.mlp.lin1.weight").shape[0]
    output = tensor("image_encoder.neck.0.weight").shape[0]
    inner = tensor("mask_decoder.transformer.layers.0.mlp.lin1.weight").shape[0]
    quality = tensor("mask_decoder.iou_prediction_head.layers.0.weight").shape[0]
    grid, width = position.shape[1], position.shape[3]
    # Relative positions reach from -(side - 1) to side - 1: over the whole grid, or over a window.
    sides = [(table.shape[0] + 1) // 2 for table in relative]
    windows = [side for side in sides if side != grid]
    return SamConfig(
        vision_config=dict(
            hidden_size=width, output_channels=output, num_hidden_layers=len(blocks),
            num_attention_heads=width // relative[0].shape[1], image_size=grid * patch, patch_size=patch,
            window_size=windows[0] if windows else grid, num_pos_feats=output // 2, mlp_ratio=mlp / width, mlp_dim=mlp,
            global_attn_indexes=[i for i, side in enumerate(sides) if side == grid],
        ),
        prompt_encoder_config=dict(hidden_size=output, image_size=grid * patch, patch_size=patch),
        # 1e-5 is torch's own, which the original leaves as it is.
        mask_decoder_config=dict(
            hidden_size=output, mlp_dim=inner, iou_head_hidden_dim=quality, num_attention_heads=8, layer_norm_eps=1e-5
        ),
    )  # fmt: skip
