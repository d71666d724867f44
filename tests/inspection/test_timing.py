"""Where the weights of models are, and the time of one image."""

import numpy as np
import pytest
from promptseg.inspection import timing
from refusing import refused


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A project without network, weights and cache of the hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def test_offline_only_tiny_weights_are_at_hand(offline):
    found = timing.locate({})
    assert list(found) == ["sam2", "clipseg", "unet"]
    assert found["sam2"].tiny and found["clipseg"].tiny and found["unet"].source == "official"
    assert "the hub cannot be reached" in found["sam2"].words


def test_weights_beside_the_project_are_found_and_those_of_the_user_come_first(offline):
    (offline / "weights" / "sam2-hiera-tiny").mkdir(parents=True)
    (offline / "other").mkdir()
    assert timing.locate({})["sam2"].source == "../weights/sam2-hiera-tiny"
    assert timing.locate(timing.parse(["sam2=../other"]))["sam2"].source == "../other"
    assert timing.locate(timing.parse(["sam2=tiny"]))["sam2"].tiny


@pytest.mark.parametrize(
    ("text", "words"),
    [("sam2", "NAME=PATH"), ("sam2=", "NAME=PATH"), ("sam7=x", "known: sam2"), ("sam2=x", "nothing at x")],
)
def test_what_names_no_weights_is_refused(offline, text, words):
    refused(lambda: timing.parse([text]), text, words)


def test_one_image_is_timed_in_each_model_and_one_without_weights_is_assumed(offline):
    weights = {name: timing.Weights("tiny", "") for name in timing.MODELS}
    image = np.zeros((64, 96, 3), np.uint8)
    speeds, assumed = timing.measure(image, weights, "a crack")
    assert all(min(speed.encode, speed.decode, speed.step) > 0 for speed in speeds.values()) and not assumed
    speeds, assumed = timing.measure(image, {"clipseg": timing.Weights("official", "")}, "a crack")
    assert assumed == ["clipseg"] and speeds["clipseg"].encode > 0


def test_a_survey_of_the_models_runs_in_a_process_of_its_own(offline):
    stated = {name: timing.Weights("tiny", "built in") for name in ("sam2", "clipseg")}
    found = timing.survey(np.zeros((32, 48, 3), np.uint8), stated, "a crack")
    assert {name: each.words for name, each in found.weights.items()} == {
        "sam2": "built in", "clipseg": "built in", "unet": "random ones, as nothing was released"
    }  # fmt: skip
    assert list(found.speeds) == list(timing.MODELS) and not found.assumed
