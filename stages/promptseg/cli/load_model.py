"""The model of `promptseg segment`, and the names of the classes in its masks."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from promptseg import api, models
from promptseg.cli.prompt_options import PromptRequest
from promptseg.core import devices
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts.text import Text

CHECKPOINTS = Path("data/checkpoints")
CASCADE_PROMPTS = {"points", "box", "mask"}
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Selection:
    """The model as the command line names it.

    Attributes:
        model: its name; None where `finetuned` or an exported `checkpoint` tells.
        finetuned: folder of a fine-tuned run's weights.
        checkpoint: folder or file of released weights, folder of `promptseg export --format hub`, `tiny` or `official`;
            None: those of the run or of the model in data/checkpoints, or official ones where a model has none there.
        cascade: name of the model that refines the masks, with `tiny` or `official` weights too where that is given.
        classes: names of the classes; empty: as the prompts or the run have them.
    """

    model: str | None = None
    finetuned: Path | None = None
    checkpoint: str | None = None
    cascade: str | None = None
    classes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to segment.

    Attributes:
        segmenter: the model.
        request: its prompts.
        classes: names of the labels 1, 2, ... in its masks.
        source: folder of its weights, that of the fine-tuned ones where there are such; or `tiny` or `official`.
        refiner: model of the cascade.
        threshold: probability from which on a pixel is foreground, unless another is given: of a fine-tuned or exported
            run the one that was chosen on its validation split.
    """

    segmenter: Segmenter
    request: PromptRequest
    classes: list[str]
    source: str
    refiner: Segmenter | None = None
    threshold: float = DEFAULT_THRESHOLD


def load(selection: Selection, request: PromptRequest) -> LoadedModel:
    """Load a model for prompts.

    Raises:
        UserError: the options do not fit each other, which is checked before weights are read, or weights are missing.
    """
    run = _finetuned_config(selection.finetuned) if selection.finetuned else {}
    about = run or api.exported(selection.checkpoint or "")
    name = _model_name(selection, about)
    kind = models.load(name)
    if kind.MODALITY != "image":
        modality = kind.MODALITY.replace("_", " ")
        raise UserError(f"{name} takes {modality}s, and only images can be segmented here; give another --model")
    request = _complete(request, selection.classes, kind, about)
    request.check(name, kind.PROMPTS)
    if request.together:
        kind.check_joins_phrases("--together")
    if selection.cascade is not None:
        _check_cascade(selection.cascade, request)
    classes = _classes(request, selection.classes, name, about)
    source = selection.checkpoint or _checkpoint(name, run)
    segmenter = _load_checkpoint(name, source, len(classes), fetch=not run)
    if selection.finetuned:
        finetuned_weights.apply(segmenter, weights.digest(Path(source)), selection.finetuned)
        source = selection.finetuned.as_posix()
    processes, refiner = Processes(), None
    devices.configure_torch(processes)
    if selection.cascade is not None:
        kind_of_weights = selection.checkpoint if selection.checkpoint in ("tiny", "official") else None
        own = kind_of_weights or _checkpoint(selection.cascade, {})
        refiner = _load_checkpoint(selection.cascade, own, len(classes))
        refiner.to(processes.device)
    # That of a run is for its own maps, and not for those of a model that refines them; automatic masks have no maps.
    own_maps = refiner is None and request.generator is None
    threshold = about.get("threshold", DEFAULT_THRESHOLD) if own_maps else DEFAULT_THRESHOLD
    return LoadedModel(segmenter.to(processes.device), request, classes, source, refiner, threshold)


def _finetuned_config(folder: Path) -> dict:
    """Configuration of a fine-tuned run."""
    if not (folder / weights.SUMS).is_file():
        raise UserError(f"{folder}: no fine-tuned run there; `dvc repro finetune@{folder.name}` would make it")
    config = weights.read(folder)[0]
    if "checkpoint" not in config:
        raise UserError(f"{folder}: a checkpoint and no fine-tuned run; give it as --checkpoint")
    return config


