"""Prompts in params.yaml: their kinds, where they come from, their descriptions, and settings that do not fit."""

import pytest
from promptseg import prompts
from promptseg.prompts import KINDS, PromptConfig
from promptseg.prompts.automatic import AutomaticMasks

ORACLE, JITTERED = "ground truth (oracle)", "ground truth with jitter (oracle)"
MATCHED = "none, matched with the ground truth (oracle)"
INSTANCE = {"per": "instance"}


@pytest.mark.parametrize(
    "given, kind, source, words",
    [
        ({}, "none", "none", "none"),
        ({"points": 1}, "points", ORACLE, "1 random point"),
        ({"points": 3, "sampling": "center"}, "points", ORACLE, "3 central points"),
        ({"points": 2, **INSTANCE}, "points", ORACLE, "2 random points an instance"),
        (
            {"points": 1, "together": True, **INSTANCE},
            "points", ORACLE, "1 random point an instance, all in one prompt",
        ),
        ({"box": True}, "box", ORACLE, "box"),
        ({"box": True, "jitter": 0.02, **INSTANCE}, "box", JITTERED, "box an instance, jitter 0.02"),
        ({"points": 2, "box": True, **INSTANCE}, "box + points", ORACLE, "box + 2 random points an instance"),
        ({"points": 1, "offset": 0.1}, "points", "ground truth with offset (oracle)", "1 random point, offset 0.1"),
        ({"box": True, "jitter": [0, 0.02]}, "box", ORACLE, "box, jitter 0, 0.02"),
        ({"clicks": 20}, "clicks", ORACLE, "20 correcting clicks"),
        ({"clicks": 1, "start": "box", **INSTANCE}, "clicks", ORACLE, "box + 1 correcting click an instance"),
        ({"mask": True}, "mask", ORACLE, "mask"),
        ({"mask": True, **INSTANCE}, "mask", ORACLE, "mask an instance"),
        ({"text": ["black spots"]}, "text", "text", '"black spots"'),
        ({"text": ["cat", "dog"]}, "text", "text", '"cat", "dog"'),
        ({"text": "class"}, "text", "text", "class names"),
        ({"support": True}, "support", "support", "support image"),
        ({"support": {"from": "train"}}, "support", "support", "1 support image of the training split"),
        ({"text": "class", "support": {"from": "train", "shots": 5}}, "text + support", "text + support",
         "class names + 0.75 of 5 support images of the training split"),
        ({"support": True, "visual_prompt": ["blur"]}, "support", "support", "support image (blur)"),
        (
            {"text": "caption", "support": True, "visual_prompt": []},
            "text + support", "text + support", "caption + 0.75 support image (plain)",
        ),
        ({"exemplars": 1}, "exemplars", ORACLE, "1 exemplar"),
        ({"exemplars": 3, "negatives": 2}, "exemplars", ORACLE, "3 exemplars and 2 of other classes"),
        ({"text": "class", "exemplars": 1, "readout": "instances"}, "text + exemplars", ORACLE,
         "class names + 1 exemplar, instances readout"),
        ({"automatic": True}, "automatic", MATCHED, "automatic masks"),
    ],
)  # fmt: skip
def test_a_prompt_has_a_kind_a_source_and_a_description(given, kind, source, words):
    config = PromptConfig(**given)
    assert (config.kind, config.model_kind) == (kind, kind)
    assert config.source == source and config.oracle is source.startswith("ground truth")
    assert config.describe() == words


def test_automatic_masks_have_settings_of_their_own_or_the_defaults():
    assert PromptConfig(automatic={"iou": 0.8}).generator == AutomaticMasks(iou=0.8)
    assert PromptConfig(automatic=True).generator == AutomaticMasks()


def test_a_sweep_is_over_clicks_or_over_the_values_of_a_list():
    assert PromptConfig(clicks=3).sweep == ("clicks", range(1, 4))
    assert PromptConfig(clicks=3, start="box").sweep == ("clicks", range(0, 4))
    loose = PromptConfig(box=True, jitter=[0.05, 0.1])
    assert loose.sweep == ("jitter", [0.05, 0.1])
    assert loose.first == PromptConfig(box=True, jitter=0.05) and loose.at(0.1) == PromptConfig(box=True, jitter=0.1)
    assert PromptConfig(points=1, offset=[0, 0.1]).sweep == ("offset", [0, 0.1])
    assert PromptConfig(box=True, jitter=0.1).sweep is None


def test_kinds_are_joined_as_models_list_them():
    assert prompts.join_kinds([]) == "none" and prompts.join_kinds({"box"}) == "box"
    assert prompts.join_kinds(["support", "text"]) == prompts.join_kinds(["text", "support"]) == "text + support"
    assert set(KINDS) >= {"automatic", "box", "mask", "points", "support", "text"}


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"points": 1, "mask": True}, "do not go together"),
        ({"text": "class", "points": 1}, "do not go together"),
        ({"exemplars": 1, "box": True}, "do not go together"),
        ({"text": "class", "negatives": 1}, "negatives belongs to exemplars"),
        ({"points": 1, "readout": "instances"}, "readout belongs to exemplars and text"),
        ({"exemplars": 1, **INSTANCE}, "per belongs to box"),
        ({"text": "class", "sampling": "center"}, "sampling belongs to points"),
        ({"points": 1, "jitter": 0.1}, "jitter belongs to box"),
        ({"text": "class", "image_weight": 0.5}, "image_weight belongs to support"),
        ({"support": True, "image_weight": 0.5}, "image_weight belongs to support with text"),
        ({"points": 1, "together": True}, "together belongs to points alone, with per: instance"),
        ({"points": 1, "box": True, "together": True, **INSTANCE}, "together belongs to points alone"),
        ({"box": True, "together": True, **INSTANCE}, "together belongs to points"),
        ({"clicks": 5, "box": True}, "do not go together"),
        ({"points": 1, "start": "box"}, "start belongs to clicks"),
        ({"box": True, "offset": 0.1}, "offset belongs to points"),
        ({"box": True, "jitter": [0.1]}, "at least 2 items"),
        ({"box": True, "jitter": [0, 1.0]}, "less than 1"),
        ({"box": True, "points": 1, "jitter": [0, 0.1], "offset": [0, 0.1]}, "may be a list, not both"),
        ({"text": []}, "a phrase for each class is expected"),
        ({"text": ["cat", " "]}, "a phrase for each class is expected, none of them empty"),
        ({"support": True, "visual_prompt": ["blur", "blur"]}, "visual_prompt: a step is named twice"),
        ({"automatic": {"points": 3, "crop_layers": 2, "crop_fewer_points": 2}}, "leaves no point"),
        ({"support": {"from": "train", "shots": 0}}, "greater than or equal to 1"),
        ({"support": {"from": "train", "shots": 17}}, "less than or equal to 16"),
        ({"support": {"from": "val"}}, "Input should be 'train'"),
        ({"support": {"shots": 2}}, "Field required"),
        ({"support": {"from": "train"}, "image_weight": 0.5}, "image_weight belongs to support with text"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PromptConfig(**settings)


def test_settings_of_support_images_are_written_as_params_has_them():
    settings = {"support": {"from": "train", "shots": 5}}
    config = PromptConfig(**settings)
    assert config.model_dump(exclude_defaults=True) == settings
    assert PromptConfig(**config.model_dump(mode="json", exclude_defaults=True)) == config
