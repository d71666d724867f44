"""Where the models' weights are, and what one image takes in each on this machine."""

import functools
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from promptseg.core import fingerprint
from promptseg.core.errors import UserError
from promptseg.core.params import Model
from promptseg.inspection.choose import Added
from promptseg.inspection.costs import Speed

MODELS = ("sam2", "clipseg", "unet")  # of every study; others are added by their names
PROMPTED = frozenset({"points", "box", "text", "support"})  # one of these an added model must take
WEIGHTS = Path("../weights")
UNRELEASED = "random ones, as nothing was released"
_UNTIMED = Speed(encode=1.5, decode=0.05, step=0.2)  # of CLIPSeg and SAM 2 Hiera-tiny on one core of 2020
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
    """What is known of the models.

    Attributes:
        weights: of each.
        speeds: of each.
        assumed: those that could not be measured.
        added: what the models take that are not in MODELS, by name.
    """

    weights: dict[str, Weights]
    speeds: dict[str, Speed]
    assumed: list[str]
    added: dict[str, Added] = field(default_factory=dict)


def survey(image: np.ndarray, stated: dict[str, Weights | None], phrase: str) -> Survey:
    """Find the weights of the models and measure one image in each, in a process of its own, as torch keeps its memory.

    Args:
        image: (h, w) or (h, w, 3) uint8, as large as those that will be segmented.
        stated: of `parse`.
        phrase: a text prompt.

    Raises:
        UserError: of a model that the user named there are no weights, or it takes no prompt for images, or a model
            needs more memory than there is.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(surveyed, image, stated, phrase).result()
        except BrokenProcessPool:
            raise UserError(
                "the process that measures the models was killed, perhaps for its memory; give smaller --weights"
            ) from None


def surveyed(image: np.ndarray, stated: dict[str, Weights | None], phrase: str) -> Survey:
    """Do what `survey` does in this process."""
    from promptseg import models

    weights = locate(stated)
    added = {name: models.load(name) for name in weights if name not in MODELS}
    for name, model in added.items():
        if not model.PROMPTS & PROMPTED or model.MODALITY != "image":
            raise UserError(f"--models {name}: it is not prompted on images; leave it out")
        if model.BACKBONE:
            raise UserError(f"--models {name}: it has to be trained first; write a line of its own under finetune")
        if not stated[name] and (weights[name].tiny or weights[name].words == UNRELEASED):
            raise UserError(f"--models {name}: its weights are {weights[name].words}; give --weights {name}=PATH")
    taken = {name: Added.of(model) for name, model in added.items()}
    return Survey(weights, *measured(image, weights, phrase), taken)


def locate(stated: dict[str, Weights | None]) -> dict[str, Weights]:
    """Find the weights of each model: as the user says, in ../weights, in the hub's cache, on the hub, or built in."""
    online: Callable[[], bool] = functools.cache(_hub_answers)
    return {name: stated.get(name) or _found(name, online) for name in dict.fromkeys([*MODELS, *stated])}


def parse(names: str, given: Sequence[str]) -> dict[str, Weights | None]:
    """Parse what the user says of models.

    Args:
        names: of further models, with commas.
        given: NAME=PATH of each model whose weights are stated; it need not be among `names`.

    Returns:
        Weights by name; None where they are to be found.

    Raises:
        UserError: a model is unknown, or there is nothing at a path.
    """
    further = [name for each in names.split(",") if (name := each.strip())]
    for name in further:
        _check_known(name, "--models")
    return {**dict.fromkeys(further), **dict(_parsed(text) for text in given)}


def _known() -> list[str]:
    """Names of all models, without importing any."""
    return fingerprint.names("promptseg.models.{}")


def _check_known(name: str, option: str) -> None:
    if name not in _known():
        raise UserError(f"{option}: unknown model {name!r}; known: {', '.join(_known())}")


def _parsed(text: str) -> tuple[str, Weights]:
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise UserError(f"--weights {text}: give NAME=PATH, such as sam2=../weights/sam2-hiera-tiny")
    _check_known(name, f"--weights {text}")
    if path not in ("tiny", "official") and not Path(path).expanduser().exists():
        raise UserError(f"--weights {text}: nothing at {path}")
    return name, Weights(path, path)


def _found(name: str, online: Callable[[], bool]) -> Weights:
    from huggingface_hub import try_to_load_from_cache

    from promptseg import models

    longer = tuple(other for other in _known() if other.startswith(name) and other != name)  # sam2, sam3 of sam
    local = sorted(path for path in WEIGHTS.glob(f"{name}*") if not path.name.startswith(longer))
    if local:
        return Weights(local[0].as_posix(), local[0].as_posix())
    model = models.load(name)
    repository, revision = model.OFFICIAL
    if repository is None:
        return Weights("official", UNRELEASED)
    if isinstance(try_to_load_from_cache(repository, model.RELEASED, revision=revision), str):
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


def measured(image: np.ndarray, weights: dict[str, Weights], phrase: str) -> tuple[dict[str, Speed], list[str]]:
    """Measure one image in each model.

    Args:
        image: (h, w) or (h, w, 3) uint8, as large as those that will be segmented.
        weights: of the models.
        phrase: a text prompt.

    Returns:
        Speeds, and the names of models that could not be measured, whose speed is assumed.

    Raises:
        UserError: a model needs more memory than there is.
    """
    from promptseg.core import devices
    from promptseg.inspection.measure import measure

    devices.configure_torch(devices.Processes())
    speeds, assumed = {}, []
    for name, found in weights.items():
        segmenter = _load(name, found)
        speeds[name] = _UNTIMED if segmenter is None else measure(segmenter, image, phrase)
        if segmenter is None:
            assumed.append(name)
    return speeds, assumed


def _load(name: str, found: Weights):
    """The model; with random weights of the same sizes where the real ones must be fetched; None where none exist."""
    from promptseg import models
    from promptseg.download import checkpoints

    if found.source != "official":
        return checkpoints.released(name, Model(), found.source, 0)
    try:
        return models.load(name).create("full", 0)
    except UserError:
        return None  # a model with a vocabulary has no random one
