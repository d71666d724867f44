"""Split of images that are rendered during training: new ones in each epoch, the same ones for validation."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np
from promptseg.core import stage
from promptseg.core.devices import Processes
from promptseg.data import masks
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.training.training_split import TrainingItem, TrainingSplit
from settings import SamTraining
from world import rendering, target_masks

MAX_JITTER = 20.0  # pixels by which a box's corner moves at most (Kirillov et al. 2023)
TRIES = 50  # images of a sample; the first one with a visible object is used


@dataclass(frozen=True)
class PromptedImage:
    """An image with prompts.

    Attributes:
        image: (h, w, 3) uint8.
        prompts: boxes first, then single points; in pixels of the image.
        targets: (h, w) bool, the mask of each prompt.
    """

    image: np.ndarray
    prompts: list[Prompt]
    targets: list[np.ndarray]


@dataclass(frozen=True)
class PromptSampling:
    """How images and prompts are sampled.

    Attributes:
        kinds: of images, each with its share.
        boxes, points: prompts of an image.
        jitter: standard deviation of a box's corners, as a share of its sides.
    """

    kinds: tuple[tuple[str, float], ...]
    boxes: int
    points: int
    jitter: float


def sample_prompted_image(seed: int, split: str, index: int, sampling: PromptSampling) -> PromptedImage:
    """Sample the prompted image with this index; it depends on the arguments alone."""
    rng = np.random.default_rng((seed, rendering.SPLITS.index(split), index))
    names, shares = zip(*sampling.kinds, strict=True)
    kind = names[rng.choice(len(names), p=np.array(shares) / sum(shares))]
    for attempt in range(TRIES):
        scene = rendering.render(seed, split, TRIES * index + attempt, kind)
        targets = target_masks.sample_targets(rng, scene, sampling.boxes + sampling.points)
        if targets:
            break
    prompts = [_sample_box(rng, target, sampling.jitter) for target in targets[: sampling.boxes]]
    prompts += [_sample_point(rng, target) for target in targets[sampling.boxes :]]
    return PromptedImage(scene.image, prompts, targets)


def _sample_box(rng: np.random.Generator, target: np.ndarray, jitter: float) -> Prompt:
    box, (height, width) = np.array(masks.bounding_box(target)), target.shape
    sides = np.tile(box[2:] - box[:2], 2)
    moved = box + np.clip(rng.normal(0, jitter, 4) * sides, -MAX_JITTER, MAX_JITTER)
    moved = np.clip(moved, 0, [width, height, width, height])
    return Prompt.of(Box(np.where(np.tile(moved[2:] - moved[:2] > 1, 2), moved, box)))


def _sample_point(rng: np.random.Generator, target: np.ndarray) -> Prompt:
    ys, xs = np.nonzero(target)
    index = rng.integers(len(xs))
    return Prompt.of(Points(np.array([[xs[index] + 0.5, ys[index] + 0.5]]), np.ones(1, np.int64)))


def _process_pool(workers: int) -> ProcessPoolExecutor:
    """Processes that render, and end when this one does."""
    return ProcessPoolExecutor(workers, get_context("spawn"), stage.tied_to_parent)


class GeneratedSplit(TrainingSplit):
    """A split of rendered images: epoch 0, which is validated on, has the images 0, 1, ...; each other epoch its own.

    Args:
        split: of `rendering.SPLITS`.
        count: number of images of an epoch.
        segmenter: model that is trained.
        config: training settings.
        seed: of images and prompts.
        processes: processes of the run.
    """

    def __init__(
        self, split: str, count: int, segmenter: Segmenter, config: SamTraining, seed: int, processes: Processes
    ):
        super().__init__(segmenter, seed)
        self._split, self._count = split, count
        self._sampling = PromptSampling(tuple(sorted(config.kinds.items())), config.boxes, config.points, config.jitter)
        self._curriculum = [kind for kind, epochs in config.curriculum.items() for _ in range(epochs)]  # kind by epoch
        # A GPU would wait for a single process that renders; with a CPU all cores are busy anyway. Each thread of the
        # loader waits for one image.
        self._pool = _process_pool(processes.cores) if processes.device.type == "cuda" else None

    def __len__(self) -> int:
        return self._count

    def id(self, index: int) -> str:
        """Name of an item."""
        return f"{self._split}/{index:06d}"

    def take(self, index: int, epoch: int) -> TrainingItem:
        """Render an image of an epoch, with its prompts and targets."""
        number, sampling = max(epoch - 1, 0) * len(self) + index, self._sampling
        if 1 <= epoch <= len(self._curriculum):
            kinds = ((self._curriculum[epoch - 1], 1.0),)
            sampling = replace(sampling, kinds=kinds)
        arguments = self.seed, self._split, number, sampling
        if self._pool:
            sample = self._pool.submit(sample_prompted_image, *arguments).result()
        else:
            sample = sample_prompted_image(*arguments)
        counted = np.ones(sample.image.shape[:2], bool)
        regions = [masks.whole_region(target) for target in sample.targets]
        return self.make_item(index, epoch, sample.prompts, regions, counted, sample.image)
