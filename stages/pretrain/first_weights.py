"""First weights for a network of SAM's kind that learns from nothing: one that already answers a point with what is
like its place.

transformers draws every weight with a deviation of 0.02, as what is loaded over them does not depend on it. So begun,
or with the first weights that are usual for each kind of layer, the decoder gives one mask for all prompts, and later
the inside of every box, for thousands of steps: what it should look at, what it finds there and what it compares that
with must all be learned at once, and none is worth anything without the others. Here they begin together:

- the encoder's tokens have places as sines and cosines (He et al. 2022, MAE, with which SAM's encoder began) and leave
  it nearly as they came, so that patches that look alike have like features;
- places fill one half of the decoder's channels, those in which the positions of a picture vary most. By these, tokens
  look into the picture. A prompt's place outweighs all else in them, so the tokens of the masks look there as well;
- what they find comes back in the other half, unchanged;
- mask = hypernetwork(token) . upscaled(feature) begins as the inner product of the two in the directions in which
  features differ most within a picture: the convolutions and the network pass these through linearly.

On pictures of four flat regions, asked by a point, the mean area under the ROC curve of such first answers is 0.79, and
0.50 otherwise; from step 100 to 150, the IoU is 0.63, and 0.12 otherwise. Learning must be gentle, or undoes it: Muon's
rate is 1e-3 or 2e-3, where without this 6e-3 is best. On the world's general pictures, boxes and points come to an IoU
of 0.47 and 0.32 after 1,500 steps of 8 pictures; before, they stood at 0.42 and 0.20, which is a box filled and a
point not understood.
"""

import math

import torch
from promptseg.nn.prompt_adapter import AdaptedMaskDecoder
from torch import nn
from transformers import SamModel
from transformers.models.sam.modeling_sam import SamAttention, SamMaskDecoder

OCTAVES = 4.0  # between the lowest frequency, half a period a picture, and the highest
BRANCH = 0.1  # what the encoder's branches are times, beside what passes by them
FAINT = 0.25  # features, times this, leave places clear where the two are added
LOUD = 4.0  # and what is found in them, times this, is clear among the tokens
SHARP = 5.0  # queries and keys by place, times this
SMALL = 0.05  # the tokens' own embeddings, times this, beside the places of prompts
ALIKE = 0.1  # queries and keys among tokens, times this, so that all of them share what the prompts say
ASIDE = 0.2  # branches of the decoder that are not for this, times this
GAIN = 0.3  # logits for each unit of the inner product
OFFSET = 2.8  # taken from every answer, in units of what LINEAR becomes; without it nearly all pixels would be marked
LINEAR = 2.0  # added to what goes through GELU, which is linear from there


def draw(network: SamModel, pixels: torch.Tensor) -> SamModel:
    """The same network with these weights. pixels: (n, 3, size, size), pictures as it sees them, padded with 0.

    The weights follow from torch's seed and the pictures.
    """
    layers(network)
    _encoder(network)
    places = network.get_image_wide_positional_embeddings()[0].flatten(1).detach()  # (width, tokens)
    _, directions = torch.linalg.eigh(places @ places.T)
    what, where = directions.T.chunk(2)  # by how much the places vary along them
    _prompts(network)
    _attention(network.mask_decoder, where, what)
    _readout(network.mask_decoder, *_differing(network, pixels, what))
    return network


def layers(network: nn.Module) -> None:
    """Linear layers as in the original vision transformer (Glorot & Bengio 2010), convolutions as in He et al. 2015,
    and embeddings as large as torch draws them, in place."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.reset_parameters()
            nn.init.kaiming_uniform_(module.weight)
        elif isinstance(module, nn.Embedding):
            module.reset_parameters()


def unheard(decoder: AdaptedMaskDecoder) -> None:
    """Let an adapter begin with hardly a word in the answers, in place: the picture's guide and the refined token are
    zero, and what is left are its attention's biases. Begun at random, it has first to mend what it breaks."""
    for last in (decoder.guiding_conv[-1], decoder.prompt_adapter.refined_mlp.proj_out):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)


