"""How the images of a split are scored and shown; `point_cloud_scores` has the counterpart for point clouds."""

from collections.abc import Iterable

import numpy as np

from promptseg.evaluation.scored_images import ScoredImage

SEGMENTATION, PART_SEGMENTATION, CLASSIFICATION = "segmentation", "part segmentation", "classification"


class ImageScoring:
    """Scoring of images.

    Attributes:
        task: decides which metrics a run has (`metrics.for_task`).
        categories: category of each image by id, where there are categories.
    """

    task: str = SEGMENTATION
    categories: dict[str, str] = {}

    def image_scores(self, rows: Iterable[dict]) -> dict[str, float]:
        """Compute the score of each image, by which images are ranked for the figure.

        Args:
            rows: of `RunScores.rows`.

        Returns:
            By id, in the order of the rows, the mean IoU over the classes that the ground truth has; images without any
            are left out.
        """
        ious: dict[str, list[float]] = {}
        for row in rows:
            if row["iou"] is not None:
                ious.setdefault(row["id"], []).append(row["iou"])
        return {id: float(np.mean(values)) for id, values in ious.items()}

    def render(self, image: ScoredImage) -> ScoredImage:
        """Return the image as it is drawn in the figure."""
        return image

    def legend_classes(self, images: Iterable[ScoredImage]) -> frozenset[int]:
        """Numbers of the classes that the figure's legend names; empty: all."""
        return frozenset()
