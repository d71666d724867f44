"""All of params.yaml, validated as a whole."""

import re
from collections.abc import Collection
from pathlib import Path

import pydantic

from promptseg.core.errors import UserError
from promptseg.core.params import PATH, Dataset, Download, Header, Model
from promptseg.core.runs import Cascade, FineTune, Run
from promptseg.core.search import Search
from promptseg.core.searched import Searched
from promptseg.core.settings import Fraction, read_yaml, validate

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
RUN_SECTIONS = ("zero_shot", "searched", "cascade", "finetune")
SECTIONS = ("download", "datasets", "models", "search", *RUN_SECTIONS)


class Study(Header):
    """The sections of params.yaml; names are checked against each other."""

    good_enough: Fraction = 0.8  # score from which on the verdict calls a run good enough
    download: dict[str, Download] = {}
    datasets: dict[str, Dataset]
    models: dict[str, Model]
    zero_shot: dict[str, Run] = {}
    search: dict[str, Search] = {}
    searched: dict[str, Searched] = {}
    cascade: dict[str, Cascade] = {}
    finetune: dict[str, FineTune] = {}

    @pydantic.model_validator(mode="after")
    def _names_are_consistent(self):
        for section in SECTIONS:
            for name in getattr(self, section):
                if not NAME.fullmatch(name):
                    raise ValueError(f"{section}: {name!r} is no valid name: use a-z, 0-9, _ and -, at most 41 of them")
        for section in ("search", *RUN_SECTIONS):
            for name, run in getattr(self, section).items():
                self._check_run(section, name, run)
        self._check_unique()
        return self

    def _check_run(self, section: str, name: str, run: Run | Cascade | Search) -> None:
        for noun in ("dataset", "model"):
            known, given = getattr(self, noun + "s"), getattr(run, noun)
            if given not in known:
                raise ValueError(f"{section}.{name}.{noun}: unknown {noun} {given!r}; known: {', '.join(known)}")
        if isinstance(run, Searched):
            found = self.search.get(run.prompt.search)
            if found is None or (found.dataset, found.model) != (run.dataset, run.model):
                fitting = [
                    key for key, each in self.search.items() if (each.dataset, each.model) == (run.dataset, run.model)
                ]
                raise ValueError(
                    f"{section}.{name}.prompt.search: {run.prompt.search!r} is no search with {run.model} on"
                    f" {run.dataset}; known: {', '.join(fitting) or 'none'}"
                )
        if isinstance(run, Cascade):
            sources = {**self.zero_shot, **self.searched, **self.finetune}
            if run.source not in sources:
                raise ValueError(f"{section}.{name}.from: unknown run {run.source!r}; known: {', '.join(sources)}")
            if sources[run.source].dataset != run.dataset:
                raise ValueError(
                    f"{section}.{name}.dataset: {run.dataset!r}, but {run.source} is on {sources[run.source].dataset!r}"
                )
        if isinstance(run, FineTune) and run.baseline is not None:
            others = [key for key, other in self.runs.items() if other.dataset == run.dataset and key != name]
            if run.baseline not in others:
                raise ValueError(
                    f"{section}.{name}.baseline: {run.baseline!r} is no other run on {run.dataset}; known:"
                    f" {', '.join(others)}"
                )

    def _check_unique(self) -> None:
        seen: dict[str, str] = {}
        for section in RUN_SECTIONS:
            for name in getattr(self, section):
                if name in seen:
                    raise ValueError(f"{name} is in {seen[name]} and in {section}: the name of a run must be unique")
                seen[name] = section

    @property
    def runs(self) -> dict[str, Run | Cascade | FineTune]:
        """All runs by name, zero-shot, with the prompt of a search, cascades, fine-tuned."""
        return {**self.zero_shot, **self.searched, **self.cascade, **self.finetune}

    def run(self, name: str) -> Run | Cascade | FineTune:
        """The run of that name. Raises UserError, listing the known ones."""
        if name not in self.runs:
            raise UserError(f"params.yaml: unknown run {name!r}; known: {', '.join(self.runs)}")
        return self.runs[name]

    def only(self, names: Collection[str]) -> "Study":
        """The study of these runs alone; cascades without the run that they refine are left out too."""
        kept = {
            section: {k: run for k, run in getattr(self, section).items() if k in names} for section in RUN_SECTIONS
        }
        sources = kept["zero_shot"] | kept["searched"] | kept["finetune"]
        kept["cascade"] = {name: run for name, run in kept["cascade"].items() if run.source in sources}
        return self.model_copy(update=kept)


def load(path: Path = PATH) -> Study:
    """Read and validate params.yaml. Raises UserError with one line that names the key."""
    return validate(Study, read_yaml(path), str(path))
