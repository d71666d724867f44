"""Options of prompts: those of all kinds, and the prompts that they give."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from promptseg import models, prompts
from promptseg.cli import main, prompt_options
from promptseg.prompts import KINDS
from promptseg.prompts.automatic import AutomaticMasks
from promptseg.prompts.base import Option, PromptPart
from promptseg.prompts.points import Points
from refusing import refused
from typer.testing import CliRunner

NOTHING = {
    option.flag.lstrip("-").replace("-", "_"): {str: [], bool: False}.get(option.type)
    for kind in KINDS.values()
    for option in kind.OPTIONS
}


def parse(**given):
    return prompt_options.parse({**NOTHING, **given}, None)


def built(request, classes=1):
    return prompts.from_json(prompts.to_json(request.prompts(classes, 40, 60, "a")))


def test_without_options_every_class_is_prompted_for_without_parts():
    request = parse()
    assert (request.kind, request.generator, request.phrases) == ("none", None, [])
    assert [(prompt.target, prompt.parts) for prompt in request.prompts(3, 40, 60, "a")] == [(1, {}), (2, {}), (3, {})]


def test_each_text_is_a_class():
    request = parse(text=["a cat", "a dog"])
    assert (request.kind, request.phrases) == ("text", ["a cat", "a dog"])
    assert [(prompt.target, prompt.get("text").phrase) for prompt in built(request)] == [(1, "a cat"), (2, "a dog")]


def test_each_box_is_a_prompt_for_class_1():
    request = parse(box=["1,2,3,4", "5,6,7,8.5"])
    assert (request.kind, request.phrases) == ("box", [])
    assert [prompt.target for prompt in built(request)] == [1, 1]
    assert [prompt.get("box").corners.tolist() for prompt in built(request)] == [[1, 2, 3, 4], [5, 6, 7, 8.5]]


def test_all_points_are_one_prompt():
    (prompt,) = built(parse(point=["1,2", "3,4"], no_point=["5,6"]))
    assert prompt.get("points").coordinates.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert prompt.get("points").labels.tolist() == [1, 1, 0]


def test_points_and_one_box_are_one_prompt():
    request = parse(point=["1,2"], no_point=["5,6"], box=["1,2,30,40"])
    (prompt,) = built(request)
    assert request.kind == "box + points" and {*prompt.parts} == {"box", "points"}
    assert prompt.get("points").labels.tolist() == [1, 0] and prompt.get("box").corners.tolist() == [1, 2, 30, 40]
    (prompt,) = built(parse(no_point=["5,6"], box=["1,2,30,40"]))
    assert prompt.get("points").labels.tolist() == [0]
    refused(lambda: parse(point=["1,2"], box=["1,2,3,4", "5,6,7,8"]), "with --point give one --box")
    refused(lambda: parse(no_point=["5,6"]), "negative points say where the object is not")
    request.check("sam2", models.segmenter_class("sam2").PROMPTS)
    refused(lambda: request.check("medsam", frozenset({"box"})), "medsam takes no --point; give --box")


def test_automatic_masks_have_settings():
    assert parse(auto=True).generator == AutomaticMasks()
    assert parse(auto=True, auto_points=16).generator == AutomaticMasks(points=16)
    assert parse(auto=True).kind == "automatic"


def test_a_prompt_outside_the_image_is_refused_with_its_name():
    refused(lambda: parse(box=["1,2,61,4"]).prompts(1, 40, 60, "cat"), "cat: the box 1,2,61,4", "60x40")
    refused(lambda: parse(point=["1,41"]).prompts(1, 40, 60, "cat"), "cat: the point 1,41", "60x40")


@pytest.mark.parametrize("given", [{"text": ["a"]}, {"auto": True}, {"support": Path("a.png")}])
def test_kinds_that_do_not_combine_are_refused(given):
    refused(lambda: parse(box=["1,2,3,4"], **given), "give one of --auto, --box, ", "--support and --text go")


def test_a_model_that_does_not_take_a_kind_names_the_options_that_it_takes():
    request = parse(text=["a cat"])
    request.check("clipseg", frozenset({"text"}))
    refused(
        lambda: request.check("sam", frozenset({"box", "mask", "points"})), "sam takes no --text; give --box or --point"
    )
    refused(lambda: request.check("unet", frozenset({"none"})), "unet takes no --text; give no prompt")
    refused(lambda: parse().check("sam", frozenset({"box"})), "sam needs a prompt; give --box")
    refused(lambda: parse().check("odd", frozenset({"mask"})), "odd needs a prompt; give another --model")


@dataclass(frozen=True, eq=False)
class Scribble(PromptPart):
    """A kind that the command line does not know."""

    KIND = "scribble"
    MODEL_KIND = "points"
    COMBINES = frozenset({"text"})
    OPTIONS = (
        Option("--scribble", "a stroke on the object", Path),
        Option("--stroke-width", "in pixels", int),
    )

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
    request = parse(scribble=Path("s.png"), stroke_width=3)
    ((_, (part,)),) = request.parts
    assert (request.kind, part.path, part.width) == ("scribble", Path("s.png"), 3)
    combined = parse(scribble=Path("s.png"), stroke_width=3, text=["a cat"])
    assert combined.kind == "text + scribble" and combined.phrases == ["a cat"]
    assert {*combined.prompts(1, 4, 4, "a")[0].parts} == {"text", "scribble"}
    refused(lambda: parse(scribble=Path("s.png"), stroke_width=3, text=["a", "b"]), "with --scribble give one --text")
    refused(
        lambda: parse(scribble=Path("s.png"), stroke_width=3, auto=True), "give one of --auto", "--scribble and --text"
    )


def test_a_kind_that_models_receive_as_points_is_taken_by_those_that_take_points(scribble):
    request = parse(scribble=Path("s.png"), stroke_width=3)
    request.check("sam", frozenset({"points", "box"}))
    refused(lambda: request.check("medsam", frozenset({"box"})), "medsam takes no --scribble; give --box")
    (prompt,) = request.prompts(1, 40, 60, "a")
    received = prompt.to_model(None, 40, 60)
    assert [*prompt.parts] == ["scribble"] and [*received.parts] == ["points"]
    assert received.get("points").coordinates.tolist() == [[30, 20]]
    models.segmenter_class("sam").check_prompt(SimpleNamespace(kind="scribble", model_kind="points"))


def test_help_lists_the_options_of_all_kinds():
    shown = CliRunner().invoke(main.app, ["segment", "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).stdout
    flags = [option.flag for kind in KINDS.values() for option in kind.OPTIONS]
    assert len(flags) > 6 and all(f" {flag} " in shown for flag in [*flags, "--model", "--cascade"])
    commands = CliRunner().invoke(main.app, ["--help"]).stdout
    assert "Segment images with a model of your choice" in commands and "--box" not in commands


def test_values_of_one_call_do_not_reach_the_next():
    first, second = parse(text=["a"]), parse()
    assert first.phrases == ["a"] and second.phrases == [] and NOTHING["text"] == []
    assert np.array_equal(built(parse(box=["1,2,3,4"]))[0].get("box").corners, [1, 2, 3, 4])
