"""The model that a person chose on the command line, loaded, with the names of the classes that it is to find."""

import sys
from dataclasses import dataclass
from pathlib import Path

from promptseg import models
from promptseg.cli import check
from promptseg.cli.prompt_options import Question
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Segmenter

CHECKPOINTS = Path("data/checkpoints")


@dataclass(frozen=True)
class Chosen:
    """A loaded model, what it is asked, the names of 1, 2, ... in its masks, and the folders that it came from."""

    segmenter: Segmenter
    question: Question
    classes: list[str]
    checkpoint: Path
    trained: Path | None


def choose(
    question: Question, name: str | None, trained: Path | None, checkpoint: Path | None, classes: list[str]
) -> Chosen:
    """Load a model. name: its own, or None where `trained`, a fine-tuned run's folder, says it; checkpoint: the folder
    of the weights below, or None for the one in data/checkpoints that the run names, or the model's; classes: names.

    Raises UserError for what does not go together, before anything large is read, and for what is not there.
    """
    run = _run(trained) if trained else {}
    name = _model(name, trained, run)
    kind = check.segmenter_class(name)
    if kind.MODALITY != "picture":
        raise UserError(f"{name} takes {kind.MODALITY}s, and what is segmented here are pictures; give another --model")
    question = _question(question, classes, kind, run)
    question.check(name, kind.PROMPTS)
    classes = _classes(question, classes, name, run)
    folder = checkpoint or _checkpoint(name, run)
    if not (folder / weights.SUMS).is_file():
        fetch = f"`dvc repro checkpoint@{name}` brings it to {CHECKPOINTS / name}"
        raise UserError(f"{folder}: no checkpoint there; {fetch}, or give another folder as --checkpoint")
    of = weights.read(folder)[0].get("model")
    if of != name:
        raise UserError(f"{folder}: a checkpoint of {of}, not of {name}; give another folder as --checkpoint")
    segmenter = models.load(name).load(folder, len(classes))
    if trained:
        finetuned_weights.apply(segmenter, weights.digest(folder), trained)
    if _is_tiny(segmenter):
        print(
            f"note: {folder} is the tiny stand-in for {name}, to try things with: its masks mean little; for the "
            f"released weights set models.{name}.source: official in params.yaml, then `dvc repro checkpoint@{name}`",
            file=sys.stderr,
        )
    return Chosen(segmenter.to(Processes().device), question, classes, folder, trained)


def _run(trained: Path) -> dict:
    """The configuration of a fine-tuned run."""
    if not (trained / weights.SUMS).is_file():
        raise UserError(f"{trained}: no fine-tuned run there; `dvc repro finetune@{trained.name}` would make it")
    config = weights.read(trained)[0]
    if "learned" not in config:
        raise UserError(f"{trained}: a checkpoint, and no fine-tuned run; give it as --checkpoint")
    return config


def _model(name: str | None, trained: Path | None, run: dict) -> str:
    if name is None and trained is None:
        raise UserError(f"give --model ({', '.join(models.names())}), or --weights with a fine-tuned run's folder")
    if name and run and name != run["model"]:
        raise UserError(f"--model {name}: {trained} is a run of {run['model']}; leave --model out")
    return name or run["model"]


def _question(question: Question, classes: list[str], kind: type[Segmenter], run: dict) -> Question:
    """The question; a model that takes words and is given none is asked by the classes' names, or as it was trained."""
    if question.kind != "none" or "none" in kind.PROMPTS or "text" not in kind.PROMPTS:
        return question
    learned = run.get("train", {}).get("prompt", {}).get("text")
    return Question(texts=tuple(classes or (learned if isinstance(learned, list) else run.get("classes", []))))


def _classes(question: Question, classes: list[str], name: str, run: dict) -> list[str]:
    """The names of what is to be found."""
    known = run.get("classes", [])
    if question.texts:
        wanted, found = len(question.texts), classes or list(question.texts)
    elif question.kind == "none":
        wanted, found = len(known) or len(classes), classes or known
    else:
        wanted, found = 1, classes or (known if len(known) == 1 else ["object"])
    if not found:
        raise UserError(f"{name}: which classes? give --weights with a run that `dvc repro` trained anew, or --classes")
    if len(found) != wanted:
        raise UserError(f"--classes names {len(found)}, but {wanted} {'is' if wanted == 1 else 'are'} asked for")
    return found


def _checkpoint(name: str, run: dict) -> Path:
    """The folder in data/checkpoints that a run was trained from, whatever it is called now; else the model's own."""
    for sums in sorted(CHECKPOINTS.glob(f"*/{weights.SUMS}")) if run else []:
        if weights.digest(sums.parent) == run["checkpoint"]:
            return sums.parent
    return CHECKPOINTS / name


def _is_tiny(segmenter: Segmenter) -> bool:
    """Whether its tensors are those of the built-in network, up to a last layer that follows the classes."""
    tiny, own = models.load(segmenter.NAME).create("tiny", 0).state_dict(), segmenter.state_dict()
    same = sum(name in own and own[name].shape == tensor.shape for name, tensor in tiny.items())
    return tiny.keys() == own.keys() and same >= len(tiny) - 2
