"""Runs that take the prompt which a search found best.

The search itself is in `core/search.py`: an edit of it runs searches again, and no zero-shot run.
"""

import json
from pathlib import Path
from typing import Any

import pydantic

from promptseg.core.errors import UserError
from promptseg.core.runs import Run
from promptseg.core.settings import Settings
from promptseg.prompts import PromptConfig


class SearchPrompt(Settings):
    """The prompt that a search found best, which `Searched.with_prompt` puts in the place of this."""

    search: str


class Searched(Run):
    """A zero-shot run whose prompt is the winner of a search with the same dataset and model.

    DVC needs both by name.
    """

    prompt: pydantic.SerializeAsAny[SearchPrompt]  # or what `with_prompt` puts there

    def with_prompt(self, prompt: dict[str, Any]) -> "Searched":
        """The same run with a prompt as params.yaml would have it."""
        return self.model_copy(update={"prompt": PromptConfig.model_validate(prompt)})


def take_winner(run: Searched, path: Path) -> tuple[Searched, dict[str, Any]]:
    """Give a run the prompt that a search found.

    Args:
        run: as params.yaml has it.
        path: of the JSON file that the search wrote.

    Returns:
        The run with that prompt, and what was found: `prompt` as params.yaml would have it; `score`, the headline
        metric on the validation split; `candidates`, their number; `encoder_passes` and `decoder_passes`, the images
        and the prompts that went through the model; `ranking`, all candidates as `prompt`, in words, `iou`, and
        `images`, the number that this is of, the best first.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        return run.with_prompt(found["prompt"]), found
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro search@{path.stem}` makes it") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: damaged; delete it and run `dvc repro search@{path.stem}`") from None
