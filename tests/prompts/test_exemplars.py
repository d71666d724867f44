"""Exemplar boxes: which instances they are around, and that they are the prompt for a whole class."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from built_prompts import NAMES, build, mask
from promptseg.cli import prompt_options
from promptseg.nn.image_transform import ImageTransform
from promptseg.prompts import KINDS, PromptConfig, from_json, to_json
from promptseg.prompts.exemplars import Exemplars
from refusing import refused

__all__ = ["mask"]  # a fixture

# Edges of the boxes of the mask's instances by class, in scan order.
BOXES = {1: [[5, 3, 18, 10], [30, 20, 37, 30]], 2: [[40, 2, 55, 8], [2, 33, 4, 39]]}


def boxes(prompt, label: int) -> list[list[float]]:
    part = prompt.get("exemplars")
    return part.corners[part.labels == label].tolist()


@pytest.mark.parametrize("exemplars, negatives", [(1, 0), (2, 1), (9, 9)])
def test_exemplars_are_boxes_of_instances_of_the_class_and_negatives_of_others(mask, exemplars, negatives):
    config = PromptConfig(exemplars=exemplars, negatives=negatives)
    prompts, regions = build(config, mask, NAMES)  # there is no cow in the mask
    assert [prompt.target for prompt in prompts] == [1, 2]
    for prompt, region in zip(prompts, regions, strict=True):
        np.testing.assert_array_equal(region, mask == prompt.target)
        for label, target, count in ((1, prompt.target, exemplars), (0, 3 - prompt.target, negatives)):
            chosen = boxes(prompt, label)
            assert len(chosen) == min(count, 2) and [box for box in BOXES[target] if box in chosen] == chosen
        assert prompt.effort == min(exemplars, 2) + min(negatives, 2)


def test_seed_and_id_determine_which_instances_are_shown(mask):
    config = PromptConfig(exemplars=1)
    of_seeds = [to_json(build(config, mask, NAMES, seed)[0]) for seed in range(8)]
    assert of_seeds == [to_json(build(config, mask.copy(), NAMES, seed)[0]) for seed in range(8)]
    shown = {tuple(boxes(build(config, mask, NAMES, 0, id)[0][0], 1)[0]) for id in "abcdefgh"}
    assert shown == set(map(tuple, BOXES[1])) and len(set(of_seeds)) > 1


def test_instances_are_those_of_the_source(mask):
    instances = np.where(mask == 1, np.arange(1, 61) // 10 + 1, 0).astype(np.uint16)  # stripes
    (cat, dog), _ = build(PromptConfig(exemplars=9), mask, NAMES, instances=instances)
    assert boxes(cat, 1) == [[5, 3, 9, 10], [9, 3, 18, 10], [30, 20, 37, 30]] and boxes(dog, 1) == BOXES[2]


def test_a_phrase_beside_exemplars_is_of_the_same_prompt_and_of_classes_that_are_there(mask):
    config = PromptConfig(text="class", exemplars=1, readout="instances")
    prompts, _ = build(config, mask, NAMES)
    assert [(prompt.target, [*prompt.parts], prompt.readout) for prompt in prompts] == [
        (target, ["text", "exemplars"], "instances") for target in (1, 2)
    ]
    assert [prompt.get("text").phrase for prompt in prompts] == NAMES[:2]
    assert build(config, np.zeros_like(mask), NAMES) == ([], [])


def test_negatives_need_another_class():
    config = PromptConfig(exemplars=1, negatives=1)
    refused(lambda: config.check(["cat"], "a"), "params.yaml: a: negatives are instances of other classes")
    config.check(NAMES, "a")


def test_exemplars_follow_the_image_and_are_read_as_they_were_written(mask):
    prompts, _ = build(PromptConfig(exemplars=2, negatives=1), mask, NAMES)
    assert to_json(from_json(to_json(prompts))) == to_json(prompts)
    (prompt,) = from_json(json.dumps([{"target": 1, "exemplars": [[5, 3, 18, 10]], "exemplar_labels": [0]}]))
    assert boxes(prompt.translate(10, 20), 0) == [[15, 23, 28, 30]]
    transform = ImageTransform(80, False, (0, 0, 0), (1, 1, 1))
    assert boxes(prompt.to_model(transform, 40, 160), 0) == [[2.5, 6, 9, 20]]


def test_negative_exemplars_are_drawn_with_a_cross():
    drawn = []
    layer = SimpleNamespace(box=lambda *given: drawn.append("box"), point=lambda *given: drawn.append(given[:2]))
    Exemplars.of([[0, 0, 4, 4]], [[10, 10, 20, 30]]).draw(layer, (255, 0, 0))
    (middle, positive) = drawn.pop()
    assert drawn == ["box", "box"] and middle.tolist() == [15, 20] and positive is False


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"exemplar": ["1,2,3,4", "5,6,7,8"], "no_exemplar": ["9,9,12,12"]}, [[1, 1, 0], None]),
        ({"exemplar": ["1,2,3,4"], "text": ["a cat"]}, [[1], "a cat"]),
        ({"no_exemplar": ["1,2,3,4"], "text": ["a cat"]}, [[0], "a cat"]),
    ],
)
def test_all_boxes_of_the_command_line_are_one_prompt(given, expected):
    (prompt,) = parse(**given).prompts(1, 40, 60, "cat")
    text = prompt.get("text")
    assert [prompt.get("exemplars").labels.tolist(), text and text.phrase] == expected


@pytest.mark.parametrize(
    "given, message",
    [
        ({"exemplar": ["1,2,3"]}, "--exemplar '1,2,3': 4 numbers"),
        ({"no_exemplar": ["5,2,3,4"]}, "--no-exemplar 5,2,3,4: empty"),
        ({"no_exemplar": ["1,2,3,4"]}, "negative exemplars say what is not meant"),
        ({"exemplar": ["1,2,61,4"]}, "cat: the box 1,2,61,4 exceeds the image, which is 60x40"),
        ({"exemplar": ["1,2,3,4"], "text": ["a", "b"]}, "with --exemplar give one --text"),
        ({"exemplar": ["1,2,3,4"], "box": ["1,2,3,4"]}, "--exemplar and --text"),
    ],
)
def test_exemplars_that_cannot_be_are_refused(given, message):
    refused(lambda: parse(**given).prompts(1, 40, 60, "cat"), message)


def parse(**given):
    nothing = {
        option.flag.lstrip("-").replace("-", "_"): {str: [], bool: False}.get(option.type)
        for kind in KINDS.values()
        for option in kind.OPTIONS
    }
    return prompt_options.parse({**nothing, **given}, None)
