"""Base of all sections of params.yaml: typed, frozen, and a wrong key or value is one clear line."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pydantic
import yaml
from pydantic import Field, NonNegativeInt

from promptseg.core.errors import UserError


def _different(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("each seed once")
    return seeds


Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
# A run is repeated with each, and its own result is that of the first.
Seeds = Annotated[list[NonNegativeInt], Field(min_length=2), pydantic.AfterValidator(_different)]
S = TypeVar("S", bound="Settings")


class Settings(pydantic.BaseModel):
    """A section of params.yaml: unknown keys and wrong types are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        UserError: the file is missing, is not valid YAML, or holds no mapping.
    """
    try:
        raw = yaml.load(Path(path).read_text("utf-8"), yaml.CSafeLoader)  # ten times as fast as safe_load
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run this in the project's folder") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or an impossible date
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: a mapping of sections is expected")
    return raw


def validate(section: type[S], raw: dict, path: str, key: str = "") -> S:
    """Validate a mapping as a section.

    Args:
        section: class of the section.
        raw: the mapping.
        path: file that it comes from, for messages.
        key: key of the mapping in that file, such as `datasets.em.options`; empty for the whole file.

    Returns:
        The section.

    Raises:
        UserError: one line that names the first wrong key, and how many more there are.
    """
    try:
        return section.model_validate(raw)
    except pydantic.ValidationError as error:
        mistakes = _mistakes([_Mistake.of(each, raw) for each in error.errors()])
        first = mistakes[0]
        full_key = ".".join([key] * bool(key) + [str(step) for step in first.keys])
        reason = first.reason
        if first.unknown_key and len(first.keys) == 1:
            reason += f" (known: {', '.join(section.model_fields)})"
        value = "" if isinstance(first.value, dict) else f", got {first.value!r}"
        more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
        raise UserError(f"{path}: {full_key + ': ' if full_key else ''}{reason}{value}{more}") from None


@dataclass(frozen=True)
class _Mistake:
    """An error of pydantic.

    Attributes:
        keys: that lead to the wrong value.
        allowed: where several types are allowed, how many of the keys lead there, and the type that was tried, which
            pydantic puts among the keys.
        reason: in words.
        value: the wrong one.
        unknown_key: whether the last key is wrong, and not its value.
    """

    keys: tuple[str | int, ...]
    allowed: tuple[int, str | int] | None
    reason: str
    value: Any
    unknown_key: bool

    @classmethod
    def of(cls, error: Any, raw: Any) -> "_Mistake":
        keys: list[str | int] = []
        allowed, inside, loc = None, raw, error["loc"]
        for number, step in enumerate(loc, 1):
            if isinstance(inside, dict) and step in inside or isinstance(inside, list) and isinstance(step, int):
                keys.append(step)
                inside = inside[step]
            elif loc[number:] == ("[key]",) or (error["type"] == "missing" and number == len(loc)):
                keys.append(step)
            elif allowed is None and step != "[key]":  # by which pydantic says that the key itself is wrong
                allowed = len(keys), step
        reason = error["msg"].removeprefix("Value error, ")
        return cls(tuple(keys), allowed, reason, error["input"], error["type"] == "extra_forbidden")


def _mistakes(found: list[_Mistake]) -> list[_Mistake]:
    """Of a value that fits none of several types, leave the errors of the type that it comes closest to."""
    places: dict[Any, list[_Mistake]] = {}
    for number, mistake in enumerate(found):
        place = mistake.keys[: mistake.allowed[0]] if mistake.allowed else number
        places.setdefault(place, []).append(mistake)
    left = []
    for mistakes in places.values():
        closest = max(mistakes, key=lambda mistake: len(mistake.keys))
        if closest.allowed is None or len(closest.keys) > closest.allowed[0]:
            left += [mistake for mistake in mistakes if mistake.allowed == closest.allowed]
        else:
            others = [mistake.reason.removeprefix("Input should be ") for mistake in mistakes[1:]]
            left.append(replace(mistakes[0], reason=" or ".join([mistakes[0].reason, *others])))
    return left
