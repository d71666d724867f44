"""`dvc repro` with independent stages side by side: the same outputs and the same dvc.lock, sooner.

DVC runs one stage at a time, but lets go of its lock while a stage's command runs. So each stage is a
`dvc repro --single-item` of its own, begun when those that it depends on are done, and at most so many at a time.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import networkx
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.utils.serialize import dump_yaml, load_yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from promptseg.cli import quick_dvc
from promptseg.core import progress, warm
from promptseg.core.errors import UserError
from promptseg.core.stage import tied_to_parent

LOCK = Path("dvc.lock")
DVC = [sys.executable, "-m", "dvc"]
QUICK = [sys.executable, str(Path(quick_dvc.__file__))]
PAUSE = 0.05  # seconds between looks at what runs
GAP = 2  # columns between those of the table of what runs


@dataclass
class Running:
    """A stage under way: its process, what it has printed, and when it began (seconds of time.monotonic)."""

    process: subprocess.Popen
    output: IO[bytes]
    since: float

    def said(self) -> str:
        """What it printed; of a line that was printed over, all."""
        self.output.seek(0)
        return self.output.read().decode(errors="replace").strip()


def reproduce(jobs: int, targets: list[str]) -> None:
    """Bring the targets (names of stages; none: all) and what they depend on up to date.

    Raises UserError naming the first stage that fails, after those beside it have ended and no other has begun.
    """
    order, needs = _graph()
    unknown = [name for name in targets if name not in needs]
    if unknown:
        raise UserError(f"unknown stage {unknown[0]!r}; `dvc stage list` shows all")
    wanted = set(targets or needs)
    for name in reversed(order):
        wanted |= needs[name] if name in wanted else set()
    before = list(load_yaml(LOCK).get("stages", {})) if LOCK.exists() else []
    todo = _stale([name for name in order if name in wanted], needs)
    # Threads of one stage that spin while they wait would take the cores from the stage beside it. How many threads
    # there are stays the same, since the last bits of a sum may depend on it.
    environment = dict(os.environ) if jobs == 1 else {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    if sys.stderr.isatty():
        beside = max((len(name) for name in todo), default=0) + len(" 1000 s") + 2 * GAP
        environment[progress.WATCHED] = str(max(Console(stderr=True).width - beside, 20))
    with tempfile.TemporaryDirectory(prefix="promptseg-") as folder, contextlib.ExitStack() as stack:
        if todo:
            environment = stack.enter_context(warm.server(Path(folder), environment))
        try:
            _run(todo, needs, jobs, environment)
        finally:
            _settle(before, order)


def _graph() -> tuple[list[str], dict[str, set[str]]]:
    """The stages in the order in which DVC runs them, and for each those that it depends on."""
    with Repo(".") as repo:
        graph = get_active_graph(repo.index.graph)
        order = [stage.addressing for stage in plan_repro(graph)]
        needs = {stage: networkx.descendants(graph, stage) for stage in graph}
        return order, {stage.addressing: {need.addressing for need in found} for stage, found in needs.items()}


def _stale(names: list[str], needs: dict[str, set[str]]) -> list[str]:
    """Those that are not up to date, and those that depend on such a one."""
    done = subprocess.run([*DVC, "status", "--json"], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"dvc status: {done.stderr.strip().splitlines()[-1]}")
    stale = set()
    for name, changes in json.loads(done.stdout).items():
        # A stage that would only be checked again is told so by `always changed`, and runs as well.
        stale |= {name} if changes else set()
    return [name for name in names if name in stale or needs[name] & stale]


def _run(todo: list[str], needs: dict[str, set[str]], jobs: int, environment: dict[str, str]) -> None:
    waiting, running, done = list(todo), {}, 0
    console = Console(stderr=True)
    failed: str | None = None
    with Live(console=console, transient=True, refresh_per_second=4) if console.is_terminal else _Quiet() as live:
        while running or (waiting and failed is None):
            free = jobs - len(running) if failed is None else 0
            for name in [name for name in waiting if not needs[name] & {*waiting, *running}][:free]:
                waiting.remove(name)
                running[name] = _begin(name, environment)
            live.update(_table(running))
            time.sleep(PAUSE)
            for name, stage in [item for item in running.items() if item[1].process.poll() is not None]:
                del running[name]
                done += 1
                seconds = time.monotonic() - stage.since
                if stage.process.returncode == 0:
                    console.print(f"[{done}/{len(todo)}] {name} {seconds:.1f} s", markup=False, highlight=False)
                    continue
                console.print(_over(stage.said()), markup=False, highlight=False, soft_wrap=True)
                failed = failed or name
    if failed is not None:
        raise UserError(f"{failed} failed; {len(waiting)} stages that were still to come were not begun")


def _begin(name: str, environment: dict[str, str]) -> Running:
    output = tempfile.TemporaryFile()
    command = [*QUICK, "--wait-for-lock", "repro", "--quiet", "--single-item", name]
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, env=environment, preexec_fn=tied_to_parent
    )
    return Running(process, output, time.monotonic())


def _over(said: str) -> str:
    """As a terminal shows it: of a line that was printed over, as progress bars are, only the last."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in said.split("\n"))


def _table(running: dict[str, Running]) -> Table:
    table = Table.grid(padding=(0, GAP))
    for name, stage in running.items():
        last = [line.strip() for line in stage.said().replace("\r", "\n").splitlines() if line.strip()][-1:]
        table.add_row(name, f"{time.monotonic() - stage.since:.0f} s", last[0] if last else "")
    return table


class _Quiet:
    """In place of the live table where nobody watches."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, _: Table) -> None:
        pass


def _settle(before: list[str], order: list[str]) -> None:
    """Put what is new in dvc.lock into the order of a serial run; DVC appends each stage as it ends."""
    if not LOCK.exists():
        return
    lock = load_yaml(LOCK)
    places = {name: place for place, name in enumerate(before)}
    late = {name: len(before) + place for place, name in enumerate(order)}
    names = sorted(lock["stages"], key=lambda name: places.get(name, late.get(name, 0)))
    if names != list(lock["stages"]):
        lock["stages"] = {name: lock["stages"][name] for name in names}
        dump_yaml(LOCK, lock)
