"""Stages that meet a limit of the system: one line that names a file, nothing half-written, and a whole next run."""

import shutil

import kills
import pytest
import small_study
from small_study import digests, leftovers

pytestmark = pytest.mark.xdist_group("faults")
STAGES = {stage.name: stage for stage in small_study.stages()}


@pytest.fixture(scope="module")
def study(server, tmp_path_factory):
    """The study after a whole run, and what it made; tests put back what they change."""
    folder = tmp_path_factory.mktemp("limits") / "study"
    return folder, kills.reference(server, folder, list(STAGES.values()))


@pytest.fixture(params=STAGES)
def run(request, server, study):
    """Runs a stage with limits; checks that outputs are old or whole, and that the next run makes them."""
    folder, reference = study
    stage = STAGES[request.param]
    whole = reference[stage.name][0]

    def limited(**limits):
        shutil.rmtree(folder / "data/embeddings", ignore_errors=True)
        before = kills.set_aside(folder, stage, old=True)
        read_only = [path for path in folder.rglob("*") if path.is_dir() and limits.get("heeds_modes")]
        for path in read_only:
            path.chmod(0o555)
        ended = server.start(stage.script, stage.arguments, folder, **limits).wait()
        for path in read_only:
            path.chmod(0o755)
        after = digests(folder, stage)
        assert "Traceback" not in ended.output, ended.output
        assert all(after[name] in (before[name], whole[name]) for name in after)
        line = (ended.output.splitlines() or [""])[-1]
        if ended.code:
            assert ended.code == 1 and line.startswith("error: "), ended
        return line if ended.code else ""

    yield limited
    assert server.start(stage.script, stage.arguments, folder).wait().code == 0
    assert digests(folder, stage) == whole and leftovers(folder) == []


def names_a_file(line):
    return line.removeprefix("error: ").startswith(("data/", "plots", "metrics/", "discs.zip"))


@pytest.mark.parametrize("size", [0, 60])
def test_a_full_disk(size, run, study):
    line = run(file_bytes=size, full=True)
    assert names_a_file(line) and "File too large" in line and ".tmp" not in line
    assert leftovers(study[0]) == []


def test_a_folder_that_cannot_be_written(run, study):
    line = run(heeds_modes=True)
    assert names_a_file(line) and "Permission denied" in line
    assert leftovers(study[0]) == []


@pytest.mark.parametrize("count", [10, 20])
def test_few_file_handles(count, run):
    line = run(open_files=count)
    assert not line or (names_a_file(line) or "ulimit -n" in line) and "Too many open files" in line
