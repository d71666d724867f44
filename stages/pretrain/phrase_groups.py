"""Groups of images with phrases, rendered during training: training data of CLIP and CLIPSeg.

For every phrase of a group it is known in which of the group's images it has referents. So every pair of a phrase and
an image is a positive or a negative one, and the support image of a phrase is another image of the group.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from pretraining import RenderedSplit
from settings import ClipTraining
from world import rendering
from world.attributes import SLOTS, Attributes, DescribedImage, describe
from world.phrases import MIN_SUPPORT_AREA, Phrase, sample_negative, sample_positive
from world.scene import Scene

MIN_CROP_AREA = MIN_SUPPORT_AREA / 4  # of an image that an object must cover to be cropped
VISUAL_PROMPT = ("darken", "blur", "crop")  # processing of support images and of crops (nn/visual_prompt.py)
RELATIVE = frozenset(SLOTS["size"] + SLOTS["place"])  # words that do not apply to a crop


@dataclass(frozen=True)
class PhraseGroup:
    """A group of images with phrases."""

    index: int  # in its split
    seed: int  # of random choices about the group during training
    images: list[DescribedImage]
    crops: list[DescribedImage]  # one for each image that has a suitable object
    phrases: list[list[Phrase]]  # for each image positive ones, then negative ones

    def support(self, phrase: Phrase, position: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Find a support image for a phrase, as `Phrase.support` does, that is not the image at `position`."""
        return phrase.support([*self.images[position + 1 :], *self.images[:position]])


class PhraseGroupSplit(RenderedSplit):
    """A split of groups."""

    def take(self, index: int, epoch: int) -> PhraseGroup:
        """Render a group of an epoch."""
        return sample_group(self.seed, self.split, self.number(index, epoch), self.config)


def sample_group(seed: int, split: str, index: int, config: ClipTraining) -> PhraseGroup:
    """Sample the group with this index, without held-out pairs of words; it depends on the arguments alone."""
    rng = np.random.default_rng((seed, rendering.SPLITS.index(split), index, config.group_size))
    samplers = [sample_positive] * config.positive_phrases + [sample_negative] * config.negative_phrases
    images, crops, phrases = [], [], []
    for position in range(config.group_size):
        image = describe(seed, split, index * config.group_size + position, config.kind)
        images.append(image)
        if crop := _sample_crop(rng, image):
            crops.append(crop)
        sampled = [sample(rng, image, held_out=False) for sample in samplers]
        phrases.append(list({phrase.text: phrase for phrase in sampled if phrase is not None}.values()))
    digest = hashlib.sha256(f"{seed}/{split}/{index}".encode()).digest()
    return PhraseGroup(index, int.from_bytes(digest[:8], "big") >> 1, images, crops, phrases)


def _sample_crop(rng: np.random.Generator, image: DescribedImage) -> DescribedImage | None:
    """One of the objects that have a certain attribute, by itself."""
    scene, min_pixels = image.scene, MIN_CROP_AREA * image.scene.labels.size
    candidates = [
        (each, own)
        for each, own in zip(scene.objects, image.attributes, strict=True)
        if own.certain - RELATIVE and own.pixels >= min_pixels
    ]
    if not candidates:
        return None
    cropped, own = candidates[rng.integers(len(candidates))]
    attributes = Attributes(own.certain - RELATIVE, own.possible | RELATIVE, own.pixels)
    return DescribedImage(Scene(scene.image, scene.labels, (cropped,)), [attributes], scene.mask(cropped.ids))
