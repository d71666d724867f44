"""SAM 2's own .pt files, in the layout of the package sam2, converted to transformers' Sam2Model.

They are sam2.1_hiera_tiny.pt, _small, _base_plus and _large (Ravi et al. 2024), those of SAM 2.0, and what its trainer
writes. The parts for videos (memory) are left out.
"""

import re
from pathlib import Path

import torch
from transformers import Sam2Config, Sam2Model

from promptseg.core.errors import UserError
from promptseg.nn import pretrained, sam_checkpoint, weights

ROOTS = ("image_encoder", "vision_encoder")
# The shapes of Hiera that tensors do not tell, by its width and its number of blocks: heads and windows of its first
# stage and so on, from sam2/configs.
_HIERA = {
    (96, 12): dict(stages=[1, 2, 7, 2], heads=1, windows=[8, 4, 14, 7], global_blocks=[5, 7, 9]),
    (96, 16): dict(stages=[1, 2, 11, 2], heads=1, windows=[8, 4, 14, 7], global_blocks=[7, 10, 13]),
    (112, 24): dict(stages=[2, 3, 16, 3], heads=2, windows=[8, 4, 14, 7], global_blocks=[12, 16, 20]),
    (144, 48): dict(stages=[2, 6, 36, 4], heads=2, windows=[8, 4, 16, 8], global_blocks=[23, 33, 43]),
}
_NAMES = [
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.", "vision_encoder.neck."),
    (r"^sam_(prompt_encoder|mask_decoder)\.", r"\1."),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.convs\.(\d+)\.conv\.", r".convs.\1."),
    (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
    (r"\.out_proj\.", ".o_proj."),
]
_POINTS = "prompt_encoder.point_embed"


def convert(source: Path) -> Sam2Model:
    """Build the network from a file of tensors. Raises UserError if they are not those of a SAM 2."""
    state = rename(weights.tensors(source, ROOTS))
    return pretrained.fill(Sam2Model, infer_config(state, source), state, source)


def rename(original: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors under the names of Sam2Model."""
    state = sam_checkpoint.renamed(original, _NAMES + sam_checkpoint.DECODER_NAMES)
    points = [state.pop(name) for name in (f"{_POINTS}.{label}.weight" for label in range(4)) if name in state]
    if points:
        state[f"{_POINTS}.weight"] = torch.cat(points)
    positions = "prompt_encoder.shared_embedding.positional_embedding"
    if positions in state:
        state["shared_image_embedding.positional_embedding"] = state[positions]
    return state


def infer_config(state: dict[str, torch.Tensor], where: Path) -> Sam2Config:
    """Tell which of the released sizes tensors have.

    Args:
        state: tensors under the names of Sam2Model.
        where: the file, for messages.

    Raises:
        UserError: these are not the tensors of a SAM 2, or not of a released size.
    """
    backbone = "vision_encoder.backbone."
    for name, own in (("patch_embed.proj.weight", "patch_embed.projection.weight"), ("pos_embed", "pos_embed")):
        if backbone + own not in state:
            raise UserError(f"{where}: no SAM 2 of its authors' layout; it lacks image_encoder.trunk.{name}")
    width = state[backbone + "patch_embed.projection.weight"].shape[0]
    background = list(state[backbone + "pos_embed"].shape[-2:])
    depth = len([name for name in state if re.fullmatch(re.escape(backbone) + r"blocks\.\d+\.attn\.qkv\.weight", name)])
    if (width, depth) not in _HIERA:
        raise UserError(f"{where}: {depth} blocks of width {width} are no released size of SAM 2's Hiera")
    hiera = _HIERA[width, depth]
    widths = [width * 2**stage for stage in range(4)]
    return Sam2Config(
        vision_config=dict(
            backbone_config=dict(
                model_type="sam2_hiera_det_model", hidden_size=width, num_attention_heads=hiera["heads"],
                blocks_per_stage=hiera["stages"], embed_dim_per_stage=widths,
                num_attention_heads_per_stage=[hiera["heads"] * 2**stage for stage in range(4)],
                window_size_per_stage=hiera["windows"], global_attention_blocks=hiera["global_blocks"],
                window_positional_embedding_background_size=background,
            ),
            backbone_channel_list=widths[::-1],
        )
    )  # fmt: skip
