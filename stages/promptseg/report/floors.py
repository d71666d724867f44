"""Floors: for each run what a trivial model reaches on the same dataset, with the same box or without a prompt."""

from promptseg.core.runs import Cascade, Run
from promptseg.core.study import Study

# The models of promptseg.nn.trivial, by name, as this module does not import torch.
TRIVIAL = frozenset({"filled_box", "nothing", "random_mask", "whole_image"})


def add_floors(study: Study, rows: list[dict]) -> None:
    """Set `floor`, the headline of a run's floor, and `below_floor`, in the rows of the leaderboard.

    The floor of a run that is prompted by boxes, with or without points, is the filled box of the same settings; that
    of any other run, cascades among them, is the best trivial run of its dataset that is not prompted. Both are None
    for a trivial run, and where params.yaml has no such floor.

    Args:
        study: params.yaml.
        rows: with `run` and `headline`.
    """
    headlines = {row["run"]: row["headline"] for row in rows}
    for row in rows:
        floor = max((headlines[name] for name in _floors(row["run"], study)), default=None)
        row |= {"floor": floor, "below_floor": None if floor is None else row["headline"] < floor}


def _floors(name: str, study: Study) -> list[str]:
    """The runs that may be the floor of this one."""
    run = study.run(name)
    if run.model in TRIVIAL:
        return []
    trivial = {
        key: other for key, other in study.runs.items()
        if isinstance(other, Run) and other.model in TRIVIAL and other.dataset == run.dataset
    }  # fmt: skip
    box = _box(run)
    return [key for key, other in trivial.items() if _box(other) == box]


def _box(run: Run | Cascade) -> tuple[float, str] | None:
    """Settings of the boxes from the ground truth that prompt a run; None where none do."""
    if isinstance(run, Cascade) or not run.prompt.box:
        return None
    return run.prompt.first.jitter, run.prompt.per
