"""Fused attention for the encoders of SAM and SAM 2; outputs equal those of transformers' layers bit for bit.

transformers' layers call torch's scaled_dot_product_attention ("sdpa") too. Around it SAM's holds the relative
positions of all pairs of tokens twice, 805 MB each time in a global block of ViT-B (peak 2.9 GB against 1.5 GB here),
and SAM 2's computes a product of queries and keys that nothing reads. Their own switch (`attn_implementation`) chooses
the kernel within a layer and reaches neither.
"""

import torch
import torch.nn.functional as F
from transformers.models.sam.modeling_sam import SamVisionSdpaAttention
from transformers.models.sam2.modeling_sam2 import Sam2MultiScaleAttention, do_pool
from transformers.models.sam_hq.modeling_sam_hq import SamHQVisionSdpaAttention

from promptseg.nn.overrides import Forwards

BIAS_BYTES = 1 << 26  # of relative positions in memory at a time: one head of a global block of SAM


def relative_attention(
    layer: SamVisionSdpaAttention | SamHQVisionSdpaAttention,
    hidden_states: torch.Tensor,
    output_attentions: bool = False,
) -> tuple[torch.Tensor, None]:
    """Attention with relative positions, added a few heads at a time (Li et al. 2022, MViTv2, equation 4).

    Args:
        layer: the layer whose weights are used.
        hidden_states: (n, h, w, c), whole images or windows.
        output_attentions: ignored; there are none.

    Returns:
        (n, h, w, c), and None for the attention weights.
    """
    n, height, width, channels = hidden_states.shape
    qkv = layer.qkv(hidden_states).reshape(n, height * width, 3, layer.num_attention_heads, -1)
    query, key, value = qkv.permute(2, 0, 3, 1, 4).flatten(1, 2).unbind(0)  # each (n * heads, tokens, c / heads)
    grid = query.unflatten(1, (height, width))
    rows = torch.einsum("bhwc,hkc->bhwk", grid, layer.get_rel_pos(height, height, layer.rel_pos_h))
    columns = torch.einsum("bhwc,wkc->bhwk", grid, layer.get_rel_pos(width, width, layer.rel_pos_w))
    rows, columns = rows.flatten(1, 2).contiguous(), columns.flatten(1, 2).contiguous()
    chunk = max(1, BIAS_BYTES // (query.shape[1] ** 2 * query.element_size()))
    out = []
    for heads in zip(*(values.split(chunk) for values in (query, key, value, rows, columns))):
        query, key, value, row, column = heads
        bias = (row[..., None] + column[..., None, :]).flatten(2)
        # One batch of many heads: the kernel distributes them over the processor's cores.
        attended = F.scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=bias[None])
        out.append(attended[0])
    attended = torch.cat(out).unflatten(0, (n, -1)).transpose(1, 2)
    return layer.proj(attended.reshape(n, height, width, channels)), None


def hiera_attention(layer: Sam2MultiScaleAttention, hidden_states: torch.Tensor, **_) -> torch.Tensor:
    """Attention of a Hiera block, without the product of queries and keys that transformers' layer discards.

    Args:
        layer: the layer whose weights are used.
        hidden_states: (n, h, w, c).

    Returns:
        (n, h', w', c'), smaller where queries are pooled.
    """
    n, height, width, _ = hidden_states.shape
    qkv = layer.qkv(hidden_states).reshape(n, height * width, 3, layer.num_attention_heads, -1)
    query, key, value = qkv.unbind(2)
    if layer.query_stride:
        pooled = do_pool(query.reshape(n, height, width, -1), layer.query_stride)
        height, width = pooled.shape[1:3]
        query = pooled.reshape(n, height * width, layer.num_attention_heads, -1)
    query, key, value = (values.transpose(1, 2) for values in (query, key, value))
    attended = F.scaled_dot_product_attention(query, key, value, scale=layer.scale)
    return layer.proj(attended.transpose(1, 2).reshape(n, height, width, -1))


FORWARDS: Forwards = {
    SamVisionSdpaAttention: relative_attention,
    SamHQVisionSdpaAttention: relative_attention,
    Sam2MultiScaleAttention: hiera_attention,
}
