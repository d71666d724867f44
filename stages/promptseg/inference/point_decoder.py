"""Mask decoder of SAM, HQ-SAM and SAM 2 for very many single points on one image.

Its output equals that of the network's own forward, up to rounding, for less than half of the work:

- The image tokens are the same for all points until the first layer writes to them, so that layer reads them once.
- There are 4096 image tokens and 7 or 8 tokens of a point. Attention between them projects the few and never the many:
  q . (W k) = (W' q) . k, and the sum of weighted values is projected instead of each value.
- The last attention is computed for the tokens that are read after it alone, 4 or 5 of 7 to 9.
- The predicted IoU depends on a point's tokens alone. Only masks that pass its threshold are upscaled.

Names and order of the layers are those of transformers' SamMaskDecoder, SamHQMaskDecoder and Sam2MaskDecoder
(modeling_sam.py, modeling_sam_hq.py, modeling_sam2.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from promptseg.nn.sam_segmenter import SamSegmenter
from promptseg.nn.segmenter import Features


@dataclass
class DecodedPoints:
    """State of n points after the transformer of the mask decoder.

    Attributes:
        iou: (n, m) predicted IoU of each point's masks.
        tokens: (n, m, c), of the masks.
        hq_tokens: (n, c) of HQ-SAM's mask, which is added to each; None for other models.
        image: (n, grid ** 2, c), image tokens.
    """

    iou: torch.Tensor
    tokens: torch.Tensor
    image: torch.Tensor
    hq_tokens: torch.Tensor | None


class PointDecoder:
    """Decodes points on one image, then upscales those of their masks that are needed.

    Args:
        segmenter: the model.
        features: of one image, from `encode`.
    """

    def __init__(self, segmenter: SamSegmenter, features: Features):
        network, decoder = segmenter.network, segmenter.network.mask_decoder
        embedding = segmenter.image_embeddings(features)
        # SAM 2 has two finer maps beside the embedding, and an object score token before the others.
        *finer, image = embedding if isinstance(embedding, list) else [embedding]
        first = [decoder.obj_score_token.weight] if finer else []
        self._decoder, self._encoder = decoder, network.prompt_encoder
        self._hq = _HqMasks(segmenter, features) if hasattr(decoder, "hq_token") else None
        last = [decoder.hq_token.weight] if self._hq else []
        self._output = torch.cat([*first, decoder.iou_token.weight, decoder.mask_tokens.weight, *last])
        self._position = network.get_image_wide_positional_embeddings()[0].flatten(1).T.contiguous()
        no_mask = self._encoder.no_mask_embed.weight
        self._image = image[0].flatten(1).T + no_mask
        self._grid = image.shape[-1]
        self._finer = [_in_blocks(level[0], self._grid) for level in reversed(finer)]
        # Fine-tuning trains the single mask and none of the three.
        self._masks = slice(0, 1) if segmenter.single_mask else slice(1, None)
        places = list(range(len(first), len(self._output)))  # of the predicted IoU, the masks and HQ-SAM's mask
        count = len(decoder.mask_tokens.weight)
        self._read = [places[0], *places[1 : count + 1][self._masks], *places[count + 1 :]]
        self._first = _as_linear(decoder.upscale_conv1)
        self._second = _as_linear(decoder.upscale_conv2)
        self._layers = [
            (layer, _CrossAttention(layer.cross_attn_token_to_image), _CrossAttention(layer.cross_attn_image_to_token))
            for layer in decoder.transformer.layers
        ]
        self._final = _CrossAttention(decoder.transformer.final_attn_token_to_image)

    @property
    def side(self) -> int:
        """Side of mask logits, pixels."""
        return 4 * self._grid

    def decode(self, points: torch.Tensor) -> DecodedPoints:
        """Decode positive points, each a prompt of its own. points: (n, 2) float x, y in pixels of the input."""
        labels = torch.ones(1, len(points), 1, dtype=torch.long, device=points.device)
        sparse, _ = self._encoder(
            input_points=points[None, :, None], input_labels=labels, input_boxes=None, input_masks=None
        )
        positions = torch.cat([self._output.expand(len(points), -1, -1), sparse[0]], dim=1)
        tokens, image = positions, self._image
        for layer, to_image, to_tokens in self._layers:
            keys = image + self._position
            if layer.skip_first_layer_pe:
                tokens = _self_attention(layer.self_attn, tokens, tokens)
            else:
                tokens = tokens + _self_attention(layer.self_attn, tokens + positions, tokens)
            tokens = layer.layer_norm1(tokens)
            tokens = layer.layer_norm2(tokens + to_image.from_image(tokens + positions, keys, image))
            tokens = layer.layer_norm3(tokens + layer.mlp(tokens))
            image = layer.layer_norm4(to_tokens.from_tokens(tokens + positions, tokens, keys, image))
        tokens, positions = tokens[:, self._read], positions[:, self._read]
        tokens = tokens + self._final.from_image(tokens + positions, image + self._position, image)
        of_iou, *of_masks = self._decoder.transformer.layer_norm_final_attn(tokens).unbind(1)
        hq_tokens = of_masks.pop() if self._hq else None
        iou = self._decoder.iou_prediction_head(of_iou)[:, self._masks]
        return DecodedPoints(iou, torch.stack(of_masks, dim=1), image, hq_tokens)

    def masks(self, points: DecodedPoints, selected: torch.Tensor) -> torch.Tensor:
        """Compute the logits of selected masks.

        Args:
            points: of `decode`.
            selected: (n, m) bool.

        Returns:
            (k, side, side), in the order of `selected`'s elements.
        """
        decoder, heads = self._decoder, self._decoder.output_hypernetworks_mlps[self._masks]
        out = []
        for point in torch.nonzero(selected.any(dim=1))[:, 0].tolist():
            # A 2 x 2 transposed convolution of stride 2 turns each token into a block: a product here, and blocks are
            # put in order once the channels are reduced to masks.
            fine = self._first(points.image[point]) + (self._finer[0] if self._finer else 0)
            norm = decoder.upscale_layer_norm
            fine = decoder.activation(F.layer_norm(fine, fine.shape[-1:], norm.weight, norm.bias, norm.eps))
            fine = decoder.activation(self._second(fine) + (self._finer[1] if self._finer else 0))
            chosen = torch.nonzero(selected[point])[:, 0].tolist()
            hyper = torch.stack([heads[i](points.tokens[point, i]) for i in chosen])
            fine = fine.flatten(0, -2).T
            masks = _from_blocks(hyper @ fine, self._grid)
            if self._hq and points.hq_tokens is not None:
                masks = masks + self._hq.mask(_from_blocks(fine, self._grid), points.hq_tokens[point])
            out.append(masks)
        return torch.cat(out) if out else points.image.new_zeros(0, self.side, self.side)


class _HqMasks:
    """The mask of HQ-SAM's token (Ke et al. 2023), from features of the image that are the same for all points."""

    def __init__(self, segmenter: SamSegmenter, features: Features):
        self._of = decoder = segmenter.network.mask_decoder
        early = decoder.compress_vit_conv1(features["early"].permute(0, 3, 1, 2))
        early = decoder.compress_vit_conv2(decoder.activation(decoder.compress_vit_norm(early)))
        late = decoder.activation(decoder.encoder_norm(decoder.encoder_conv1(features["image"])))
        self._features = decoder.encoder_conv2(late) + early

    def mask(self, fine: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """Logits (side, side) from a point's upscaled image tokens (channels, side, side) and its token (c,)."""
        fine = self._of.activation(self._of.mask_norm(self._of.mask_conv1(fine[None])))
        fine = self._of.mask_conv2(fine) + self._features
        return torch.einsum("c,chw->hw", self._of.hq_mask_mlp(token), fine[0])


class _CrossAttention:
    """Cross attention between few tokens (n, t, c) and the tokens of an image, (grid ** 2, c) or (n, grid ** 2, c).

    All of its projections are applied on the side of the few.
    """

    def __init__(self, attention: torch.nn.Module):
        self._heads, self._scaling, self._of = attention.num_attention_heads, attention.scaling, attention
        self._out = attention.out_proj if hasattr(attention, "out_proj") else attention.o_proj  # SAM, SAM 2

    def from_image(self, tokens: torch.Tensor, image_keys: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Attend from tokens to the image, with keys from `image_keys` and values from `image`: (n, t, c)."""
        keys, values = self._by_head(self._of.k_proj.weight), self._by_head(self._of.v_proj.weight)
        query = self._split(self._of.q_proj(tokens)) * self._scaling
        query = torch.einsum("nthd,hdc->nhtc", query, keys)  # the keys' bias adds the same for all image tokens
        shape = query.shape
        attention = (query.flatten(1, 2) @ image_keys.transpose(-1, -2)).softmax(dim=-1)
        attended = torch.einsum("nhtc,hdc->nthd", (attention @ image).reshape(shape), values)
        return self._out(attended.flatten(2) + self._of.v_proj.bias)

    def from_tokens(
        self, tokens: torch.Tensor, values: torch.Tensor, image_keys: torch.Tensor, image: torch.Tensor
    ) -> torch.Tensor:
        """Attend from the image to tokens and add the result to the image: (n, grid ** 2, c)."""
        key = self._split(self._of.k_proj(tokens)) * self._scaling
        projected = torch.einsum("nthd,hdc->nthc", key, self._by_head(self._of.q_proj.weight))
        offset = torch.einsum("nthd,hd->nth", key, self._of.q_proj.bias.reshape(self._heads, -1))
        n, t, h, _ = projected.shape
        scores = (projected.flatten(1, 2) @ image_keys.transpose(-1, -2)).add_(offset.flatten(1)[..., None])
        attention = scores.view(n, t, -1).softmax(dim=1).view(n, t * h, -1)
        output = torch.einsum("nthd,chd->nthc", self._split(self._of.v_proj(values)), self._output_by_head())
        output = output + self._out.bias / h  # each head's weights add up to one
        return (attention.transpose(1, 2) @ output.flatten(1, 2)).add_(image)

    def _split(self, projected: torch.Tensor) -> torch.Tensor:
        return projected.unflatten(-1, (self._heads, -1))

    def _by_head(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.unflatten(0, (self._heads, -1))

    def _output_by_head(self) -> torch.Tensor:
        return self._out.weight.unflatten(1, (self._heads, -1))


def _self_attention(attention: torch.nn.Module, tokens: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Self-attention of each point's tokens, by the network's own layer."""
    return attention(query=tokens[None], key=tokens[None], value=values[None])[0][0]


def _as_linear(convolution: torch.nn.ConvTranspose2d) -> Callable[[torch.Tensor], torch.Tensor]:
    """A 2 x 2 transposed convolution of stride 2 as (..., c) -> (..., 4, out): the four pixels of each block."""
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1).T.contiguous()
    bias = convolution.bias.repeat(4)
    return lambda values: F.linear(values, weight, bias).unflatten(-1, (4, -1))


def _in_blocks(finer: torch.Tensor, grid: int) -> torch.Tensor:
    """(c, s, s) -> (grid ** 2, 4, ..., c), a 4 for each doubling from grid to s: the layout of `_as_linear`."""
    if finer.shape[-1] == grid:
        return finer.permute(1, 2, 0).flatten(0, 1)
    half = finer.shape[-1] // 2
    blocks = finer.reshape(len(finer), half, 2, half, 2).permute(2, 4, 0, 1, 3)
    return torch.stack([_in_blocks(block, grid) for block in blocks.flatten(0, 1)], dim=-2)


def _from_blocks(values: torch.Tensor, grid: int) -> torch.Tensor:
    """(k, grid ** 2 * 16) in blocks of blocks -> (k, 4 grid, 4 grid)."""
    blocks = values.reshape(-1, grid, grid, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4, 6)
    return blocks.reshape(-1, 4 * grid, 4 * grid)
