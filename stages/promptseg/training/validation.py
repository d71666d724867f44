"""Validation by the metric of the test: the split is predicted and scored as the test split will be."""

from collections.abc import Callable
from dataclasses import dataclass

from promptseg.data.records import Prediction
from promptseg.inference.prediction import predict_record
from promptseg.inference.validation import ValidationSplit
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import PromptConfig


@dataclass(frozen=True)
class Validation:
    """How the validation split is predicted and scored after an epoch: as the test split will be.

    Attributes:
        split: the validation split.
        prompt: of the test.
    """

    split: ValidationSplit
    prompt: PromptConfig

    def predict(self, segmenter: Segmenter, features: Callable[[], Features], index: int) -> Prediction:
        """Predict a record. Arguments as for `prediction.predict_record`."""
        reader = self.split.records
        return predict_record(segmenter, features, reader[index], reader.metadata, self.prompt)
