"""Batch sizes of inference, by the kind of device; the only place that sets them.

A result may depend on the size of its batch in its last bits (logits by 2e-4 where they range over 30), so sizes are
fixed for a kind of device and do not follow the number of processes. On a CPU they do not follow memory either: a call
with 4 prompts is 20 % faster than 4 calls; more prompts gain nothing and take more memory, and encoding several images
at once gains nothing. A GPU needs larger batches to be busy, so how many images are encoded at once is chosen by its
memory, as a power of two: a little more or less of it changes nothing. Its other sizes fit into 16 GB.
"""

from collections.abc import Callable

import torch

PIXELS = {"cpu": 1 << 20, "cuda": 1 << 26}  # of images, for an encoder: 1 and at most 64 of 1024 x 1024
PROMPTS = {"cpu": 8, "cuda": 64}  # for one image
POINTS = {"cpu": 16, "cuda": 128}  # for one image, of automatic masks
MEMORY_SHARE = 0.5  # of the free memory of a GPU, for a batch of images; the rest is for fragmentation and the decoder


def for_device(sizes: dict[str, int], device: torch.device) -> int:
    """The size for this device; kinds of devices without an entry are treated as a CPU."""
    return sizes.get(device.type, sizes["cpu"])


def images(encode: Callable[[], object], side: int, device: torch.device) -> int:
    """Number of images that an encoder takes at a time.

    Args:
        encode: encodes one image; called on a GPU alone, where its peak memory is measured.
        side: of the encoder's input, pixels.
        device: that the encoder is on.
    """
    most = max(1, for_device(PIXELS, device) // side**2)
    if device.type != "cuda":
        return most
    encode()  # loads kernels, and allocates their workspaces
    torch.cuda.reset_peak_memory_stats(device)
    held = torch.cuda.memory_allocated(device)
    encode()
    needed = torch.cuda.max_memory_allocated(device) - held
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - held
    return fitting(needed, free, most)


def fitting(needed: int, free: int, most: int) -> int:
    """The largest power of two up to `most` of images that fit into their share of the free memory; at least 1.

    Args:
        needed: bytes for one image.
        free: bytes.
        most: number of images.
    """
    count = min(most, int(MEMORY_SHARE * free) // max(needed, 1))
    return 1 << (count.bit_length() - 1) if count > 0 else 1
