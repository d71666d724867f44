"""CLIPSeg's decoder, learned as in its paper (Lueddecke & Ecker 2022, section 3 and its training.py).

CLIP is frozen. A phrase and an example of what it means are two ways to ask the same, and training asks anywhere on the
line between their embeddings; where no other picture shows it, by the phrase alone. Phrases that are true of nothing
in the picture are asked as well, and the answer is empty.
"""

from dataclasses import dataclass

import numpy as np
import torch
from promptseg.core import params
from promptseg.models.clipseg import ClipSeg
from promptseg.prompts import Prompt, SupportExample
from promptseg.training import epochs
from promptseg.training.running_metrics import Sums
from promptseg.training.training_split import Asked
from told import PREPARED, Group, Groups
from world.phrases import IGNORED, Phrase


class Doubted(Asked):
    """counted: (p, h, w) bool, as what may or may not be meant is another thing in each phrase."""

    def targets(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        if side not in self._targets:
            target, shares = (
                np.stack([self.frame.from_picture(each, side) for each in maps])
                for maps in (self.answers, self.counted)
            )
            self._targets[side] = target, (shares >= 0.5).astype(np.float32)
        return self._targets[side]


@dataclass(frozen=True)
class Decoding:
    """`losses` of learning.epochs.Phase, of this segmenter with these settings."""

    segmenter: ClipSeg
    settings: params.Train

    def losses(self, split: Groups, groups: list[Group], epoch: int, sums: Sums) -> list[torch.Tensor]:
        """The losses of all that is asked about these groups' pictures, (m,) each."""
        asked = [one for group in groups for one in self._asked(group)]
        return epochs.answers(self.segmenter, self.settings, split, asked, epoch, sums)

    def _asked(self, group: Group) -> list[Asked]:
        """Each picture with all its phrases."""
        rng, frame = np.random.default_rng(group.seed), self.segmenter.frame
        made = []
        for number, (seen, phrases) in enumerate(zip(group.seen, group.phrases)):
            prompts = [self._prompt(rng, group, number, phrase) for phrase in phrases]
            masks = [phrase.mask(seen.picture) for phrase in phrases]
            answers, counted = [mask == 1 for mask in masks], np.array([mask != IGNORED for mask in masks])
            made.append(Doubted(group.index, group.seed, frame, prompts, answers, counted, seen.picture.image))
        return made

    def _prompt(self, rng: np.random.Generator, group: Group, number: int, phrase: Phrase) -> Prompt:
        share = float(rng.uniform(0.001, 0.999))
        shown = group.shown(phrase, number)
        if shown is None:
            return Prompt(text=phrase.text)
        return Prompt(text=phrase.text, example=SupportExample(*shown, PREPARED), mix=share)
