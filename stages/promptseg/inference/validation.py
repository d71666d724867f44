"""Score predictions of a validation split as those of the test split are scored, in memory."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from promptseg.core.distributed import Ranks
from promptseg.core.params import BACKGROUND
from promptseg.data import point_clouds
from promptseg.data.image_io import IGNORED
from promptseg.data.records import Prediction, RecordReader
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.scored_images import ScoredImages
from promptseg.prompts import PromptConfig


class ValidationSplit:
    """A validation split, whose images are shared by all processes.

    Each process has a range of the images that are scored, so that the scores do not depend on the number of processes;
    tiles that are scored as one image stay together.

    Args:
        split: records; their images are not needed, but for automatic masks.
        ranks: of the processes.
        images: numbers of the images that are scored; None: all.

    Attributes:
        records: of the split.
        indexes: of this process's records, in the order in which `score` takes their predictions.
    """

    def __init__(self, split: RecordReader, ranks: Ranks, images: Sequence[int] | None = None):
        self.records, self._ranks, self._held = split, ranks, _Held(split)
        self._images = ScoredImages(split, self._held)  # type: ignore[arg-type]  # it has all that is read of a file
        images = range(len(self._images)) if images is None else images
        start, stop = (len(images) * rank // ranks.world for rank in (ranks.rank, ranks.rank + 1))
        self._share = images[start:stop]
        self.indexes = [index for image in self._share for index in self._images.indices[image]]

    @property
    def with_truth(self) -> list[int]:
        """Numbers of the images that have ground truth."""
        foreground = self.records.column("foreground")
        return [number for number, rows in enumerate(self._images.indices) if any(foreground[row] for row in rows)]

    def score(self, predictions: Iterable[Prediction]) -> RunScores | None:
        """Score predictions; those of one image are held at a time. All processes must call this.

        Args:
            predictions: of the records at `indexes`, in their order.

        Returns:
            The scores of all processes, the same in each; None where no image has ground truth.
        """
        scores = self.score_candidates(([prediction] for prediction in predictions), 1)
        return scores[0] if scores else None

    def score_candidates(self, predictions: Iterable[Sequence[Prediction]], count: int) -> list[RunScores]:
        """Score several predictions of each record, as `score` does.

        Args:
            predictions: of the records at `indexes`, in their order, as many of each as there are candidates.
            count: number of candidates.

        Returns:
            The scores of each candidate; empty where no image has ground truth.
        """
        classes = self.records.metadata["classes"]
        scores, has_ground_truth, arriving = [RunScores(classes) for _ in range(count)], False, iter(predictions)
        for number in self._share:
            found = {index: next(arriving) for index in self._images.indices[number]}
            for candidate, total in enumerate(scores):
                self._held.rows = {index: rows[candidate] for index, rows in found.items()}
                image = self._images[number]
                total.add(image.id, image.group, image.target, image.probability)
            has_ground_truth |= bool(np.any((image.target > 0) & (image.target < IGNORED)))
        for _ in arriving:  # what a generator does after its last prediction
            pass
        shares = self._ranks.gather((scores, has_ground_truth))
        if not any(has for _, has in shares):
            return []
        totals = [RunScores(classes) for _ in range(count)]
        for share, _ in shares:
            for total, scores_of_share in zip(totals, share, strict=True):
                total.include(scores_of_share)
        return totals


def unused_columns(prompt: PromptConfig) -> tuple[str, ...]:
    """Columns of a split's images that are not read where its features are at hand. prompt: of the run."""
    support = () if prompt.support is True else ("support_image", "support_mask")
    return support if prompt.kind == "automatic" else ("image", *support)


def has_threshold(metadata: dict, prompt: PromptConfig) -> bool:
    """Whether a threshold can improve the predictions of a run.

    It cannot where there are no probability maps (automatic masks), where clicks correct what is foreground at 0.5, nor
    where each pixel or point has a class: in point clouds, and where the background is one of several classes. That
    takes what no other class claims, so a threshold up to 0.5 changes nothing, and above it pixels would be of no
    class, which is never right.

    Args:
        metadata: of the split.
        prompt: of the run.
    """
    classes = metadata["classes"]
    has_background = BACKGROUND in classes and len(classes) > 1
    return not (prompt.kind in ("automatic", "clicks") or point_clouds.is_point_cloud(metadata) or has_background)


class _Held:
    """The predictions of one image in the place of a file of predictions; `rows` has them by index."""

    def __init__(self, split: RecordReader):
        self.path: Path = split.path
        self.rows: dict[int, Prediction] = {}
        self._split = split

    def column(self, name: str) -> list:
        """The ids, which are those of the split."""
        return self._split.column(name)

    def __getitem__(self, index: int) -> Prediction:
        return self.rows[index]
