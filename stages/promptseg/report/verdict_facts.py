"""What the verdict on a dataset rests on: its runs, the best of each kind, and what fine-tuning gained."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from promptseg.core.runs import Cascade, FineTune
from promptseg.core.study import Study
from promptseg.evaluation import class_means, score_table
from promptseg.report import tables, ways
from promptseg.report.floors import TRIVIAL
from promptseg.report.gains import baseline
from promptseg.report.paired import CLOUDS, Comparison, Difference, compare
from promptseg.report.ways import PROMPTERS, Prompter


@dataclass(frozen=True)
class Candidate:
    """A run that somebody could use.

    Attributes:
        name: of the run.
        score: the headline, or its part of one class.
        row: of the leaderboard.
        summary: of the run's table of scores.
        way: how it is prompted, in words.
        cost: of the prompts, in words; empty: none, or not known.
        prompter: who prompts.
        family: of which the best is shown.
        is_finetuned: whether it, or the run that it refines, was fine-tuned.
        by_class: part of the headline of each class that the ground truth has; empty with one class.
    """

    name: str
    score: float
    row: dict
    summary: dict
    way: str
    cost: str
    prompter: Prompter
    family: str
    is_finetuned: bool
    by_class: dict[str, float]


@dataclass(frozen=True)
class Gain:
    """A fine-tuned run against a run without training.

    Attributes:
        before: the baseline.
        after: the fine-tuned run.
        why: the baseline is prompted the same, is named in params.yaml, or is the best untrained run with the same
            prompter.
        comparison: of the two.
    """

    before: Candidate
    after: Candidate
    why: Literal["same prompt", "named", "best untrained"]
    comparison: Comparison


@dataclass(frozen=True)
class Doubling:
    """What twice the training images gained.

    Attributes:
        half: name of the run with half of them.
        whole: name of the run with all of them.
        fractions: of the training groups, of both runs.
        difference: of the two.
        is_same: all their predictions score the same, as where half of so few groups are all of them.
    """

    half: str
    whole: str
    fractions: tuple[float, float]
    difference: Difference
    is_same: bool


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset.

    Attributes:
        dataset: its name.
        good_enough: score from which on a run is.
        rows: of the leaderboard, all of this dataset.
        candidates: the runs that are ranked, without floors and automatic masks.
        matched: names of the runs of automatic masks, of which the ground truth chooses.
        gains: of the best fine-tuned run of each prompter.
        doublings: of the series of runs with several `train_fraction`.
        train_images: number of training images; None: not known.
        train_fractions: of the fine-tuned runs, by name.
    """

    dataset: str
    good_enough: float
    rows: tuple[dict, ...]
    candidates: tuple[Candidate, ...]
    matched: frozenset[str]
    gains: tuple[Gain, ...]
    doublings: tuple[Doubling, ...]
    train_images: int | None
    train_fractions: dict[str, float]

    @property
    def classes(self) -> list[str]:
        """Names of the classes that the ground truth has; empty with one class."""
        return list(self.candidates[0].by_class) if self.candidates else []

    def of_class(self, name: str) -> "Facts":
        """The same facts with the scores of one class."""
        return replace(self, candidates=tuple(replace(c, score=c.by_class[name]) for c in self.candidates))

    def best(self, prompter: Prompter, is_finetuned: bool | None = None) -> Candidate | None:
        """The candidate with the highest score, the first of equal ones. is_finetuned: None: either."""
        return best([c for c in self.candidates if c.prompter == prompter and is_finetuned in (None, c.is_finetuned)])


def best(candidates: list[Candidate]) -> Candidate | None:
    """The candidate with the highest score, the first of equal ones; None of none."""
    return max(candidates, key=lambda candidate: candidate.score, default=None)


def collect(study: Study, rows: list[dict], scores: Path, summaries: Path) -> list[Facts]:
    """Collect the facts of each dataset that has rows.

    Args:
        study: params.yaml.
        rows: of `leaderboard.leaderboard`.
        scores: folder of the tables of scores, <run>.parquet.
        summaries: folder of <dataset>.json that preprocessing wrote.

    Returns:
        In the order of the rows.

    Raises:
        UserError: a file is missing or damaged.
    """
    return [
        _of_dataset(study, name, [row for row in rows if row["dataset"] == name], scores, summaries)
        for name in dict.fromkeys(row["dataset"] for row in rows)
    ]


