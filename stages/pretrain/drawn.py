"""A split that is drawn as it goes: new pictures in each epoch, always the same ones to measure on."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from promptseg.core import stage
from promptseg.core.devices import Processes
from promptseg.data import masks
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.training.training_split import Asked, Split
from settings import SamSegmenter
from world import scene, targets

MOST = 20.0  # pixels by which a box's corner moves, whatever the jitter (Kirillov et al. 2023)
TRIES = 50  # pictures that may have nothing to be seen, one after the other


@dataclass(frozen=True)
class Named:
    """What the loop calls a picture when it must name it."""

    id: str


@dataclass(frozen=True)
class Sample:
    """image: (h, w, 3) uint8; answers: (h, w) bool each, for prompts that are boxes first, and then points."""

    image: np.ndarray
    prompts: list[Prompt]
    answers: list[np.ndarray]


def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes that draw, and end when this one does."""
    return ProcessPoolExecutor(workers, get_context("spawn"), stage.tied_to_parent)


def sample(
    seed: int, split: str, number: int, kinds: tuple[tuple[str, float], ...], boxes: int, points: int,
    jitter: float,
) -> Sample:  # fmt: skip
    """A picture with its questions; jitter: as settings.SamSegmenter has it. Depends on the arguments alone, wherever it
    is drawn."""
    rng = np.random.default_rng((seed, scene.SPLITS.index(split), number))
    names, shares = zip(*kinds)
    kind = names[rng.choice(len(names), p=np.array(shares) / sum(shares))]
    for attempt in range(TRIES):
        picture = scene.draw(seed, split, TRIES * number + attempt, kind)
        answers = targets.targets(rng, picture, boxes + points)
        if answers:
            break
    asked = [_box(rng, answer, jitter) for answer in answers[:boxes]]
    asked += [_point(rng, answer) for answer in answers[boxes:]]
    return Sample(picture.image, asked, answers)


def _box(rng: np.random.Generator, answer: np.ndarray, jitter: float) -> Prompt:
    box, (height, width) = np.array(masks.box(answer)), answer.shape
    sides = np.tile(box[2:] - box[:2], 2)
    moved = box + np.clip(rng.normal(0, jitter, 4) * sides, -MOST, MOST)
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
        self, split: str, count: int, segmenter: Segmenter, asked: SamSegmenter, seed: int, processes: Processes
    ):
        self.pairs = [Named(f"{split}/{i:06d}") for i in range(count)]
        self.device = processes.device
        self._segmenter, self._seed, self._split = segmenter, seed, split
        self._kinds, self._asked = tuple(sorted(asked.kinds.items())), (asked.boxes, asked.points, asked.jitter)
        self._easy = [kind for kind, epochs in asked.easy.items() for _ in range(epochs)]  # of each of those epochs
        self._kept = self._side = None
        # A GPU would wait for one process that draws; a CPU is busy anyway. The loop's threads each wait for a picture.
        self._pool = _pool(processes.cores) if self.device.type == "cuda" else None

    def take(self, index: int, epoch: int) -> Asked:
        number = max(epoch - 1, 0) * len(self) + index
        kinds = ((self._easy[epoch - 1], 1.0),) if 1 <= epoch <= len(self._easy) else self._kinds
        what = self._seed, self._split, number, kinds, *self._asked
        one = self._pool.submit(sample, *what).result() if self._pool else sample(*what)
        return self._made(index, epoch, one.prompts, one.answers, np.ones(one.image.shape[:2], bool), one.image)
