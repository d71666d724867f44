"""Settings as the page shows them: what params.yaml says of each run and dataset, without defaults."""

from dataclasses import dataclass

import yaml
from pydantic import BaseModel

from promptseg.core.study import Study


@dataclass(frozen=True)
class SettingTexts:
    """YAML of what differs from the defaults.

    Attributes:
        study: seed and scale.
        datasets: by name.
        runs: by name.
    """

    study: str
    datasets: dict[str, str]
    runs: dict[str, str]


def texts(study: Study) -> SettingTexts:
    """Write the settings of a study as YAML, to be read by people; paths are left out, as a page is sent around."""
    general = study.model_dump(mode="json", include={"seed", "scale"})
    return SettingTexts(
        yaml.safe_dump(general, sort_keys=False),
        {name: _text(entry, {"raw"}) for name, entry in study.datasets.items()},
        {name: _text(run) for name, run in study.runs.items()},
    )


def _text(settings: BaseModel, without: set[str] | None = None) -> str:
    values = settings.model_dump(mode="json", exclude_defaults=True, by_alias=True, exclude=without)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
