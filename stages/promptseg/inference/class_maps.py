"""Predict the classes of one image: from features and prompts to probability maps."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from promptseg.core.params import BACKGROUND
from promptseg.data import class_order, records
from promptseg.nn import batch_sizes
from promptseg.nn.segmenter import Detections, Features, Segmenter
from promptseg.prompts import Prompt, PromptSource, build_prompts


@dataclass(frozen=True)
class ClassMaps:
    """Probability maps of the classes of one image.

    Attributes:
        probability: (classes, h, w) float32 in [0, 1]; 0 for a class without a prompt.
        best: (h, w) uint8, index of the class with the highest logit, the lower one of two with equal logits. It is
            not known from the probabilities: in float32 these are all 1 above a logit of 17.
        detections: of a detector, for each prompt the boxes that its map is made of, in pixels of the image.
    """

    probability: np.ndarray
    best: np.ndarray
    detections: Sequence[Detections] = ()

    @classmethod
    def of(cls, logits: np.ndarray, exclusive: bool = False, background: int | None = None) -> "ClassMaps":
        """Make maps of logits, (classes, h, w) float32, which are changed; other arguments as for `predict_classes`."""
        if background is not None:  # its probability is 1 - the largest of the others
            logits[background] = -np.delete(logits, background, axis=0).max(axis=0)
        best, highest = class_order.best_class(logits)
        return cls(np.exp(logits - highest) if exclusive else torch.from_numpy(logits).sigmoid_().numpy(), best)

    def quantized(self) -> np.ndarray:
        """The maps in eight bits, (classes, h, w) uint8, see `records.quantize`."""
        return records.quantize(self.probability, self.best)

    def packed(self) -> bytes:
        """The maps as `Prediction.probability`."""
        return records.pack(self.probability, self.best)


def predict_classes(
    segmenter: Segmenter, features: Features, image_prompts: list[Prompt], shape: tuple[int, int, int],
    exclusive: bool = False, background: int | None = None,
) -> ClassMaps:  # fmt: skip
    """Predict the classes of one image.

    Prompts go through the decoder a few at a time, so memory does not grow with their number.

    Args:
        segmenter: the model.
        features: of the image; may be empty where there are no prompts.
        image_prompts: in pixels of the image. Where several prompt for a class, a pixel takes the largest logit.
        shape: number of classes, height and width of the image.
        exclusive: each pixel belongs to exactly one of the classes that are prompted for; probabilities are then
            their softmax relative to the most probable class, which is stored as 1 in eight bits.
        background: index of the class that takes what no other claims, of `unprompted_background`; None: there is none.
    """
    found: list[Detections] = []
    maps = _decoded(segmenter, features, image_prompts, *shape[1:], found)
    return replace(_joined(image_prompts, maps, shape, exclusive, background), detections=found)


def predict_candidates(
    segmenter: Segmenter, features: Features, candidates: list[list[Prompt]], classes: list[str], size: tuple[int, int],
    exclusive: bool = False,
) -> Iterator[ClassMaps]:  # fmt: skip
    """Predict the classes of one image once for each candidate; neighbours of one kind share the decoder's batches.

    Args:
        segmenter: the model.
        features: of the image; may be empty where there are no prompts.
        candidates: for each its prompts, as in `predict_classes`.
        classes: names of the classes.
        size: height and width of the image.
        exclusive: as in `predict_classes`.

    Yields:
        As `predict_classes` for each candidate; the last bits may depend on the others.
    """
    for _, group in itertools.groupby(candidates, _batched_with):
        alike = list(group)
        maps = _decoded(segmenter, features, [prompt for prompts in alike for prompt in prompts], *size, [])
        for prompts in alike:
            yield _joined(prompts, maps, (len(classes), *size), exclusive, unprompted_background(classes, prompts))


@torch.inference_mode()
def _decoded(
    segmenter: Segmenter, features: Features, prompts: list[Prompt], height: int, width: int, found: list[Detections]
) -> Iterator[np.ndarray]:
    """Yield the logits of each prompt, (height, width) float32; a detector's boxes are appended to `found`."""
    if not prompts:
        return

    def inputs(part: list[Prompt]) -> list[Prompt]:
        return [prompt.to_model(segmenter.transform, height, width) for prompt in part]

    boxes: list[Detections] = []
    if segmenter.DETECTS:  # in one call, as some prompts of an image are read together
        (boxes,) = segmenter.detect(features, [inputs(prompts)])
        scale = np.tile(segmenter.transform.scale(height, width), 2)
        found += [each._replace(boxes=each.boxes / scale) for each in boxes]
    size = batch_sizes.for_device(batch_sizes.PROMPTS, next(iter(features.values())).device)
    for start in range(0, len(prompts), size):
        part = slice(start, start + size)
        if segmenter.DETECTS:
            logits = segmenter.fill(boxes[part])
        else:
            (logits,) = segmenter.decode(features, [inputs(prompts[part])])
        yield from segmenter.transform.to_image(logits, height, width).cpu().numpy()


def _batched_with(prompts: list[Prompt]) -> tuple:
    """What is equal for candidates that can share a batch; prompts that are read together leave others out."""
    kinds = sorted(prompts[0].parts) if prompts else []
    return kinds, id(prompts) if prompts and prompts[0].together else None


def _joined(
    prompts: list[Prompt], maps: Iterator[np.ndarray], shape: tuple[int, int, int], exclusive: bool,
    background: int | None,
) -> ClassMaps:  # fmt: skip
    """Join the next maps, one for each of these prompts, by class."""
    logits = np.full(shape, -np.inf, np.float32)
    for prompt, values in zip(prompts, maps):  # in this order: no map is taken once the prompts end
        np.maximum(logits[prompt.target - 1], values, out=logits[prompt.target - 1])
    return ClassMaps.of(logits, exclusive, background)


def predict_source(
    segmenter: Segmenter, features: Callable[[], Features], config: Any, source: PromptSource, exclusive: bool = False
) -> tuple[ClassMaps, list[Prompt]]:
    """Build the prompts for a record and predict its classes.

    Args:
        segmenter: the model.
        features: computes or reads the record's; not called where there are no prompts.
        config: PromptConfig.
        source: the record.
        exclusive: as for `predict_classes`.
    """
    image_prompts, _ = build_prompts(config, source)
    encoded = features() if image_prompts else {}
    background = unprompted_background(source.classes, image_prompts)
    shape = (len(source.classes), *source.mask.shape)
    return predict_classes(segmenter, encoded, image_prompts, shape, exclusive, background), image_prompts


def unprompted_background(classes: list[str], image_prompts: list[Prompt]) -> int | None:
    """Index of the class `background` where it has no prompt and others have, as with 21 classes of Pascal VOC.

    It is then the most probable class where no other reaches 0.5.
    """
    index = classes.index(BACKGROUND) if BACKGROUND in classes and len(classes) > 1 else None
    prompted = {prompt.target - 1 for prompt in image_prompts}
    return index if prompted and index not in prompted else None
