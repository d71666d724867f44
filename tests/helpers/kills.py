"""A stage that is killed, what it may leave, and what the next run of it has to make."""

import shutil
import signal
import time
from pathlib import Path

from small_study import Stage, digests, leftovers, write
from stage_server import Server

Reference = dict[str, tuple[dict[str, str | None], float]]  # of a stage: the digests of its outputs, and seconds


def reference(server: Server, folder: Path, stages: list[Stage]) -> Reference:
    """Run the study in a new folder, undisturbed."""
    found: Reference = {}
    write(folder)
    for stage in stages:
        start = time.monotonic()
        ended = server.start(stage.script, stage.arguments, folder).wait()
        assert ended.code == 0, f"{stage.name}: {ended.output}"
        found[stage.name] = digests(folder, stage), time.monotonic() - start
        assert None not in found[stage.name][0].values()
    assert leftovers(folder) == []
    return found


def set_aside(folder: Path, stage: Stage, old: bool) -> dict[str, str | None]:
    """Remove the outputs of a stage, as DVC does before it runs one, or put others in their place.

    old: whether there are others, as of another version. Returns their digests.
    """
    for name in stage.outputs:
        path = folder / name
        is_folder = path.is_dir()
        shutil.rmtree(path) if is_folder else path.unlink(missing_ok=True)
        if old and is_folder:
            (path / "inner").mkdir(parents=True)
            for inner in ("a", "b", "inner/c"):
                (path / inner).write_text("old")
        elif old:
            path.write_text("old")
    return digests(folder, stage)


def end_early(
    server: Server, folder: Path, stage: Stage, whole: dict[str, str | None], seconds: float, old: bool,
    number: int = signal.SIGKILL,
) -> tuple[bool, float]:  # fmt: skip
    """End a stage after some time by a signal, check what it leaves, and run it again.

    Returns:
        Whether the signal came before the stage ended by itself, and the seconds of the whole run after it.
    """
    before = set_aside(folder, stage, old)
    running = server.start(stage.script, stage.arguments, folder)
    time.sleep(seconds)
    running.kill(number)
    ended = running.wait()
    assert ended.code in (0, -signal.SIGKILL if number == signal.SIGKILL else 128 + number), ended
    assert "Traceback" not in ended.output, ended.output
    assert server.processes() == []
    for name, digest in digests(folder, stage).items():
        assert digest in (None, before[name], whole[name]), f"{stage.name}: half of {name} after {seconds:.3f} s"
    if number != signal.SIGKILL:
        assert leftovers(folder) == [], f"{stage.name} after {seconds:.3f} s"
    start = time.monotonic()
    again = server.start(stage.script, stage.arguments, folder).wait()
    seconds_of_whole = time.monotonic() - start
    assert again.code == 0, f"{stage.name}: {again.output}"
    assert digests(folder, stage) == whole, f"{stage.name}: other bytes after a kill at {seconds:.3f} s"
    assert leftovers(folder) == []
    return ended.code != 0, seconds_of_whole
