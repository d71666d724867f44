"""`promptseg verdict`: the verdict on each dataset, from the scores that are here."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from promptseg.core import study
from promptseg.core.errors import UserError
from promptseg.report import leaderboard, searches, verdict_facts
from promptseg.report import verdict as verdicts
from promptseg.report.verdict import Verdict

SCORES, SUMMARIES = Path("data/scores"), Path("data/summaries")
WIDEST = 100  # columns of text, however wide the terminal is


def verdict(dataset: str | None) -> str:
    """Put the verdicts into words.

    Args:
        dataset: name in params.yaml; None: all datasets that have scores.

    Returns:
        Lines of text.

    Raises:
        UserError: the dataset is unknown, no run of it has scores, or a file is damaged.
    """
    settings = study.load()
    if dataset is not None and dataset not in settings.datasets:
        raise UserError(f"params.yaml: unknown dataset {dataset!r}; known: {', '.join(settings.datasets)}")
    wanted = [name for name, run in settings.runs.items() if dataset in (None, run.dataset)]
    scored = [name for name in wanted if (SCORES / f"{name}.parquet").is_file()]
    if not scored:
        raise UserError(f"{SCORES}: no scores{f' of {dataset}' if dataset else ''} yet; `dvc repro` makes them")
    evaluated = searches.with_winners(settings.only(scored), SCORES)
    facts = verdict_facts.collect(evaluated, leaderboard.leaderboard(evaluated, SCORES), SCORES, SUMMARIES)
    lines = [line for each in verdicts.verdicts(facts) for line in _lines(each)]
    missing = sorted(set(wanted) - set(evaluated.runs))
    if missing:
        lines += _wrapped([f"Not run yet, and left out: {', '.join(missing)}; `dvc repro` runs them."], "")
    return "\n".join(lines).rstrip()


def _lines(found: Verdict) -> Iterator[str]:
    yield found.dataset
    yield from _wrapped(found.sentences, "  ")
    if found.worse:
        yield from _wrapped([f"Where fine-tuning hurt most: {', '.join(found.worse)}."], "  ")
    for name, sentences in found.by_class.items():
        yield f"  {name}"
        yield from _wrapped(sentences, "    ")
    yield ""


def _wrapped(sentences: Iterable[str], indent: str) -> Iterator[str]:
    width = min(shutil.get_terminal_size().columns, WIDEST)
    for sentence in sentences:
        yield from textwrap.wrap(
            sentence, width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
        )
