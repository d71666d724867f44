"""`promptseg reproduce`: run what published figures need, and say which are reached."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from promptseg.cli import repro
from promptseg.core import study
from promptseg.core.study import Study
from promptseg.data import records
from promptseg.evaluation import score_table, targets
from promptseg.evaluation.conventions import CONVENTIONS
from promptseg.evaluation.scored_images import ScoredImage, ScoredImages
from promptseg.evaluation.targets import Target

PREPARED, PREDICTIONS, SCORES = Path("data/prepared"), Path("data/predictions"), Path("data/scores")
SECTIONS = {"zero_shot": "zero_shot", "searched": "searched", "cascade": "cascade", "finetune": "finetuned"}
State = Literal["pass", "fail", "rehearsed", "ready", "untestable"]


@dataclass(frozen=True)
class Result:
    """What became of a target.

    Attributes:
        target: its name.
        state: whether the figure is reached, and where nothing was run, whether it could be.
        figure: that was published.
        value: that was measured; None: nothing was.
        reason: by how much it fails, or why it was not tested.
        paper: where the figure stands.
    """

    target: str
    state: State
    figure: float
    value: float | None
    reason: str
    paper: str


def states(path: Path, names: list[str]) -> list[Result]:
    """Say of each target whether it could be tested here, without running anything.

    Raises:
        UserError: params.yaml or the file of targets is wrong, or a name is unknown.
    """
    settings = study.load()
    chosen = targets.choose(targets.load(path), names)
    return [_state(name, target, settings, rehearse=False) for name, target in chosen.items()]


def reproduce(path: Path, names: list[str], rehearse: bool, jobs: int) -> list[Result]:
    """Run what the targets need and compare.

    Args:
        path: of the file of targets.
        names: of targets; empty: all.
        rehearse: run every step at the scale that params.yaml has, and compare with no figure.
        jobs: number of processes at a time.

    Returns:
        A result for each target; none stops the others.

    Raises:
        UserError: params.yaml or the file of targets is wrong, a name is unknown, or a stage fails.
    """
    settings = study.load()
    chosen = targets.choose(targets.load(path), names)
    results = {name: _state(name, target, settings, rehearse) for name, target in chosen.items()}
    ready = {name: chosen[name] for name, result in results.items() if result.state == "ready"}
    if ready:
        repro.reproduce(jobs, sorted({_stage(str(target.run), settings) for target in ready.values()}))
    for name, target in ready.items():
        results[name] = _measured(name, target, rehearse)
    return list(results.values())


def text(results: list[Result]) -> str:
    """A line for each result, and why."""
    width = max((len(result.target) for result in results), default=0)
    lines = []
    for result in results:
        value = "" if result.value is None else f"{result.value:.3f}, "
        lines.append(
            f"{result.target:<{width}}  {result.state:<10}  {value}published {result.figure:g}: {result.reason}"
        )
    return "\n".join(lines)


def as_json(results: list[Result]) -> str:
    """All results as JSON, for other programs."""
    entries: list[dict[str, Any]] = [asdict(result) for result in results]
    return json.dumps(entries, indent=2, allow_nan=False)


def _state(name: str, target: Target, settings: Study, rehearse: bool) -> Result:
    reason = target.untestable or target.difference_to(settings, rehearse)
    return Result(name, "untestable" if reason else "ready", target.figure, None, reason or target.paper, target.paper)


def _stage(run: str, settings: Study) -> str:
    section = next(section for section in SECTIONS if run in getattr(settings, section))
    return f"evaluate_{SECTIONS[section]}@{run}"


def _measured(name: str, target: Target, rehearse: bool) -> Result:
    value, images = _measure(target)
    if rehearse:
        return Result(
            name, "rehearsed", target.figure, value, f"{images} images, every step but the figure", target.paper
        )
    if images != target.images:
        reason = f"{images} images with ground truth in place of {target.images}"
        return Result(name, "fail", target.figure, value, reason, target.paper)
    apart = abs(value - target.figure)
    passed = apart <= float(target.tolerance or 0)
    reason = f"{apart:.3f} apart, {'within' if passed else 'more than'} {target.tolerance:g} ({target.why})"
    return Result(name, "pass" if passed else "fail", target.figure, value, reason, target.paper)


def _measure(target: Target) -> tuple[float, int]:
    """The value of the metric, and the number of images that it is of."""
    path = SCORES / f"{target.run}.parquet"
    summary, metric = score_table.read_summary(path), str(target.metric)
    if metric not in CONVENTIONS:
        return float(summary[metric]), int(summary["images"])
    split = records.open_split(PREPARED / str(target.dataset) / "test.parquet", ("image",))
    predictions = records.open_predictions(PREDICTIONS / f"{target.run}.parquet")
    images = _with_ground_truth(ScoredImages(split, predictions))
    return CONVENTIONS[metric](images, target.threshold), int(summary["images"])


def _with_ground_truth(images: ScoredImages) -> Iterator[ScoredImage]:
    return (image for image in images if ((image.target > 0) & (image.target < 255)).any())
