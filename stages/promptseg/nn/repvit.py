"""RepViT of timm with fewer passes over large maps: norms and branches folded, and pixel-wise layers by blocks.

A token mixer of RepViT (Wang et al. 2024, section 3.2) adds up a 3 x 3 convolution of each channel, a 1 x 1 one and its
own input. With batch norms whose statistics are fixed, all of it is one 3 x 3 convolution (Ding et al. 2021, RepVGG,
section 3.3). timm's `fuse` puts that one in place of the layers, and with it goes what is trained, saved and adapted.
Here kernels are folded in each call, which takes no time beside a convolution of a map, and gradients reach each part.

A channel mixer looks at one pixel at a time, so on a processor it is computed for as many pixels as its cache holds.
"""

import torch
import torch.nn.functional as F
from timm.models.repvit import ConvNorm, RepVggDw, RepVitMlp
from torch import nn

from promptseg.nn.overrides import Forwards

BLOCK = 1 << 17  # values of a channel mixer's widest map in memory at a time, for each thread: half a megabyte in fp32


def _convolve(layer: ConvNorm, x: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) -> (n, d, h / stride, w / stride), as ConvNorm."""
    x = _channels_last(x)
    if _is_adapted(layer):
        return layer.bn(layer.c(x))
    conv = layer.c
    return F.conv2d(x, *_kernel(layer), conv.stride, conv.padding, conv.dilation, conv.groups)


def _mix_tokens(layer: RepVggDw, x: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) -> the same shape, as RepVggDw."""
    if not isinstance(layer.conv1, ConvNorm):  # in timm's other RepViTs, whose norm follows the sum
        return layer.bn(layer.conv(x) + layer.conv1(x) + x)
    weight, bias = _kernel(layer.conv)
    center, shift = _kernel(layer.conv1)
    margin = weight.shape[-1] // 2
    weight = weight + F.pad(center + 1, [margin] * 4)  # + 1: the input itself
    return F.conv2d(_channels_last(x), weight, bias + shift, padding=margin, groups=layer.dim)


def _mix_channels(layer: RepVitMlp, x: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) -> the same shape, as RepVitMlp."""
    if x.device.type != "cpu" or _is_adapted(layer.conv1) or _is_adapted(layer.conv2):
        return layer.conv2(layer.act(layer.conv1(x)))
    (first, first_bias), (second, second_bias) = _kernel(layer.conv1), _kernel(layer.conv2)
    first, second = first.flatten(1), second.flatten(1)
    pixels = _channels_last(x).permute(0, 2, 3, 1)
    blocks = pixels.flatten(0, 2).split(max(1, BLOCK * torch.get_num_threads() // len(first)))
    mixed = [F.linear(layer.act(F.linear(block, first, first_bias)), second, second_bias) for block in blocks]
    return torch.cat(mixed).view(pixels.shape).permute(0, 3, 1, 2)


def _is_adapted(layer: ConvNorm) -> bool:
    """Whether there is a low-rank adapter beside the convolution (nn.lora)."""
    return not isinstance(layer.c, nn.Conv2d)


def _kernel(layer: ConvNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (d, c / groups, k, k) and bias (d,) of a convolution and the batch norm after it."""
    scale = layer.bn.weight * torch.rsqrt(layer.bn.running_var + layer.bn.eps)
    return layer.c.weight * scale[:, None, None, None], layer.bn.bias - layer.bn.running_mean * scale


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    """The layout in which processors compute convolutions of each channel without a copy; as it is on other devices."""
    return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x


FORWARDS: Forwards = {ConvNorm: _convolve, RepVggDw: _mix_tokens, RepVitMlp: _mix_channels}
