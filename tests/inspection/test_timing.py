"""Where the weights of models are, and the time of one image."""

import os
import signal

import numpy as np
import pytest
from promptseg.inspection import timing
from promptseg.inspection.choose import Added
from promptseg.training import memory
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
    (offline / "weights" / "sam_vit_b_01ec64.pth").touch()
    assert timing.locate({"sam": None})["sam"].source == "../weights/sam_vit_b_01ec64.pth", "not sam2's"
    assert timing.locate({})["sam2"].source == "../weights/sam2-hiera-tiny"
    assert timing.locate(timing.parse("", ["sam2=../other"]))["sam2"].source == "../other"
    assert timing.locate(timing.parse("", ["sam2=tiny"]))["sam2"].tiny


@pytest.mark.parametrize(
    ("names", "given", "words"),
    [
        ("", "sam2", ["--weights sam2", "NAME=PATH"]),
        ("", "sam2=", ["--weights sam2=", "NAME=PATH"]),
        ("", "sam7=x", ["--weights sam7=x", "unknown model 'sam7'; known: autoencoder, ", ", sam2, "]),
        ("", "sam2=x", ["--weights sam2=x", "nothing at x"]),
        ("medsam, sam7", "sam2=tiny", ["--models", "unknown model 'sam7'; known: autoencoder, "]),
    ],
)
def test_what_names_no_model_or_no_weights_is_refused(offline, names, given, words):
    refused(lambda: timing.parse(names, [given]), *words)


def test_further_models_are_named_alone_or_with_their_weights(offline):
    stated = timing.parse("medsam, sam", ["pa_sam=tiny", "sam=tiny"])
    assert stated == {"medsam": None, "sam": timing.Weights("tiny", "tiny"), "pa_sam": timing.Weights("tiny", "tiny")}
    assert list(timing.locate(stated)) == [*timing.MODELS, "medsam", "sam", "pa_sam"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("autoencoder", ["it is not prompted on images"]),
        ("unet_box", ["nothing was released"]),
        ("nothing", ["it is not prompted on images"]),
        ("pointclip", ["it is not prompted on images"]),
        ("clip_decoder_unet", ["it has to be trained first", "finetune"]),
        ("medsam", ["the hub cannot be reached", "give --weights medsam=PATH"]),
        ("pa_sam", ["nothing was released", "give --weights pa_sam=PATH"]),
        ("filled_box", ["nothing was released"]),
    ],
)
def test_a_further_model_that_cannot_run_is_refused(offline, name, words):
    refused(
        lambda: timing.surveyed(np.zeros((32, 48, 3), np.uint8), {name: None}, "a crack"), f"--models {name}: ", *words
    )


def test_one_image_is_measured_in_each_model_and_one_without_weights_is_assumed(offline):
    weights = {name: timing.Weights("tiny", "") for name in (*timing.MODELS, "medsam", "seggpt")}
    image = np.zeros((64, 96, 3), np.uint8)
    speeds, assumed = timing.measured(image, weights, "a crack")
    assert all(min(speed.encode, speed.decode, speed.memory) > 0 for speed in speeds.values()) and not assumed
    assert {name for name, speed in speeds.items() if speed.step == 0} == {"seggpt"}
    assert {name for name, speed in speeds.items() if speed.features == 0} == {"unet", "seggpt"}, "what is not cached"
    speeds, assumed = timing.measured(image, {"clipseg": timing.Weights("official", "")}, "a crack")
    assert assumed == ["clipseg"] and speeds["clipseg"].encode > 0


def test_an_image_that_needs_more_memory_than_there_is_is_refused(offline, monkeypatch):
    monkeypatch.setattr(memory, "limit", lambda processes: 10**6)
    weights = {"sam2": timing.Weights("tiny", "")}
    message = "sam2: one image of 96x64 needs more memory than the 1.0 MB that are available"
    refused(lambda: timing.measured(np.zeros((64, 96, 3), np.uint8), weights, "a crack"), message)


def test_a_survey_of_the_models_runs_in_a_process_of_its_own(offline):
    stated = {name: timing.Weights("tiny", "built in") for name in ("sam2", "clipseg", "medsam")}
    found = timing.survey(np.zeros((32, 48, 3), np.uint8), stated, "a crack")
    assert {name: each.words for name, each in found.weights.items()} == {
        "sam2": "built in", "clipseg": "built in", "unet": "random ones, as nothing was released",
        "medsam": "built in",
    }  # fmt: skip
    assert list(found.speeds) == [*timing.MODELS, "medsam"] and not found.assumed
    assert found.added == {"medsam": Added(frozenset({"box"}))}


def _killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_where_that_process_is_killed_the_user_reads_one_line(offline, monkeypatch):
    monkeypatch.setattr(timing, "surveyed", _killed)  # sent by name, so the new process finds it here
    refused(lambda: timing.survey(np.zeros((32, 48, 3), np.uint8), {}, "a crack"), "was killed, perhaps for its memory")
