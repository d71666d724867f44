"""What all sections of params.yaml have in common: typed, frozen, and a wrong key or value is one clear line."""

import re
from typing import Annotated

import pydantic
from pydantic import Field

from promptseg.core.errors import UserError

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Settings(pydantic.BaseModel):
    """A section of params.yaml: unknown keys and wrong types are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def validate(kind: type[Settings], raw: dict, where: str, at: str = "") -> Settings:
    """A section of its kind from a mapping. where: the file; at: the key that the mapping stands at. Raises UserError."""
    try:
        return kind.model_validate(raw)
    except pydantic.ValidationError as error:
        errors = error.errors()
        # Where several types are allowed, pydantic puts the type it tried into the way to the key.
        way = [str(part) for part in errors[0]["loc"] if not re.match(r"(list|dict|literal)\[", str(part))]
        key = ".".join([at] * bool(at) + way)
        reason = errors[0]["msg"].removeprefix("Value error, ")
        if errors[0]["type"] == "extra_forbidden" and len(errors[0]["loc"]) == 1:
            reason += f" (known: {', '.join(kind.model_fields)})"
        given = "" if isinstance(errors[0]["input"], dict) else f", got {errors[0]['input']!r}"
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise UserError(f"{where}: {key + ': ' if key else ''}{reason}{given}{more}") from None
