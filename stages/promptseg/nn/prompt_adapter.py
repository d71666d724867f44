"""PA-SAM's network (Xie et al. 2024): SAM's mask decoder with a prompt adapter.

Names, shapes and the order of operations are those of the authors' released code (model/mask_decoder_pa.py and
segment_anything_training/modeling/transformer.py of xzz2/pa-sam), which differs from the paper's figure: the adapter
works in the second block only, between its token-to-image attention and the residual sum; it changes image tokens as
well as queries; and the "gradient" of the image is Canny's edges.

In inference the hard points are the plain top k, so that a prediction depends on the prompt alone. In training the
released code goes without them for five epochs and then samples them (Gumbel top-k); see models/pa_sam.py.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import SamConfig, SamModel
from transformers.models.sam.modeling_sam import SamAttention, SamFeedForward, SamLayerNorm, SamMaskDecoder

HARD_POINTS = 4  # of each sign
ADAPTED_BLOCK = 1  # the two-way block that has the adapter
CANNY = (10, 100)
MASK = 1  # index of the single mask's token among the queries; 0 is that of the predicted IoU


class AdaptedMasks(NamedTuple):
    """Output of the decoder for m prompts; the adapter's own maps, (m, grid, grid), are for its losses.

    Attributes:
        logits: (m, 4 grid, 4 grid).
        uncertainty: in [0, 1].
        coarse: logits.
        refined: logits.
        intermediate: refined logits where the uncertainty is 0.5 or more, coarse ones elsewhere.
    """

    logits: torch.Tensor
    uncertainty: torch.Tensor
    coarse: torch.Tensor
    refined: torch.Tensor
    intermediate: torch.Tensor


class HardPoints(NamedTuple):
    """How hard points are chosen.

    Attributes:
        enabled: whether there are any.
        noise: (2, m, grid ** 2) Gumbel noise, added to the ranks of positive and of negative points, which makes the
            choice a random one; None: the plain top k.
    """

    enabled: bool = True
    noise: torch.Tensor | None = None


class PromptEmbeddings(NamedTuple):
    """Output of SAM's prompt encoder for m prompts.

    Attributes:
        sparse: (m, k, c) of points and boxes.
        dense: (m, c, h, w) of masks.
        signs: (2, c) of negative and of positive points.
    """

    sparse: torch.Tensor
    dense: torch.Tensor
    signs: torch.Tensor


class _Tokens(NamedTuple):
    """What a block passes on: queries (m, t, c), their positions (m, t, c) and image tokens (m, hw, c)."""

    queries: torch.Tensor
    query_positions: torch.Tensor
    keys: torch.Tensor


def guide(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Compute the guiding image: the image itself, and its edges as 0 and 1.

    As in the released code, edges are those of the *normalized* image truncated to 8-bit integers, where values below
    -1 wrap around to 255. The released weights were trained with these.

    Args:
        pixels: (n, 3, size, size) float, normalized.
        side: of the result, pixels.

    Returns:
        (n, 4, side, side) float.
    """
    small = F.interpolate(pixels, (side, side), mode="bilinear", align_corners=False)
    wrapped = np.trunc(small.permute(0, 2, 3, 1).cpu().numpy()).astype(np.int32).astype(np.uint8)
    edges = np.stack([cv2.Canny(np.ascontiguousarray(image), *CANNY) for image in wrapped])
    return torch.cat([small, torch.from_numpy(edges)[:, None].to(small) / 255], dim=1)


