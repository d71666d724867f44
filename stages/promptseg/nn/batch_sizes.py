"""Batch sizes of inference, by the kind of device; the only place that sets them.

A result may depend on the size of its batch in its last bits (logits by 2e-4 where they range over 30), so sizes are
fixed for a kind of device and follow neither free memory nor the number of processes.

On a CPU a call with 4 prompts is 20 % faster than 4 calls; more prompts gain nothing and take more memory, and encoding
several images at once gains nothing. A GPU needs larger batches to be busy; its sizes are not measured, they fit into
16 GB.
"""

import torch

PIXELS = {"cpu": 1 << 20, "cuda": 1 << 23}  # of images, for an encoder: 1 and 8 of 1024 x 1024
PROMPTS = {"cpu": 8, "cuda": 64}  # for one image
POINTS = {"cpu": 16, "cuda": 128}  # for one image, of automatic masks


def for_device(sizes: dict[str, int], device: torch.device) -> int:
    """The size for this device; kinds of devices without an entry are treated as a CPU."""
    return sizes.get(device.type, sizes["cpu"])
