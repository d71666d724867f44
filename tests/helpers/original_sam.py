"""A Sam of segment_anything's own classes with the weights of one of our models, for tests and benchmarks."""

import re
from functools import partial

import numpy as np
import torch
from promptseg.models.sam import Sam
from segment_anything import modeling
from segment_anything.utils import amg

# transformers' names -> segment_anything's, in this order
RENAMED = (
    (r"^vision_encoder\.", "image_encoder."), (r"patch_embed\.projection", "patch_embed.proj"),
    (r"image_encoder\.layers\.", "image_encoder.blocks."), (r"(blocks\.\d+)\.layer_norm", r"\1.norm"),
    (r"neck\.conv1", "neck.0"), (r"neck\.layer_norm1", "neck.1"), (r"neck\.conv2", "neck.2"),
    (r"neck\.layer_norm2", "neck.3"), (r"prompt_encoder\.shared_embedding\.positional_embedding", "_"),
    (r"^shared_image_embedding\.positional_embedding", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"\.point_embed\.", ".point_embeddings."), (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", "mask_downscaling.1"), (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", "mask_downscaling.4"), (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"layer_norm_final_attn", "norm_final_attn"), (r"(transformer\.layers\.\d+)\.layer_norm", r"\1.norm"),
    (r"upscale_conv1", "output_upscaling.0"), (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
    (r"(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.proj_out", r"\1.layers.LAST"),
    (r"(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.layers\.(\d)", r"\1.layers.NEXT\2"),
    (r"(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.proj_in", r"\1.layers.0"),
)  # fmt: skip


def original(ours: Sam) -> modeling.Sam:
    """The same network as segment_anything builds it (build_sam.py), with the same weights."""
    vision, prompt, decoder = (
        getattr(ours.network.config, f"{part}_config") for part in ("vision", "prompt_encoder", "mask_decoder")
    )
    channels, side = prompt.hidden_size, prompt.image_size // prompt.patch_size
    theirs = modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            depth=vision.num_hidden_layers, embed_dim=vision.hidden_size, img_size=vision.image_size,
            mlp_ratio=vision.mlp_dim / vision.hidden_size, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            num_heads=vision.num_attention_heads, patch_size=vision.patch_size, qkv_bias=True, use_rel_pos=True,
            global_attn_indexes=vision.global_attn_indexes, window_size=vision.window_size, out_chans=channels,
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=channels, image_embedding_size=(side, side), mask_in_chans=16,
            input_image_size=(prompt.image_size, prompt.image_size),
        ),
        mask_decoder=modeling.MaskDecoder(
            num_multimask_outputs=3, transformer_dim=channels, iou_head_depth=3,
            iou_head_hidden_dim=decoder.iou_head_hidden_dim,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=channels, mlp_dim=decoder.mlp_dim, num_heads=decoder.num_attention_heads
            ),
        ),
    )  # fmt: skip
    theirs.load_state_dict(
        {renamed(name): value for name, value in ours.network.state_dict().items()} | _scaling(theirs)
    )
    return theirs.eval()


@torch.no_grad()
def lively(ours: Sam, image: np.ndarray) -> Sam:
    """Scale random weights so that masks differ from point to point, with logits of both signs and spread IoU.

    As initialized, all masks are nearly the same and within a thousandth of 0, so that there is nothing to compare. The
    last layers are set so that, for this image, about a third of the pixels of a mask is positive.
    """
    decoder = ours.network.mask_decoder
    for name, parameter in decoder.named_parameters():
        if name.endswith("weight") and parameter.ndim > 1 and "transformer" in name:
            parameter *= 8.0
    activations = []
    hook = decoder.upscale_conv2.register_forward_hook(
        lambda _, inputs, out: activations.append(decoder.activation(out).mean(dim=(0, 2, 3)))
    )
    side = min(ours.transform.content_size(*image.shape[:2]))
    points = torch.as_tensor(amg.build_point_grid(5) * side, dtype=torch.float32)
    labels = torch.ones(1, len(points), 1, dtype=torch.long)
    embedding = ours.image_embeddings(ours.encode([image]))
    out = ours.network(image_embeddings=embedding, input_points=points[None, :, None], input_labels=labels)
    hook.remove()
    direction = activations[0] / activations[0].square().sum()
    for i, head in enumerate(decoder.output_hypernetworks_mlps[1:]):
        masks = out.pred_masks[0, :, i]
        gain = 40.0 / masks.std()
        head.proj_out.weight *= gain
        head.proj_out.bias *= gain
        head.proj_out.bias -= gain * masks.flatten()[::7].quantile(0.9) * direction
    last = decoder.iou_prediction_head.proj_out
    gain = 0.05 / out.iou_scores.std()
    last.weight *= gain
    last.bias.copy_((last.bias - out.iou_scores.mean()) * gain + 0.9)
    return ours


def renamed(name: str) -> str:
    """segment_anything's name of a tensor of SamModel."""
    for pattern, new in RENAMED:
        name = re.sub(pattern, new, name)
    if name == "_":  # the same matrix again
        return "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    name = re.sub(r"layers\.NEXT(\d)", lambda found: f"layers.{int(found[1]) + 1}", name)
    return name.replace("layers.LAST", "layers.2")


def _scaling(theirs: modeling.Sam) -> dict[str, torch.Tensor]:
    return {name: value for name, value in theirs.state_dict().items() if name.startswith("pixel_")}
