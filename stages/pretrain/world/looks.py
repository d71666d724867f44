"""What can be said of the things in a picture, told from how they came out and not from how they were meant.

Of each word a thing has it (`sure`), has it not (not in `maybe`), or lies where one may say either (in `maybe` alone).
A picture's own light, blur and noise count, so a word never holds of what nobody can see.
"""

from dataclasses import dataclass

from world import colors, textures
from world.measured import Measured, Measures
from world.outlines import ROUND, STRANDS
from world.pictures import AREA, Sample, Thing

SHAPES = ("circle", "oval", "square", "rectangle", "triangle", "star", "ring", "crescent", "cross", "blob", "line",
          "branch", "comb", "grid", "spot", AREA)  # fmt: skip
# Each slot's words exclude one another; a spot is also whatever round thing it is.
SLOTS = {
    "size": ("small", "large"), "tone": ("dark", "bright"), "color": colors.NAMES, "texture": textures.NAMES[1:],
    "width": ("thin", "thick"), "bend": ("straight", "curved"), "shape": SHAPES,
    "place": ("left", "right", "top", "bottom", "middle"),
}  # fmt: skip
# What a whole shape, or a clear texture, might be taken for all the same.
SHAPE_ALIKE = {
    "circle": {"oval", "blob"}, "oval": {"circle", "blob"}, "blob": {"circle", "oval", "star", "cross"},
    "square": {"rectangle"}, "rectangle": {"square", "line"}, "ring": {"circle", "crescent"},
    "crescent": {"ring", "blob"}, "line": {"rectangle"}, "branch": {"line"}, "comb": {"grid"}, "grid": {"comb"},
}  # fmt: skip
TEXTURE_ALIKE = {
    "dotted": {"checkered"}, "checkered": {"dotted"}, "grainy": {"cloudy"}, "cloudy": {"veined", "grainy"},
    "veined": {"cloudy", "striped"}, "plain": {"grainy"},
}  # fmt: skip
IS_CLASSIFICATION = 0.75  # so much of a thing must be seen for its shape to be told
FEWEST = 25  # pixels that must be seen of it, and of its surface for a texture
AGREED = 0.85  # the share of a thing that its largest part has, for its color to be the thing's
CLEAR = {"texture": 0.05, "grain": 0.055}  # deviations of luma

Words = tuple[set[str], set[str]]  # those that hold surely, and those that may hold


@dataclass(frozen=True)
class Look:
    """A thing's words. pixels: how many of it are to be seen."""

    sure: frozenset[str]
    maybe: frozenset[str]
    pixels: int


def looks(picture: Sample) -> list[Look]:
    """A look for each of the picture's things."""
    measures = Measures(picture)
    return [_look(thing, measures, picture.labels.shape) for thing in picture.things]


def _look(thing: Thing, measures: Measures, shape: tuple[int, int]) -> Look:
    seen = measures(thing.ids)
    size = _size(thing, seen.pixels / (shape[0] * shape[1]))
    found = [size, _shape(thing, seen, size), _place(thing, seen), _stroke(thing, shape), _texture(thing, seen)]
    parts = [measures([id]) for id in thing.ids]
    main = max(parts, key=lambda part: part.pixels)
    if main.pixels >= AGREED * seen.pixels:
        found += [colors.names(main.color), _tone(float(main.color @ colors.LUMA), measures.luma)]
    else:
        found.append((set(), {*SLOTS["color"], *SLOTS["tone"]}))
    sure, maybe = (frozenset().union(*words) for words in zip(*found))
    return Look(sure if seen.pixels >= FEWEST else frozenset(), sure | maybe, seen.pixels)


def _size(thing: Thing, share: float) -> Words:
    if thing.shape == AREA or thing.shape in STRANDS:
        return set(), {"small", "large"}
    if share < 0.018:
        return ({"small"} if share < 0.01 else set()), {"small"}
    return ({"large"} if share > 0.07 else set()), ({"large"} if share > 0.045 else set())


def _shape(thing: Thing, seen: Measured, size: Words) -> Words:
    word = "line" if thing.shape == "curve" else thing.shape
    if word == AREA:
        return {AREA}, {AREA}
    if seen.pixels < IS_CLASSIFICATION * thing.full or thing.build == "handle":
        return set(), set(SHAPES) - {AREA}
    sure, maybe = {word}, {word, *SHAPE_ALIKE.get(word, ())}
    if "small" in size[1]:
        maybe.add("spot")
        sure |= {"spot"} if word in ROUND and "small" in size[0] else set()
    return sure, maybe


def _place(thing: Thing, seen: Measured) -> Words:
    sure, maybe = set(), set()
    for low, high, at in (("left", "right", seen.x), ("top", "bottom", seen.y)):
        sure |= {low} if at < 0.36 else {high} if at > 0.64 else set()
        maybe |= {low} if at < 0.46 else {high} if at > 0.54 else set()
    if thing.shape == AREA:  # one that goes round the middle is not in it
        return sure, maybe | {"middle"}
    away = max(abs(seen.x - 0.5), abs(seen.y - 0.5))
    return sure | ({"middle"} if away < 0.12 else set()), maybe | ({"middle"} if away < 0.2 else set())


def _stroke(thing: Thing, shape: tuple[int, int]) -> Words:
    """Thin or thick as a share of the picture's longer side; straight or curved."""
    if thing.shape not in ("line", "curve"):
        return set(), set(SLOTS["width"] + SLOTS["bend"]) if thing.shape in STRANDS else set()
    bend, share = {"straight" if thing.shape == "line" else "curved"}, thing.stroke / max(shape)
    if share < 0.02:
        return bend | ({"thin"} if share < 0.014 else set()), bend | {"thin"}
    return bend | ({"thick"} if share > 0.028 else set()), bend | ({"thick"} if share > 0.022 else {"thin", "thick"})


def _tone(luma: float, overall: float) -> Words:
    """Dark or bright beside the picture as a whole, and not against what it is by itself."""
    away = luma - overall
    if away < 0:
        return ({"dark"} if away < -0.12 and luma < 0.45 else set()), ({"dark"} if away < -0.05 else set())
    return ({"bright"} if away > 0.12 and luma > 0.5 else set()), ({"bright"} if away > 0.05 else set())


def _texture(thing: Thing, seen: Measured) -> Words:
    if thing.texture is None:
        return set(), set(SLOTS["texture"])
    alike = TEXTURE_ALIKE.get(thing.texture, set())
    if thing.texture == "plain":
        return set(), alike
    kind = "grain" if thing.texture == "grainy" else "texture"
    clear = seen.inner >= FEWEST and getattr(seen, kind) > CLEAR[kind]
    return ({thing.texture} if clear else set()), {thing.texture, *alike}
