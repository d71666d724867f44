"""The verdict on a dataset: which run is good enough, and whether fine-tuning was worth it."""

from dataclasses import dataclass, field
from pathlib import Path

from promptseg.core import files
from promptseg.report import verdict_text
from promptseg.report.verdict_facts import Facts

DIGITS = 6  # after the decimal point


@dataclass(frozen=True)
class Verdict:
    """What is said of a dataset.

    Attributes:
        dataset: its name.
        sentences: over all classes.
        by_class: the sentences of each class, by its name; empty with one class.
        worse: ids of the images where fine-tuning hurt most, the worst first.
        runs: names of the runs that the sentences speak of.
    """

    dataset: str
    sentences: tuple[str, ...]
    by_class: dict[str, tuple[str, ...]] = field(default_factory=dict)
    worse: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


def verdicts(facts: list[Facts]) -> list[Verdict]:
    """Put the facts of each dataset, of `verdict_facts.collect`, into words."""
    return [_verdict(each) for each in facts]


def write_metrics(facts: list[Facts], folder: Path) -> None:
    """Write <dataset>.json for `dvc metrics diff --targets`, which replaces the folder.

    Keys, none where there is no such run: `best_automatic` and `best_prompted`, the highest scores where nobody and
    where somebody prompts; `best_finetuned`, that of the fine-tuned run with the highest score; `gain`, what it gained
    over its baseline, `gain_ci_low`, `gain_ci_high` and `p`; `good_enough`, whether a run is.

    Args:
        facts: of each dataset.
        folder: to write.
    """
    with files.replacing(folder) as aside:
        aside.mkdir()
        for each in facts:
            files.write_json(aside / f"{each.dataset}.json", metrics(each))


def metrics(facts: Facts) -> dict[str, float | bool]:
    """Compute what `write_metrics` writes of a dataset."""
    values: dict[str, float | None] = {}
    for key, prompter in (("best_automatic", "nobody"), ("best_prompted", "somebody")):
        top = facts.best(prompter)  # type: ignore[arg-type]  # the names of ways.PROMPTERS
        values[key] = None if top is None else top.score
    gain = max(facts.gains, key=lambda gain: gain.after.score, default=None)
    if gain is not None:
        difference = gain.comparison.overall
        low, high = difference.interval or (None, None)
        values |= {"best_finetuned": gain.after.score, "gain": difference.gain, "p": difference.p}
        values |= {"gain_ci_low": low, "gain_ci_high": high}
    found = {key: round(value, DIGITS) for key, value in values.items() if value is not None}
    return found | {"good_enough": any(c.score >= facts.good_enough for c in facts.candidates)}


def _verdict(facts: Facts) -> Verdict:
    gain = max(facts.gains, key=lambda gain: gain.after.score, default=None)
    return Verdict(
        dataset=facts.dataset,
        sentences=tuple(verdict_text.overall(facts)),
        by_class={name: tuple(verdict_text.of_class(facts, name)) for name in facts.classes},
        worse=gain.comparison.overall.worst if gain is not None else (),
        runs=tuple(candidate.name for candidate in verdict_text.mentioned(facts)),
    )
