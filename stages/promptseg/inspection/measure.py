"""Seconds and bytes of one image in a model on this machine."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.core.units import format_bytes
from promptseg.data.image_io import to_rgb
from promptseg.inference import embedding_cache
from promptseg.inspection.costs import Speed
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.prompts.support import Support, SupportImage
from promptseg.prompts.text import Text
from promptseg.training import memory

_REPEATS = 3
_OBJECTS = 4  # in the image that is measured


def measure(segmenter: Segmenter, image: np.ndarray, phrase: str) -> Speed:
    """Encode an image, decode its prompts and, where anything is trainable, take a training step, each a few times.

    Args:
        segmenter: the model; it is moved to this process's device.
        image: (h, w) or (h, w, 3) uint8, as large as those that will be segmented.
        phrase: a text prompt.

    Raises:
        UserError: that needs more memory than there is.
    """
    processes = Processes()
    segmenter = segmenter.to(processes.device)
    limit = memory.limit(processes)
    row = [prompt.to_model(segmenter.transform, *image.shape[:2]) for prompt in image_prompts(segmenter, image, phrase)]

    def work() -> tuple[float, float, float, dict[str, torch.Tensor]]:
        with torch.no_grad():
            encode, features = _seconds(lambda: segmenter.encode([image]))
            decode, _ = _seconds(lambda: segmenter.decode(features, [row]))
        if not segmenter.TRAINABLE:
            return encode, decode, 0.0, features

        def step() -> None:
            segmenter.decode(features, [row]).float().mean().backward()
            segmenter.zero_grad()

        segmenter.set_trainable(segmenter.TRAIN_DEFAULTS["trainable"])
        return encode, decode, _seconds(step)[0], features

    try:
        (encode, decode, train, features), peak = memory.measured(work, processes, limit)
    except memory.MemoryLimitError:
        raise UserError(
            f"{segmenter.NAME}: one image of {image.shape[1]}x{image.shape[0]} needs more memory than the "
            f"{format_bytes(limit)} that are available; take smaller tiles or another model"
        ) from None
    size = embedding_cache.size(features) if segmenter.CACHED else 0
    return Speed(encode, decode / len(row), train / len(row), size, peak)


def image_prompts(segmenter: Segmenter, image: np.ndarray, phrase: str) -> list[Prompt]:
    """Prompts of an image: points or boxes on several objects, which a decoder takes together; else one prompt."""
    height, width = image.shape[:2]
    centers = [(width * (place + 0.5) / _OBJECTS, height / 2) for place in range(_OBJECTS)]
    if "points" in segmenter.PROMPTS:
        return [Prompt.of(Points(np.array([center]), np.array([1]))) for center in centers]
    if "box" in segmenter.PROMPTS:
        around = np.array([-width, -height, width, height]) / (4 * _OBJECTS)
        return [Prompt.of(Box(np.array([*center, *center]) + around)) for center in centers]
    if "text" in segmenter.PROMPTS:
        return [Prompt.of(Text(phrase))]
    if "support" in segmenter.PROMPTS:
        inside = np.zeros((height, width), bool)
        inside[height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = True
        return [Prompt.of(Support((SupportImage(to_rgb(image), inside),), (), 1.0))]
    return [Prompt(1)]


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """The shortest time of a few, after a first call that allocates, and what the last one returned."""
    work()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        result = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times), result
