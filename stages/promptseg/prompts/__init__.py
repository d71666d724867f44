"""What a model is asked about one picture: points, a box, a mask, words, another picture, or nothing.

It is made from settings and the truth.

Coordinates are continuous: pixel i covers [i, i + 1), so its center is i + 0.5 and a box ends where its last pixel
ends. Prompts taken from the truth depend on (seed, id) alone, so they are the same whoever computes them and when.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import masks


@dataclass(frozen=True, eq=False)
class SupportExample:
    """What to look for, shown in another picture. image: (h, w, 3) uint8; mask: (h, w) bool, not empty.

    prepare: what is done to the picture before it is embedded, of "darken", "blur" and "crop" (support.py).
    """

    image: np.ndarray
    mask: np.ndarray
    prepare: tuple[str, ...]

    @cached_property
    def digest(self) -> bytes:
        """The same for the same example, however often it is read."""
        digest = hashlib.sha256(repr((self.image.shape, self.prepare)).encode())
        for array in (self.image, self.mask):
            digest.update(array.tobytes())
        return digest.digest()


@dataclass(frozen=True, eq=False)
class Prompt:
    """One question about one picture; what is None is not asked. The answer is a map of class `target` (1, 2, ...).

    points: (k, 2) float x, y; labels: (k,) int, 1 on the object and 0 off it; box: (4,) float x0, y0, x1, y1;
    mask: (h, w) in [0, 1], over the picture, or over the frame once it is in the frame's pixels;
    example: the object in another picture; mix: its share, in (0, 1), where both it and a text are asked.
    whole: the picture as a whole is asked about, and the answer is the same everywhere.
    refine: how a cascade goes on from its coarse answer; None: as params.Refine has it.
    """

    target: int = 1
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    box: np.ndarray | None = None
    mask: np.ndarray | None = None
    text: str | None = None
    example: SupportExample | None = None
    mix: float | None = None
    whole: bool = False
    refine: params.Refine | None = None


def ask(
    settings: params.Prompt, mask: np.ndarray, classes: list[str], seed: int, id: str, own: str = "",
    support: tuple[np.ndarray, np.ndarray] | None = None, among: list[int] | None = None, whole: bool = False,
) -> tuple[list[Prompt], list[np.ndarray]]:  # fmt: skip
    """The prompts for one picture, and for each the map that would answer it: (h, w) bool.

    mask: (h, w) uint8, 0 background, i class i, 255 ignored. classes: their names. A class that the picture does not
    hold gets no points, no box and no mask. id: the picture's; with `seed` it decides every random choice. own: what
    the picture says of itself in words. support: another picture (h, w, 3) uint8 and its mask like `mask`, where
    settings.support. A class that this one does not show is asked for by its phrase alone, as in CLIPSeg's training.py,
    or not at all where there is none. among: the numbers of the classes that are asked for, None: all; whole: the answer
    is one class for the whole picture. Raises UserError if the phrases are not one for each class, the picture has none,
    or the support picture leaves nothing to ask.
    """
    phrases = _phrases(settings.text, classes, own, id) if settings.text is not None else [None] * len(classes)
    rng = np.random.default_rng(np.frombuffer(hashlib.sha256(f"{seed}/{id}".encode()).digest(), np.uint32))
    prompts, answers = [], []
    for target, phrase in enumerate(phrases, 1):
        if among is not None and target not in among:
            continue
        of_class = mask == target
        if not settings.oracle:
            example = _example(settings, support, target)
            if settings.kind != "image" or example is not None:
                mix = None if phrase is None or example is None else settings.mix
                prompts.append(
                    Prompt(target, text=phrase, example=example, mix=mix, whole=whole, refine=settings.refine)
                )
                answers.append(of_class)
            continue
        for part in _parts(of_class, settings.per):
            prompts.append(_FROM_TRUTH[settings.kind](settings, target, part, rng))
            answers.append(part)
    if settings.support and not prompts:
        raise UserError(f"{id}: its support picture shows none of {', '.join(classes)}; ask by text as well")
    return prompts, answers


def to_json(prompts: list[Prompt]) -> str:
    """The prompts as a JSON list, coordinates to a hundredth of a pixel, without masks; what is None is left out.

    Of an example there is `support`, its share: the picture itself stands in the row that was asked about.
    """
    out = []
    for prompt in prompts:
        entry = {"target": prompt.target}
        for name in ("points", "labels", "box"):
            value = getattr(prompt, name)
            if value is not None:
                entry[name] = np.round(value, 2).tolist()
        if prompt.text is not None:
            entry["text"] = prompt.text
        if prompt.example is not None:
            entry["support"] = 1.0 if prompt.mix is None else prompt.mix
        out.append(entry)
    return json.dumps(out, ensure_ascii=False)


def check_phrases(text: list[str] | str | None, classes: list[str], where: str) -> None:
    """Raise UserError unless there is a phrase for each class. where: the run's name, or what to call it."""
    count = 1 if text == "own" else len(text) if isinstance(text, list) else len(classes)
    if count != len(classes):
        raise UserError(f"params.yaml: {where}: {count} phrase{'s' * (count > 1)}, but there are {len(classes)} classes")


def _phrases(text: list[str] | str, classes: list[str], own: str, id: str) -> list[str]:
    check_phrases(text, classes, id)
    if text == "own" and not own.strip():
        raise UserError(f"{id}: the dataset says nothing of this picture in words, as text: own needs; give the phrases")
    return {"class": classes, "own": [own]}[text] if isinstance(text, str) else text


def _example(settings: params.Prompt, support: tuple[np.ndarray, np.ndarray] | None, target: int) -> SupportExample | None:
    """The class as the support picture shows it; None if it does not, or is not to be asked."""
    if not settings.support:
        return None
    image, shown = support[0], support[1] == target
    return SupportExample(image, shown, tuple(settings.prepare)) if shown.any() else None


def _parts(of_class: np.ndarray, per: str) -> list[np.ndarray]:
    """The mask itself, or each of its components; nothing if it is empty."""
    if not of_class.any():
        return []
    if per == "picture":
        return [of_class]
    labels, count = masks.components(of_class)
    return [labels == i for i in range(1, count + 1)]


def _points(settings: params.Prompt, target: int, part: np.ndarray, rng: np.random.Generator) -> Prompt:
    if settings.how == "center":
        points = masks.interior_points(part, settings.points)
    else:
        places = np.flatnonzero(part)
        # Without repetition where the mask has enough pixels.
        chosen = rng.choice(places, settings.points, replace=settings.points > len(places))
        points = np.stack([chosen % part.shape[1], chosen // part.shape[1]], axis=1) + 0.5
    return Prompt(target, points=points, labels=np.ones(len(points), np.int64))


def _box(settings: params.Prompt, target: int, part: np.ndarray, rng: np.random.Generator) -> Prompt:
    """The box round `part`; with jitter each side moves outward by a uniform share of the longer side of the picture.

    So does MedSAM (Ma et al. 2024) with 0 to 20 of 1024 pixels, a jitter of 0.02.
    """
    height, width = part.shape
    box = np.array(masks.box(part))
    if settings.jitter:
        moved = rng.uniform(0, settings.jitter * max(height, width), 4)
        box = np.clip(box + moved * [-1, -1, 1, 1], 0, [width, height, width, height])
    return Prompt(target, box=box)


def _mask(settings: params.Prompt, target: int, part: np.ndarray, rng: np.random.Generator) -> Prompt:
    return Prompt(target, mask=part)


_FROM_TRUTH = {"points": _points, "box": _box, "mask": _mask}
