"""PA-SAM's network (Xie et al. 2024): SAM's mask decoder with a prompt adapter in it.

Names, shapes and the order of operations are those of the authors' released code (model/mask_decoder_pa.py and
segment_anything_training/modeling/transformer.py of xzz2/pa-sam), which differs from the paper's figure in this:
the adapter works in the second block only, between its token-to-image attention and what that is added to; it
changes image tokens as well as queries; and the "gradient" of the picture is Canny's edges.

The hard points are the plain top k in use, so that an answer depends on nothing but the question. While it trains the
released code goes without them for five epochs and then draws them at random (Gumbel top-k); see models/pa_sam.py.
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
MASK = 1  # the place of the single mask's token among the queries; 0 is that of the predicted IoU


class Adapted(NamedTuple):
    """What the decoder gives for m prompts; what the adapter saw on its way is (m, grid, grid), for its losses.

    logits: (m, 4 grid, 4 grid). uncertainty: in [0, 1]; coarse, refined: logits; intermediate: logits, the refined
    ones where the uncertainty is 0.5 or more and the coarse ones elsewhere.
    """

    logits: torch.Tensor
    uncertainty: torch.Tensor
    coarse: torch.Tensor
    refined: torch.Tensor
    intermediate: torch.Tensor


def guide(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Normalized pixels (n, 3, size, size) -> (n, 4, side, side): the picture, and its edges as 0 and 1.

    As in the released code the edges are those of the *normalized* picture cut to whole numbers of 8 bits, where what
    is below -1 wraps round to 255: they lie where dark things end. The released weights know no others.
    """
    small = F.interpolate(pixels, (side, side), mode="bilinear", align_corners=False)
    wrapped = np.trunc(small.permute(0, 2, 3, 1).cpu().numpy()).astype(np.int32).astype(np.uint8)
    edges = np.stack([cv2.Canny(np.ascontiguousarray(picture), *CANNY) for picture in wrapped])
    return torch.cat([small, torch.from_numpy(edges)[:, None].to(small) / 255], dim=1)


