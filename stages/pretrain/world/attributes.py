"""Attributes of the objects in a scene, measured in the rendered image.

An object certainly has an attribute, certainly does not have it, or is a borderline case. Shading, blur and noise of
the image count: an attribute that is not visible never holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from promptseg.synthetic import colors

from world import rendering
from world.fills import TEXTURES
from world.outlines import ROUND, STRANDS
from world.scene import BACKGROUND, Scene, SceneObject

SHAPES = ("circle", "oval", "square", "rectangle", "triangle", "star", "ring", "crescent", "cross", "blob", "line",
          "branch", "comb", "grid", "spot", BACKGROUND)  # fmt: skip
# The words of a slot exclude each other, but for "spot", which is a small round shape of any name.
SLOTS = {
    "size": ("small", "large"), "tone": ("dark", "bright"), "color": colors.NAMES, "texture": TEXTURES[1:],
    "width": ("thin", "thick"), "bend": ("straight", "curved"), "shape": SHAPES,
    "place": ("left", "right", "top", "bottom", "middle"),
}  # fmt: skip
# What a fully visible shape, or a clear texture, can still be confused with.
SIMILAR = {
    "circle": {"oval", "blob"}, "oval": {"circle", "blob"}, "blob": {"circle", "oval", "star", "cross"},
    "square": {"rectangle"}, "rectangle": {"square", "line"}, "ring": {"circle", "crescent"},
    "crescent": {"ring", "blob"}, "line": {"rectangle"}, "branch": {"line"}, "comb": {"grid"}, "grid": {"comb"},
    "dotted": {"checkered"}, "checkered": {"dotted"}, "grainy": {"cloudy"}, "cloudy": {"veined", "grainy"},
    "veined": {"cloudy", "striped"}, "plain": {"grainy"},
}  # fmt: skip
MIN_VISIBLE = 0.75  # share of an object that must be visible for its shape to be certain
MIN_PIXELS = 25  # of an object, and of its surface for a texture
MIN_MAIN_PART = 0.85  # share of an object in its largest part, for that part's color to be the object's
MIN_TEXTURE, MIN_GRAIN = 0.05, 0.055  # deviation of luma, for a texture or a grain to be certain
FINE, COARSE = 1.0, 12.0  # sigmas in pixels: noise is finer than the first, shading coarser than the second
MARGIN = 5  # pixels; surfaces are measured at least half of this away from their boundary


class Attributes(NamedTuple):
    """Words that certainly hold of an object, those that hold or may hold, and its number of visible pixels."""

    certain: frozenset[str]
    possible: frozenset[str]
    pixels: int


@dataclass(frozen=True)
class DescribedImage:
    """An image, or a crop of one of its objects, with the attributes of what it shows."""

    scene: Scene  # with its objects, or with the one object of the crop
    attributes: list[Attributes]  # of the objects
    mask: np.ndarray | None = None  # (h, w) bool, of the object to be cropped; None: the whole image

    def referents(self, words: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Find the indices of the objects that certainly have all these words, and of those that may have them."""
        possible = [
            i
            for i, (each, own) in enumerate(zip(self.scene.objects, self.attributes, strict=True))
            if own.pixels and (each.shape == BACKGROUND) == (BACKGROUND in words) and own.possible.issuperset(words)
        ]
        certain = tuple(i for i in possible if self.attributes[i].certain.issuperset(words))
        return certain, tuple(i for i in possible if i not in certain)

    def matches(self, words: tuple[str, ...]) -> bool | None:
        """Whether a phrase of these words has a referent in it; None where that is uncertain."""
        certain, uncertain = self.referents(words)
        return True if certain else None if uncertain else False

    def pixels(self, indices: tuple[int, ...]) -> int:
        """Number of visible pixels of these objects."""
        return sum(self.attributes[i].pixels for i in indices)


def describe(seed: int, split: str, index: int, kind: str) -> DescribedImage:
    """Render an image and determine its attributes; the arguments are those of `rendering.render`."""
    scene = rendering.render(seed, split, index, kind)
    return DescribedImage(scene, scene_attributes(scene))


class _Statistics(NamedTuple):
    """Of the visible pixels of a part or an object, made from their sums."""

    pixels: int
    x: float  # centroid, as shares of the image's width and height
    y: float
    color: np.ndarray  # (3,) mean RGB in [0, 1]
    texture: float  # standard deviation of luma, without noise and shading
    grain: float  # the same with noise
    inner: int  # number of pixels that the deviations are of

    @classmethod
    def of(cls, sums: np.ndarray) -> "_Statistics":
        _, x, y, *color = sums[:6] / max(sums[0], 1)
        _, smooth, smooth2, raw, raw2 = sums[6:] / max(sums[6], 1)
        deviations = (float(max(square - mean**2, 0.0) ** 0.5) for mean, square in ((smooth, smooth2), (raw, raw2)))
        return cls(int(sums[0]), float(x), float(y), np.array(color, np.float32), *deviations, int(sums[6]))


