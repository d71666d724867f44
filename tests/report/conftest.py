"""A project with all that the report reads."""

import pytest
from report_project import Project


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="package")
def unchanged(tmp_path_factory) -> Project:
    """A project with its page, which no test changes."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.text = project.render()
    return project
