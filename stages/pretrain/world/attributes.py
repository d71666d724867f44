"""Attributes of the objects in a scene, measured in the rendered image.

An object certainly has an attribute, certainly does not have it, or is a borderline case. Shading, blur and noise of
the image count: an attribute that is not visible never holds.
"""

from dataclasses import dataclass

from world import colors, textures
from world.object_statistics import SceneStatistics, Statistics
from world.outlines import ROUND, STRANDS
from world.scene import BACKGROUND, Scene, SceneObject

SHAPES = ("circle", "oval", "square", "rectangle", "triangle", "star", "ring", "crescent", "cross", "blob", "line",
          "branch", "comb", "grid", "spot", BACKGROUND)  # fmt: skip
# The words of a slot exclude each other, but for "spot", which is a small round shape of any name.
SLOTS = {
    "size": ("small", "large"), "tone": ("dark", "bright"), "color": colors.NAMES, "texture": textures.NAMES[1:],
    "width": ("thin", "thick"), "bend": ("straight", "curved"), "shape": SHAPES,
    "place": ("left", "right", "top", "bottom", "middle"),
}  # fmt: skip
# What a fully visible shape, or a clear texture, can still be confused with.
SIMILAR_SHAPES = {
    "circle": {"oval", "blob"}, "oval": {"circle", "blob"}, "blob": {"circle", "oval", "star", "cross"},
    "square": {"rectangle"}, "rectangle": {"square", "line"}, "ring": {"circle", "crescent"},
    "crescent": {"ring", "blob"}, "line": {"rectangle"}, "branch": {"line"}, "comb": {"grid"}, "grid": {"comb"},
}  # fmt: skip
SIMILAR_TEXTURES = {
    "dotted": {"checkered"}, "checkered": {"dotted"}, "grainy": {"cloudy"}, "cloudy": {"veined", "grainy"},
    "veined": {"cloudy", "striped"}, "plain": {"grainy"},
}  # fmt: skip
MIN_VISIBLE = 0.75  # share of an object that must be visible for its shape to be certain
MIN_PIXELS = 25  # of an object, and of its surface for a texture
MIN_MAIN_PART = 0.85  # share of an object in its largest part, for that part's color to be the object's
MIN_DEVIATION = {"texture": 0.05, "grain": 0.055}  # of luma, for a texture to be certain

Words = tuple[set[str], set[str]]  # certain, and possible


@dataclass(frozen=True)
class Attributes:
    """Attributes of an object.

    Attributes:
        certain: words that certainly hold.
        possible: words that hold or may hold.
        pixels: number of visible pixels.
    """

    certain: frozenset[str]
    possible: frozenset[str]
    pixels: int


def scene_attributes(scene: Scene) -> list[Attributes]:
    """Determine the attributes of each object of a scene."""
    statistics = SceneStatistics(scene)
    return [_attributes(each, statistics, scene.labels.shape) for each in scene.objects]


def _attributes(each: SceneObject, statistics: SceneStatistics, size: tuple[int, int]) -> Attributes:
    whole = statistics.of(each.ids)
    size_words = _size(each, whole.pixels / (size[0] * size[1]))
    words = [
        size_words,
        _shape(each, whole, size_words),
        _place(each, whole),
        _stroke(each, size),
        _texture(each, whole),
    ]
    parts = [statistics.of([id]) for id in each.ids]
    main = max(parts, key=lambda part: part.pixels)
    if main.pixels >= MIN_MAIN_PART * whole.pixels:
        words += [colors.color_names(main.color), _tone(float(main.color @ colors.LUMA), statistics.luma)]
    else:
        words.append((set(), {*SLOTS["color"], *SLOTS["tone"]}))
    certain, possible = (frozenset().union(*sets) for sets in zip(*words, strict=True))
    return Attributes(certain if whole.pixels >= MIN_PIXELS else frozenset(), certain | possible, whole.pixels)


def _size(each: SceneObject, area: float) -> Words:
    """Words for the share of the image that an object covers."""
    if each.shape == BACKGROUND or each.shape in STRANDS:
        return set(), {"small", "large"}
    if area < 0.018:
        return ({"small"} if area < 0.01 else set()), {"small"}
    return ({"large"} if area > 0.07 else set()), ({"large"} if area > 0.045 else set())


def _shape(each: SceneObject, whole: Statistics, size_words: Words) -> Words:
    word = "line" if each.shape == "curve" else each.shape
    if word == BACKGROUND:
        return {BACKGROUND}, {BACKGROUND}
    if whole.pixels < MIN_VISIBLE * each.full_pixels or each.build == "handle":
        return set(), set(SHAPES) - {BACKGROUND}
    certain, possible = {word}, {word, *SIMILAR_SHAPES.get(word, ())}
    if "small" in size_words[1]:
        possible.add("spot")
        certain |= {"spot"} if word in ROUND and "small" in size_words[0] else set()
    return certain, possible


def _place(each: SceneObject, whole: Statistics) -> Words:
    certain, possible = set(), set()
    for low, high, position in (("left", "right", whole.x), ("top", "bottom", whole.y)):
        certain |= {low} if position < 0.36 else {high} if position > 0.64 else set()
        possible |= {low} if position < 0.46 else {high} if position > 0.54 else set()
    if each.shape == BACKGROUND:  # a region may surround the middle without covering it
        return certain, possible | {"middle"}
    distance = max(abs(whole.x - 0.5), abs(whole.y - 0.5))
    return certain | ({"middle"} if distance < 0.12 else set()), possible | ({"middle"} if distance < 0.2 else set())


def _stroke(each: SceneObject, size: tuple[int, int]) -> Words:
    """Thin or thick, relative to the image's longer side; straight or curved."""
    if each.shape not in ("line", "curve"):
        return set(), set(SLOTS["width"] + SLOTS["bend"]) if each.shape in STRANDS else set()
    bend, width = {"straight" if each.shape == "line" else "curved"}, each.stroke / max(size)
    if width < 0.02:
        return bend | ({"thin"} if width < 0.014 else set()), bend | {"thin"}
    return bend | ({"thick"} if width > 0.028 else set()), bend | ({"thick"} if width > 0.022 else {"thin", "thick"})


def _tone(luma: float, image_luma: float) -> Words:
    """Dark or bright, relative to the mean of the image as well as absolutely."""
    difference = luma - image_luma
    if difference < 0:
        return ({"dark"} if difference < -0.12 and luma < 0.45 else set()), ({"dark"} if difference < -0.05 else set())
    return ({"bright"} if difference > 0.12 and luma > 0.5 else set()), ({"bright"} if difference > 0.05 else set())


def _texture(each: SceneObject, whole: Statistics) -> Words:
    if each.texture is None:
        return set(), set(SLOTS["texture"])
    similar = SIMILAR_TEXTURES.get(each.texture, set())
    if each.texture == "plain":
        return set(), similar
    field = "grain" if each.texture == "grainy" else "texture"
    clear = whole.inner >= MIN_PIXELS and getattr(whole, field) > MIN_DEVIATION[field]
    return ({each.texture} if clear else set()), {each.texture, *similar}
