"""Time of one image in each model on this machine, and where the models' weights are."""

import functools
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.core.params import Model
from promptseg.inspection.costs import Speed

MODELS = ("sam2", "clipseg", "unet")
WEIGHTS = Path("../weights")
_UNTIMED = Speed(encode=1.5, decode=0.05, step=0.2)  # of CLIPSeg and SAM 2 Hiera-tiny on one core of 2020
_REPEATS = 3
_OBJECTS = 4  # in the image that is timed
_TIMEOUT = 3.0  # seconds for the hub


@dataclass(frozen=True)
class Weights:
    """Where the weights of a model come from.

    Attributes:
        source: for params.yaml: `tiny`, `official` or a path.
        words: where that is, for the user.
    """

    source: str
    words: str

    @property
    def tiny(self) -> bool:
        """Whether these are the built-in ones, whose masks mean little."""
        return self.source == "tiny"


@dataclass(frozen=True)
class Survey:
    """What is known of the models. weights: of each; speeds: of each; assumed: those that could not be timed."""

    weights: dict[str, Weights]
    speeds: dict[str, Speed]
    assumed: list[str]


def survey(image: np.ndarray, stated: dict[str, Weights], phrase: str) -> Survey:
    """Find the weights of the models and time one image in each, in a process of its own, as torch keeps its memory.

    Args:
        image: (h, w) or (h, w, 3) uint8, as large as those that will be segmented.
        stated: weights that the user named, from `parse`.
        phrase: a text prompt.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_survey, image, stated, phrase).result()


def _survey(image: np.ndarray, stated: dict[str, Weights], phrase: str) -> Survey:
    weights = locate(stated)
    return Survey(weights, *measure(image, weights, phrase))


def locate(stated: dict[str, Weights]) -> dict[str, Weights]:
    """Find the weights of each model: as the user says, in ../weights, in the hub's cache, on the hub, or built in."""
    online: Callable[[], bool] = functools.cache(_hub_answers)
    return {name: stated.get(name) or _found(name, online) for name in MODELS}


def parse(given: Sequence[str]) -> dict[str, Weights]:
    """Parse NAME=PATH of the user. Raises UserError for unknown models, and where there is nothing at a path."""
    return dict(_parsed(text) for text in given)


def _parsed(text: str) -> tuple[str, Weights]:
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise UserError(f"--weights {text}: give NAME=PATH, such as sam2=../weights/sam2-hiera-tiny")
    if name not in MODELS:
        raise UserError(f"--weights {text}: unknown model {name!r}; known: {', '.join(MODELS)}")
    if path not in ("tiny", "official") and not Path(path).expanduser().exists():
        raise UserError(f"--weights {text}: nothing at {path}")
    return name, Weights(path, path)


def _found(name: str, online: Callable[[], bool]) -> Weights:
    from huggingface_hub import try_to_load_from_cache

    from promptseg import models

    local = sorted(WEIGHTS.glob(f"{name}*")) if WEIGHTS.is_dir() else []
    if local:
        return Weights(local[0].as_posix(), local[0].as_posix())
    module = models.load(name)
    repository, revision = getattr(module, "OFFICIAL", (None, None))
    if repository is None:
        return Weights("official", "random ones, as nothing was released")
    file = getattr(module, "RELEASED", "model.safetensors")
    if isinstance(try_to_load_from_cache(repository, file, revision=revision), str):
        return Weights("official", f"{repository}, in the hub's cache")
    if online():
        return Weights("official", f"{repository}, which the hub has")
    return Weights("tiny", "not here, and the hub cannot be reached: the tiny built-in ones, whose masks mean little")


def _hub_answers() -> bool:
    """Whether the hub can be reached, unless the user wants to stay offline."""
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return False
    import requests
    from huggingface_hub import constants

    try:
        requests.head(os.environ.get("PROMPTSEG_MIRROR") or constants.ENDPOINT, timeout=_TIMEOUT)
    except requests.RequestException:
        return False
    return True


def measure(image: np.ndarray, weights: dict[str, Weights], phrase: str) -> tuple[dict[str, Speed], list[str]]:
    """Time one image in each model.

    Args:
        image: (h, w) or (h, w, 3) uint8, as large as those that will be segmented.
        weights: of the models.
        phrase: a text prompt.

    Returns:
        Speeds, and the names of models that could not be timed, whose speed is assumed.
    """
    speeds, assumed = {}, []
    for name, found in weights.items():
        speed = _speed(name, found, image, phrase)
        speeds[name] = speed or _UNTIMED
        if speed is None:
            assumed.append(name)
    return speeds, assumed


def _speed(name: str, found: Weights, image: np.ndarray, phrase: str) -> Speed | None:
    """Seconds of encoding, decoding and a training step; None for a model whose weights must be fetched first."""
    import torch

    from promptseg.core import devices
    from promptseg.core.devices import Processes

    processes = Processes()
    devices.configure_torch(processes)
    segmenter = _load(name, found)
    if segmenter is None:
        return None
    segmenter = segmenter.to(processes.device)
    row = _prompts(segmenter.PROMPTS, image, phrase)
    prompts, count = [row], len(row)
    with torch.no_grad():
        encode = _seconds(lambda: segmenter.encode([image]))
        features = segmenter.encode([image])
        decode = _seconds(lambda: segmenter.decode(features, prompts))
    segmenter.set_trainable(segmenter.TRAIN_DEFAULTS["trainable"])

    def step() -> None:
        segmenter.decode(features, prompts).float().mean().backward()
        segmenter.zero_grad()

    return Speed(encode, decode / count, _seconds(step) / count)


def _load(name: str, found: Weights):
    """The model; with random weights of the same sizes where the real ones must be fetched; None where none exist."""
    from promptseg import models
    from promptseg.download import checkpoints

    module = models.load(name)
    if found.source != "official":
        return checkpoints.released(name, Model(), found.source, 0)
    try:
        return module.create("full", 0)
    except UserError:
        return None  # a model with a vocabulary has no random one


def _prompts(kinds: frozenset[str], image: np.ndarray, phrase: str) -> list:
    """Prompts of an image: points on several objects, which a decoder takes together; else a phrase, or none."""
    from promptseg.prompts import Prompt
    from promptseg.prompts.points import Points
    from promptseg.prompts.text import Text

    if "points" not in kinds:
        return [Prompt.of(Text(phrase)) if "text" in kinds else Prompt(1)]
    height, width = image.shape[:2]
    places = [(width * (place + 0.5) / _OBJECTS, height / 2) for place in range(_OBJECTS)]
    return [Prompt.of(Points(np.array([place]), np.array([1]))) for place in places]


def _seconds(work: Callable[[], object]) -> float:
    """The shortest time of a few, after a first call that allocates."""
    import torch

    def timed() -> float:
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start

    timed()
    return min(timed() for _ in range(_REPEATS))
