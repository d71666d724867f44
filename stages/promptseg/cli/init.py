"""`promptseg init`: look at a folder, say what was seen, and write a small study of it."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer
import yaml

from promptseg import studies
from promptseg.cli.prompt_options import parse_classes
from promptseg.cli.raw_folders import RAW, check_name, download_name
from promptseg.core import files, settings, study
from promptseg.core.errors import UserError
from promptseg.core.params import PATH
from promptseg.inspection import choose, describe, evidence, look, tiling, timing, write
from promptseg.inspection.description import Description
from promptseg.inspection.look import Findings

METRICS = Path("metrics")


@dataclass(frozen=True)
class Options:
    """What the user states beforehand.

    Attributes:
        interactive: what is not stated is asked for; otherwise the defaults are taken.
        group: regular expression for the groups.
        classes: names, with commas.
        text: text prompts, several with | between them; with several classes, a phrase for each with commas.
        models: further ones beside those of every study, with commas.
        weights: NAME=PATH, of `timing.parse`.
        hours: that the study may take.
        thorough: add searches, curves over clicks and loose boxes, and repetitions with other seeds.
        good_enough: score from which on a run is good enough.
        force: overwrite edits of params.yaml that are in no commit.
    """

    interactive: bool
    group: str | None = None
    classes: str | None = None
    text: Sequence[str] = ()
    models: str = ""
    weights: Sequence[str] = ()
    hours: float = 1.0
    thorough: bool = False
    good_enough: float = 0.8
    force: bool = False


def init(folder: Path, options: Options) -> None:
    """Look at a folder and replace params.yaml by a study of it.

    Args:
        folder: of images and masks.
        options: of the user.

    Raises:
        UserError: the folder is not understood, an option does not fit, or params.yaml has edits that are in no commit.
    """
    raw = _raw(folder)
    _check_project(options.force)
    stated = timing.parse(options.models, options.weights)
    description = describe.describe(Path(raw), parse_classes(options.classes) if options.classes else [])
    print(raw)
    _print(evidence.of_description(description))
    description = _grouped(_named(description, options), options)
    findings = look.examine(description, raw)
    _print(evidence.of_findings(findings))
    if not findings.samples["test"]:
        raise UserError(
            f"{raw}: all {findings.total:,} images are one group: none are left for the test; state others by --group"
        )
    description, phrases = findings.description, _phrases(findings, options)
    cut = tiling.decide(findings)
    print(f"  {'tiles':<10}{cut.why}")
    print("models", flush=True)
    models = timing.survey(_image(findings, cut.tile), stated, findings.words[0])
    width = max(10, 2 + max(map(len, models.weights)))
    for name, found in models.weights.items():
        print(f"  {name:<{width}}{found.words}")
    for name, speed in models.speeds.items():
        assumed = " (assumed: not here to be timed)" if name in models.assumed else ""
        print(f"  {name:<{width}}an image: {speed.describe()}{assumed}")
    plan = choose.plan(findings, phrases, models.speeds, options.hours, options.thorough, models.added)
    _print_plan(plan, options.hours)
    text = write.study_text(raw, description.name, description.entry, plan, models.weights, options.good_enough)
    _replace(text, options.force)
    used = {run.entry["model"] for run in plan.runs}
    tiny = [name for name, found in models.weights.items() if found.tiny and name in used]
    if tiny:
        print(
            f"note: no released weights of {' and '.join(tiny)} are at hand, so their scores mean little: give "
            f"--weights {tiny[0]}=FOLDER, or run this again where the hub can be reached"
        )
    print(f"{PATH} is written: next `dvc repro`, then `promptseg verdict`")


def restore(name: str, force: bool) -> None:
    """Replace params.yaml by a shipped study. Raises UserError where it is unknown, or edits would be lost."""
    text = studies.text(name)
    _check_project(force)
    _replace(text, force)
    print(f"{PATH} holds the study {name}")


def check_interactive(yes: bool) -> None:
    """Raise UserError where nobody can answer and `--yes` was not given."""
    if not yes and not sys.stdin.isatty():
        raise UserError("init asks questions, and the standard input is no terminal: give --yes to take the defaults")


def _check_project(force: bool) -> None:
    if not Path("dvc.yaml").is_file():
        raise UserError("dvc.yaml: not found; run this in the project's folder")
    write.check_replaceable(PATH, force)


def _raw(folder: Path) -> str:
    """The folder as params.yaml names it. Raises UserError for a name that commands cannot have, and for data/raw."""
    raw = folder.expanduser().as_posix()
    check_name(raw, repr(raw))
    if download_name(raw) is not None:
        raise UserError(f"{raw}: {RAW} is filled by the section download of params.yaml; give a folder of your own")
    return raw


def _named(description: Description, options: Options) -> Description:
    """Ask which classes the study is about, or what its only one is called."""
    if options.classes is not None or not options.interactive:
        return description
    if len(description.classes) == 1:
        if description.named:
            return description
        (name,) = _names(typer.prompt("What are the objects called?", default=description.classes[0]), 1)
        return _renamed(description, {description.classes[0]: name})
    if not description.named:
        given = typer.prompt("The names of the classes, with commas", default=",".join(description.classes))
        return _renamed(
            description, dict(zip(description.classes, _names(given, len(description.classes)), strict=True))
        )
    chosen = description.entry.get("classes") or description.classes
    given = _names(typer.prompt("Which classes, with commas?", default=",".join(chosen)), None)
    unknown = [name for name in given if name not in description.classes and name not in chosen]
    if unknown:
        raise UserError(f"{unknown[0]!r} is not among the classes: {', '.join(description.classes)}")
    return description if given == list(chosen) else replace(description, entry={**description.entry, "classes": given})


def _names(text: str, count: int | None) -> list[str]:
    names = parse_classes(text)
    if count is not None and len(names) != count:
        raise UserError(f"--classes: {count} name{'s are' if count > 1 else ' is'} expected, got {len(names)}")
    return names


def _renamed(description: Description, names: dict[str, str]) -> Description:
    """The same classes with other names."""
    given = description.entry["options"]["classes"]
    if isinstance(given, dict):
        renamed: object = {names[name]: value for name, value in given.items()}
    else:
        renamed = [names[name] for name in given]
    return replace(description.with_options(classes=renamed), classes=tuple(names.values()), named=True)


def _grouped(description: Description, options: Options) -> Description:
    """Ask whether the groups that names suggest are right."""
    if description.entry["reader"] != "folder":
        if options.group is not None:
            raise UserError(f"--group: the reader {description.entry['reader']} has groups of its own; leave it out")
        return description
    found = description.groups
    if options.group is not None:
        kept = {key: value for key, value in description.entry["options"].items() if key != "block"}
        return replace(description, entry={**description.entry, "options": {**kept, "group": options.group}})
    if found is None:
        return description
    if options.interactive:
        question = "Images of one group are never split between training and test. The pattern, or none"
        given = typer.prompt(question, default=found.pattern)
        return description if given == "none" else description.with_options(group=given)
    return description.with_options(group=found.pattern)


def _phrases(findings: Findings, options: Options) -> list[list[str]]:
    """Text prompts beside the names of the classes, each with a phrase for each class."""
    given = [_phrase(each, findings) for text in options.text for each in text.split("|")]
    if not given and options.interactive:
        default = ",".join(findings.words)
        said = typer.prompt(
            "Words for the text prompt" + (", with commas" if len(findings.words) > 1 else "") + "; others after |",
            default=default,
        )
        given = [] if said == default else [_phrase(each, findings) for each in said.split("|")]
    if len(findings.classes) == 1:
        given += [[phrase] for phrase in findings.description.phrases[:2]]
    return [list(each) for each in dict.fromkeys(map(tuple, given)) if each != findings.words]


def _phrase(text: str, findings: Findings) -> list[str]:
    count = len(findings.classes)
    phrase = [text.strip()] if count == 1 else [each.strip() for each in text.split(",")]
    if len(phrase) != count or not all(phrase):
        raise UserError(f"--text {text!r}: a phrase for each of {count} classes is expected, with commas")
    return phrase


def _image(findings: Findings, tile: int | None):
    """An image of the size that models will get."""
    import numpy as np

    height, width = findings.sides[1]
    side = (min(tile, height), min(tile, width)) if tile else (height, width)
    return np.random.default_rng(0).integers(0, 256, (*side, 3), dtype=np.uint8)


def _print_plan(plan: choose.Plan, hours: float) -> None:
    print(f"runs, {write.duration(plan.seconds)} together of the {hours:g} h that --hours allows")
    _print(write.forecast(plan.runs))
    if plan.max_images is not None:
        print(f"  of each split {plan.max_images} records, evenly spaced: all of them would take too long")
    if plan.left_out:
        print(f"left out, {write.duration(sum(run.seconds for run in plan.left_out))} more")
        _print(write.forecast(plan.left_out))


def _replace(text: str, force: bool) -> None:
    """Check the study and write it, and say what is left of others."""
    runs = settings.validate(study.Study, yaml.load(text, yaml.CSafeLoader), str(PATH)).runs
    write.check_replaceable(PATH, force)
    files.write_text(PATH, text)
    if others := [path.stem for path in METRICS.glob("*.json") if path.stem not in runs]:
        print(
            f"note: {METRICS}/, plots/ and data/ keep the results of other studies ({len(others):,} runs), in case "
            "these come back; dvc metrics show, the verdict and the report show the runs of params.yaml alone"
        )


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