class PromptAdapter(nn.Module):
    """Refines the queries by the guided image, and finds places where the coarse mask is in doubt."""

    def __init__(self, config):
        super().__init__()
        width = config.hidden_size
        self.static_uncertain_token = nn.Embedding(1, width)
        self.static_refined_token = nn.Embedding(1, width)
        self.uncertain_mlp = SamFeedForward(2 * width, width // 4, width, 3)
        self.refined_mlp = SamFeedForward(2 * width, width // 4, width, 3)
        self.cross_attn_token_to_image = SamAttention(config)

    def forward(self, queries, guided, query_positions, positions) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """queries, query_positions: (m, t, c); guided: (m, hw, c) image tokens; positions: (1, hw, c) theirs.

        The refined queries (m, t, c), and the maps over the image tokens, each (m, hw).
        """
        query, key, value = (part[:, None] for part in (queries + query_positions, guided + positions, guided))
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
    """(m, 2 HARD_POINTS) places among the image tokens: first where an object was missed, then where one was invented.

    Ranked by uncertainty times how much the refined mask is surer than the coarse one, in the order of the places.
    noise: (2, m, hw) Gumbel noise, added to the ranks of either sort; then the places are a draw. The second tensor is
    a factor for what is found at the places: 1 by its value, and where there is noise it hands the gradient on to the
    maps (straight through).
    """
    rank = maps["uncertainty"] * (torch.sigmoid(maps["refined"]) - torch.sigmoid(maps["coarse"]))
    places, factors = [], []
    for sort, values in enumerate((rank, -rank)):
        chance = values if noise is None else _relaxed(values + noise[sort])
        places.append(chance.topk(HARD_POINTS, dim=1).indices.sort(dim=1).values)
        chosen = chance.gather(1, places[-1])
        factors.append(torch.ones_like(chosen) if noise is None else 1 + chosen - chosen.detach())
    return torch.cat(places, dim=1), torch.cat(factors, dim=1)


def _relaxed(scores: torch.Tensor) -> torch.Tensor:
    """Scores (m, hw) -> how far each is among the top HARD_POINTS, in [0, HARD_POINTS] (Xie & Ermon 2019, at
    temperature 1)."""
    total = one = torch.zeros_like(scores)
    for _ in range(HARD_POINTS):
        scores = scores + torch.log((1 - one).clamp(min=torch.finfo(scores.dtype).tiny))
        one = torch.softmax(scores, dim=1)
        total = total + one
    return total


class AdaptedMaskDecoder(SamMaskDecoder):
    """SAM's mask decoder with the adapter; gives the single mask only, as the adapter refines that one's token."""

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

    def forward(self, image, guide, positions, sparse, dense, point_embed, hard=True, noise=None) -> Adapted:
        """image: (m, c, h, w) embeddings; guide: (m, c, h, w), of guiding_conv; positions: (1, c, h, w); sparse:
        (m, k, c), dense: (m, c, h, w) prompts, all as SAM has them; point_embed: (2, c), of negative, positive points; hard: whether there are hard points;
        noise: as in hard_points.
        """
        (m, _, height, _), transformer = image.shape, self.transformer
        tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(m, -1, -1)
        query_positions = queries = torch.cat([tokens, sparse], dim=1)
        keys, guide, positions = (_tokens(values) for values in (image + dense, guide, positions))
        for index, block in enumerate(transformer.layers):
            if index == ADAPTED_BLOCK:
                queries, keys, query_positions, maps = self._adapted(
                    block, queries, keys, query_positions, positions, guide, point_embed, hard, noise
                )
            else:
                queries, keys, _ = block(
                    queries=queries[:, None],
                    keys=keys[:, None],
                    query_point_embedding=query_positions[:, None],
                    key_point_embedding=positions[:, None],
                    attention_similarity=None,
                )
                queries, keys = queries[:, 0], keys[:, 0]
        attended = _attend(transformer.final_attn_token_to_image, queries + query_positions, keys + positions, keys)
        queries = transformer.layer_norm_final_attn(queries + attended)
        pixels = self.upscale_conv1(keys.transpose(1, 2).reshape(image.shape))
        pixels = self.activation(self.upscale_conv2(self.activation(self.upscale_layer_norm(pixels))))
        logits = torch.einsum("mc,mchw->mhw", self.output_hypernetworks_mlps[0](queries[:, MASK]), pixels)
        return Adapted(logits, **{name: values.unflatten(1, (height, -1)) for name, values in maps.items()})

    def _adapted(self, block, queries, keys, query_positions, positions, guide, point_embed, hard, noise):
        """The block with the adapter in it: queries (m, t + 2 HARD_POINTS, c), keys, the queries' positions, maps."""
        own = queries + query_positions
        queries = block.layer_norm1(queries + _attend(block.self_attn, own, own, queries))
        attended = _attend(block.cross_attn_token_to_image, queries + query_positions, keys + positions, keys)
        guided = guide * keys
        refined, maps = self.prompt_adapter(queries, guided, query_positions, positions)
        queries = queries + attended + refined
        if hard:
            places, factors = hard_points(maps, noise)
            places, factors = places[..., None].expand(-1, -1, keys.shape[2]), factors[..., None]
            signs = point_embed.flip(0).repeat_interleave(HARD_POINTS, dim=0)
            found = positions.expand_as(keys).gather(1, places) * factors + signs
            query_positions = torch.cat([query_positions, found], dim=1)
            # A hard point has no query of its own yet: all it has comes from its place.
            queries = torch.cat([queries, (keys + guided).gather(1, places) * factors], dim=1)
        queries = block.layer_norm2(queries)
        queries = block.layer_norm3(queries + block.mlp(queries))
        keys = keys + guided
        attended = _attend(block.cross_attn_image_to_token, keys + positions, queries + query_positions, queries)
        return queries, block.layer_norm4(keys + attended), query_positions, maps


class AdaptedSam(SamModel):
    """SamModel with PA-SAM's mask decoder."""

    def __init__(self, config: SamConfig):
        super().__init__(config)
        self.mask_decoder = AdaptedMaskDecoder(config.mask_decoder_config)

    def adapt(self, image, guide, points=None, labels=None, boxes=None, hard=True, noise=None) -> Adapted:
        """image: (n, c, h, w) embeddings; guide: (n, 4, 4h, 4w); points (n, p, k, 2), labels (n, p, k) and boxes
        (n, p, 4) in the frame's pixels, points or boxes or both; hard, noise: as the mask decoder takes them -> m =
        n * p answers, a picture's prompts together.
        """
        sparse, dense = self.prompt_encoder(points, labels, boxes, None)
        p, embed = sparse.shape[1], self.prompt_encoder.point_embed
        return self.mask_decoder(
            image.repeat_interleave(p, dim=0),
            self.mask_decoder.guiding_conv(guide).repeat_interleave(p, dim=0),
            self.get_image_wide_positional_embeddings(),
            sparse.flatten(0, 1),
            dense.repeat_interleave(p, dim=0),
            torch.cat([embed[0].weight, embed[1].weight]),
            hard,
            noise,
        )


def _tokens(values: torch.Tensor) -> torch.Tensor:
    """(m, c, h, w) -> (m, h * w, c)."""
    return values.flatten(2).transpose(1, 2)


def _attend(attention: SamAttention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """transformers' attention without its dimension of prompts: each (m, tokens, c)."""
    return attention(query=query[:, None], key=key[:, None], value=value[:, None])[0][:, 0]
