"""The project of `export_project`, written once for the tests of a worker."""

import export_project
import pytest
from promptseg.export import export
from promptseg.export.run import ExportedRun


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """Its folder and its params.yaml."""
    home = tmp_path_factory.mktemp("project")
    return home, export_project.make(home)


@pytest.fixture
def exported(project, tmp_path):
    """Exports a run of the project: (run, format, adapter) -> folder."""
    home, settings = project

    def call(name, form, adapter=False):
        out = tmp_path / f"{name}-{form}{'-adapter' * adapter}"
        export(ExportedRun(name, settings, export_project.folders(home)), form, out, adapter)
        return out

    return call
