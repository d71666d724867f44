"""SAM 2's own files: every tensor finds its place, in all released sizes.

The names are those of facebookresearch/sam2 (sam2/modeling), written out here from transformers' names; the converted
network was compared with the authors' code, whose masks differ by less than 1e-6.
"""

import re

import pytest
import torch
from promptseg import models
from promptseg.nn import sam2_checkpoint
from refusing import refused
from transformers import Sam2Config, Sam2Model

# From the names of Sam2Model to those of the authors, in this order.
AUTHORS = [
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^vision_encoder\.neck\.convs\.(\d)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"patch_embed\.projection", "patch_embed.proj"),
    (r"layer_norm(\d|_final_attn)", r"norm\1"),
    (r"\.mlp\.proj_in\.", ".mlp.layers.0."),
    (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
    (r"(_head|_mlps\.\d)\.layers\.0\.", r"\1.layers.1."),
    (r"(_head|_mlps\.\d)\.proj_in\.", r"\1.layers.0."),
    (r"(_head|_mlps\.\d)\.proj_out\.", r"\1.layers.2."),
    (r"o_proj", "out_proj"),
    (r"upscale_conv1", "output_upscaling.0"),
    (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
    (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.norm1", "mask_downscaling.1"),
    (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.norm2", "mask_downscaling.4"),
    (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"shared_embedding\.positional_embedding", "pe_layer.positional_encoding_gaussian_matrix"),
    (r"^(mask_decoder|prompt_encoder)\.", r"sam_\1."),
]
SOME = {
    "image_encoder.trunk.pos_embed_window", "image_encoder.trunk.blocks.1.proj.weight", "no_mem_embed",
    "image_encoder.trunk.blocks.11.mlp.layers.1.bias", "image_encoder.neck.convs.3.conv.weight",
    "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", "sam_prompt_encoder.point_embeddings.3.weight",
    "sam_prompt_encoder.mask_downscaling.6.bias", "sam_mask_decoder.transformer.layers.1.mlp.layers.0.weight",
    "sam_mask_decoder.transformer.final_attn_token_to_image.out_proj.bias", "sam_mask_decoder.conv_s1.weight",
    "sam_mask_decoder.transformer.norm_final_attn.weight", "sam_mask_decoder.output_upscaling.1.weight",
    "sam_mask_decoder.output_hypernetworks_mlps.3.layers.2.weight", "sam_mask_decoder.obj_score_token.weight",
    "sam_mask_decoder.pred_obj_score_head.layers.1.bias", "sam_mask_decoder.iou_prediction_head.layers.0.weight",
}  # fmt: skip


def authors(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a Sam2Model as its authors save them, with some of the memory's, which images do not need."""
    named = {"memory_encoder.out_proj.weight": torch.zeros(64, 256, 1, 1), "maskmem_tpos_enc": torch.zeros(7, 1, 1, 64)}
    for name, tensor in state.items():
        if name == "prompt_encoder.point_embed.weight":
            for label in range(4):
                named[f"sam_prompt_encoder.point_embeddings.{label}.weight"] = tensor[label : label + 1]
        elif name != "shared_image_embedding.positional_embedding":
            for pattern, replacement in AUTHORS:
                name = re.sub(pattern, replacement, name)
            named[name] = tensor
    return named


def config(width, stages, heads, windows, global_blocks, background):
    """Sam2Config of a released size, by its sam2/configs/sam2.1/*.yaml."""
    widths = [width, 2 * width, 4 * width, 8 * width]
    backbone = dict(
        model_type="sam2_hiera_det_model", hidden_size=width, num_attention_heads=heads, blocks_per_stage=stages,
        embed_dim_per_stage=widths, num_attention_heads_per_stage=[heads, 2 * heads, 4 * heads, 8 * heads],
        window_size_per_stage=windows, global_attention_blocks=global_blocks,
        window_positional_embedding_background_size=[background, background],
    )  # fmt: skip
    return Sam2Config(vision_config=dict(backbone_config=backbone, backbone_channel_list=widths[::-1]))


TINY = config(96, [1, 2, 7, 2], 1, [8, 4, 14, 7], [5, 7, 9], 7)
SIZES = {
    "tiny": TINY,
    "small": config(96, [1, 2, 11, 2], 1, [8, 4, 14, 7], [7, 10, 13], 7),
    "base_plus": config(112, [2, 3, 16, 3], 2, [8, 4, 14, 7], [12, 16, 20], 14),
    "large": config(144, [2, 6, 36, 4], 2, [8, 4, 16, 8], [23, 33, 43], 7),
}


@pytest.mark.parametrize("size", SIZES)
def test_every_released_size_is_told_by_its_shapes_and_every_tensor_finds_its_place(size, tmp_path):
    with torch.device("meta"):
        expected = Sam2Model(SIZES[size]).state_dict()
        named = authors(expected)
        state = sam2_checkpoint.rename(named)
        found = sam2_checkpoint.infer_config(state, tmp_path)
    assert SOME <= named.keys() or size != "tiny"
    shapes = {name: tensor.shape for name, tensor in state.items() if name in expected}
    assert shapes == {name: tensor.shape for name, tensor in expected.items()}
    assert found.vision_config.to_dict() == SIZES[size].vision_config.to_dict()


def test_a_file_of_its_trainer_is_converted_with_every_value(tmp_path, capsys):
    torch.manual_seed(1)
    network = Sam2Model(TINY)
    network.shared_image_embedding.load_state_dict(network.prompt_encoder.shared_embedding.state_dict())  # as released
    expected = network.state_dict()
    path = tmp_path / "sam2.1_hiera_tiny_finetuned.pt"
    torch.save({"model": authors(expected), "optimizer": {}, "epoch": 1}, path)
    found = models.load("sam2").convert(path).network.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(value, found[key]) for key, value in expected.items())
    assert capsys.readouterr().err == f"note: {path}: taken: the tensors of 'model' without optimizer, epoch\n"
    torch.save({f"module.{name}": tensor for name, tensor in expected.items()}, path)  # transformers' names in one file
    found = models.load("sam2").convert(path).network.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())


def test_a_part_and_another_size_are_refused(tmp_path):
    with torch.device("meta"):
        named = authors(Sam2Model(TINY).state_dict())
    small = {name: torch.zeros(tensor.shape) for name, tensor in named.items() if "patch_embed" in name}
    path = tmp_path / "a.pt"
    torch.save({"model": small, "optimizer": {}}, path)
    refused(lambda: models.load("sam2").convert(path), f"{path}: no SAM 2", "it lacks image_encoder.trunk.pos_embed")
    torch.save({**small, "image_encoder.trunk.pos_embed": torch.zeros(1, 96, 7, 7)}, path)
    refused(lambda: models.load("sam2").convert(path), f"{path}: 0 blocks of width 96 are no released size of SAM 2")
