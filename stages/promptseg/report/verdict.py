"""Verdicts: what the scores of a dataset say, in words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What the scores of a dataset say.

    Attributes:
        dataset: its name.
        sentences: over all classes.
        by_class: sentences on each class, by its name.
        worse: ids of the images where fine-tuning hurt most.
        runs: names of the runs that the sentences speak of.
    """

    dataset: str
    sentences: tuple[str, ...]
    by_class: dict[str, tuple[str, ...]]
    worse: tuple[str, ...]
    runs: tuple[str, ...]
