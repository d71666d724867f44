"""The verdict on a dataset: which run is good enough, and whether fine-tuning was worth it."""

from dataclasses import dataclass, field


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