def _of_dataset(study: Study, dataset: str, rows: list[dict], scores: Path, summaries: Path) -> Facts:
    prompts = {row["run"]: row["prompts_per_image"] for row in rows}
    candidates = tuple(
        _candidate(study, row, scores / f"{row['run']}.parquet", prompts) for row in rows
        if row["model"] not in TRIVIAL and ways.prompter(study, row["run"]) in PROMPTERS
    )  # fmt: skip
    tuned = {c.name: study.run(c.name) for c in candidates}
    train = {name: run.train for name, run in tuned.items() if isinstance(run, FineTune)}
    facts = Facts(
        dataset=dataset,
        good_enough=study.good_enough,
        rows=tuple(rows),
        candidates=candidates,
        matched=frozenset(row["run"] for row in rows if ways.prompter(study, row["run"]) not in PROMPTERS),
        gains=(),
        doublings=(),
        train_images=tables.training_images(dataset, summaries) if train else None,
        train_fractions={name: settings.train_fraction for name, settings in train.items()},
    )
    gains = [_gain(study, facts, prompter, scores, prompts) for prompter in PROMPTERS]
    doublings = tuple(_doublings(study, facts, scores))
    return replace(facts, gains=tuple(gain for gain in gains if gain is not None), doublings=doublings)


def _candidate(study: Study, row: dict, path: Path, prompts: dict[str, float | None]) -> Candidate:
    """prompts: by name of a run, how many an image it takes."""
    name, run = row["run"], study.run(row["run"])
    table = score_table.read_counts(path)
    sums, numbers = (term.sum(axis=0) for term in class_means.headline_terms(table.counts))
    parts = {key: float(s / n) for key, s, n in zip(table.classes, sums, numbers, strict=True) if n > 0}
    number = prompts.get(run.source if isinstance(run, Cascade) else name)
    return Candidate(
        name=name,
        score=row["headline"],
        row=row,
        summary=score_table.read_summary(path),
        way=ways.describe(study, name, len(table.classes)),
        cost=ways.cost(study, name, number, row["score"]),
        prompter=ways.prompter(study, name),
        family=ways.family(study, name),
        is_finetuned=ways.is_finetuned(study, name),
        by_class=parts if len(table.classes) > 1 and row["metric"] not in CLOUDS else {},
    )


def _gain(
    study: Study, facts: Facts, prompter: Prompter, scores: Path, prompts: dict[str, float | None]
) -> Gain | None:
    """The best fine-tuned run of a prompter against its baseline; None where there is nothing to compare.

    A cascade of a fine-tuned run has no training of its own, and is left out. A baseline that params.yaml names may be
    a run that is not ranked. prompts: as for `_candidate`.
    """
    tuned = [c for c in facts.candidates if c.prompter == prompter and c.name in facts.train_fractions]
    after = best(tuned)
    if after is None:
        return None
    row = next((row for row in facts.rows if row["run"] == baseline(study, after.name)), None)
    own = None if row is None else _candidate(study, row, scores / f"{row['run']}.parquet", prompts)
    before = own or facts.best(prompter, is_finetuned=False)
    if before is None:
        return None
    comparison = compare(scores / f"{before.name}.parquet", scores / f"{after.name}.parquet")
    if own is None:
        return Gain(before, after, "best untrained", comparison)
    return Gain(before, after, "named" if study.finetune[after.name].baseline else "same prompt", comparison)


def _doublings(study: Study, facts: Facts, scores: Path) -> list[Doubling]:
    """The last doubling of each series of runs that differ in `train_fraction` alone."""
    series: dict[str, dict[float, str]] = {}
    for name, fraction in facts.train_fractions.items():
        ignored: Any = {
            "train": {"train_fraction", "seeds"},
            "reported_iou": True,
            "reported_dice_loss": True,
            "baseline": True,
        }
        series.setdefault(study.finetune[name].model_dump_json(exclude=ignored), {})[fraction] = name
    found = []
    for runs in series.values():
        largest = max(runs)
        if largest / 2 in runs:
            half, whole = runs[largest / 2], runs[largest]
            tables = [scores / f"{name}.parquet" for name in (half, whole)]
            first, second = (score_table.read_counts(table).counts for table in tables)
            is_same = np.array_equal(first, second) and bool(first[..., :2].any())  # true and false positives
            difference = compare(*tables).overall
            found.append(Doubling(half, whole, (largest / 2, largest), difference, is_same))
    return found
