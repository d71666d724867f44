"""SAM's and SAM 2's mask decoder for very many single points about one picture.

The same numbers as the network's own forward, up to rounding, for less than half of its work:

- The picture's tokens are the same for all points until the first layer writes to them, so that layer reads them once.
- There are 4096 tokens of the picture and 7 or 8 of a point. Attention between them projects the few and never the
  many: q . (W k) = (W' q) . k, and the sum of weighted values is projected instead of each value.
- The predicted IoU comes from a point's tokens alone. Only what passes is brought to the masks' size.

Names and order of the layers: transformers' SamMaskDecoder and Sam2MaskDecoder (modeling_sam.py, modeling_sam2.py).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from promptseg.nn.segmenter import Features, SamSegmenter


@dataclass
class Answered:
    """What a batch of n points leads to. iou: (n, m) predicted IoU of each point's masks."""

    iou: torch.Tensor
    tokens: torch.Tensor  # (n, m, c), of the masks
    image: torch.Tensor  # (n, places, c)


class PointDecoder:
    """Asks about one picture: `ask` points, then `masks` of those that are worth it."""

    def __init__(self, segmenter: SamSegmenter, features: Features):
        """features: of one picture, as `encode` gives them."""
        network, decoder = segmenter.network, segmenter.network.mask_decoder
        embedding = segmenter.image_embeddings(features)
        # SAM 2 has two maps of finer features beside the embedding, and a token in front of the others.
        *finer, image = embedding if isinstance(embedding, list) else [embedding]
        before = [decoder.obj_score_token.weight] if finer else []
        self._decoder, self._encoder, self._skip = decoder, network.prompt_encoder, len(before)
        self._output = torch.cat([*before, decoder.iou_token.weight, decoder.mask_tokens.weight])
        self._position = network.get_image_wide_positional_embeddings()[0].flatten(1).T.contiguous()
        no_mask = self._encoder.no_mask_embed.weight
        self._image = image[0].flatten(1).T + no_mask
        self._grid = image.shape[-1]
        self._finer = [_in_blocks(level[0], self._grid) for level in reversed(finer)]
        # A fine-tuned decoder was taught its single mask and none of the three.
        self._answers = slice(0, 1) if segmenter.single_mask else slice(1, None)
        self._first = _as_linear(decoder.upscale_conv1)
        self._second = _as_linear(decoder.upscale_conv2)
        self._layers = [
            (layer, _Cross(layer.cross_attn_token_to_image), _Cross(layer.cross_attn_image_to_token))
            for layer in decoder.transformer.layers
        ]
        self._final = _Cross(decoder.transformer.final_attn_token_to_image)

    @property
    def side(self) -> int:
        """Of the masks' logits, in pixels."""
        return 4 * self._grid

    def ask(self, points: torch.Tensor) -> Answered:
        """points: (n, 2) float x, y in the frame's pixels, each of them on an object of its own."""
        labels = torch.ones(1, len(points), 1, dtype=torch.long, device=points.device)
        sparse, _ = self._encoder(
            input_points=points[None, :, None], input_labels=labels, input_boxes=None, input_masks=None
        )
        asked = torch.cat([self._output.expand(len(points), -1, -1), sparse[0]], dim=1)
        tokens, image = asked, self._image
        for layer, to_image, to_tokens in self._layers:
            placed = image + self._position
            if layer.skip_first_layer_pe:
                tokens = _among(layer.self_attn, tokens, tokens)
            else:
                tokens = tokens + _among(layer.self_attn, tokens + asked, tokens)
            tokens = layer.layer_norm1(tokens)
            tokens = layer.layer_norm2(tokens + to_image.gather(tokens + asked, placed, image))
            tokens = layer.layer_norm3(tokens + layer.mlp(tokens))
            image = layer.layer_norm4(to_tokens.spread(tokens + asked, tokens, placed, image))
        tokens = tokens + self._final.gather(tokens + asked, image + self._position, image)
        tokens = self._decoder.transformer.layer_norm_final_attn(tokens)
        iou = self._decoder.iou_prediction_head(tokens[:, self._skip])
        of_masks = tokens[:, self._skip + 1 : self._skip + 1 + self._decoder.num_mask_tokens]
        return Answered(iou[:, self._answers], of_masks[:, self._answers], image)

    def masks(self, answered: Answered, wanted: torch.Tensor) -> torch.Tensor:
        """wanted: (n, m) bool -> logits of those masks, (k, side, side), in the order of `wanted`'s elements."""
        decoder, heads = self._decoder, self._decoder.output_hypernetworks_mlps[self._answers]
        out = []
        for point in torch.nonzero(wanted.any(dim=1))[:, 0].tolist():
            # A 2 x 2 transposed convolution of stride 2 makes a block of each place: a product, and blocks that are
            # put in their places when only the masks are left of the channels.
            fine = self._first(answered.image[point]) + (self._finer[0] if self._finer else 0)
            norm = decoder.upscale_layer_norm
            fine = decoder.activation(F.layer_norm(fine, fine.shape[-1:], norm.weight, norm.bias, norm.eps))
            fine = decoder.activation(self._second(fine) + (self._finer[1] if self._finer else 0))
            chosen = torch.nonzero(wanted[point])[:, 0].tolist()
            hyper = torch.stack([heads[i](answered.tokens[point, i]) for i in chosen])
            out.append(_from_blocks(hyper @ fine.flatten(0, -2).T, self._grid))
        return torch.cat(out) if out else answered.image.new_zeros(0, self.side, self.side)


