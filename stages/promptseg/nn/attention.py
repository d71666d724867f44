"""The encoders' fused attention, without what transformers does beside it. Every bit of the outputs stays.

transformers' classes already call torch's scaled_dot_product_attention ("sdpa", asked for in weights.fill). Around it
SAM's holds the relative positions of all pairs of places twice, 805 MB each time in a global block of ViT-B (peak
2.9 GB against 1.5 GB here), and SAM 2's computes a product of its queries and keys that nothing reads.

Formula of the relative positions: Li et al. 2022 (MViTv2, arXiv:2112.01526), equation 4.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers.models.sam.modeling_sam import SamVisionSdpaAttention
from transformers.models.sam2.modeling_sam2 import Sam2MultiScaleAttention, do_pool

BIAS_BYTES = 1 << 26  # of the relative positions that stand in memory at a time: one head of a global block of SAM


class RelativeAttention(SamVisionSdpaAttention):
    """SAM's: the relative positions are added up where the kernel reads them, some heads at a time."""

    def forward(self, hidden_states: torch.Tensor, output_attentions: bool = False) -> tuple[torch.Tensor, None]:
        """hidden_states: (n, h, w, c), of whole pictures or of windows -> the same shape, and no weights."""
        n, height, width, channels = hidden_states.shape
        qkv = self.qkv(hidden_states).reshape(n, height * width, 3, self.num_attention_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).flatten(1, 2).unbind(0)  # each (n * heads, places, c / heads)
        places = query.unflatten(1, (height, width))
        rows = torch.einsum("bhwc,hkc->bhwk", places, self.get_rel_pos(height, height, self.rel_pos_h))
        columns = torch.einsum("bhwc,wkc->bhwk", places, self.get_rel_pos(width, width, self.rel_pos_w))
        rows, columns = rows.flatten(1, 2).contiguous(), columns.flatten(1, 2).contiguous()
        together = max(1, BIAS_BYTES // (query.shape[1] ** 2 * query.element_size()))
        out = []
        for heads in zip(*(values.split(together) for values in (query, key, value, rows, columns))):
            query, key, value, row, column = heads
            bias = (row[..., None] + column[..., None, :]).flatten(2)
            # One batch of many heads: the kernel shares them out among the processor's cores.
            attended = F.scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=bias[None])
            out.append(attended[0])
        attended = torch.cat(out).unflatten(0, (n, -1)).transpose(1, 2)
        return self.proj(attended.reshape(n, height, width, channels)), None


class HieraAttention(Sam2MultiScaleAttention):
    """SAM 2's, without the product of queries and keys that it drops."""

    def forward(self, hidden_states: torch.Tensor, **_) -> torch.Tensor:
        """hidden_states: (n, h, w, c) -> (n, h', w', c'), smaller where the queries are pooled."""
        n, height, width, _ = hidden_states.shape
        qkv = self.qkv(hidden_states).reshape(n, height * width, 3, self.num_attention_heads, -1)
        query, key, value = qkv.unbind(2)
        if self.query_stride:
            pooled = do_pool(query.reshape(n, height, width, -1), self.query_stride)
            height, width = pooled.shape[1:3]
            query = pooled.reshape(n, height * width, self.num_attention_heads, -1)
        query, key, value = (values.transpose(1, 2) for values in (query, key, value))
        attended = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return self.proj(attended.transpose(1, 2).reshape(n, height, width, -1))


_OURS = {SamVisionSdpaAttention: RelativeAttention, Sam2MultiScaleAttention: HieraAttention}


def without_waste(network: nn.Module) -> None:
    """Let the attention layers of these kinds in a network compute as above; their parameters stay as they are."""
    for module in network.modules():
        module.__class__ = _OURS.get(type(module), type(module))
