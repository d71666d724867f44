"""The text of params.yaml for a planned study, and whether the one that is there may be replaced."""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from promptseg import studies
from promptseg.core.errors import UserError
from promptseg.inspection.choose import Plan, PlannedRun
from promptseg.inspection.timing import Weights

_SEAL = "# As `promptseg init` wrote it: "  # then a digest of what is above
_DIGITS = 16
_SECTIONS = {
    "zero_shot": "No training. Points and boxes come from the ground truth, as if somebody gave them.",
    "search": "Prompts that are tried on the validation images.",
    "searched": "Runs with the best prompt of a search.",
    "cascade": "The masks of another run become the prompts of SAM 2.",
    "finetune": "Fine-tuned on the training images, validated on others, tested on the rest.",
}


def study_text(raw: str, name: str, entry: dict[str, Any], plan: Plan, weights: dict[str, Weights], good: float) -> str:
    """Write a study as the text of params.yaml; equal plans give equal texts.

    Args:
        raw: folder of the images.
        name: of the dataset.
        entry: keys of the dataset, without `raw`.
        plan: the runs.
        weights: of the models that have any.
        good: score from which on a run is good enough.
    """
    lines = [
        f"# Which model, prompted how, is good enough on {raw}, and is fine-tuning worth it?",
        "#   dvc repro           run all of this",
        "#   promptseg verdict   the answer in words; plots/report.html begins with the same",
        "# Add a run: copy a line and change it (docs/own-data.md, docs/command-line.md). Back to the study that is",
        "# shipped: promptseg init --study default",
        "",
        "seed: 0",
        f"good_enough: {good:g}  # score from which on the verdict says: good enough",
        "",
        "scale:",
        "  data: official",
        "  checkpoints: official",
        "  max_epochs: null",
        f"  max_images: {plan.max_images or 'null'}  # of each split, evenly spaced; null: all",
        "",
        "download: {}",
        "",
        "datasets:",
        f"  {name}:",
        f"    raw: {_flow(raw)}  # watched, never copied or changed",
        *_entry(entry, plan),
        "",
        "models:",
        *_models(plan, weights),
    ]
    for section, comment in _SECTIONS.items():
        runs = [run for run in plan.runs if run.section == section]
        lines += ["", f"# {comment}" if runs else "", f"{section}:" if runs else f"{section}: {{}}"]
        for run in runs:
            lines += [f"  # {run.comment}", f"  {run.name}: {_flow(run.entry)}"]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n\n"
    return f"{text}{_SEAL}{_digest(text)}\n"


def _entry(entry: dict[str, Any], plan: Plan) -> Iterator[str]:
    for key, value in entry.items():
        if key == "options":
            yield "    options:"
            yield from (f"      {option}: {_flow(each)}" for option, each in value.items())
        else:
            yield f"    {key}: {_flow(value)}"
    if plan.tiling.tile is not None and "tile" not in entry:
        yield f"    tile: {plan.tiling.tile}  # {plan.tiling.why.partition(': ')[2]}"
        yield f"    overlap: {plan.tiling.tile // 4}"


def _models(plan: Plan, weights: dict[str, Weights]) -> Iterator[str]:
    used = {run.entry["model"]: None for run in plan.runs}
    for name in used:
        found = weights.get(name)
        if found is None:
            yield f"  {name}: {{source: null}}"
        elif found.source == "official":
            yield f"  {name}: {{source: null}}  # {found.words}"
        else:
            yield f"  {name}: {_flow({'source': found.source})}" + ("  # not here: built in" if found.tiny else "")


class _Dumper(yaml.SafeDumper):
    """Writes a value again where it is used again, without an anchor."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.dump(value, None, _Dumper, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def is_own(text: str) -> bool:
    """Whether a study is one that `promptseg init` wrote and nobody edited."""
    body, seal, digest = text.rpartition(_SEAL)
    return bool(seal) and digest.strip() == _digest(body)


def check_replaceable(path: Path, force: bool) -> None:
    """Raise UserError where params.yaml has edits that are in no commit, unless these may be lost.

    Args:
        path: params.yaml.
        force: overwrite it whatever it holds.
    """
    if force or not path.exists():
        return
    content = path.read_bytes()
    text = content.decode("utf-8", "replace")
    if is_own(text) or any(text == studies.text(name) for name in studies.names()):
        return
    shown = subprocess.run(["git", "show", f"HEAD:./{path.name}"], cwd=path.absolute().parent, capture_output=True)
    if shown.returncode or shown.stdout != content:
        raise UserError(
            f"{path}: it has edits that are in no commit; commit them first, or overwrite them with --force"
        )


def forecast(runs: tuple[PlannedRun, ...]) -> Iterator[str]:
    """Yield a line for each run and what it takes."""
    width = max((len(run.name) for run in runs), default=0)
    yield from (f"  {run.name.ljust(width)}  {duration(run.seconds):>8}  {run.comment}" for run in runs)


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 1:
        return "< 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
