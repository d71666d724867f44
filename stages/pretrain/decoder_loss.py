"""Training of CLIPSeg's decoder on frozen CLIP (Lueddecke & Ecker 2022, section 3 and its training.py).

The conditional embedding is a random interpolation between that of a phrase and that of a support image; that of the
phrase alone where the group has no support image for it. Negative phrases have empty targets.
"""

from dataclasses import dataclass

import numpy as np
import torch
from phrase_groups import VISUAL_PROMPT, PhraseGroup, PhraseGroupSplit
from promptseg.core.train_config import Train
from promptseg.data import masks
from promptseg.models.clipseg import ClipSeg
from promptseg.prompts import Prompt
from promptseg.prompts.support import Support
from promptseg.prompts.text import Text
from promptseg.training import epochs
from promptseg.training.running_metrics import MetricSums
from promptseg.training.training_split import MIN_COVERAGE, TrainingItem
from world.phrases import IGNORED, Phrase

MIN_WEIGHT, MAX_WEIGHT = 0.001, 0.999  # of the support image


class PhraseTargets(TrainingItem):
    """An image with its prompts, where each phrase has ignored pixels of its own: `counted` is (p, h, w) bool."""

    def targets(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Targets and coverage of the regions at a side in pixels; computed once a side."""
        if side not in self._targets:
            target = np.stack([self.transform.from_image(region.full(), side) for region in self.regions])
            coverage = np.stack([self.transform.from_image(each, side) for each in self.counted])
            self._targets[side] = target, (coverage >= MIN_COVERAGE).astype(np.float32)
        return self._targets[side]


@dataclass(frozen=True)
class DecoderLoss:
    """Loss of a segmenter with these training settings."""

    segmenter: ClipSeg
    config: Train

    def losses(
        self, split: PhraseGroupSplit, groups: list[PhraseGroup], epoch: int, sums: MetricSums
    ) -> list[torch.Tensor]:
        """Compute the losses of a batch of groups, (m,) each, as a Phase takes them."""
        samples = [sample for group in groups for sample in self._samples(group)]
        return epochs.mask_losses(self.segmenter, self.config, split, samples, epoch, sums)

    def _samples(self, group: PhraseGroup) -> list[PhraseTargets]:
        """Each image of a group with prompts for all its phrases."""
        rng, transform = np.random.default_rng(group.seed), self.segmenter.transform
        samples = []
        for position, (image, phrases) in enumerate(zip(group.images, group.phrases, strict=True)):
            prompts = [self._prompt(rng, group, position, phrase) for phrase in phrases]
            phrase_masks = [phrase.mask(image.scene) for phrase in phrases]
            regions = [masks.whole_region(mask == 1) for mask in phrase_masks]
            counted, pixels = np.array([mask != IGNORED for mask in phrase_masks]), image.scene.image
            samples.append(PhraseTargets(group.index, group.seed, transform, prompts, regions, counted, pixels))
        return samples

    def _prompt(self, rng: np.random.Generator, group: PhraseGroup, position: int, phrase: Phrase) -> Prompt:
        weight = float(rng.uniform(MIN_WEIGHT, MAX_WEIGHT))
        support = group.support(phrase, position)
        if support is None:
            return Prompt.of(Text(phrase.text))
        return Prompt.of(Text(phrase.text), Support(*support, VISUAL_PROMPT, weight))
