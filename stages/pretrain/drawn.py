"""A split that is drawn as it goes: new pictures in each epoch, always the same ones to measure on."""

from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from promptseg import masks
from promptseg.base import stage
from promptseg.features.distributed import Processes
from promptseg.learning.splits import Split
from promptseg.networks.prompts import Prompt
from promptseg.networks.segmenter import Features, Segmenter
from settings import Interactive
from world import scene, targets

JITTER, MOST = 0.1, 20.0  # a box's corner moves by this share of its side, and by no more pixels (Kirillov et al. 2023)
AHEAD = 4  # pictures under way for each process that draws
TRIES = 50  # pictures that may have nothing to be seen, one after the other


@dataclass(frozen=True)
class Named:
    """What the loop calls a picture when it must name it."""

    id: str


@dataclass(frozen=True)
class Sample:
    """image: (h, w, 3) uint8; answers: (h, w) bool each, for prompts that are boxes in the first half, and points."""

    image: np.ndarray
    prompts: list[Prompt]
    answers: list[np.ndarray]


def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes that draw, and end when this one does."""
    return ProcessPoolExecutor(workers, get_context("spawn"), stage.tied_to_parent)


def sample(seed: int, split: str, number: int, kinds: tuple[tuple[str, float], ...], prompts: int) -> Sample:
    """A picture with its questions. Depends on the arguments alone, wherever it is drawn."""
    rng = np.random.default_rng((seed, scene.SPLITS.index(split), number))
    names, shares = zip(*kinds)
    kind = names[rng.choice(len(names), p=np.array(shares) / sum(shares))]
    for attempt in range(TRIES):
        picture = scene.draw(seed, split, TRIES * number + attempt, kind)
        answers = targets.targets(rng, picture, prompts)
        if answers:
            break
    half = prompts // 2
    asked = [_box(rng, answer) for answer in answers[:half]] + [_point(rng, answer) for answer in answers[half:]]
    return Sample(picture.image, asked, answers)


def _box(rng: np.random.Generator, answer: np.ndarray) -> Prompt:
    box, (height, width) = np.array(masks.box(answer)), answer.shape
    sides = np.tile(box[2:] - box[:2], 2)
    moved = box + np.clip(rng.normal(0, JITTER, 4) * sides, -MOST, MOST)
    moved = np.clip(moved, 0, [width, height, width, height])
    return Prompt(box=np.where(np.tile(moved[2:] - moved[:2] > 1, 2), moved, box))


def _point(rng: np.random.Generator, answer: np.ndarray) -> Prompt:
    ys, xs = np.nonzero(answer)
    one = rng.integers(len(xs))
    return Prompt(points=np.array([[xs[one] + 0.5, ys[one] + 0.5]]), labels=np.ones(1, np.int64))


class Drawn(Split):
    """`split`: of the world; epoch 1, 2, ... has pictures of its own, epoch 0 those of number 0, 1, ..."""

    classes = ["object"]

    def __init__(
        self, split: str, count: int, segmenter: Segmenter, asked: Interactive, seed: int, processes: Processes
    ):
        self.pairs = [Named(f"{split}/{i:06d}") for i in range(count)]
        self.device = processes.device
        self._segmenter, self._seed, self._split = segmenter, seed, split
        self._how = tuple(sorted(asked.kinds.items())), asked.prompts
        self._samples: dict[int, Sample] = {}
        self._pending: dict[int, Future] = {}
        self._coming: list[int] = []
        self._epoch: int | None = None
        # A GPU would wait for one process that draws; a CPU is busy anyway.
        self._workers = max(processes.cores - 1, 1) if self.device.type == "cuda" else 0
        self._pool = _pool(self._workers) if self._workers else None

    def features(self, indexes: list[int], epoch: int) -> Features:
        return self._segmenter.encode([self._sample(index, epoch).image for index in indexes])

    def ask(self, index: int, epoch: int) -> tuple[list[Prompt], list[np.ndarray], np.ndarray]:
        one = self._sample(index, epoch)
        frame, shape = self._segmenter.frame, one.image.shape[:2]
        return [frame.prompt(prompt, *shape) for prompt in one.prompts], one.answers, np.ones(shape, bool)

    def _sample(self, index: int, epoch: int) -> Sample:
        """The last few are kept, as a picture is asked about and then encoded."""
        if epoch != self._epoch:
            self._begin(epoch)
        if index not in self._samples:
            if len(self._samples) >= 256:
                self._samples.clear()
            self._samples[index] = self._drawn(index)
        return self._samples[index]

    def _begin(self, epoch: int) -> None:
        self._epoch, self._samples, self._pending = epoch, {}, {}
        # The loop's order, to draw ahead in; any other would only cost time.
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self)).tolist()
        self._coming = order[::-1] if epoch else list(range(len(self)))[::-1]

    def _drawn(self, index: int) -> Sample:
        if self._pool is None:
            return sample(*self._arguments(index))
        while self._coming and len(self._pending) < AHEAD * self._workers:
            coming = self._coming.pop()
            self._pending[coming] = self._pool.submit(sample, *self._arguments(coming))
        pending = self._pending.pop(index, None)
        return pending.result() if pending else sample(*self._arguments(index))

    def _arguments(self, index: int) -> tuple:
        number = max(self._epoch - 1, 0) * len(self) + index
        return self._seed, self._split, number, *self._how
