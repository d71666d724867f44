"""Entries of params.yaml that search for a prompt."""

import itertools
from typing import Any

import pydantic

from promptseg.core.settings import Settings
from promptseg.prompts import PromptConfig


class Search(Settings):
    """Candidates for the prompt of a model on a dataset, of which the validation split shows the best."""

    dataset: str
    model: str
    candidates: list[PromptConfig] = []
    phrases: list[str | list[str]] = []  # more candidates: a phrase each, with several classes one for each of them
    pairs: bool = False  # each two phrases with `and` between them too
    templates: list[str] = ["{}"]  # that each phrase is put into

    @property
    def prompts(self) -> list[Any]:
        """All candidates as PromptConfig, each once."""
        wordings = [[phrase] if isinstance(phrase, str) else phrase for phrase in self.phrases]
        if self.pairs:
            pairs = itertools.combinations(wordings, 2)
            wordings += [[" and ".join(both) for both in zip(*pair, strict=True)] for pair in pairs]
        texts = [[form.replace("{}", each) for each in words] for words in wordings for form in self.templates]
        found = [*self.candidates, *(PromptConfig(text=text) for text in texts)]
        return list({prompt.model_dump_json(): prompt for prompt in found}.values())

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if not self.candidates and not self.phrases:
            raise ValueError("nothing to search among; give candidates or phrases")
        if not self.templates or any("{}" not in form for form in self.templates):
            raise ValueError("templates: each needs {}, where the phrase goes")
        if len({0 if isinstance(phrase, str) else len(phrase) for phrase in self.phrases}) > 1:
            raise ValueError("phrases: a phrase, or a list with a phrase for each class, is expected for all of them")
        if any(prompt.kind == "automatic" for prompt in self.prompts):
            raise ValueError("candidates: automatic masks are no prompt; use text, points, boxes or support images")
        if any(prompt.sweep is not None for prompt in self.prompts):
            raise ValueError("candidates: clicks and lists of jitter or offset have several steps; give one value each")
        return self
