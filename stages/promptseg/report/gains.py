"""Gains of fine-tuning: each fine-tuned run against the same model with the same prompt on the same images before."""

from collections.abc import Hashable
from pathlib import Path

from promptseg.core.runs import FineTune
from promptseg.core.study import Study
from promptseg.report import tables
from promptseg.report.paired import CLOUDS, compare

COLUMNS = (
    "dataset", "model", "prompt", "before", "after", "headline_before", "headline_after", "gain", "gain_ci_low",
    "gain_ci_high", "groups",
)  # fmt: skip


def gains(study: Study, rows: list[dict], scores: Path) -> list[dict]:
    """Compare fine-tuned runs with their baselines (`baseline`).

    Fine-tuned runs without a baseline are left out. Those that are one and the same training, as runs of 20
    and of 50 epochs are where `scale.max_epochs` is 3, are one row.

    Args:
        study: params.yaml.
        rows: of `leaderboard.leaderboard`.
        scores: folder of the tables of scores, <run>.parquet.

    Returns:
        Rows with the keys of COLUMNS in the order of the leaderboard: dataset, model, prompt, `before` (name of the
        baseline), `after` (names of the fine-tuned ones), the headlines `headline_before` and `headline_after`,
        `gain`, their difference, with the ends of its 95 % interval, paired by image, or None with fewer than 5 groups,
        and the number of groups.

    Raises:
        UserError: the table of a run is missing or damaged.
    """
    by_name = {row["run"]: row for row in rows}
    found: dict[Hashable, dict] = {}
    for row in rows:
        run = study.run(row["run"])
        start_name = baseline(study, row["run"])
        if not isinstance(run, FineTune) or start_name is None or row["metric"] in CLOUDS:
            continue
        key = start_name, _test(run), _training(run, study.scale.max_epochs)
        if key in found:
            found[key]["after"].append(row["run"])
            continue
        start = by_name[start_name]
        ends = compare(scores / f"{start['run']}.parquet", scores / f"{row['run']}.parquet").overall.interval
        found[key] = {name: row[name] for name in ("dataset", "model", "prompt")} | {
            "before": start["run"],
            "after": [row["run"]],
            "headline_before": start["headline"],
            "headline_after": row["headline"],
            "gain": row["headline"] - start["headline"],
            "gain_ci_low": ends[0] if ends else None,
            "gain_ci_high": ends[1] if ends else None,
            "groups": row["groups"],
        }
    return list(found.values())


def baseline(study: Study, name: str) -> str | None:
    """Find the run that a fine-tuned run is compared with.

    Args:
        study: params.yaml.
        name: of a run.

    Returns:
        The run that its `baseline` names, or else the zero-shot run with the same dataset, model and prompt of the
        test, the last of several; None where there is no such run, or the run is not fine-tuned.
    """
    run = study.run(name)
    if not isinstance(run, FineTune):
        return None
    untrained = {**study.searched, **study.zero_shot}
    same = [key for key, other in untrained.items() if _test(other) == _test(run)]
    return run.baseline or (same[-1] if same else None)


def write_gains(pairs: list[dict], path: Path) -> None:
    """Write the rows as CSV: scores with 4 decimals, the names of runs that are one training with a space between."""
    texts = [
        {key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()} for row in pairs
    ]
    tables.write_rows(path, COLUMNS, [row | {"after": " ".join(row["after"])} for row in texts])


def _test(run) -> tuple[str, str, str]:
    """What is the same before and after training."""
    return run.dataset, run.model, run.prompt.model_dump_json(exclude={"seeds"})


def _training(run: FineTune, max_epochs: int | None) -> str:
    """The training as it is run, which `max_epochs` cuts short."""
    train = run.train
    epochs, pretext = (min(count, max_epochs or count) for count in (train.epochs, train.pretext_epochs))
    patience = train.patience if train.patience and train.patience < epochs else None
    return train.model_copy(
        update={"epochs": epochs, "pretext_epochs": pretext, "patience": patience}
    ).model_dump_json()
