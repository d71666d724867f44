"""Runs in several steps, with counts of each: correcting clicks, and prompts that are less and less exact."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from promptseg.data.image_io import IGNORED
from promptseg.data.masks import Region
from promptseg.evaluation import pixel_histograms
from promptseg.evaluation.counts import label_map
from promptseg.inference.class_maps import ClassMaps, predict_source, unprompted_background
from promptseg.nn import batch_sizes
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt, PromptSource, build_prompts
from promptseg.prompts.clicks import add_click, next_click

DIGITS = 6  # of IoUs, after the decimal point


@dataclass(frozen=True)
class Swept:
    """Result of a sweep for one record.

    Attributes:
        maps: of the first step, after clicks of the last.
        prompts: of the same step.
        scores: as `Prediction.sweep`.
    """

    maps: ClassMaps
    prompts: list[Prompt]
    scores: str


def predict_sweep(segmenter: Segmenter, features: Callable[[], Features], config: Any, source: PromptSource) -> Swept:
    """Predict a record in all steps of a sweep.

    Args:
        segmenter: the model.
        features: computes or reads the record's; called once, or not at all where there is nothing to prompt for.
        config: PromptConfig with a sweep.
        source: the record.
    """
    features = functools.cache(features)
    if config.clicks is not None:
        return _predict_clicks(segmenter, features, config, source)
    found = [predict_source(segmenter, features, config.at(step), source) for step in config.sweep.steps]
    return Swept(*found[0], json.dumps({"counts": [_counts(maps, source) for maps, _ in found], "objects": []}))


@dataclass
class _Object:
    """What is clicked on: the mask of a class, or an instance.

    Attributes:
        prompt: so far, in pixels of the image.
        region: of the ground truth.
        logits: (side, side) of the last prediction; None: there was none.
        is_done: nothing is left to click on.
        ious: after each step.
    """

    prompt: Prompt
    region: Region
    logits: torch.Tensor | None = None
    is_done: bool = False
    ious: list[float] = field(default_factory=list)

    def score(self, prediction: np.ndarray, valid: np.ndarray) -> None:
        """Add the IoU of a prediction, (h, w) bool."""
        target = self.region.full()
        union = int(np.count_nonzero((target | prediction) & valid))
        self.ious.append(round(np.count_nonzero(target & prediction) / union, DIGITS))

    def correct(self, prediction: np.ndarray, valid: np.ndarray) -> None:
        """Click where the prediction is most wrong."""
        points = self.prompt.get("points")
        clicked = np.empty((0, 2)) if points is None else points.coordinates
        click = None if self.is_done else next_click(self.region.full(), prediction, valid, clicked)
        if click is None:
            self.is_done = True
        else:
            self.prompt = add_click(self.prompt, click)


@torch.inference_mode()
def _predict_clicks(segmenter: Segmenter, features: Callable[[], Features], config: Any, source: PromptSource) -> Swept:
    objects = [_Object(prompt, region) for prompt, region in zip(*build_prompts(config, source), strict=True)]
    encoded = features() if objects else {}
    height, width = source.mask.shape
    valid = source.mask != IGNORED
    size = batch_sizes.for_device(batch_sizes.PROMPTS, segmenter.device)
    background = unprompted_background(source.classes, [each.prompt for each in objects])
    counts = []
    for step in config.sweep.steps:
        logits = np.full((len(source.classes), height, width), -np.inf, np.float32)
        for start in range(0, len(objects), size):
            batch = objects[start : start + size]
            _decode(segmenter, encoded, [each for each in batch if not each.is_done], height, width)
            stacked = torch.stack([each.logits for each in batch])  # type: ignore[misc]  # all were decoded
            for each, values in zip(batch, segmenter.transform.to_image(stacked, height, width).cpu().numpy()):
                np.maximum(logits[each.prompt.target - 1], values, out=logits[each.prompt.target - 1])
                each.score(values >= 0, valid)
                if step < config.clicks:
                    each.correct(values >= 0, valid)
        maps = ClassMaps.of(logits, background=background)
        counts.append(_counts(maps, source))
    scores = json.dumps({"counts": counts, "objects": [each.ious for each in objects]})
    return Swept(maps, [each.prompt for each in objects], scores)


def _decode(segmenter: Segmenter, features: Features, objects: list[_Object], height: int, width: int) -> None:
    """Predict objects after their last click. All have the same number of clicks, as they get one in each step."""
    if not objects:
        return
    prompts = [each.prompt.to_model(segmenter.transform, height, width) for each in objects]
    if objects[0].logits is None:
        found = segmenter.decode(features, [prompts])[0]
    else:
        found = segmenter.refine(features, prompts, torch.stack([each.logits for each in objects]))  # type: ignore[misc]
    for each, logits in zip(objects, found, strict=True):
        each.logits = logits


def _counts(maps: ClassMaps, source: PromptSource) -> list[list[int]]:
    """tp, fp and fn of each class."""
    valid = source.mask != IGNORED
    size = len(source.classes) + 1
    # The last label takes what is ignored.
    labels = [np.where(valid, each, np.uint8(size)) for each in (source.mask, label_map(maps.quantized()))]
    pairs = pixel_histograms.of_labels(labels, [size + 1] * 2)[:size, :size]
    tp = pairs.diagonal()
    return np.stack([tp, pairs.sum(axis=0) - tp, pairs.sum(axis=1) - tp], axis=1)[1:].tolist()
