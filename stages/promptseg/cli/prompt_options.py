"""Prompts on the command line: the options of all kinds of prompts, and the prompts that they give for an image.

Each kind names its options and parses them (`PromptPart.OPTIONS`, `PromptPart.parse`), so none is listed here.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from promptseg import prompts
from promptseg.core.errors import UserError
from promptseg.prompts import KINDS, Prompt, PromptPart
from promptseg.prompts.automatic import Automatic, AutomaticMasks
from promptseg.prompts.base import Option
from promptseg.prompts.text import Text


@dataclass(frozen=True)
class PromptRequest:
    """Prompts for every image, in its own pixels, counted from the upper left corner.

    Attributes:
        kind: as models list it: "box", "text + support", ...; "none" where no prompt was given.
        parts: class number and parts of each prompt; empty where no prompt was given.
        together: whether the phrases of all classes are one prompt.
    """

    kind: str = "none"
    parts: tuple[tuple[int, tuple[PromptPart, ...]], ...] = ()
    together: bool = False

    @property
    def generator(self) -> AutomaticMasks | None:
        """Settings of the automatic mask generator, where all masks are requested."""
        automatic = [part for _, of_prompt in self.parts for part in of_prompt if isinstance(part, Automatic)]
        return automatic[0].settings if automatic else None

    @property
    def phrases(self) -> list[str]:
        """The phrase of each class; empty where there are none."""
        return [part.phrase for _, of_prompt in self.parts for part in of_prompt if isinstance(part, Text)]

    def check(self, model: str, supported: frozenset[str]) -> None:
        """Raise UserError, naming the options of what is supported, unless a model takes this kind of prompt."""
        kinds = [name for name in KINDS if name in self.kind.split(" + ")]
        if prompts.join_kinds(map(prompts.model_kind, kinds)) in supported:
            return
        refused = [name for name in kinds if prompts.model_kind(name) not in supported] or kinds
        takes = [name for name in KINDS if prompts.model_kind(name) in supported]
        known = [_main_flag(name) for name in takes if KINDS[name].OPTIONS]
        known += ["no prompt"] * ("none" in supported)
        what = f"takes no {' with '.join(map(_main_flag, refused))}" if refused else "needs a prompt"
        raise UserError(f"{model} {what}; give {' or '.join(known) or 'another --model'}")

    def prompts(self, classes: int, height: int, width: int, name: str) -> list[Prompt]:
        """Build the prompts for one image.

        Args:
            classes: number of classes, each of which is prompted for where no prompt was given.
            height: of the image.
            width: of the image.
            name: of the image, for messages.

        Raises:
            UserError: a prompt lies outside the image.
        """
        if not self.parts:
            return [Prompt(target) for target in range(1, classes + 1)]
        for _, of_prompt in self.parts:
            for part in of_prompt:
                part.check_inside(height, width, name)
        return [Prompt.of(*of_prompt, target=target, together=self.together) for target, of_prompt in self.parts]


def parse(values: dict[str, Any], window: tuple[float, float] | None) -> PromptRequest:
    """Parse the options of all kinds of prompts.

    Args:
        values: by the parameter names of `with_prompt_options`, removed from the dictionary.
        window: values that become black and white in 16-bit images.

    Raises:
        UserError: an option is malformed, or kinds of prompts do not combine.
    """
    together = values["together"]
    given: dict[str, list[list[PromptPart]]] = {}
    for name, kind in KINDS.items():
        own = {option.flag: values.pop(_parameter_name(option)) for option in kind.OPTIONS}
        if any(value not in (None, False, []) for value in own.values()):
            _check_combines(name, given)
            given[name] = kind.parse(own, window)
    joined = prompts.join_kinds(given)
    if len(given) < 2:
        alone = [(n, part) for classes in given.values() for n, parts in enumerate(classes, 1) for part in parts]
        for _, part in alone:
            part.check_alone()
        return PromptRequest(joined, tuple((n, (part,)) for n, part in alone), together)
    for name, classes in given.items():
        if len(classes) > 1 or len(classes[0]) > 1:
            beside = " and ".join(_main_flag(other) for other in given if other != name)
            raise UserError(f"with {beside} give one {_main_flag(name)}")
    return PromptRequest(joined, ((1, tuple(classes[0][0] for classes in given.values())),), together)


def with_prompt_options(command: Callable) -> Callable:
    """Give a Typer command the options of all kinds of prompts in place of its `**` parameter.

    str options may be given several times, bool is a flag, other types are given once.
    """
    signature = inspect.signature(command)
    parameters = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [option for kind in KINDS.values() for option in kind.OPTIONS]

    def prompted(*args, **kwargs):
        return command(*args, **kwargs)

    prompted.__name__, prompted.__doc__ = command.__name__, command.__doc__
    parameters += [_parameter(option) for option in options]
    prompted.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # see PEP 362
    return prompted


def _check_combines(name: str, given: dict[str, Any]) -> None:
    """Raise UserError unless a kind combines with those that are given."""
    if all(other in KINDS[name].COMBINES for other in given):
        return
    flags = [_main_flag(each) for each, kind in KINDS.items() if kind.OPTIONS]
    pairs = {frozenset((each, other)) for each, kind in KINDS.items() for other in kind.COMBINES}
    together = [" and ".join(_main_flag(each) for each in sorted(pair)) for pair in pairs]
    raise UserError(f"give one of {', '.join(flags)} (only {', '.join(sorted(together))} go together)")


def _main_flag(kind: str) -> str:
    return KINDS[kind].OPTIONS[0].flag


def _parameter_name(option: Option) -> str:
    return option.flag.lstrip("-").replace("-", "_")


def _parameter(option: Option) -> inspect.Parameter:
    kind: Any  # a variable of a known type cannot stand in an annotation
    kind, default = {str: (list[str], []), bool: (bool, False)}.get(option.type, (option.type | None, None))
    annotation = Annotated[kind, typer.Option(option.flag, help=option.help)]
    return inspect.Parameter(
        _parameter_name(option), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def parse_classes(text: str) -> list[str]:
    """Parse `road, car`. Raises UserError where a name is empty or repeated."""
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise UserError(f"--classes {text!r}: names with commas between them are expected, none empty or repeated")
    return names
