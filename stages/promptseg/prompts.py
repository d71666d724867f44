"""What a model is asked about one picture: points, a box, a mask, words, or nothing; made from settings and the truth.

Coordinates are continuous: pixel i covers [i, i + 1), so its centre is i + 0.5 and a box ends where its last pixel
ends. Prompts taken from the truth depend on (seed, id) alone, so they are the same whoever computes them and when.
"""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from promptseg import masks, params
from promptseg.errors import Problem


@dataclass(frozen=True, eq=False)
class Prompt:
    """One question about one picture; what is None is not asked. The answer is a map of class `target` (1, 2, ...).

    points: (k, 2) float x, y; labels: (k,) int, 1 on the object and 0 off it; box: (4,) float x0, y0, x1, y1;
    mask: (h, w) in [0, 1], over the picture, or over the frame once it is in the frame's pixels.
    """

    target: int = 1
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    box: np.ndarray | None = None
    mask: np.ndarray | None = None
    text: str | None = None


def ask(
    settings: params.Prompt, mask: np.ndarray, classes: list[str], seed: int, id: str, own: str = ""
) -> tuple[list[Prompt], list[np.ndarray]]:
    """The prompts for one picture, and for each the map that would answer it: (h, w) bool.

    mask: (h, w) uint8, 0 background, i class i, 255 ignored. classes: their names. A class that the picture does not
    hold gets no points, no box and no mask. id: the picture's; with `seed` it decides every random choice. own: what
    the picture says of itself in words. Raises Problem if the phrases are not one for each class, or the picture has
    none.
    """
    phrases = _phrases(settings.text, classes, own, id) if settings.text is not None else [None] * len(classes)
    rng = np.random.default_rng(np.frombuffer(hashlib.sha256(f"{seed}/{id}".encode()).digest(), np.uint32))
    prompts, answers = [], []
    for target, phrase in enumerate(phrases, 1):
        of_class = mask == target
        if settings.kind in ("none", "text"):
            prompts.append(Prompt(target, text=phrase))
            answers.append(of_class)
            continue
        for part in _parts(of_class, settings.per):
            prompts.append(_FROM_TRUTH[settings.kind](settings, target, part, rng))
            answers.append(part)
    return prompts, answers


def to_json(prompts: list[Prompt]) -> str:
    """The prompts as a JSON list, coordinates to a hundredth of a pixel, without masks; what is None is left out."""
    out = []
    for prompt in prompts:
        entry = {"target": prompt.target}
        for name in ("points", "labels", "box"):
            value = getattr(prompt, name)
            if value is not None:
                entry[name] = np.round(value, 2).tolist()
        if prompt.text is not None:
            entry["text"] = prompt.text
        out.append(entry)
    return json.dumps(out, ensure_ascii=False)


def check_phrases(text: list[str] | str | None, classes: list[str], where: str) -> None:
    """Raise Problem unless there is a phrase for each class. where: the run's name, or what to call it."""
    count = 1 if text == "own" else len(text) if isinstance(text, list) else len(classes)
    if count != len(classes):
        raise Problem(f"params.yaml: {where}: {count} phrase{'s' * (count > 1)}, but there are {len(classes)} classes")


def _phrases(text: list[str] | str, classes: list[str], own: str, id: str) -> list[str]:
    check_phrases(text, classes, id)
    if text == "own" and not own.strip():
        raise Problem(f"{id}: the dataset says nothing of this picture in words, as text: own needs; give the phrases")
    return {"class": classes, "own": [own]}[text] if isinstance(text, str) else text


def _parts(of_class: np.ndarray, per: str) -> list[np.ndarray]:
    """The mask itself, or each of its components; nothing if it is empty."""
    if not of_class.any():
        return []
    if per == "picture":
        return [of_class]
    labels, count = masks.components(of_class)
    return [labels == i for i in range(1, count + 1)]


def _points(settings: params.Prompt, target: int, part: np.ndarray, rng: np.random.Generator) -> Prompt:
    if settings.how == "centre":
        points = masks.deepest(part, settings.points)
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
