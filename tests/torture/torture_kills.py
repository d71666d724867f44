"""240 kills, and 24 signals that ask to end: every stage at any moment, by itself, with DVC, and through DVC."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time

import dvc_project
import kills
import psutil
import pytest
import small_study
from dvc_project import TARGET, made, run
from scale import scaled
from small_study import leftovers

pytestmark = pytest.mark.xdist_group("faults")
STAGES = {stage.name: stage for stage in small_study.stages()}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_killed(name, server, whole_study):
    folder, reference = whole_study
    choose, (whole, seconds), early = random.Random(name), reference[name], 0
    for number in range(scaled(19)):
        moment = seconds * choose.choice([choose.random(), choose.uniform(0.7, 1.0)])
        ended, seconds = kills.end_early(server, folder, STAGES[name], whole, moment, old=number % 2 == 1)
        early += ended
    print(f"kills of {name}: {scaled(19)} tried, {early} before its end")
    assert early


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stage_is_asked_to_end(number, server, whole_study):
    folder, reference = whole_study
    choose, early = random.Random(number), 0
    seconds = {name: duration for name, (_, duration) in reference.items()}
    for name in (list(STAGES) * 2)[: scaled(12)]:
        moment = seconds[name] * choose.random()
        ended, seconds[name] = kills.end_early(
            server, folder, STAGES[name], reference[name][0], moment, old=True, number=number
        )
        early += ended
    print(f"{signal.Signals(number).name}: {scaled(12)} tried, {early} before the end")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project after `dvc repro`, and the digests of what it made."""
    folder = dvc_project.write(tmp_path_factory.mktemp("dvc") / "project")
    run(folder, "dvc", "repro", TARGET)
    return folder, made(folder)


@pytest.mark.parametrize("whom", ["dvc alone", "dvc and its stage"])
def test_dvc_is_killed(whom, project):
    folder, whole = project
    choose, early, locks, halves, seconds = random.Random(whom), 0, 0, 0, 5.0
    for _ in range(scaled(25)):
        running = subprocess.Popen(
            ["dvc", "repro", "--force", "--single-item", TARGET], cwd=folder, env=dvc_project.environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(choose.uniform(0.1, 1.0) * seconds)
        children = psutil.Process(running.pid).children(recursive=True)
        early += running.poll() is None
        with contextlib.suppress(ProcessLookupError):  # it has ended
            running.kill() if whom == "dvc alone" else os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert psutil.wait_procs(children, timeout=20)[1] == []
        # DVC removes outputs and copies them from its cache file by file; its next run notices.
        halves += any(digest not in (None, whole[name]) for name, digest in made(folder).items())
        start = time.monotonic()
        rwlock = folder / ".dvc/tmp/rwlock"
        if rwlock.exists() and not rwlock.read_bytes():  # DVC's own, written in place: docs/limits.md says what to do
            assert "Unable to read RWLock-file" in run(folder, "dvc", "repro", TARGET, code=255)
            rwlock.unlink()
            locks += 1
        run(folder, "dvc", "repro", TARGET)
        seconds = max(2.0, time.monotonic() - start)
        assert made(folder) == whole and leftovers(folder) == []
    shutil.rmtree(folder / ".dvc/tmp", ignore_errors=True)
    left = f"{locks} left an empty .dvc/tmp/rwlock, {halves} half of an output"
    print(f"kills of {whom}: {scaled(25)} tried, {early} before the end; DVC itself: {left}")
