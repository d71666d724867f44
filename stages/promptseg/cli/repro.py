"""`dvc repro` with independent stages side by side: the same outputs and the same dvc.lock, sooner.

DVC runs one stage at a time, but releases its lock while a stage's command runs, so several processes can run
`dvc repro --single-item` beside each other. A process costs 0.3 s of CPU time besides its stages (on a graph of 265
stages; each stage costs DVC up to 1.3 s more, most of it for writing dvc.lock), so a process gets several stages where
these are short. Stages on the longest chain of dependents come first.
"""

import contextlib
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, repeat
from statistics import mean

import networkx
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro

from promptseg.cli import lock_entries
from promptseg.cli.dvc_process import DvcProcess
from promptseg.cli.lock_entries import LockEntries
from promptseg.core import progress
from promptseg.core.errors import UserError

BATCH_STAGES, BATCH_SECONDS = 8, 30.0  # most stages of a process, and about how long these take together
PAUSE = 0.05  # seconds between two polls of the processes
STATUS = "{name:<{width}}  {seconds:4.0f} s  {output}"  # of a stage that runs


@dataclass(frozen=True)
class Plan:
    """Stages that are not up to date.

    Attributes:
        stages: names, in the order in which they are to be started.
        changed: those whose own dependencies, params or outputs differ from dvc.lock.
        needs: for each stage of the graph, all that it depends on, directly or not.
        order: all stages of the graph in the order of a serial run.
    """

    stages: list[str]
    changed: set[str]
    needs: dict[str, set[str]]
    order: list[str]


