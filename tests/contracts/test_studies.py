"""Shipped studies: the default one is the project's own params.yaml, and a part of the published ones."""

import pytest
import yaml
from promptseg import studies
from promptseg.core import study


def test_the_default_study_is_the_project_s_own(root):
    assert studies.text("default") == (root / "params.yaml").read_text("utf-8")


def test_every_shipped_study_is_valid():
    for name in studies.names():
        study.load(studies.FOLDER / f"{name}.yaml")


@pytest.mark.parametrize("section", study.SECTIONS)
def test_what_the_default_study_has_is_the_same_in_the_published_ones(section):
    default, published = (yaml.safe_load(studies.text(name))[section] for name in ("default", "published"))
    assert default and default.items() <= published.items()
