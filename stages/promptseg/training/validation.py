"""Validation by the metric of the test: the split is predicted and scored as the test split will be."""

from collections.abc import Callable
from dataclasses import dataclass

from promptseg.data.records import Prediction
from promptseg.evaluation.run_scores import RunScores
from promptseg.inference.prediction import predict_record
from promptseg.inference.training_support import TrainingSupport
from promptseg.inference.validation import ValidationSplit, has_threshold
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import PromptConfig


@dataclass(frozen=True)
class Validation:
    """How the validation split is predicted and scored after an epoch: as the test split will be.

    Attributes:
        split: the validation split.
        prompt: of the test.
        support: support images of the training split, where the prompt takes them.
    """

    split: ValidationSplit
    prompt: PromptConfig
    support: TrainingSupport | None = None

    def threshold(self, scores: RunScores) -> float | None:
        """The threshold with the best scores; None where none has an effect."""
        return scores.best_threshold() if has_threshold(self.split.records.metadata, self.prompt) else None

    def predict(self, segmenter: Segmenter, features: Callable[[], Features], index: int) -> Prediction:
        """Predict a record. Arguments as for `prediction.predict_record`."""
        reader = self.split.records
        return predict_record(segmenter, features, reader[index], reader.metadata, self.prompt, self.support)
