"""From what a folder holds to the runs that are worth their time on it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from promptseg.inspection import costs, tiling
from promptseg.inspection.costs import Clock, Speed
from promptseg.inspection.look import Findings
from promptseg.inspection.tiling import Tiling

if TYPE_CHECKING:
    from promptseg.nn.segmenter import Segmenter

_NAME = 41  # characters of a run's name
_IMAGES = (800, 400, 200, 100, 50, 25)  # for scale.max_images, where all of them would take too long
TEMPLATES = ["{}", "a photo of {}", "an image of {}"]  # that each wording is tried in
SEEDS, JITTER, CLICKS = [0, 1, 2], [0.0, 0.02, 0.05, 0.1, 0.2], 20  # of a thorough study
EPOCHS = {"decoder": 10, "lora": 6, "text-decoder": 10, "unet": 20}


class Added(NamedTuple):
    """What decides the runs of a further model.

    Attributes:
        prompts: kinds that it takes.
        joins_phrases: it can read those of all classes as one prompt.
        detects: it finds boxes, which alone are the prompts of a cascade.
    """

    prompts: frozenset[str]
    joins_phrases: bool = False
    detects: bool = False

    @classmethod
    def of(cls, model: "type[Segmenter]") -> "Added":
        """What a model says of itself."""
        return cls(model.PROMPTS, model.JOINS_PHRASES, model.DETECTS)


@dataclass(frozen=True)
class PlannedRun:
    """A run, or a search, that may go into the study.

    Attributes:
        name: of the run.
        section: `zero_shot`, `search`, `searched`, `cascade` or `finetune`.
        entry: in params.yaml, without the dataset.
        comment: what it is for.
        seconds: that it takes; nothing where it shares another's features.
        needs: name of the run that must be there as well.
    """

    name: str
    section: str
    entry: dict[str, Any]
    comment: str
    seconds: float = 0.0
    needs: str | None = None


@dataclass(frozen=True)
class Plan:
    """The runs of a study.

    Attributes:
        runs: in the order of their worth.
        left_out: runs for which there is no time.
        tiling: of the images.
        max_images: of each split; None: all.
    """

    runs: tuple[PlannedRun, ...]
    left_out: tuple[PlannedRun, ...]
    tiling: Tiling
    max_images: int | None = None

    @property
    def seconds(self) -> float:
        """What all runs take."""
        return sum(run.seconds for run in self.runs)


def plan(
    findings: Findings, phrases: list[list[str]], speeds: dict[str, Speed], hours: float, thorough: bool = False,
    added: Mapping[str, Added] = MappingProxyType({}),
) -> Plan:  # fmt: skip
    """Choose the runs of a study, the most valuable first, until the time is used up.

    Args:
        findings: of the folder.
        phrases: of the user or the shipped study, each a text prompt with a phrase for each class.
        speeds: of `sam2`, `clipseg` and `unet`, and of those that are added.
        hours: that the study may take.
        thorough: add what tells how much the score depends on clicks, loose boxes and chance.
        added: further models, by name.

    Returns:
        The plan. Where even the first runs take too long, it is about fewer images.
    """
    cut = tiling.decide(findings)
    largest = max(findings.samples.values())
    sizes = [None, *(most for most in _IMAGES if most < largest)]
    for most in sizes:
        runs = _runs(findings, phrases, thorough, added, Clock(speeds, costs.amount(findings, cut, most)))
        kept, left_out = _cut(runs, 3600 * hours)
        if _is_enough(kept, runs):
            break
    return Plan(tuple(kept), tuple(left_out), cut, most)


def _is_enough(kept: list[PlannedRun], runs: list[PlannedRun]) -> bool:
    """Whether all runs up to the first fine-tuned one are kept, or all zero-shot ones where none is fine-tuned."""
    tuned = [place for place, run in enumerate(runs) if run.section == "finetune"]
    wanted = runs[: tuned[0] + 1] if tuned else [run for run in runs if run.section == "zero_shot"]
    return all(run in kept for run in wanted)


def _cut(runs: list[PlannedRun], seconds: float) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """Keep runs in their order as long as the time suffices; a shorter one may follow one that is left out."""
    kept: list[PlannedRun] = []
    left_out: list[PlannedRun] = []
    for run in runs:
        fits = sum(each.seconds for each in kept) + run.seconds <= seconds
        there = run.needs is None or run.needs in {each.name for each in kept}
        (kept if fits and there else left_out).append(run)
    return kept, left_out


def _runs(
    findings: Findings, phrases: list[list[str]], thorough: bool, added: Mapping[str, Added], clock: Clock
) -> list[PlannedRun]:
    """All runs that make sense, the most valuable first."""
    name, work = findings.description.name, clock.amount
    trained, validated = findings.samples["train"] > 0, findings.samples["val"] > 0
    words = list(findings.words)
    point, box = {"points": 1, "per": "instance"}, {"box": True, "per": "instance"}
    text, prompts = {"text": words}, work.instances
    sam2, clipseg = "sam2", "clipseg"

    def zero(suffix: str, model: str, prompt: dict[str, Any], comment: str, seconds: float = 0.0) -> PlannedRun:
        return PlannedRun(_run_name(name, suffix), "zero_shot", {"model": model, "prompt": prompt}, comment, seconds)

    def tuned(
        suffix: str, model: str, prompt: dict, train: dict, comment: str, seconds: float, needs=None
    ) -> PlannedRun:
        own = {"prompt": prompt} if prompt else {}
        entry = {"model": model, "prompt": prompt, "train": {**own, **train}}
        return PlannedRun(_run_name(name, suffix), "finetune", entry, comment, seconds, needs)

    def searched(suffix: str, model: str, candidates: dict, comment: str, numbers: list[float]) -> list[PlannedRun]:
        """A search and the run that takes the winner. numbers: of prompts in an image, of each candidate."""
        search, best = _run_name(name, f"{suffix}-search"), _run_name(name, f"{suffix}-best")
        seconds = clock.encode(model, "val") + clock.search(model, sum(numbers))
        winner = {"model": model, "prompt": {"search": search}}
        return [
            PlannedRun(search, "search", {"model": model, **candidates}, f"which {comment}?", seconds),
            PlannedRun(best, "searched", winner, f"the best {comment}", clock.predict(model, max(numbers)), search),
        ]

    seeds = {"seeds": SEEDS} if thorough else {}
    repeats = len(SEEDS) if thorough else 1
    runs = [
        zero("whole", "whole_image", {}, "floor: the whole image"),
        zero("filled-box", "filled_box", box, "floor: the box itself, filled"),
        zero("random", "random_mask", {}, "floor: a random mask of the same share"),
        zero("box", sam2, box, "a box around each object", clock.encode(sam2, "test") + clock.predict(sam2, prompts)),
        zero("point", sam2, {**point, **seeds}, "a click on each object", repeats * clock.predict(sam2, prompts)),
        zero("text", clipseg, text, "words", clock.encode(clipseg, "test") + clock.predict(clipseg, work.classes)),
    ]
    decoder: dict[str, Any] = {"epochs": EPOCHS["decoder"], "loss": "dice_bce"}
    repeated = {**decoder, **seeds}
    fraction = {"0.5": "half", "0.25": "quarter"}
    if trained:
        once = clock.train(sam2, decoder["epochs"], prompts) + clock.predict(sam2, prompts)
        seconds = clock.encode(sam2, "train", "val") + repeats * once
        runs.append(
            tuned("decoder", sam2, point, repeated, "SAM 2's decoder, fine-tuned with a click an object", seconds)
        )

    def refined(suffix: str, source: str, detects: bool = False) -> PlannedRun:
        """The masks, or the boxes, of another run as prompts of SAM 2."""
        run, comment = _run_name(name, source), f"words, whose {'boxes' if detects else 'masks'} SAM 2 refines"
        entry = {"from": run, "model": sam2} | ({"prompt": {"by": "box"}} if detects else {})
        return PlannedRun(_run_name(name, suffix), "cascade", entry, comment, clock.predict(sam2, prompts), run)

    runs.append(refined("text-sam2", "text"))
    shots = {number: {"support": {"from": "train", "shots": number}} for number in (1, 5)}
    # Kind of prompt, name of the run, prompt, what for, and how many an image.
    offered: list[tuple[str, str, dict[str, Any], str, float]] = [
        ("box", "box", box, "a box around each object", prompts),
        ("points", "point", point, "a click on each object", prompts),
        ("text", "text", text, "words", work.classes),
        ("support", "shots-1", shots[1], "an image with its mask in place of words", work.classes),
        ("support", "shots-5", shots[5], "five such images", 5 * work.classes),
    ]
    for model, takes in added.items():
        for kind, suffix, prompt, comment, number in offered:
            if kind not in takes.prompts or (kind == "support" and not trained):
                continue
            if kind == "text" and takes.joins_phrases and len(words) > 1:
                prompt, comment, number = prompt | {"together": True}, "the words of all classes at once", 1
            seconds = clock.encode(model, "test") + clock.predict(model, number)
            runs.append(zero(f"{suffix}-{model}", model, prompt, f"{model}: {comment}", seconds))
            if kind == "text":
                runs.append(refined(f"{model}-sam2", f"text-{model}", takes.detects))
    if validated:
        wordings = words if len(words) > 1 else words[0]
        others = [phrase if len(phrase) > 1 else phrase[0] for phrase in phrases]
        tried = {"phrases": [wordings, *others], "templates": TEMPLATES}
        numbers = [float(work.classes)] * len(TEMPLATES) * (1 + len(others))
        runs += searched("text", clipseg, tried, "words", numbers)
    for phrase in [] if validated else phrases:
        seconds = clock.predict(clipseg, work.classes)
        runs.append(zero(f"text-{_slug(phrase[0])}", clipseg, {"text": phrase}, "other words", seconds))
    if trained:
        seconds = clock.predict(clipseg, work.classes)
        runs.append(zero("shots-1", clipseg, shots[1], "an image with its mask in place of words", seconds))
        for share, suffix in fraction.items():
            fewer, more = (math.ceil(times * float(share) * findings.train_groups) for times in (1, 2))
            if fewer == more:  # shares of so few groups are the same
                continue
            part = {**decoder, "train_fraction": float(share)}
            seconds = clock.train(sam2, decoder["epochs"], prompts, float(share)) + clock.predict(sam2, prompts)
            comment = f"with {100 * float(share):.0f} % of the training images: would more labels help?"
            runs.append(tuned(f"decoder-{suffix}", sam2, point, part, comment, seconds, _run_name(name, "decoder")))
        unet = {"epochs": EPOCHS["unet"]}
        seconds = clock.train("unet", unet["epochs"], 1) + clock.predict("unet", 1)
        runs.append(tuned("unet", "unet", {}, unet, "a U-Net, trained from the start: no prompt at all", seconds))
        seconds = clock.encode(clipseg, "train", "val") + clock.predict(clipseg, work.classes)
        tune = {"epochs": EPOCHS["text-decoder"]}
        seconds += clock.train(clipseg, tune["epochs"], work.classes)
        runs.append(tuned("text-decoder", clipseg, text, tune, "CLIPSeg's decoder, fine-tuned on the words", seconds))
        runs.append(zero("shots-5", clipseg, shots[5], "five such images", clock.predict(clipseg, work.classes)))
        lora: dict[str, Any] = {"epochs": EPOCHS["lora"], "trainable": ["lora"], "loss": "dice_bce"}
        seconds = clock.train_encoder(sam2, lora["epochs"], prompts) + clock.predict(sam2, prompts)
        runs.append(tuned("lora", sam2, point, lora, "adapters in SAM 2's encoder (LoRA)", seconds))
    if thorough and validated:
        points = [{**point, "points": number} for number in (1, 2, 3, 5)]
        runs += searched("points", sam2, {"candidates": points}, "number of clicks", [prompts] * len(points))
    if thorough:
        seconds = clock.predict(sam2, len(JITTER) * prompts)
        runs.append(zero("box-jitter", sam2, {**box, "jitter": JITTER}, "looser and looser boxes", seconds))
        seconds, clicks = clock.predict(sam2, CLICKS * prompts), {"clicks": CLICKS, "per": "instance"}
        runs.append(zero("clicks", sam2, clicks, "a click on the largest error, again and again", seconds))
    return [replace(run, entry={"dataset": name, **run.entry}) for run in runs]


def _run_name(dataset: str, suffix: str) -> str:
    return f"{dataset}-{suffix}"[:_NAME].rstrip("-")


def _slug(phrase: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", phrase.lower()).strip("-") or "words"
