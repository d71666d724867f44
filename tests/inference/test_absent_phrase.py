"""What a model segments for a phrase of something that is in no image."""

import numpy as np
import pytest
from promptseg import models
from promptseg.core.distributed import Ranks
from promptseg.core.runs import Run
from promptseg.data import records
from promptseg.inference import absent_phrase, prediction
from promptseg.inference.absent_phrase import PHRASES, choose_phrase
from promptseg.inference.class_maps import predict_classes
from promptseg.nn import weights
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.text import Text


@pytest.mark.parametrize(
    "taken, index",
    [
        ([], 0), (["fire"], 0), (["a dog of the house", "in a field"], 0), (["Grand_central"], 1), (["pianos"], 1),
        (["upright piano", "buses"], 2), (["school", "piano", "sheets"], 3), (["pianola"], 0),
    ],
)  # fmt: skip
def test_the_phrase_is_the_first_without_a_word_of_the_dataset(taken, index):
    assert choose_phrase(taken) == PHRASES[index]


def test_there_is_none_where_each_has_a_word_of_the_dataset():
    assert choose_phrase(PHRASES) is None


@pytest.fixture
def job(blobs, tmp_path):
    """A job of tiny CLIPSeg on a split, as one of some processes."""

    def make(count: int, rank: int = 0, world: int = 1, gathered: list | None = None):
        model = models.load("clipseg").create("tiny", 0)
        reader, ranks = records.open_split(blobs("test", count)), Ranks()
        ranks.rank, ranks.world = rank, world
        ranks.gather = lambda value: [*(gathered or []), value]
        return prediction.Job(model, lambda i: model.encode([records.image(reader[k]) for k in i]), reader, ranks)

    return make


def share(job, index: int) -> float:
    shape = (1, 64, 64)
    maps = predict_classes(job.segmenter, job.features([index]), [Prompt.of(Text("a grand piano"))], shape)
    return float(np.mean(maps.probability >= 0.5))


def test_it_is_the_mean_share_of_foreground_for_the_phrase_alone(job):
    found = absent_phrase.measure(job(3), PromptConfig(text=["bright disc"]))
    expected = np.mean([share(job(3), index) for index in range(3)])
    assert found == {"absent_phrase": "a grand piano", "absent_phrase_area": pytest.approx(expected, abs=1e-6)}
    assert 0 < found["absent_phrase_area"] < 1
    assert absent_phrase.measure(job(3), PromptConfig(text=["bright disc"], exemplars=1)) == {}


def test_at_most_32_evenly_spaced_records_are_predicted(job, monkeypatch):
    seen = []
    monkeypatch.setattr(absent_phrase, "_foreground", lambda job, index, phrase: seen.append(index) or 0.25)
    assert absent_phrase.measure(job(64), PromptConfig(text="class"))["absent_phrase_area"] == 0.25
    assert seen == list(range(0, 64, 2))


def test_processes_share_the_records_and_agree(job):
    config, alone = PromptConfig(text=["disc"]), absent_phrase.measure(job(5), PromptConfig(text=["disc"]))
    first = [share(job(5), index) for index in (0, 2, 4)]
    assert absent_phrase.measure(job(5, 1, 2, [first]), config) == alone


def test_it_is_in_the_metadata_of_runs_with_text_alone(blobs, tmp_path):
    split = blobs("test", 2)
    for name, prompt in (("clipseg", {"text": ["disc"]}), ("sam", {"points": 1})):
        model = models.load(name).create("tiny", 0)
        weights.write(tmp_path / name, model.configuration(), model.state_dict(), model.files())
        inputs = prediction.Inputs(split, tmp_path / name, tmp_path / "e")
        run = Run(dataset="em", model=name, prompt=PromptConfig(**prompt))
        prediction.predict(run, inputs, tmp_path / "out.parquet")
        metadata = records.open_predictions(tmp_path / "out.parquet").metadata
        assert (
            (metadata.get("absent_phrase") == "a grand piano")
            == ("absent_phrase_area" in metadata)
            == (name == "clipseg")
        )
