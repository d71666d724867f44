"""Images with point and box prompts: target masks, prompts, and the split that SAM and its relatives are trained on."""

from typing import NamedTuple

import cv2
import numpy as np
from pretraining import RenderedSplit
from promptseg.data import masks
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.training.training_split import TrainingItem
from settings import Prompts
from world import rendering
from world.scene import Scene

MIN_PIXELS, MIN_AREA = 30, 0.0008  # smallest target: pixels, and share of the image
BAND = 5  # pixels on both sides of the boundary that are compared
MIN_DIFFERENCE = 0.03  # between both sides, of a channel's mean or standard deviation, in [0, 1]
MAX_JITTER = 20.0  # pixels by which a box's corner moves at most (Kirillov et al. 2023)
TARGET_TRIES = 6  # per target
IMAGE_TRIES = 50  # images of a sample; the first one with a visible object is used


class PromptedImage(NamedTuple):
    """An image (h, w, 3) uint8, its prompts, boxes first, in pixels of the image, and their masks (h, w) bool."""

    image: np.ndarray
    prompts: list[Prompt]
    targets: list[np.ndarray]


class PromptedSplit(RenderedSplit):
    """A split of prompted images, whose first epochs have the kinds of the curriculum."""

    def take(self, index: int, epoch: int) -> TrainingItem:
        """Render an image of an epoch, with its prompts and targets."""
        curriculum = [kind for kind, epochs in self.config.curriculum.items() for _ in range(epochs)]
        kinds = {curriculum[epoch - 1]: 1.0} if 1 <= epoch <= len(curriculum) else self.config.kinds
        config = self.config.model_copy(update={"kinds": kinds})
        sample = sample_prompted_image(self.seed, self.split, self.number(index, epoch), config)
        regions = [masks.whole_region(target) for target in sample.targets]
        counted = np.ones(sample.image.shape[:2], bool)
        return self.make_item(index, epoch, sample.prompts, regions, counted, sample.image)


def sample_prompted_image(seed: int, split: str, index: int, config: Prompts) -> PromptedImage:
    """Sample the prompted image with this index; it depends on the arguments alone."""
    rng = np.random.default_rng((seed, rendering.SPLITS.index(split), index))
    names, shares = zip(*sorted(config.kinds.items()), strict=True)
    kind = names[rng.choice(len(names), p=np.array(shares) / sum(shares))]
    for attempt in range(IMAGE_TRIES):
        scene = rendering.render(seed, split, IMAGE_TRIES * index + attempt, kind)
        if targets := sample_targets(rng, scene, config.boxes + config.points):
            break
    prompts = [_sample_box(rng, target, config.jitter) for target in targets[: config.boxes]]
    prompts += [_sample_point(rng, target) for target in targets[config.boxes :]]
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


def sample_targets(rng: np.random.Generator, scene: Scene, count: int) -> list[np.ndarray]:
    """Sample masks of objects, their parts, and background regions, where they are visible.

    Each shape is as likely as any other, whatever the number of its objects; so are an object and one of its parts.

    Returns:
        `count` masks, (h, w) bool, which repeat where there are few; empty where no object is visible.
    """
    pixels = np.bincount(scene.labels.ravel(), minlength=scene.parts)
    groups: dict[tuple[str, bool], list[tuple[int, ...]]] = {}
    for each in scene.objects:
        for ids in [each.ids, *((id,) for id in each.ids if len(each.ids) > 1)]:
            if pixels[list(ids)].sum() >= max(MIN_PIXELS, MIN_AREA * scene.labels.size):
                groups.setdefault((each.shape, ids == each.ids), []).append(ids)
    visible, targets, names = {}, [], list(groups)
    for _ in range(TARGET_TRIES * count if names else 0):
        group = groups[names[rng.integers(len(names))]]
        ids = group[rng.integers(len(group))]
        if ids not in visible:
            visible[ids] = is_visible(scene.image, scene.mask(ids))
        if visible[ids]:
            targets.append(scene.mask(ids))
        if len(targets) == count:
            return targets
    return [targets[i % len(targets)] for i in range(count)] if targets else []


def is_visible(image: np.ndarray, mask: np.ndarray) -> bool:
    """Test whether the boundary of a mask, (h, w) bool, is visible in an image, (h, w, 3) uint8.

    It is where the bands on its two sides differ in their mean color or in its standard deviation.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    window = np.s_[max(y - BAND, 0) : y + height + BAND, max(x - BAND, 0) : x + width + BAND]
    inside, square = np.ascontiguousarray(mask[window]).view(np.uint8), np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    inner_band = (inside > 0) & (cv2.erode(inside, square, borderValue=1) == 0)
    outer_band = (cv2.dilate(inside, square, borderValue=0) > 0) & (inside == 0)
    if not inner_band.any() or not outer_band.any():
        return False
    inner, outer = (image[window][band].astype(np.float32) / 255 for band in (inner_band, outer_band))
    means, deviations = (np.abs(f(inner, axis=0) - f(outer, axis=0)).max() for f in (np.mean, np.std))
    return bool(max(means, deviations) >= MIN_DIFFERENCE)
