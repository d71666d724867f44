"""The Python API: load a model and segment an image.

import promptseg

model = promptseg.load("sam2")
result = model.segment("cat.jpg", points=[[300, 190]], negative_points=[[10, 10]], box=[100, 60, 460, 350])
result.mask, result.probability, result.score
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps

from promptseg import models, prompts
from promptseg.core.errors import UserError
from promptseg.core.params import Model as Settings
from promptseg.data import image_io
from promptseg.download import checkpoints
from promptseg.evaluation import counts
from promptseg.inference.class_maps import predict_classes
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.exemplars import Exemplars
from promptseg.prompts.points import Points
from promptseg.prompts.text import Text

Pixels: TypeAlias = str | Path | np.ndarray | Image.Image


@dataclass(frozen=True)
class Result:
    """What a model segments in an image.

    Attributes:
        mask: (h, w) uint8, 0 background, 1, 2, ... the classes.
        probability: (classes, h, w) float32 in [0, 1].
        score: mean probability of the mask's pixels, in [threshold, 1]; 0 where it is empty.
        classes: names of the classes: the phrases, the fine-tuned run's, or "object".
    """

    mask: np.ndarray
    probability: np.ndarray
    score: float
    classes: list[str]


class Model:
    """A model that segments images; `load` makes it.

    Args:
        segmenter: with its weights.
        classes: names of the classes of a model that takes no prompt.
        threshold: probability from which on a pixel is foreground, unless `segment` is given another.
    """

    def __init__(self, segmenter: Segmenter, classes: Sequence[str] = (), threshold: float = 0.5):
        self.segmenter, self.classes, self.threshold = segmenter.eval(), list(classes), threshold

    @property
    def prompts(self) -> list[str]:
        """Kinds of prompts that the model takes."""
        return sorted(self.segmenter.PROMPTS)

    @torch.inference_mode()
    def segment(
        self,
        image: Pixels,
        *,
        points: Sequence[Sequence[float]] = (),
        negative_points: Sequence[Sequence[float]] = (),
        box: Sequence[float] | Sequence[Sequence[float]] = (),
        text: str | Sequence[str] = (),
        together: bool = False,
        exemplars: Sequence[Sequence[float]] = (),
        negative_exemplars: Sequence[Sequence[float]] = (),
        threshold: float | None = None,
    ) -> Result:
        """Segment an image.

        Give prompts of one kind, points with one box, exemplars with one phrase, or none for a model that takes none.

        Args:
            image: a PNG, JPEG, TIFF or WebP file; a (h, w) or (h, w, 3) uint8 array; or an image of Pillow.
            points: x, y in pixels, all on one object.
            negative_points: x, y in pixels that are not on it.
            box: x0, y0, x1, y1 in pixels; or several, an object each.
            text: a phrase, or one for each class.
            together: read the phrases of all classes as one prompt, for models that take a list (grounding_dino).
            exemplars: x0, y0, x1, y1 in pixels of objects in the image, which ask for all that are alike.
            negative_exemplars: of objects that are not meant.
            threshold: probability in (0, 1) from which on a pixel is foreground; left out, the one that was chosen on
                the validation split of a fine-tuned run, or 0.5.

        Raises:
            UserError: the image cannot be read, or the model does not take the prompts.
        """
        pixels = _pixels(image)
        threshold = self.threshold if threshold is None else threshold
        phrases = [text] if isinstance(text, str) else list(text)
        if together:
            self.segmenter.check_joins_phrases("together")
        image_prompts = [*_object_prompts(points, negative_points, box), *_text_prompts(phrases, together)]
        if len(exemplars) or len(negative_exemplars):
            image_prompts = [_with_exemplars(image_prompts, exemplars, negative_exemplars)]
        self._check(image_prompts, threshold)
        height, width = pixels.shape[:2]
        for part in (part for prompt in image_prompts for part in prompt.parts.values()):
            part.check_inside(height, width, str(image) if isinstance(image, str | Path) else "image")
        classes = phrases or (["object"] if image_prompts else self.classes)
        image_prompts = image_prompts or [Prompt(target) for target in range(1, len(classes) + 1)]
        features = self.segmenter.encode([pixels])
        shape = (len(classes), height, width)
        maps = predict_classes(self.segmenter, features, image_prompts, shape)
        mask = counts.label_map(maps.quantized(), threshold)  # in eight bits, as a run is scored
        inside = maps.probability.max(axis=0)[mask > 0]
        return Result(mask, maps.probability, float(inside.mean()) if len(inside) else 0.0, classes)

    def _check(self, image_prompts: list[Prompt], threshold: float) -> None:
        """Raise UserError unless the model takes these prompts."""
        kinds = {kind for prompt in image_prompts for kind in prompt.parts}
        if prompts.join_kinds(map(prompts.model_kind, kinds)) not in self.segmenter.PROMPTS:
            given = " and ".join(sorted(kinds)) or "no prompt"
            raise UserError(f"{self.segmenter.NAME} takes {', '.join(self.prompts)}; given: {given}")
        if not image_prompts and not self.classes:
            raise UserError(f"{self.segmenter.NAME}: which classes? give `classes`, or load a fine-tuned run")
        if not 0.0 < threshold < 1.0:
            raise UserError(f"threshold {threshold:g}: a number between 0 and 1 is expected")


def load(
    name: str | None = None, *, source: str | Path = "official", finetuned: str | Path | None = None,
    classes: Sequence[str] = (),
) -> Model:  # fmt: skip
    """Load a model, on a GPU where there is one.

    Args:
        name: of a model, such as "sam2", "clipseg" or "medsam"; may be left out for a fine-tuned run, and for a folder
            of `promptseg export`.
        source: "official": the released weights, from the Hugging Face hub or its cache; "tiny": the built-in network;
            or a folder or file: a checkpoint of data/checkpoints, released weights, or what `promptseg export --format
            hub` wrote.
        finetuned: folder of a fine-tuned run (data/weights/<run>), whose checkpoint `source` must then be.
        classes: names of the classes, for a model that takes no prompt; left out, those of the fine-tuned run.

    Raises:
        UserError: the model is unknown, or its weights are missing or do not fit.
    """
    run: dict[str, Any] = weights.read(Path(finetuned))[0] if finetuned else exported(source)
    name = name or run.get("model")
    if name is None:
        raise UserError(f"which model? known: {', '.join(models.names())}")
    known = run.get("classes", [])
    if classes and known and len(classes) != len(known):
        raise UserError(f"{finetuned or source}: has {len(known)} classes; {len(classes)} names are given")
    classes = list(classes or known)
    if finetuned and not is_checkpoint(source):
        raise UserError(f"{finetuned}: give the checkpoint that it was trained from as source, data/checkpoints/{name}")
    segmenter = load_segmenter(name, str(source), max(len(classes), 1))
    if finetuned:
        finetuned_weights.apply(segmenter, weights.digest(Path(source)), Path(finetuned))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Model(segmenter.to(device), classes, run.get("threshold", 0.5))


def load_segmenter(name: str, source: str, classes: int) -> Segmenter:
    """Load a checkpoint of the pipeline, or released weights.

    Args:
        name: of the model.
        source: as of `load`.
        classes: number of classes, for models with an output for each.

    Raises:
        UserError: there is nothing, or it is of another model.
    """
    about = exported(source)
    model = about.get("model", name)
    if is_checkpoint(source):
        model = weights.read(Path(source))[0].get("model")
    if model != name:
        raise UserError(f"{source}: a checkpoint of {model}, not of {name}; give another folder")
    if is_checkpoint(source):
        segmenter = models.load(name).load(Path(source), classes)
    else:
        segmenter = checkpoints.released(name, Settings(), source, seed=0)
    if about:
        segmenter.transform = replace(segmenter.transform, size=about["size"])
        if about["finetuned"]:
            segmenter.prepare_finetuned()
    return segmenter


def is_checkpoint(source: str | Path) -> bool:
    """Return whether a source is the folder of a checkpoint of the pipeline."""
    return (Path(source) / weights.SUMS).is_file()


def exported(source: str | Path) -> dict[str, Any]:
    """What config.json of a folder of `promptseg export` says of the run: model, classes, threshold, ...

    Empty for any other source. Raises UserError where config.json is damaged.
    """
    if not (Path(source) / weights.CONFIG).is_file():
        return {}
    config, _ = weights.released(Path(source))
    return json.loads(config.read_text("utf-8")).get("promptseg", {})


def _pixels(image: Pixels) -> np.ndarray:
    """(h, w) or (h, w, 3) uint8."""
    if isinstance(image, str | Path):
        return image_io.read_image(Path(image))
    if isinstance(image, Image.Image):
        upright = ImageOps.exif_transpose(image)
        return np.asarray(upright if upright.mode in ("L", "RGB") else upright.convert("RGB"))
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.ndim == 3 and image.shape[2] != 3:
        raise UserError(
            f"an image of shape {image.shape} and type {image.dtype}: (h, w) or (h, w, 3) uint8 is expected"
        )
    return image


def _object_prompts(points, negative_points, box) -> list[Prompt]:
    """Prompts for one object: all points with the box, or each box."""
    on, off = _rows(points, 2, "points"), _rows(negative_points, 2, "negative_points")
    boxes = [Box(corners) for corners in _rows(box, 4, "box")]
    if not len(on) and not len(off):
        return [Prompt.of(each) for each in boxes]
    clicked = Points(np.concatenate([on, off]), np.repeat([1, 0], [len(on), len(off)]))
    if not boxes:
        clicked.check_alone()
    if len(boxes) > 1:
        raise UserError("box: with points give one")
    return [Prompt.of(*boxes, clicked)]


def _text_prompts(phrases: list[str], together: bool) -> list[Prompt]:
    return [Prompt.of(Text(phrase), target=target, together=together) for target, phrase in enumerate(phrases, 1)]


def _with_exemplars(image_prompts: list[Prompt], positive, negative) -> Prompt:
    """The one prompt that there is beside exemplars, or none, with these."""
    shown = Exemplars.of(*(_rows(boxes, 4, "exemplars") for boxes in (positive, negative)))
    if not image_prompts:
        shown.check_alone()
    if len(image_prompts) > 1:
        raise UserError("exemplars: with them give one text")
    return Prompt.of(*(part for prompt in image_prompts for part in prompt.parts.values()), shown)


def _rows(values, count: int, name: str) -> np.ndarray:
    """Coordinates, or rows of them, as an array (n, count) float64. name: of the argument."""
    try:
        rows = np.array(values, float)
    except (TypeError, ValueError):
        rows = np.empty(())
    if rows.ndim not in (1, 2) or rows.size and rows.shape[-1] != count:
        raise UserError(f"{name}: rows of {count} numbers are expected")
    return rows.reshape(-1, count)
