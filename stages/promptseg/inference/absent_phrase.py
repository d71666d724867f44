"""Does a model still know words? What it segments for a phrase of something that is in no image.

Fine-tuned with one phrase, a text model may learn to return the same masks whatever it is asked for. A model that heeds
the phrase returns next to nothing here.
"""

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from promptseg.data import point_clouds
from promptseg.inference.class_maps import predict_classes
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.text import Text

if TYPE_CHECKING:
    from promptseg.inference.prediction import Job

# In order of preference: things that images of cells, organs, fires, streets and animals do not show.
PHRASES = (
    "a grand piano", "a school bus", "a sheet of music", "a wedding cake", "a chess board", "a lighthouse",
    "a roller coaster", "a typewriter",
)  # fmt: skip
FILLERS = frozenset({"a", "an", "the", "of", "in", "on", "and", "or", "with"})  # say nothing of what is shown
MAX_RECORDS = 32


def measure(job: "Job", prompt: PromptConfig) -> dict[str, str | float]:
    """Measure how much a model with text prompts segments for a phrase of something that is not there.

    All processes of the job must call this; each predicts a part of the records.

    Args:
        job: model, features and records.
        prompt: of the run.

    Returns:
        `absent_phrase`, and `absent_phrase_area`: the mean over at most MAX_RECORDS evenly spaced records of the share
        of pixels with a probability of at least 0.5, rounded to 6 digits. Empty where the prompt has no text or has
        exemplars beside it, for point clouds, in which each point has a class, and where no phrase is certain to be
        absent.
    """
    count = len(job.records)
    if prompt.text is None or prompt.oracle or count == 0 or point_clouds.is_point_cloud(job.records.metadata):
        return {}
    indexes = sorted({count * step // MAX_RECORDS for step in range(MAX_RECORDS)})
    phrase = choose_phrase([*_words(job, prompt), *(job.records[index].text for index in indexes)])
    if phrase is None:
        return {}
    absent = Prompt.of(Text(phrase), readout=prompt.readout)
    own = indexes[job.processes.rank :: job.processes.world]
    shares = job.processes.gather([_foreground(job, index, absent) for index in own])
    area = math.fsum(share for part in shares for share in part) / len(indexes)
    return {"absent_phrase": phrase, "absent_phrase_area": round(area, 6)}


def choose_phrase(taken: Iterable[str]) -> str | None:
    """Choose the first of PHRASES that has no word in common with these texts; None where each has one."""
    words = {word.removesuffix(plural) for text in taken for word in _tokens(text) for plural in ("", "s", "es")}
    return next((phrase for phrase in PHRASES if not words & _tokens(phrase)), None)


def _words(job: "Job", prompt: PromptConfig) -> list[str]:
    """All texts that say what the images of a dataset show."""
    metadata = job.records.metadata
    phrases = prompt.text if isinstance(prompt.text, list) else []
    return [*metadata["classes"], *metadata.get("words", ()), *phrases]


def _tokens(text: str) -> set[str]:
    """The words of a text that say what is shown, in lower case."""
    return {word for word in re.findall(r"[^\W_]+", text.lower()) if word not in FILLERS}


def _foreground(job: "Job", index: int, prompt: Prompt) -> float:
    """Share of a record's pixels that are foreground for a prompt."""
    record = job.records[index]
    shape = (1, record.height, record.width)
    maps = predict_classes(job.segmenter, job.features([index]), [prompt], shape)
    return float(np.mean(maps.probability >= 0.5))