class _Cross:
    """A cross attention between few tokens (n, t, c) and the places of a picture, (places, c) or (n, places, c).

    All of its projections are done on the side of the tokens.
    """

    def __init__(self, attention: torch.nn.Module):
        self._heads, self._scaling, self._of = attention.num_attention_heads, attention.scaling, attention
        self._out = attention.out_proj if hasattr(attention, "out_proj") else attention.o_proj  # SAM, SAM 2

    def gather(self, tokens: torch.Tensor, placed: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Tokens look at the picture: keys from `placed`, values from `image` -> (n, t, c)."""
        keys, values = self._by_head(self._of.k_proj.weight), self._by_head(self._of.v_proj.weight)
        query = self._split(self._of.q_proj(tokens)) * self._scaling
        asked = torch.einsum("nthd,hdc->nhtc", query, keys)  # the keys' bias adds the same at all places
        shape = asked.shape
        weights = (asked.flatten(1, 2) @ placed.transpose(-1, -2)).softmax(dim=-1)
        seen = torch.einsum("nhtc,hdc->nthd", (weights @ image).reshape(shape), values)
        return self._out(seen.flatten(2) + self._of.v_proj.bias)

    def spread(
        self, tokens: torch.Tensor, values: torch.Tensor, placed: torch.Tensor, image: torch.Tensor
    ) -> torch.Tensor:
        """The picture looks at the tokens: image + attention, (n, places, c)."""
        key = self._split(self._of.k_proj(tokens)) * self._scaling
        asked = torch.einsum("nthd,hdc->nthc", key, self._by_head(self._of.q_proj.weight))
        offset = torch.einsum("nthd,hd->nth", key, self._of.q_proj.bias.reshape(self._heads, -1))
        n, t, h, c = asked.shape
        scores = (asked.flatten(1, 2) @ placed.transpose(-1, -2)).add_(offset.flatten(1)[..., None])
        weights = scores.view(n, t, -1).softmax(dim=1).view(n, t * h, -1)
        given = torch.einsum("nthd,chd->nthc", self._split(self._of.v_proj(values)), self._output_by_head())
        given = given + self._out.bias / h  # each head's weights add up to one
        return (weights.transpose(1, 2) @ given.flatten(1, 2)).add_(image)

    def _split(self, projected: torch.Tensor) -> torch.Tensor:
        return projected.unflatten(-1, (self._heads, -1))

    def _by_head(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.unflatten(0, (self._heads, -1))

    def _output_by_head(self) -> torch.Tensor:
        return self._out.weight.unflatten(1, (self._heads, -1))


def _among(attention: torch.nn.Module, tokens: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Self-attention of each point's tokens, by the network's own layer."""
    return attention(query=tokens[None], key=tokens[None], value=values[None])[0][0]


def _as_linear(convolution: torch.nn.ConvTranspose2d):
    """(..., c) -> (..., 4, out): the four pixels of the block that a place becomes."""
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1).T.contiguous()
    bias = convolution.bias.repeat(4)
    return lambda values: F.linear(values, weight, bias).unflatten(-1, (4, -1))


def _in_blocks(finer: torch.Tensor, grid: int) -> torch.Tensor:
    """(c, s, s) -> (grid ** 2, 4, ..., c), a 4 for each doubling from the grid to s: where `_as_linear` puts it."""
    if finer.shape[-1] == grid:
        return finer.permute(1, 2, 0).flatten(0, 1)
    half = finer.shape[-1] // 2
    blocks = finer.reshape(len(finer), half, 2, half, 2).permute(2, 4, 0, 1, 3)
    return torch.stack([_in_blocks(one, grid) for one in blocks.flatten(0, 1)], dim=-2)


def _from_blocks(values: torch.Tensor, grid: int) -> torch.Tensor:
    """(k, grid ** 2 * 16) in blocks of blocks -> (k, 4 grid, 4 grid)."""
    blocks = values.reshape(-1, grid, grid, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4, 6)
    return blocks.reshape(-1, 4 * grid, 4 * grid)
