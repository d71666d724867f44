"""Summary of a run: the metrics of the registry, and what they were computed from."""

from dataclasses import dataclass, field

from promptseg.evaluation import metrics
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.scoring import SEGMENTATION

DIGITS = 6  # after the decimal point


@dataclass(frozen=True)
class Evaluation:
    """All that the metrics of a run are computed from.

    Attributes:
        scores: counts of all images.
        seed: of the bootstrap.
        oracle: whether the ground truth had a part in the predictions.
        best_single: counts of the best single automatic masks, where masks were generated automatically.
        task: decides which metrics there are (`scoring`).
        image_scores: score of each image by id (`ImageScoring.image_scores`).
        categories: category of each image by id, where there are categories.
    """

    scores: RunScores
    seed: int
    oracle: bool = False
    best_single: RunScores | None = None
    task: str = SEGMENTATION
    image_scores: dict[str, float] = field(default_factory=dict)
    categories: dict[str, str] = field(default_factory=dict)


def summarize(run: Evaluation) -> dict[str, float | int | bool]:
    """Compute the summary of a run.

    With several classes, accuracy too is the mean over classes of one against the rest, not the share of pixels with
    the right label.

    Returns:
        The keys of the registry that apply, rounded to 6 digits; `images` and `groups`, how many were scored; `oracle`.

    Raises:
        UserError: no pixel counts.
    """
    values: dict[str, float] = {}
    for metric in metrics.for_task(run.task):
        values |= metric.summarize(run)
    summary = {key: round(float(value), DIGITS) for key, value in values.items()}
    groups = run.scores.groups
    return summary | {"images": len(groups), "groups": int(groups.max()) + 1, "oracle": run.oracle}