def _encoder(network: SamModel) -> None:
    encoder = network.vision_encoder
    _, rows, columns, width = encoder.pos_embed.shape
    y, x = (_waves(side, width // 2) for side in (rows, columns))
    encoder.pos_embed.data[0] = torch.cat([y[:, None].expand(-1, columns, -1), x[None].expand(rows, -1, -1)], dim=-1)
    for layer in encoder.layers:
        layer.attn.proj.weight.data *= BRANCH
        layer.mlp.lin2.weight.data *= BRANCH
    nn.init.orthogonal_(encoder.neck.conv1.weight)
    nn.init.dirac_(encoder.neck.conv2.weight)
    encoder.neck.layer_norm2.weight.data *= FAINT


def _prompts(network: SamModel) -> None:
    decoder, encoder = network.mask_decoder, network.prompt_encoder
    embeddings = (decoder.iou_token, decoder.mask_tokens, *encoder.point_embed, encoder.not_a_point_embed)
    for embedding in (*embeddings, encoder.no_mask_embed):
        embedding.weight.data *= SMALL


def _attention(decoder: SamMaskDecoder, where: torch.Tensor, what: torch.Tensor) -> None:
    """where, what: (width / 2, width), directions for places, and for everything else."""
    for layer in decoder.transformer.layers:
        looking, sharing = layer.cross_attn_token_to_image, layer.self_attn
        turned = nn.init.orthogonal_(torch.empty(len(where), len(where)))  # so that each head has some of all
        _alike(looking, SHARP * turned @ where, turned @ what, LOUD)
        whole = nn.init.orthogonal_(torch.empty_like(sharing.v_proj.weight))
        _alike(sharing, ALIKE * sharing.q_proj.weight, whole, 1.0)
        back = layer.cross_attn_image_to_token
        _alike(back, back.q_proj.weight, back.v_proj.weight, ASIDE)
        layer.mlp.lin2.weight.data *= ASIDE
        layer.layer_norm4.weight.data *= FAINT
    last = decoder.transformer.final_attn_token_to_image
    _alike(last, last.q_proj.weight, last.v_proj.weight, ASIDE)


def _alike(attention: SamAttention, queries: torch.Tensor, values: torch.Tensor, loud: float) -> None:
    """Attention by likeness, of which comes out what went in."""
    attention.q_proj.weight.data.copy_(queries)
    attention.k_proj.weight.data.copy_(queries)
    attention.v_proj.weight.data.copy_(values)
    attention.out_proj.weight.data.copy_(loud * values.T)


@torch.no_grad()
def _differing(network: SamModel, pixels: torch.Tensor, what: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The directions among `what` in which features differ most from their picture's mean, (width / 8, width), and the
    mean feature, (width,)."""
    features = network.vision_encoder(pixels).last_hidden_state.flatten(2)  # (n, width, tokens)
    patch = network.config.vision_config.patch_size
    seen = nn.functional.max_pool2d(pixels.abs().amax(dim=1, keepdim=True), patch).flatten(2) > 0
    means = (features * seen).sum(dim=2, keepdim=True) / seen.sum(dim=2, keepdim=True)
    apart = what @ ((features - means) * seen).movedim(1, 0).flatten(1)
    _, directions = torch.linalg.eigh(apart @ apart.T)
    most = directions.flip(1)[:, : features.shape[1] // 8].T
    return most @ what, means.mean(dim=(0, 2))


def _readout(decoder: SamMaskDecoder, directions: torch.Tensor, mean: torch.Tensor) -> None:
    """Each direction and its opposite go through the first GELU and the ReLU, so that their difference is linear; the
    last channel is constant."""
    count = len(directions)
    both = torch.cat([directions, -directions])
    difference = torch.cat([torch.eye(count), -torch.eye(count)], dim=1)
    difference[-1] = 0
    first, second = decoder.upscale_conv1, decoder.upscale_conv2
    first.weight.data.copy_(both.T[:, :, None, None].expand_as(first.weight))
    first.bias.data.copy_(-both @ mean)
    second.weight.data.copy_(difference.T[:, :, None, None].expand_as(second.weight))
    second.bias.data.fill_(LINEAR)
    balanced = difference.clone()
    balanced[-1] = -difference.sum(dim=0)  # takes out what LINEAR adds to the others
    for network in decoder.output_hypernetworks_mlps:
        network.proj_in.weight.data[: 2 * count] = both
        network.layers[0].weight.data[: 2 * count] = torch.eye(2 * count, network.layers[0].in_features)
        network.proj_out.weight.data *= ASIDE
        network.proj_out.weight.data[:, : 2 * count] = GAIN * balanced
        network.proj_out.bias.data[-1] = -OFFSET


def _waves(side: int, count: int) -> torch.Tensor:
    """(side, count): sines and cosines of the middles of so many tokens in a row."""
    places = (torch.arange(side) + 0.5) / side
    frequencies = math.pi * 2 ** (torch.arange(count // 2) * OCTAVES / (count // 2))
    angles = torch.outer(places, frequencies)
    return torch.cat([angles.sin(), angles.cos()], dim=1)
