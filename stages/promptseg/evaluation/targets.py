"""Published figures as targets: what a figure needs to be reproduced, and whether a study has it."""

from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import Field, PositiveInt

from promptseg import models
from promptseg.core.errors import UserError
from promptseg.core.settings import Fraction, Settings, read_yaml, validate
from promptseg.core.study import NAME, Study
from promptseg.evaluation import metrics
from promptseg.evaluation.conventions import CONVENTIONS
from promptseg.prompts import PromptConfig

SHIPPED = Path(__file__).parent.parent / "targets.yaml"


class Weights(Settings):
    """Released weights that a figure was reached with."""

    repository: str  # on the Hugging Face hub
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None  # commit; None: not known


class Target(Settings):
    """A published figure, with the run that is to reach it, or the reason why none can."""

    figure: Fraction
    paper: str  # where the figure stands
    untestable: str | None = None
    run: str | None = None  # name in params.yaml
    dataset: str | None = None
    images: PositiveInt | None = None  # with ground truth in the test split
    model: str | None = None
    weights: Weights | None = None
    prompt: PromptConfig | None = None
    metric: str | None = None  # key of a summary, or a convention
    threshold: Fraction = 0.5
    tolerance: Fraction | None = None
    why: str | None = None  # the tolerance is so large

    @pydantic.model_validator(mode="after")
    def _complete(self):
        needed = ("run", "dataset", "images", "model", "prompt", "metric", "tolerance", "why")
        missing = [name for name in needed if getattr(self, name) is None]
        if self.untestable is None and missing:
            raise ValueError(f"{missing[0]} is missing, or `untestable`, the reason why no run can reach the figure")
        if self.metric is not None and self.metric not in {*CONVENTIONS, *(key.name for key in metrics.keys())}:
            raise ValueError(f"metric: unknown {self.metric!r}; known conventions: {', '.join(CONVENTIONS)}")
        return self

    def difference_to(self, study: Study, rehearse: bool) -> str | None:
        """Say what keeps a study from reaching the figure by the target's run; None: nothing.

        Args:
            study: params.yaml.
            rehearse: whether scale and weights may be others.
        """
        run = study.runs.get(self.run or "")
        if run is None:
            return f"params.yaml has no run {self.run}; `promptseg init --study published` brings it"
        if (run.dataset, run.model, run.prompt) != (self.dataset, self.model, self.prompt):
            return f"{self.run} in params.yaml has another dataset, model or prompt than the target"
        if rehearse:
            return None
        scale = study.scale
        if (scale.data, scale.max_images, scale.max_epochs) != ("official", None, None):
            return "params.yaml is not at full scale: set scale.data: official, scale.max_images and max_epochs: null"
        return self._other_weights(study)

    def _other_weights(self, study: Study) -> str | None:
        if self.weights is None:
            return None
        entry = study.models[str(self.model)]
        source = entry.source or study.scale.checkpoints
        if source != "official":
            return f"the weights are {source}, not those of {self.weights.repository}"
        repository, revision = entry.official, entry.revision
        if repository is None:
            repository, revision = models.load(str(self.model)).OFFICIAL
        wanted = self.weights.revision
        if repository != self.weights.repository or (wanted and revision != wanted):
            at = f" at {wanted}" if wanted else ""
            return (
                f"the weights are {repository} at {revision}, not {self.weights.repository}{at}: set"
                f" models.{self.model}.official and revision"
            )
        return None


def load(path: Path = SHIPPED) -> dict[str, Target]:
    """Read a file of targets.

    Raises:
        UserError: it is missing or damaged; the line names the target and its key.
    """
    targets = {}
    for name, raw in read_yaml(path).items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise UserError(f"{path}: {name!r} is no valid name: use a-z, 0-9, _ and -, at most 41 of them")
        if not isinstance(raw, dict):
            raise UserError(f"{path}: {name}: a mapping is expected")
        targets[name] = validate(Target, raw, str(path), name)
    return targets


def choose(targets: dict[str, Target], names: list[str]) -> dict[str, Any]:
    """Take the targets of these names, all where there are none. Raises UserError for unknown ones."""
    unknown = [name for name in names if name not in targets]
    if unknown:
        raise UserError(f"unknown target {unknown[0]!r}; `promptseg reproduce --list` shows all")
    return {name: targets[name] for name in names} if names else targets
