"""Scores of point clouds as the field reports them: part mIoU and top-1 accuracy.

Part mIoU (ShapeNetPart; Yi et al. 2016, PointNet): the IoU of a shape is the mean over the parts of its category, 1
for a part that neither target nor prediction has; `part_miou` is the mean over shapes, `part_miou_category` the mean
over categories of the means of their shapes. Where clouds are of one class as a whole, the score of a cloud is 1 if
its class is predicted and 0 if not, and the mean is the top-1 accuracy.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from promptseg.evaluation.counts import label_map
from promptseg.evaluation.interval import interval
from promptseg.evaluation.scored_images import ScoredImage
from promptseg.evaluation.scoring import CLASSIFICATION, PART_SEGMENTATION, ImageScoring
from promptseg.report import point_cloud_figure

if TYPE_CHECKING:
    from promptseg.evaluation.run_summary import Evaluation


class PointCloudScoring(ImageScoring):
    """Scoring of point clouds.

    Args:
        metadata: of the split: classes, is_classification, classes_by_category.
        texts: by id, the text of each cloud, which names its category.
    """

    def __init__(self, metadata: dict, texts: dict[str, str]):
        self.task = CLASSIFICATION if metadata["is_classification"] else PART_SEGMENTATION
        self.categories = texts
        names, by_category = metadata["classes"], metadata["classes_by_category"]
        self._classes = {text: {names[number - 1] for number in numbers} for text, numbers in by_category.items()}

    def image_scores(self, rows: Iterable[dict]) -> dict[str, float]:
        """Compute the mean IoU of each cloud, by id.

        It is over the classes of the cloud's category, where a part that is in neither target nor prediction has 1, or
        over those in target or prediction where it has no category.
        """
        ious: dict[str, list[float]] = {}
        for row in rows:
            classes = self._classes.get(self.categories[row["id"]])
            predicted, absent = row["tp"] + row["fp"] > 0, row["iou"] is None
            if row["class"] in classes if classes is not None else predicted or not absent:
                ious.setdefault(row["id"], []).append(float(not predicted) if absent else row["iou"])
        return {id: float(np.mean(values)) for id, values in ious.items()}

    def render(self, image: ScoredImage) -> ScoredImage:
        """Render the cloud of an image, with target and probability of its points."""
        view = point_cloud_figure.draw(image.image)
        target, probability = view.spread(image.target), view.spread(image.probability)
        return replace(image, image=view.image, target=target, probability=probability)

    def legend_classes(self, images: Iterable[ScoredImage]) -> frozenset[int]:
        """The classes in target or prediction; a split of point clouds has too many to name them all."""
        numbers = [np.unique(labels) for image in images for labels in (image.target, label_map(image.probability))]
        return frozenset(np.concatenate(numbers).tolist())


def mean_score(run: "Evaluation") -> float:
    """Mean score of all clouds: part mIoU, or top-1 accuracy where clouds are classified."""
    return float(np.mean(list(run.image_scores.values())))


def mean_interval(run: "Evaluation") -> tuple[float, float] | None:
    """Compute the 95 % interval of `mean_score` over groups of clouds; None with fewer than 5."""
    scores = np.array(list(run.image_scores.values()))[:, None]
    groups = np.unique([run.scores.group_of(id) for id in run.image_scores], return_inverse=True)[1]
    return interval(scores, np.ones_like(scores), groups)


def mean_of_categories(run: "Evaluation") -> float:
    """Part mIoU averaged over categories."""
    by_category: dict[str, list[float]] = {}
    for id, score in run.image_scores.items():
        by_category.setdefault(run.categories[id], []).append(score)
    return float(np.mean([np.mean(scores) for scores in by_category.values()]))
