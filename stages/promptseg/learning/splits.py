"""One split of a dataset as the training loop takes it: features, prompts and targets by index and epoch."""

import functools
import hashlib
from pathlib import Path

import numpy as np
import torch

from promptseg import container
from promptseg.base import params
from promptseg.container import Container
from promptseg.features import embeddings
from promptseg.features.distributed import Processes
from promptseg.learning import augmenting
from promptseg.networks import prompts
from promptseg.networks.frame import Frame
from promptseg.networks.prompts import Prompt
from promptseg.networks.segmenter import Features, Segmenter


class Split:
    """Pictures and masks, asked and augmented anew in each epoch 1, 2, ...; epoch 0 is always the same, to measure on.

    Features come out of the embedding cache. Where the encoder learns, or pictures are augmented, they are encoded
    as the loop goes.
    """

    def __init__(
        self, path: Path, segmenter: Segmenter, checkpoint: str, cache: Path, asked: params.Prompt,
        augment: params.Augment | None, seed: int, processes: Processes,
    ):  # fmt: skip
        self.pairs: Container = container.pairs(path)
        self.classes = self.pairs.about["classes"]
        self._segmenter, self.device = segmenter, processes.device
        self._asked, self._augment, self._seed = asked, augment, seed
        self._kept = None
        if augment is None and not segmenter.encoder_learns:
            self._kept = embeddings.features(segmenter, checkpoint, path, self.pairs, cache, processes)

    def __len__(self) -> int:
        return len(self.pairs)

    def features(self, indexes: list[int], epoch: int) -> Features:
        """Features of these pictures, each (len(indexes), ...)."""
        if self._kept is not None:
            return self._kept(indexes)
        return self._segmenter.encode([self._pair(index, epoch)[0] for index in indexes])

    def ask(self, index: int, epoch: int) -> tuple[list[Prompt], list[np.ndarray], np.ndarray]:
        """Prompts in the frame's pixels, the maps that would answer them, and which pixels count."""
        pair = self.pairs[index]
        mask = self._pair(index, epoch)[1] if self._augment and epoch else container.mask(pair)
        support = container.support(pair) if self._asked.support else None
        named = f"{pair.id}/epoch{epoch}"
        asked, answers = prompts.ask(self._asked, mask, self.classes, self._seed, named, pair.text, support)
        frame = self._segmenter.frame
        return [frame.prompt(prompt, pair.height, pair.width) for prompt in asked], answers, mask != 255

    def targets(self, answers: list[np.ndarray], counted: np.ndarray, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(p, side, side) targets in [0, 1] and (p, side, side) weights over the frame."""
        frame = self._segmenter.frame
        target = np.stack([frame.from_picture(answer, side) for answer in answers])
        shares = _all_of_it(frame, counted.shape, side) if counted.all() else frame.from_picture(counted, side)
        weight = shares >= 0.5
        return (
            torch.from_numpy(target).to(self.device),
            torch.from_numpy(np.broadcast_to(weight, target.shape).astype(np.float32)).to(self.device),
        )

    def seed(self, index: int, epoch: int) -> int:
        """For what a model draws at random about this picture in this epoch, whichever process has it."""
        digest = hashlib.sha256(f"{self._seed}/draw/{self.pairs[index].id}/epoch{epoch}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def _pair(self, index: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        pair = self.pairs[index]
        image, mask = container.image(pair), container.mask(pair)
        if self._augment and epoch:
            return augmenting.augment(image, mask, self._augment, self._seed, f"{pair.id}/epoch{epoch}")
        return image, mask


@functools.lru_cache(maxsize=64)
def _all_of_it(frame: Frame, shape: tuple[int, int], side: int) -> np.ndarray:
    """Where a picture of this shape lies in the frame; most pictures share theirs and have nothing to ignore."""
    return frame.from_picture(np.ones(shape, bool), side)
