"""A phrase that names what to segment."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import field_validator

from promptseg.core.errors import UserError
from promptseg.core.params import BACKGROUND
from promptseg.core.settings import Settings
from promptseg.prompts.base import Option, PromptPart, PromptSource, Readout


class Config(Settings):
    """Keys of text in a prompt of params.yaml."""

    text: list[str] | Literal["class", "caption"] | None = None  # a phrase a class; class names; the record's caption
    readout: Readout | None = None  # of the model's predictions; None: its default
    together: bool = False  # the phrases of all classes are one prompt, for models that take a list of them

    @field_validator("text")
    @classmethod
    def _no_phrase_is_empty(cls, text):
        if isinstance(text, list) and (not text or any(not phrase.strip() for phrase in text)):
            raise ValueError("a phrase for each class is expected, none of them empty")
        return text


@dataclass(frozen=True, eq=False)
class Text(PromptPart):
    """A text prompt.

    Attributes:
        phrase: not empty.
    """

    KIND: ClassVar[str] = "text"
    Config: ClassVar[type[Settings]] = Config
    COMBINES: ClassVar[frozenset[str]] = frozenset({"support", "exemplars"})
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("--text", "what to segment; several: a class each"),
        Option("--together", "read the phrases of all classes as one prompt (grounding_dino)", bool),
    )

    phrase: str

    @classmethod
    def from_source(cls, config: Any, source: PromptSource, target: int) -> Self | None:
        cls.check(config, source.classes, source.id)
        if config.text == "class":
            # No phrase means "all that is none of these": background is what no other class claims.
            name = source.classes[target - 1]
            return cls(source.words[target - 1] if source.words else name) if name != BACKGROUND else None
        if config.text == "caption":
            if not source.text.strip():
                raise UserError(f"{source.id}: the dataset has no caption for it, as text: caption needs; give phrases")
            return cls(source.text)
        return cls(config.text[target - 1])

    @classmethod
    def check(cls, config: Any, classes: list[str], where: str) -> None:
        """Raise UserError unless there is a phrase for each class."""
        text = config.text
        count = 1 if text == "caption" else len(text) if isinstance(text, list) else len(classes)
        if count != len(classes):
            phrases = f"{count} phrase{'s' * (count > 1)}"
            raise UserError(f"params.yaml: {where}: {phrases}, but there are {len(classes)} classes")

    @classmethod
    def describe(cls, config: Any) -> str:
        if isinstance(config.text, str):
            return "class names" if config.text == "class" else "caption"
        return ", ".join(f'"{phrase}"' for phrase in config.text)

    @classmethod
    def parse(cls, values: dict[str, Any], window: tuple[float, float] | None) -> list[list[Self]]:
        if any(not phrase.strip() for phrase in values["--text"]):
            raise UserError("--text: an empty phrase; say what to segment")
        if values["--together"] and not values["--text"]:
            raise UserError("--together: give the phrases of the classes by --text")
        return [[cls(phrase)] for phrase in values["--text"]]

    def draw(self, layer, color: tuple[int, int, int]) -> None:
        layer.caption(f"“{self.phrase}”")

    def to_json(self) -> dict[str, Any]:
        return {"text": self.phrase}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self | None:
        return cls(entry["text"]) if "text" in entry else None
