"""Base of all sections of params.yaml: typed, frozen, and a wrong key or value is one clear line."""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pydantic
import yaml
from pydantic import Field

from promptseg.core.errors import UserError

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
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
        errors = error.errors()
        # Where several types are allowed, pydantic puts the type that it tried into the location.
        location = [str(step) for step in errors[0]["loc"] if not re.match(r"(list|dict|literal)\[", str(step))]
        full_key = ".".join([key] * bool(key) + location)
        reason = errors[0]["msg"].removeprefix("Value error, ")
        if errors[0]["type"] == "extra_forbidden" and len(errors[0]["loc"]) == 1:
            reason += f" (known: {', '.join(section.model_fields)})"
        value = "" if isinstance(errors[0]["input"], dict) else f", got {errors[0]['input']!r}"
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise UserError(f"{path}: {full_key + ': ' if full_key else ''}{reason}{value}{more}") from None