def reproduce(jobs: int, targets: list[str]) -> None:
    """Bring stages and all that they depend on up to date.

    Args:
        jobs: number of processes at a time.
        targets: names of stages; empty: all.

    Raises:
        UserError: a target is unknown, DVC refuses the project, or a stage fails: its output is shown, the processes
            beside it end with their stages, and no other is started.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: dvc.lock is put in order
    lock_entries.recover()
    plan = _plan(targets)
    if len(plan.changed) == 1 and len(plan.stages) > BATCH_STAGES:
        # An edit of the code changes few of its digests: once these are known, most of the others are up to date.
        first = replace(plan, stages=list(plan.changed))
        _run(first, jobs, _environment(jobs, first), lambda stage: None)
        plan = _plan(targets)
    entries = LockEntries(plan.order, set(plan.stages) - plan.changed)
    try:
        entries.set_aside()
        _run(plan, jobs, _environment(jobs, plan), entries.end)
    finally:
        entries.restore()


def _plan(targets: list[str]) -> Plan:
    """What is to be run for these targets."""
    try:
        with Repo(".") as repo:
            graph = get_active_graph(repo.index.graph)
            order = [stage.addressing for stage in plan_repro(graph)]
            needs = {
                stage.addressing: {need.addressing for need in networkx.descendants(graph, stage)} for stage in graph
            }
            unknown = [name for name in targets if name not in needs]
            if unknown:
                raise UserError(f"unknown stage {unknown[0]!r}; `dvc stage list` shows all")
            changed = {name for name, changes in repo.status().items() if changes}
    except DvcException as error:
        raise UserError(f"dvc: {error}") from error
    wanted = set(targets or needs).union(*(needs[name] for name in targets))
    stale = [name for name in order if name in wanted and (name in changed or needs[name] & changed)]
    depth: dict[str, int] = {}  # length of the longest chain of dependents
    for name in reversed(stale):
        depth[name] = 1 + max((depth[later] for later in depth if name in needs[later]), default=0)
    return Plan(sorted(stale, key=lambda name: -depth[name]), changed & set(stale), needs, order)


def _environment(jobs: int, plan: Plan) -> dict[str, str]:
    # Threads of one stage that spin while they wait would take the cores from the stage beside it. The number of
    # threads stays the same, since the last bits of a sum may depend on it.
    environment = dict(os.environ) if jobs == 1 else {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    if sys.stderr.isatty():
        beside = len(STATUS.format(name="", seconds=0, output="", width=max(map(len, plan.stages), default=0)))
        environment[progress.WATCHED] = str(max(progress.columns() - beside, 20))
    return environment


def _run(plan: Plan, jobs: int, environment: dict[str, str], end: Callable[[str], None]) -> None:
    """Run the stages of a plan, and call `end` with each that has ended. Raises UserError naming the first to fail."""
    total = len(plan.stages)
    waiting, pending = list(plan.stages), set(plan.stages)
    processes: list[DvcProcess] = []
    durations: dict[str, list[float]] = defaultdict(list)
    failed: list[str] = []
    with _status_lines(min(jobs, total)) as show, _ended(processes):
        while processes or (waiting and not failed):
            while not failed and len(processes) < jobs:
                ready = [name for name in waiting if not plan.needs[name] & pending]
                if not ready:
                    break
                batch = next_batch(spread(ready, {process.stage for process in processes}), jobs, durations)
                waiting = [name for name in waiting if name not in batch]
                processes.append(DvcProcess(batch, environment))
            show(processes)
            time.sleep(PAUSE)
            for process in processes:
                for name, seconds in process.poll():
                    pending.remove(name)
                    end(name)
                    durations[_verb(name)].append(seconds)
                    progress.write(f"[{total - len(pending)}/{total}] {name} {seconds:.1f} s")
                if process.failed:
                    progress.write(overprinted(process.text()))
                    failed.append(process.failed)
            processes[:] = [process for process in processes if process.running]
    if failed:
        left = len(pending) - len(failed)
        raise UserError(f"{' and '.join(failed)} failed; {left} stage{'' if left == 1 else 's'} not run")


@contextlib.contextmanager
def _ended(processes: list[DvcProcess]) -> Iterator[None]:
    """End the processes that still run when the block is left, as by Ctrl-C."""
    try:
        yield
    finally:
        for process in processes:
            process.end()


def spread(ready: list[str], running: set[str]) -> list[str]:
    """Return stages that can be started with those first whose verb is not running.

    Short stages spend most of their time on dvc.lock, which one process writes at a time; long ones beside them do not.
    """
    verbs = set(map(_verb, running))
    return sorted(ready, key=lambda name: _verb(name) in verbs)


def next_batch(ready: list[str], jobs: int, durations: dict[str, list[float]]) -> list[str]:
    """Choose the stages of the next process: the first that is ready, and others of its verb where these are short.

    The last batches are small, so that no process is idle while another has several stages left (guided
    self-scheduling, Polychronopoulos & Kuck 1987).

    Args:
        ready: names of stages that can be started, the most urgent first; not empty.
        jobs: number of processes at a time.
        durations: seconds of the stages that have ended, by verb.
    """
    verb = _verb(ready[0])
    same = [name for name in ready if _verb(name) == verb]
    seconds = mean(durations[verb]) if durations.get(verb) else BATCH_SECONDS
    size = min(BATCH_STAGES, len(same) // (2 * jobs), int(BATCH_SECONDS / max(seconds, 0.1)))
    return same[: max(size, 1)]


def _verb(stage: str) -> str:
    return stage.partition("@")[0]


def overprinted(text: str) -> str:
    """As a terminal shows it: of a line that was printed over, as progress bars are, only the last state."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.strip().split("\n"))


@contextlib.contextmanager
def _status_lines(count: int) -> Iterator[Callable[[list[DvcProcess]], None]]:
    """Lines at the bottom of the terminal, if there is one; yields what shows the processes in them."""
    lines = [progress.bar(bar_format="{desc}", mininterval=0.25) for _ in range(count)]

    def show(processes: list[DvcProcess]) -> None:
        if not lines[0].disable:
            for line, status in zip(lines, chain(_statuses(processes), repeat(""))):
                line.set_description_str(status[: progress.columns() - 1], refresh=False)
                line.update(0)  # refreshes it, but not too often

    try:
        yield show
    finally:
        for line in reversed(lines):
            line.close()


def _statuses(processes: list[DvcProcess]) -> Iterator[str]:
    """For each process its stage, for how long that has been running, and the last line of its output."""
    width = max((len(process.stage) for process in processes), default=0)
    for process in processes:
        output = [line.strip() for line in process.text().replace("\r", "\n").splitlines() if line.strip()]
        yield STATUS.format(
            name=process.stage, width=width, seconds=process.seconds, output=output[-1] if output else ""
        )
