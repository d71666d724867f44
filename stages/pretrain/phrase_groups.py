"""Split of groups of images with phrases, rendered during training: training data of CLIP and CLIPSeg.

For every phrase of a group it is known in which of the group's images it has referents. So every pair of a phrase and
an image is a positive or a negative one, and the support image of a phrase is another image of the group.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from promptseg.nn.segmenter import Segmenter
from promptseg.training.training_split import TrainingSplit
from settings import ClipTraining
from world import phrases, rendering
from world.attributes import SLOTS, Attributes, scene_attributes
from world.phrases import Phrase
from world.scene import Scene

MIN_SUPPORT_AREA = 0.01  # of a support image that the referents must cover
MIN_CROP_AREA = MIN_SUPPORT_AREA / 4  # of an image that an object must cover to be cropped
VISUAL_PROMPT = ("darken", "blur", "crop")  # processing of support images and of crops (nn/visual_prompt.py)
RELATIVE = frozenset(SLOTS["size"] + SLOTS["place"])  # words that do not apply to a crop


@dataclass(frozen=True)
class DescribedImage:
    """An image, or a crop of one of its objects, with the attributes of what it shows.

    Attributes:
        scene: image with its objects, or with the one object of the crop.
        attributes: of the objects.
        mask: (h, w) bool, of the object to be cropped; None: the whole image.
    """

    scene: Scene
    attributes: list[Attributes]
    mask: np.ndarray | None = None

    def matches(self, words: tuple[str, ...]) -> bool | None:
        """Whether a phrase of these words has a referent in it; None where that is uncertain."""
        certain, uncertain = phrases.find_referents(words, self.scene, self.attributes)
        return True if certain else None if uncertain else False


@dataclass(frozen=True)
class PhraseGroup:
    """A group of images with phrases.

    Attributes:
        index: in its split.
        seed: of random choices about the group during training.
        images: the images.
        crops: one for each image that has a suitable object.
        phrases: for each image positive ones, then negative ones.
    """

    index: int
    seed: int
    images: list[DescribedImage]
    crops: list[DescribedImage]
    phrases: list[list[Phrase]]

    def support(self, phrase: Phrase, position: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Find a support image for a phrase: one that shows certain referents, and no uncertain ones.

        Args:
            phrase: of the image at `position`.
            position: in `images`, of the image that it must not be.

        Returns:
            Image, (h, w, 3) uint8, and mask of the referents, (h, w) bool; None where there is none.
        """
        for other in [*self.images[position + 1 :], *self.images[:position]]:
            certain, uncertain = phrases.find_referents(phrase.words, other.scene, other.attributes)
            pixels = sum(other.attributes[i].pixels for i in certain)
            if not uncertain and pixels >= MIN_SUPPORT_AREA * other.scene.labels.size:
                return other.scene.image, Phrase(phrase.text, phrase.words, certain).mask(other.scene) == 1
        return None


def sample_group(seed: int, split: str, index: int, config: ClipTraining) -> PhraseGroup:
    """Sample the group with this index, without held-out pairs of words; it depends on the arguments alone."""
    rng = np.random.default_rng((seed, rendering.SPLITS.index(split), index, config.group_size))
    images, crops, by_image = [], [], []
    for position in range(config.group_size):
        scene = rendering.render(seed, split, index * config.group_size + position, config.kind)
        image = DescribedImage(scene, scene_attributes(scene))
        images.append(image)
        if crop := _sample_crop(rng, image):
            crops.append(crop)
        sampled = [
            sample(rng, scene, image.attributes, False)
            for sample, count in (
                (phrases.sample_positive, config.positive_phrases), (phrases.sample_negative, config.negative_phrases),
            )
            for _ in range(count)
        ]  # fmt: skip
        by_image.append(list({phrase.text: phrase for phrase in sampled if phrase is not None}.values()))
    digest = hashlib.sha256(f"{seed}/{split}/{index}".encode()).digest()
    return PhraseGroup(index, int.from_bytes(digest[:8], "big") >> 1, images, crops, by_image)


def _sample_crop(rng: np.random.Generator, image: DescribedImage) -> DescribedImage | None:
    """One of the objects that have a certain attribute, by itself."""
    candidates = [
        i
        for i, own in enumerate(image.attributes)
        if own.certain - RELATIVE and own.pixels >= MIN_CROP_AREA * image.scene.labels.size
    ]
    if not candidates:
        return None
    index = candidates[rng.integers(len(candidates))]
    cropped, own = image.scene.objects[index], image.attributes[index]
    scene = Scene(image.scene.image, image.scene.labels, (cropped,))
    attributes = Attributes(own.certain - RELATIVE, own.possible | RELATIVE, own.pixels)
    return DescribedImage(scene, [attributes], scene.mask(cropped.ids))


class PhraseGroupSplit(TrainingSplit):
    """A split of groups: epoch 0, which is validated on, has the groups 0, 1, ...; each other epoch its own.

    Args:
        split: of `rendering.SPLITS`.
        count: number of groups of an epoch.
        segmenter: model that is trained.
        config: training settings.
        seed: of images and phrases.
    """

    def __init__(self, split: str, count: int, segmenter: Segmenter, config: ClipTraining, seed: int):
        super().__init__(segmenter, seed)
        self._split, self._count, self._config = split, count, config

    def __len__(self) -> int:
        return self._count

    def id(self, index: int) -> str:
        """Name of an item."""
        return f"{self._split}/{index:06d}"

    def take(self, index: int, epoch: int) -> PhraseGroup:
        """Render a group of an epoch."""
        return sample_group(self.seed, self._split, max(epoch - 1, 0) * len(self) + index, self._config)