def scene_attributes(scene: Scene) -> list[Attributes]:
    """Determine the attributes of each object of a scene, by sums over the pixels of each part."""
    height, width = scene.labels.shape
    square = np.ones((MARGIN, MARGIN), np.uint8)
    inner = (cv2.erode(scene.labels, square) == cv2.dilate(scene.labels, square)).astype(np.float32)
    luma = scene.image @ (colors.LUMA / 255)
    shading = cv2.GaussianBlur(luma, (0, 0), COARSE)
    smooth, raw = cv2.GaussianBlur(luma, (0, 0), FINE) - shading, luma - shading
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    one = np.ones_like(luma)
    fields = [one, x / width, y / height, *np.moveaxis(scene.image, 2, 0).astype(np.float32) / 255]
    fields += [inner * field for field in (one, smooth, smooth**2, raw, raw**2)]
    sums = np.stack([np.bincount(scene.labels.ravel(), each.ravel(), scene.parts) for each in fields], axis=1)
    return [_attributes(each, sums[list(each.ids)], float(luma.mean()), luma.shape) for each in scene.objects]


def _attributes(each: SceneObject, sums: np.ndarray, image_luma: float, size: tuple[int, int]) -> Attributes:
    """Attributes of an object, from the sums of its parts."""
    whole = _Statistics.of(sums.sum(axis=0))
    main = max((_Statistics.of(part) for part in sums), key=lambda part: part.pixels)
    words = [*_geometry(each, whole, size), *_surface(each, whole)]
    if main.pixels >= MIN_MAIN_PART * whole.pixels:
        words += _tone(main.color, image_luma)
    else:
        words += [(word, False, True) for word in (*SLOTS["color"], *SLOTS["tone"])]
    certain = frozenset(word for word, holds, _ in words if holds)
    possible = frozenset(word for word, _, may_hold in words if may_hold)
    return Attributes(certain if whole.pixels >= MIN_PIXELS else frozenset(), certain | possible, whole.pixels)


Words = Iterator[tuple[str, bool, bool]]  # word, whether it certainly holds, whether it may hold


def _geometry(each: SceneObject, whole: _Statistics, size: tuple[int, int]) -> Words:
    """Size, shape, stroke and place."""
    background, area = each.shape == BACKGROUND, whole.pixels / (size[0] * size[1])
    unsized = background or each.shape in STRANDS
    small, may_be_small = not unsized and area < 0.01, unsized or area < 0.018
    yield "small", small, may_be_small
    yield "large", not unsized and area > 0.07, unsized or area > 0.045
    shape = "line" if each.shape == "curve" else each.shape
    if not background and (whole.pixels < MIN_VISIBLE * each.full_pixels or each.build == "handle"):
        yield from ((word, False, True) for word in SHAPES if word != BACKGROUND)
    else:
        yield shape, True, True
        yield from ((word, False, True) for word in SIMILAR.get(shape, ()))
        yield "spot", small and shape in ROUND, may_be_small and not background
    if shape == "line":
        width = each.stroke / max(size)
        yield "straight" if each.shape == "line" else "curved", True, True
        yield "thin", width < 0.014, width <= 0.022
        yield "thick", width > 0.028, width >= 0.02
    elif each.shape in STRANDS:
        yield from ((word, False, True) for word in SLOTS["width"] + SLOTS["bend"])
    for low, high, position in (("left", "right", whole.x), ("top", "bottom", whole.y)):
        yield low, position < 0.36, position < 0.46
        yield high, position > 0.64, position > 0.54
    distance = max(abs(whole.x - 0.5), abs(whole.y - 0.5))
    # A region may surround the middle without covering it.
    yield "middle", distance < 0.12 and not background, distance < 0.2 or background


def _tone(color: np.ndarray, image_luma: float) -> Words:
    """Color names; dark or bright, relative to the mean of the image as well as absolutely."""
    certain, possible = colors.color_names(color)
    yield from ((word, word in certain, True) for word in possible)
    luma = float(color @ colors.LUMA)
    difference = luma - image_luma
    yield "dark", difference < -0.12 and luma < 0.45, difference < -0.05
    yield "bright", difference > 0.12 and luma > 0.5, difference > 0.05


def _surface(each: SceneObject, whole: _Statistics) -> Words:
    if each.texture is not None and each.texture != "plain":
        deviates = whole.grain > MIN_GRAIN if each.texture == "grainy" else whole.texture > MIN_TEXTURE
        yield each.texture, whole.inner >= MIN_PIXELS and deviates, True
    others = SLOTS["texture"] if each.texture is None else SIMILAR.get(each.texture, ())
    yield from ((word, False, True) for word in others)
