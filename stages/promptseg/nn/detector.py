"""Detectors: models that return boxes with scores, and no masks, as the first half of a cascade.

By itself a detector is scored by its filled boxes. Scores of different detectors mean different things: transformers
keeps those of OWLv2 above 0.1 and those of Grounding DINO above 0.25. So a score becomes a probability by the shift of
its logit that puts that default at 0.5, which is the default threshold of everything else here (masks, cascades, the
Python API). The order of the boxes stays, and a threshold that is chosen on the validation split, 0.05 to 0.95, reaches
from a score of 0.006 to one of 0.68 for OWLv2, and from 0.017 to 0.86 for Grounding DINO.

None can be trained here: that takes a loss that matches boxes with objects.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Detections, Features, Segmenter
from promptseg.prompts import Prompt

LOWEST = 0.05  # probability of a box that is kept: the lowest threshold that is tried
MAX_BOXES = 100  # of one prompt, those of highest score; COCO's evaluation takes as many
OUTSIDE = -20.0  # logit where there is no box


@dataclass(frozen=True)
class DetectorTransform(ImageTransform):
    """Image transform of a detector: boxes are mapped without rounding, and their maps keep their edges."""

    def scale(self, height: int, width: int) -> np.ndarray:
        """As of any transform, but from the sides before they are rounded to pixels."""
        return np.full(2, self.size / max(height, width)) if self.keep_aspect else super().scale(height, width)

    def to_image(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Resample to the size of the image by the nearest pixel, so that a box has one value."""
        rows, columns = self.content_size(height, width)
        return F.interpolate(logits[None, :, :rows, :columns], (height, width), mode="nearest-exact")[0]


class Detector(Segmenter):
    """A network that returns boxes; its masks are the boxes.

    Attributes:
        SCORES: kind of prompt -> the score from which on transformers keeps a box, which becomes a probability of 0.5.
    """

    DETECTS = True
    SCORES: ClassVar[dict[str, float]]

    @abstractmethod
    def detect_image(
        self, features: Features, prompts: list[Prompt], scores: list[float]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Detect objects in one image, with transformers' own post-processing.

        Args:
            features: of one image.
            prompts: p prompts in pixels of the input, all of the same kind.
            scores: for each prompt the score that a box must exceed.

        Yields:
            For each prompt boxes (k, 4), x0, y0, x1, y1 in pixels of the input, and scores (k,) in [0, 1].
        """

    @torch.no_grad()
    def detect(self, features: Features, prompts: list[list[Prompt]]) -> list[list[Detections]]:
        """Find the boxes of at least LOWEST, at most MAX_BOXES for each prompt, in pixels of the input."""
        found = []
        for index, row in enumerate(prompts):
            own = {name: values[index : index + 1] for name, values in features.items()}
            shifts = [torch.logit(torch.tensor(self.SCORES[next(iter(prompt.parts))])) for prompt in row]
            lowest = [float(torch.sigmoid(shift + torch.logit(torch.tensor(LOWEST)))) for shift in shifts]
            boxes = zip(shifts, self.detect_image(own, row, lowest), strict=True)
            found.append([_highest(*each, shift) for shift, each in boxes])
        return found

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        """Fill the boxes: logits (n, p, size, size) over the input."""
        return torch.stack([self.fill(row) for row in self.detect(features, prompts)])

    def fill(self, found: list[Detections]) -> torch.Tensor:
        """Fill the boxes of p prompts: logits (p, size, size). A pixel is inside where its center is."""
        logits = np.full((len(found), self.transform.size, self.transform.size), OUTSIDE, np.float32)
        for plane, detections in zip(logits, found):
            corners = np.ceil(detections.boxes - 0.5).clip(0).astype(int)
            values = torch.logit(torch.from_numpy(detections.probability), eps=1e-6).tolist()
            # The last box that is written has the highest score.
            for (x0, y0, x1, y1), value in reversed([*zip(corners.tolist(), values, strict=True)]):
                plane[y0:y1, x0:x1] = value
        return torch.from_numpy(logits).to(self.device)


def _highest(boxes: torch.Tensor, scores: torch.Tensor, shift: torch.Tensor) -> Detections:
    """The boxes of the highest scores, which become probabilities."""
    order = torch.argsort(scores, descending=True, stable=True)[:MAX_BOXES]
    boxes, scores = boxes[order].float().cpu(), scores[order].float().cpu()
    probability = torch.sigmoid(torch.logit(scores, eps=1e-6) - shift)
    return Detections(boxes.numpy(), scores.numpy(), probability.numpy())
