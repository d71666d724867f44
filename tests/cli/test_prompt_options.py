"""Options of prompts: those of all kinds, and the prompts that they give."""

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from promptseg import models, prompts
from promptseg.cli import prompt_options
from promptseg.cli.prompt_options import PromptRequest
from promptseg.prompts import KINDS, to_json
from promptseg.prompts.automatic import AutomaticMasks
from promptseg.prompts.base import Option, PromptPart
from promptseg.prompts.points import Points
from refusing import refused

NOTHING = {
    option.flag.lstrip("-").replace("-", "_"): {str: [], bool: False}.get(option.type)
    for kind in KINDS.values()
    for option in kind.OPTIONS
}


def parse(**given):
    return prompt_options.parse({**NOTHING, **given}, None)


@pytest.mark.parametrize(
    "given, kind, prompts",
    [
        ({"text": ["a cat", "a dog"]}, "text", [{"target": 1, "text": "a cat"}, {"target": 2, "text": "a dog"}]),
        ({"box": ["1,2,3,4", "5,6,7,8.5"]}, "box",
         [{"target": 1, "box": [1, 2, 3, 4]}, {"target": 1, "box": [5, 6, 7, 8.5]}]),
        ({"point": ["1,2", "3,4"], "no_point": ["5,6"]}, "points",
         [{"target": 1, "points": [[1, 2], [3, 4], [5, 6]], "labels": [1, 1, 0]}]),
        ({"point": ["1,2"], "no_point": ["5,6"], "box": ["1,2,30,40"]}, "box + points",
         [{"target": 1, "points": [[1, 2], [5, 6]], "labels": [1, 0], "box": [1, 2, 30, 40]}]),
        ({"no_point": ["5,6"], "box": ["1,2,30,40"]}, "box + points",
         [{"target": 1, "points": [[5, 6]], "labels": [0], "box": [1, 2, 30, 40]}]),
        ({}, "none", [{"target": 1}]),
    ],
)  # fmt: skip
def test_options_give_prompts(given, kind, prompts):
    request = parse(**given)
    assert (request.kind, request.phrases, request.generator) == (kind, given.get("text", []), None)
    assert json.loads(to_json(request.prompts(1, 40, 60, "a"))) == prompts
    assert parse().phrases == [] and NOTHING["text"] == []  # values of one call do not reach the next


def test_phrases_are_one_prompt_where_that_is_asked_for():
    for given in (False, True):
        request = parse(text=["a cat", "a dog"], together=given)
        assert [prompt.together for prompt in request.prompts(2, 40, 60, "a")] == [given] * 2
    refused(lambda: parse(together=True), "--together: give the phrases of the classes by --text")


def test_without_options_every_class_is_prompted_for_and_automatic_masks_have_settings():
    assert [(prompt.target, prompt.parts) for prompt in parse().prompts(3, 40, 60, "a")] == [(1, {}), (2, {}), (3, {})]
    assert (parse(auto=True).generator, parse(auto=True).kind) == (AutomaticMasks(), "automatic")
    assert parse(auto=True, auto_points=16).generator == AutomaticMasks(points=16)


@pytest.mark.parametrize(
    "given, words",
    [
        ({"point": ["1,2"], "box": ["1,2,3,4", "5,6,7,8"]}, ["with --point give one --box"]),
        ({"no_point": ["5,6"]}, ["negative points say where the object is not"]),
        ({"box": ["1,2,61,4"]}, ["cat: the box 1,2,61,4", "60x40"]),
        ({"point": ["1,41"]}, ["cat: the point 1,41", "60x40"]),
        *(({"box": ["1,2,3,4"], **other}, ["give one of --auto, --box, ", "--support and --text go"])
          for other in ({"text": ["a"]}, {"auto": True}, {"support": Path("a.png")})),
    ],
)  # fmt: skip
def test_prompts_outside_the_image_and_kinds_that_do_not_combine_are_refused(given, words):
    refused(lambda: parse(**given).prompts(1, 40, 60, "cat"), *words)


def test_a_model_that_does_not_take_a_kind_names_the_options_that_it_takes():
    text, both = parse(text=["a cat"]), parse(point=["1,2"], box=["1,2,30,40"])
    text.check("clipseg", frozenset({"text"}))
    both.check("sam2", models.load("sam2").PROMPTS)
    for request, model, supported, message in (
        (text, "sam", {"box", "mask", "points"}, "sam takes no --text; give --box or --point"),
        (text, "unet", {"none"}, "unet takes no --text; give no prompt"),
        (both, "medsam", {"box"}, "medsam takes no --point; give --box"),
        (parse(), "sam", {"box"}, "sam needs a prompt; give --box"),
        (parse(), "odd", {"mask"}, "odd needs a prompt; give another --model"),
    ):
        refused(lambda arguments=(request, model, frozenset(supported)): PromptRequest.check(*arguments), message)


@dataclass(frozen=True, eq=False)
class Scribble(PromptPart):
    """A kind that the command line does not know."""

    KIND = "scribble"
    MODEL_KIND = "points"
    COMBINES = frozenset({"text"})
    OPTIONS = (Option("--scribble", "a stroke on the object", Path), Option("--stroke-width", "in pixels", int))

    path: Path
    width: int

    @classmethod
    def describe(cls, config):
        return "scribble"

    @classmethod
    def parse(cls, values, window):
        return [[cls(values["--scribble"], values["--stroke-width"])]]

    def to_model(self, transform, height, width):
        return Points(np.array([[width / 2, height / 2]]), np.array([1]))


@pytest.fixture
def scribble(monkeypatch):
    monkeypatch.setitem(KINDS, "scribble", Scribble)
    monkeypatch.setattr(prompts, "_ORDER", [*prompts._ORDER, "scribble"])
    monkeypatch.setattr(KINDS["text"], "COMBINES", KINDS["text"].COMBINES | {"scribble"})


def test_a_new_kind_brings_its_options_and_is_parsed_without_a_change_here(scribble):
    def command(model: str, **values):
        """Segment."""

    parameters = inspect.signature(prompt_options.with_prompt_options(command)).parameters
    assert [*parameters][0] == "model" and "values" not in parameters
    assert {"scribble", "stroke_width"} < {*parameters} and parameters["stroke_width"].default is None
    stroke = {"scribble": Path("s.png"), "stroke_width": 3}
    request = parse(**stroke)
    ((_, (part,)),) = request.parts
    assert (request.kind, part.path, part.width) == ("scribble", Path("s.png"), 3)
    combined = parse(**stroke, text=["a cat"])
    assert combined.kind == "text + scribble" and combined.phrases == ["a cat"]
    assert {*combined.prompts(1, 4, 4, "a")[0].parts} == {"text", "scribble"}
    refused(lambda: parse(**stroke, text=["a", "b"]), "with --scribble give one --text")
    refused(lambda: parse(**stroke, auto=True), "give one of --auto", "--scribble and --text")
    # models that take points receive it as points
    request.check("sam", frozenset({"points", "box"}))
    refused(lambda: request.check("medsam", frozenset({"box"})), "medsam takes no --scribble; give --box")
    (prompt,) = request.prompts(1, 40, 60, "a")
    received = prompt.to_model(None, 40, 60)
    assert [*prompt.parts] == ["scribble"] and [*received.parts] == ["points"]
    assert received.get("points").coordinates.tolist() == [[30, 20]]
    models.load("sam").check_prompt(SimpleNamespace(kind="scribble", model_kind="points", readout=None, together=False))
