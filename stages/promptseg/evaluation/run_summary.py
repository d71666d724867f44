"""Summary of a run: the metrics of the registry, and what they were computed from."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from promptseg.evaluation import metrics
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.scoring import SEGMENTATION
from promptseg.evaluation.sweep import SweepScores

DIGITS = 6  # after the decimal point


@dataclass(frozen=True)
class Evaluation:
    """All that the metrics of a run are computed from.

    Attributes:
        scores: counts of all images.
        oracle: whether the ground truth had a part in the predictions.
        threshold: one of `histogram.THRESHOLDS` that was chosen on the validation split; None: none was.
        best_single: IoU of the best single automatic mask with each true segment, where masks were generated
            automatically.
        task: decides which metrics there are (`scoring`).
        image_scores: score of each image by id (`ImageScoring.image_scores`).
        categories: category of each image by id, where there are categories.
        prompts_per_image: mean number of clicks, boxes and masks that prompted an image; None: none were given.
        absent_phrase_area: mean share of an image that is marked for a phrase that is not there; None: not measured.
        sweep: scores by step; None: the run has one.
        split: metadata of the split; `group_unit` says what a group is, and `score` whether images or tiles are scored.
        search: what the search for the prompt found; None: there was none.
        seed_scores: seed and headline of each repetition, these scores first; empty: there is one run.
    """

    scores: RunScores
    oracle: bool = False
    threshold: float | None = None
    best_single: np.ndarray | None = None
    task: str = SEGMENTATION
    image_scores: dict[str, float] = field(default_factory=dict)
    categories: dict[str, str] = field(default_factory=dict)
    prompts_per_image: float | None = None
    absent_phrase_area: float | None = None
    sweep: SweepScores | None = None
    split: dict = field(default_factory=dict)
    search: dict | None = None
    seed_scores: list[tuple[int, float]] = field(default_factory=list)


def summarize(run: Evaluation) -> dict[str, Any]:
    """Compute the summary of a run.

    Returns:
        The keys of the registry that apply, rounded to 6 digits; `headline`, the name of the one that runs are compared
        by; `images` and `groups`, how many with ground truth were scored, and `images_empty`, how many have none;
        `group_unit`; `score`, whether they are images or tiles; `oracle`; `sweep` (`SweepScores.summary`), `search` and
        `seed_scores`, where there were.

    Raises:
        UserError: no pixel that counts is of a class.
    """
    values: dict[str, float] = {}
    for metric in metrics.for_task(run.task):
        values |= metric.summarize(run)
    groups = run.scores.groups
    further = {
        "sweep": None if run.sweep is None else run.sweep.summary(),
        "search": run.search,
        "seed_scores": [[seed, round(score, DIGITS)] for seed, score in run.seed_scores],
    }
    return (
        {key: round(float(value), DIGITS) for key, value in values.items()}
        | {
            "headline": metrics.headline_key(len(run.scores.classes), run.task),
            "images": len(groups),
            "images_empty": len(run.scores.empty_counts),
            "groups": int(groups.max()) + 1,
            "group_unit": run.split.get("group_unit", "image"),
            "score": run.split.get("score", "image"),
            "oracle": run.oracle,
        }
        | {key: value for key, value in further.items() if value}
    )
