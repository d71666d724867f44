"""Prompts in params.yaml: their kinds, where they come from, and their descriptions."""

import pytest
from promptseg import prompts
from promptseg.prompts import KINDS, PromptConfig
from promptseg.prompts.automatic import AutomaticMasks
from refusing import refused


@pytest.mark.parametrize(
    "given, kind, source, words",
    [
        ({}, "none", "none", "none"),
        ({"points": 1}, "points", "ground truth (oracle)", "1 random point"),
        ({"points": 3, "sampling": "center"}, "points", "ground truth (oracle)", "3 central points"),
        ({"points": 2, "per": "instance"}, "points", "ground truth (oracle)", "2 random points an instance"),
        ({"box": True}, "box", "ground truth (oracle)", "box"),
        (
            {"box": True, "per": "instance", "jitter": 0.02},
            "box",
            "ground truth with jitter (oracle)",
            "box an instance, jitter 0.02",
        ),
        (
            {"points": 2, "box": True, "per": "instance"},
            "box + points",
            "ground truth (oracle)",
            "box + 2 random points an instance",
        ),
        ({"mask": True}, "mask", "ground truth (oracle)", "mask"),
        ({"mask": True, "per": "instance"}, "mask", "ground truth (oracle)", "mask an instance"),
        ({"text": ["black spots"]}, "text", "text", '"black spots"'),
        ({"text": ["cat", "dog"]}, "text", "text", '"cat", "dog"'),
        ({"text": "class"}, "text", "text", "class names"),
        ({"support": True}, "support", "support", "support image (darken, blur, crop)"),
        (
            {"text": "caption", "support": True, "visual_prompt": []},
            "text + support",
            "text + support",
            "caption + 0.75 support image (plain)",
        ),
    ],
)
def test_a_prompt_has_a_kind_a_source_and_a_description(given, kind, source, words):
    config = PromptConfig(**given)
    assert config.kind == kind
    assert config.source == source and config.oracle is source.startswith("ground truth")
    assert config.describe() == words


def test_automatic_masks_are_an_oracle_only_by_their_matching():
    config = PromptConfig(automatic={"iou": 0.8})
    assert (config.kind, config.oracle, config.describe()) == ("automatic", False, "automatic masks")
    assert config.source == "none, matched with the ground truth (oracle)"
    assert config.generator == AutomaticMasks(iou=0.8)
    assert PromptConfig(automatic=True).generator == AutomaticMasks()


def test_kinds_are_joined_as_models_list_them():
    assert prompts.join_kinds([]) == "none" and prompts.join_kinds({"box"}) == "box"
    assert prompts.join_kinds(["support", "text"]) == prompts.join_kinds(["text", "support"]) == "text + support"
    assert PromptConfig(text="class", support=True).model_kind == "text + support"
    assert set(KINDS) >= {"automatic", "box", "mask", "points", "support", "text"}


@pytest.mark.parametrize("text, count", [(["a", "b"], 1), (["a"], 2), ("caption", 2)])
def test_a_phrase_is_needed_for_each_class(text, count):
    classes = ["cat", "dog"][:count]
    refused(lambda: PromptConfig(text=text).check(classes, "a-run"), "params.yaml: a-run: ", f"{count} classes")
    PromptConfig(text="class").check(classes, "a-run")