class PromptAdapter(nn.Module):
    """Refines the queries by the guided image, and maps the uncertainty of the coarse mask."""

    def __init__(self, config):
        super().__init__()
        width = config.hidden_size
        self.static_uncertain_token = nn.Embedding(1, width)
        self.static_refined_token = nn.Embedding(1, width)
        self.uncertain_mlp = SamFeedForward(2 * width, width // 4, width, 3)
        self.refined_mlp = SamFeedForward(2 * width, width // 4, width, 3)
        self.cross_attn_token_to_image = SamAttention(config)

    def forward(self, queries, guided, query_positions, positions) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Refine the queries.

        Args:
            queries: (m, t, c).
            guided: (m, hw, c) image tokens, multiplied by the guide.
            query_positions: (m, t, c).
            positions: (1, hw, c), of the image tokens.

        Returns:
            Refined queries (m, t, c), and the maps of AdaptedMasks by name, each (m, hw).
        """
        query, key, value = (x[:, None] for x in (queries + query_positions, guided + positions, guided))
        queries = self.cross_attn_token_to_image(query=query, key=key, value=value)[0][:, 0]
        mask = queries[:, MASK]
        uncertain = self._token(self.uncertain_mlp, self.static_uncertain_token, mask)
        refined = self._token(self.refined_mlp, self.static_refined_token, mask)
        uncertainty, refined_map, coarse = (torch.einsum("mc,mxc->mx", x, guided) for x in (uncertain, refined, mask))
        uncertainty = torch.sigmoid(uncertainty)
        intermediate = torch.where(uncertainty >= 0.5, refined_map, coarse)
        maps = {"uncertainty": uncertainty, "coarse": coarse, "refined": refined_map, "intermediate": intermediate}
        return torch.cat([queries[:, :MASK], refined[:, None], queries[:, MASK + 1 :]], dim=1), maps

    @staticmethod
    def _token(mlp: nn.Module, static: nn.Embedding, mask: torch.Tensor) -> torch.Tensor:
        return mlp(torch.cat([static.weight.expand(len(mask), -1), mask], dim=-1))


def hard_points(maps: dict[str, torch.Tensor], noise: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose image tokens as points, by uncertainty times the difference of refined and coarse probability.

    Args:
        maps: of PromptAdapter.
        noise: of HardPoints.

    Returns:
        Indexes (m, 2 HARD_POINTS) of image tokens, in ascending order: first of positive points, where an object was
        missed, then of negative ones, where background was taken for it. And factors of the same shape for the tokens
        there, 1 in value: with noise they pass the gradient on to the maps (straight-through).
    """
    rank = maps["uncertainty"] * (torch.sigmoid(maps["refined"]) - torch.sigmoid(maps["coarse"]))
    indexes, factors = [], []
    for sign, values in enumerate((rank, -rank)):
        scores = values if noise is None else _relaxed_top_k(values + noise[sign])
        indexes.append(scores.topk(HARD_POINTS, dim=1).indices.sort(dim=1).values)
        chosen = scores.gather(1, indexes[-1])
        factors.append(torch.ones_like(chosen) if noise is None else 1 + chosen - chosen.detach())
    return torch.cat(indexes, dim=1), torch.cat(factors, dim=1)


def _relaxed_top_k(scores: torch.Tensor) -> torch.Tensor:
    """Relaxed membership (m, hw) in the top HARD_POINTS (Xie & Ermon 2019, temperature 1); rows sum to HARD_POINTS."""
    total = weights = torch.zeros_like(scores)
    for _ in range(HARD_POINTS):
        scores = scores + torch.log((1 - weights).clamp(min=torch.finfo(scores.dtype).tiny))
        weights = torch.softmax(scores, dim=1)
        total = total + weights
    return total


class AdaptedMaskDecoder(SamMaskDecoder):
    """SAM's mask decoder with the adapter, which refines the token of the single mask; the others are not computed."""

    def __init__(self, config):
        super().__init__(config)
        width = config.hidden_size
        self.guiding_conv = nn.Sequential(
            nn.Conv2d(4, width // 4, kernel_size=2, stride=2),
            SamLayerNorm(width // 4, data_format="channels_first"),
            nn.GELU(),
            nn.Conv2d(width // 4, width, kernel_size=2, stride=2),
            SamLayerNorm(width, data_format="channels_first"),
            nn.GELU(),
            nn.Conv2d(width, width, kernel_size=1),
        )
        self.prompt_adapter = PromptAdapter(config)

    def forward(
        self, image: torch.Tensor, guide: torch.Tensor, positions: torch.Tensor, prompts: PromptEmbeddings,
        hard: HardPoints,
    ) -> AdaptedMasks:  # fmt: skip
        """Predict the masks of m prompts.

        Args:
            image: (m, c, h, w) image embeddings.
            guide: (m, c, h, w), output of guiding_conv.
            positions: (1, c, h, w), of the image embeddings.
            prompts: their embeddings.
            hard: how hard points are chosen.
        """
        (m, _, height, _), transformer = image.shape, self.transformer
        output = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(m, -1, -1)
        queries = torch.cat([output, prompts.sparse], dim=1)
        keys, guide, positions = (_tokens(values) for values in (image + prompts.dense, guide, positions))
        tokens = _Tokens(queries, queries, keys)
        for index, block in enumerate(transformer.layers):
            if index == ADAPTED_BLOCK:
                tokens, maps = self._adapted(block, tokens, positions, guide, prompts.signs, hard)
            else:
                queries, keys, _ = block(
                    queries=tokens.queries[:, None],
                    keys=tokens.keys[:, None],
                    query_point_embedding=tokens.query_positions[:, None],
                    key_point_embedding=positions[:, None],
                    attention_similarity=None,
                )
                tokens = _Tokens(queries[:, 0], tokens.query_positions, keys[:, 0])
        queries, query_positions, keys = tokens
        attended = _attend(transformer.final_attn_token_to_image, queries + query_positions, keys + positions, keys)
        queries = transformer.layer_norm_final_attn(queries + attended)
        pixels = self.upscale_conv1(keys.transpose(1, 2).reshape(image.shape))
        pixels = self.activation(self.upscale_conv2(self.activation(self.upscale_layer_norm(pixels))))
        logits = torch.einsum("mc,mchw->mhw", self.output_hypernetworks_mlps[0](queries[:, MASK]), pixels)
        return AdaptedMasks(logits, **{name: values.unflatten(1, (height, -1)) for name, values in maps.items()})

    def _adapted(
        self, block: nn.Module, tokens: _Tokens, positions: torch.Tensor, guide: torch.Tensor, signs: torch.Tensor,
        hard: HardPoints,
    ) -> tuple[_Tokens, dict[str, torch.Tensor]]:  # fmt: skip
        """The block with the adapter: its tokens, with 2 HARD_POINTS more queries, and the adapter's maps."""
        queries, query_positions, keys = tokens
        own = queries + query_positions
        queries = block.layer_norm1(queries + _attend(block.self_attn, own, own, queries))
        attended = _attend(block.cross_attn_token_to_image, queries + query_positions, keys + positions, keys)
        guided = guide * keys
        refined, maps = self.prompt_adapter(queries, guided, query_positions, positions)
        queries = queries + attended + refined
        if hard.enabled:
            indexes, factors = hard_points(maps, hard.noise)
            indexes, factors = indexes[..., None].expand(-1, -1, keys.shape[2]), factors[..., None]
            by_sign = signs.flip(0).repeat_interleave(HARD_POINTS, dim=0)
            point_positions = positions.expand_as(keys).gather(1, indexes) * factors + by_sign
            query_positions = torch.cat([query_positions, point_positions], dim=1)
            # A hard point has no query of its own yet: it starts as the image token at its position.
            queries = torch.cat([queries, (keys + guided).gather(1, indexes) * factors], dim=1)
        queries = block.layer_norm2(queries)
        queries = block.layer_norm3(queries + block.mlp(queries))
        keys = keys + guided
        attended = _attend(block.cross_attn_image_to_token, keys + positions, queries + query_positions, queries)
        return _Tokens(queries, query_positions, block.layer_norm4(keys + attended)), maps


class AdaptedSam(SamModel):
    """SamModel with PA-SAM's mask decoder."""

    def __init__(self, config: SamConfig):
        super().__init__(config)
        self.mask_decoder = AdaptedMaskDecoder(config.mask_decoder_config)

    def adapt(
        self, image: torch.Tensor, guide: torch.Tensor, points: torch.Tensor | None, labels: torch.Tensor | None,
        boxes: torch.Tensor | None, hard: HardPoints,
    ) -> AdaptedMasks:  # fmt: skip
        """Predict the masks of n images with p prompts each, in pixels of the input: points, boxes or both.

        Args:
            image: (n, c, h, w) image embeddings.
            guide: (n, 4, 4 h, 4 w), see `guide`.
            points: (n, p, k, 2) x, y.
            labels: (n, p, k), of the points.
            boxes: (n, p, 4).
            hard: how hard points are chosen.

        Returns:
            Masks of all m = n * p prompts, those of an image together.
        """
        sparse, dense = self.prompt_encoder(points, labels, boxes, None)
        p, embed = sparse.shape[1], self.prompt_encoder.point_embed
        signs = torch.cat([embed[0].weight, embed[1].weight])
        return self.mask_decoder(
            image.repeat_interleave(p, dim=0),
            self.mask_decoder.guiding_conv(guide).repeat_interleave(p, dim=0),
            self.get_image_wide_positional_embeddings(),
            PromptEmbeddings(sparse.flatten(0, 1), dense.repeat_interleave(p, dim=0), signs),
            hard,
        )


def _tokens(values: torch.Tensor) -> torch.Tensor:
    """(m, c, h, w) -> (m, h * w, c)."""
    return values.flatten(2).transpose(1, 2)


def _attend(attention: SamAttention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention of transformers without its dimension of prompts: each (m, tokens, c)."""
    return attention(query=query[:, None], key=key[:, None], value=value[:, None])[0][:, 0]