def _model_name(selection: Selection, run: dict) -> str:
    """Name of the model. run: what its folder says of a fine-tuned or exported run; empty of another."""
    name, folder = selection.model, selection.finetuned or selection.checkpoint
    if name is None and not run:
        raise UserError(f"give --model ({', '.join(models.names())}), or --weights with the folder of a fine-tuned run")
    if name and run and name != run["model"]:
        raise UserError(f"--model {name}: {folder} is a run of {run['model']}; leave --model out")
    return name or run["model"]


def _complete(request: PromptRequest, classes: list[str], kind: type[Segmenter], run: dict) -> PromptRequest:
    """Prompt a model that needs text and has none by the names of the classes, or as it was trained."""
    if request.kind != "none" or "none" in kind.PROMPTS or "text" not in kind.PROMPTS:
        return request
    trained = run.get("train", {}).get("prompt", {}).get("text")
    phrases = classes or (trained if isinstance(trained, list) else run.get("classes", []))
    parts = tuple((target, (Text(phrase),)) for target, phrase in enumerate(phrases, 1))
    return PromptRequest("text", parts) if parts else request


def _classes(request: PromptRequest, given: list[str], name: str, run: dict) -> list[str]:
    """Names of the classes in the masks."""
    known = run.get("classes", [])
    if request.phrases:
        count, names = len(request.phrases), given or request.phrases
    elif request.kind == "none":
        count, names = len(known) or len(given), given or known
    else:
        count, names = 1, given or (known if len(known) == 1 else ["object"])
    if not names:
        raise UserError(f"{name}: which classes? give --weights with a fine-tuned run, or --classes")
    if len(names) != count:
        raise UserError(f"--classes names {len(names)}, but there {'is' if count == 1 else 'are'} {count}")
    return names


def _check_cascade(name: str, request: PromptRequest) -> None:
    """Raise UserError unless a model can refine the masks."""
    if not CASCADE_PROMPTS <= models.load(name).PROMPTS:
        raise UserError(f"--cascade {name}: it takes no points, boxes and masks; give a model that does, such as sam2")
    if request.generator is not None:
        raise UserError(f"--cascade {name}: automatic masks have no probability maps to refine; leave it out")


def _checkpoint(name: str, run: dict) -> str:
    """The folder in data/checkpoints that a run was trained from, whatever its name is now; else that of the model.

    `official` where the model has no folder there.
    """
    for sums in sorted(CHECKPOINTS.glob(f"*/{weights.SUMS}")) if run else []:
        if weights.digest(sums.parent) == run["checkpoint"]:
            return sums.parent.as_posix()
    folder = (CHECKPOINTS / name).as_posix()
    return folder if run or api.is_checkpoint(folder) else "official"


def _load_checkpoint(name: str, source: str, classes: int, fetch: bool = True) -> Segmenter:
    """Load released weights; a note on stderr says where a checkpoint is the tiny one.

    Args:
        name: of the model.
        source: as in `Selection`.
        classes: number of classes, for models with an output for each.
        fetch: whether weights may be other than a checkpoint of the pipeline.
    """
    if not fetch and not api.is_checkpoint(source):
        raise UserError(f"{source}: no checkpoint there; `dvc repro checkpoint@{name}` makes {CHECKPOINTS / name}")
    segmenter = api.load_segmenter(name, source, classes)
    if api.is_checkpoint(source) and _is_tiny(segmenter):
        print(
            f"note: {source} is the tiny stand-in for {name}, whose masks mean little; for the released weights set "
            f"models.{name}.source: official in params.yaml, then `dvc repro checkpoint@{name}`",
            file=sys.stderr,
        )
    return segmenter


def _is_tiny(segmenter: Segmenter) -> bool:
    """Whether its tensors are those of the built-in network, up to a last layer that depends on the classes."""
    tiny, own = models.load(segmenter.NAME).create("tiny", 0).state_dict(), segmenter.state_dict()
    same = sum(name in own and own[name].shape == tensor.shape for name, tensor in tiny.items())
    return tiny.keys() == own.keys() and same >= len(tiny) - 2
