"""Stages that meet a limit of the system: one line that names a file, nothing half-written, and a whole next run."""

import shutil

import kills
import pytest
import small_study
from small_study import digests, leftovers

pytestmark = pytest.mark.xdist_group("faults")
STAGES = {stage.name: stage for stage in small_study.stages()}


@pytest.fixture(params=STAGES)
def run(request, server, whole_study):
    """Runs a stage with limits, which leaves its outputs old or whole; at the end, without limits it makes them."""
    folder, reference = whole_study
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
        assert all(after[name] in (before[name], whole[name]) for name in after)
        line = (ended.output.splitlines() or [""])[-1]
        if ended.code:
            assert ended.code == 1 and line.startswith("error: ") and "Traceback" not in ended.output, ended.output
        return line if ended.code else "", leftovers(folder)

    yield limited
    assert server.start(stage.script, stage.arguments, folder).wait().code == 0
    assert digests(folder, stage) == whole and leftovers(folder) == []


def names_a_file(line):
    return line.removeprefix("error: ").startswith(("data/", "plots", "metrics/", "discs.zip"))


def test_limits(run):
    line, left = run(file_bytes=60, full=True)
    assert names_a_file(line) and "File too large" in line and ".tmp" not in line and not left
    line, left = run(heeds_modes=True)
    assert names_a_file(line) and "Permission denied" in line and not left
    line, left = run(more_bytes=300_000)
    assert not left and (not line or "not enough memory" in line)
    line, _ = run(open_files=12)
    assert not line or (names_a_file(line) or "ulimit -n" in line) and "Too many open files" in line
