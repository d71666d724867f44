"""One split of a dataset as the training loop takes it: features, prompts and targets by index and epoch."""

import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from promptseg import prompts
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.data import records
from promptseg.data.records import RecordReader
from promptseg.inference import embedding_cache
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt
from promptseg.training import augmentation

PICTURES = ("image", "support_image", "support_mask")  # columns that are large
MASKS = 1 << 28  # bytes of decoded masks that are kept


@dataclass(frozen=True, eq=False)
class Asked:
    """A picture as it is asked in one epoch, with all that needs no network.

    prompts: in the frame's pixels; answers: the map that would answer each, (h, w) bool; counted: (h, w) bool, the
    pixels that count; image: (h, w, 3) uint8, where it is still to be encoded; seed: for what a model draws at random
    about it, whichever process has it.
    """

    index: int
    seed: int
    frame: ImageTransform
    prompts: list[Prompt]
    answers: list[np.ndarray]
    counted: np.ndarray
    image: np.ndarray | None
    _targets: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def targets(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """(p, side, side) targets in [0, 1] and as many weights over the frame, float32; made once."""
        if side not in self._targets:
            target = np.stack([self.frame.from_picture(answer, side) for answer in self.answers])
            if self.counted.all():
                shares = _all_of_it(self.frame, self.counted.shape, side)
            else:
                shares = self.frame.from_picture(self.counted, side)
            self._targets[side] = target, np.broadcast_to(shares >= 0.5, target.shape).astype(np.float32)
        return self._targets[side]


class Split:
    """Pictures and masks, asked and augmented anew in each epoch 1, 2, ...; epoch 0 is always the same, to measure on.

    Pictures are encoded as they are asked for, until `keep` takes their features from the embedding cache.
    """

    def __init__(
        self, path: Path, segmenter: Segmenter, asked: params.Prompt, augment: params.Augment | None, seed: int,
        processes: Processes,
    ):  # fmt: skip
        self._path, self._segmenter, self.device = path, segmenter, processes.device
        self._asked, self._augment, self._seed = asked, augment, seed
        self.pairs: RecordReader = records.pairs(path)
        self.classes = self.pairs.about["classes"]
        self._kept = None
        self._side: int | None = None  # of the maps that the model gives, once that is known
        room = MASKS // (self.pairs[0].height * self.pairs[0].width) if len(self.pairs) else 0
        self._mask = functools.lru_cache(max(room, 1))(lambda index: records.mask(self.pairs[index]))

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def frozen(self) -> bool:
        """Whether a picture's features are the same in each epoch, and worth keeping."""
        return self._augment is None and self._segmenter.CACHED and not self._segmenter.encoder_trainable

    def missing(self, checkpoint: str, cache: Path) -> int:
        """How many pictures `keep` would encode."""
        return embedding_cache.missing(self._segmenter, checkpoint, self._path, self.pairs, cache) if self.frozen else 0

    def keep(self, checkpoint: str, cache: Path, processes: Processes) -> None:
        """Encode all pictures now, if they are frozen, and not again. checkpoint: digest of the weights that encode."""
        if self.frozen and len(self.pairs):
            self._kept = embedding_cache.features(self._segmenter, checkpoint, self._path, self.pairs, cache, processes)
            self.pairs = records.pairs(self._path, PICTURES[:1] if self._asked.support else PICTURES)

    def hold(self, asked: list[Asked] | None) -> None:
        """Encode these pictures alone, one by one, and have their features at hand; None: forget them again."""
        self._kept = None
        if asked is not None:
            made = {one.index: self.features([one]) for one in asked}
            self._kept = lambda numbers: {
                name: torch.cat([made[i][name] for i in numbers]) for name in made[numbers[0]]
            }

    def features(self, asked: list[Asked]) -> Features:
        """Features of these pictures, each (len(asked), ...)."""
        if self._kept is not None:
            return self._kept([one.index for one in asked])
        return self._segmenter.encode([one.image for one in asked])

    def take(self, index: int, epoch: int) -> Asked:
        """A picture as it is asked in this epoch. Several threads may do so at a time."""
        pair, image = self.pairs[index], None
        named = f"{pair.id}/epoch{epoch}"
        if self._kept is None:
            image = records.image(pair)
        mask = self._mask(index)
        if self._augment and epoch:
            image, mask = augmentation.augment(image, mask, self._augment, self._seed, named)
        support = records.support(pair) if self._asked.support else None
        asked, answers = prompts.ask(self._asked, mask, self.classes, self._seed, named, pair.text, support)
        return self._made(index, epoch, asked, answers, mask != augmentation.IGNORED, image)

    def truth(self, asked: list[Asked], side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(m, side, side) targets in [0, 1] and as many weights, of all that these pictures are asked."""
        self._side = side
        made = [one.targets(side) for one in asked]
        target, weight = (torch.from_numpy(np.concatenate(values)).to(self.device) for values in zip(*made))
        return target, weight

    def _made(
        self, index: int, epoch: int, asked: list[Prompt], answers: list[np.ndarray], counted: np.ndarray,
        image: np.ndarray | None,
    ) -> Asked:  # fmt: skip
        frame, id = self._segmenter.frame, self.pairs[index].id
        digest = hashlib.sha256(f"{self._seed}/draw/{id}/epoch{epoch}".encode()).digest()
        seed = int.from_bytes(digest[:8], "big") >> 1
        framed = [frame.prompt(prompt, *counted.shape) for prompt in asked]
        made = Asked(index, seed, frame, framed, answers, counted, image)
        if self._side and answers:
            made.targets(self._side)
        return made


@functools.lru_cache(maxsize=64)
def _all_of_it(frame: ImageTransform, shape: tuple[int, int], side: int) -> np.ndarray:
    """Where a picture of this shape lies in the frame; most pictures share theirs and have nothing to ignore."""
    return frame.from_picture(np.ones(shape, bool), side)
