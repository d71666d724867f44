"""dvc.lock while many stages run: only the entries that DVC needs then, and all of them at the end.

DVC parses dvc.lock and writes it again whenever a stage ends, which takes 1.3 s of CPU time with the entries of 265
stages, and the stages beside it wait for that. Only entries of stages that may turn out to be up to date say anything
to it. All others are kept in a file of their own meanwhile, so that a killed run loses none.
"""

import contextlib
import json
from collections.abc import Collection
from pathlib import Path

from dvc.lock import LockError
from dvc.repo import Repo
from dvc.utils.serialize import ParseError, dumps_yaml, load_yaml

from promptseg.core import files

LOCK, ASIDE = Path("dvc.lock"), Path(".dvc/tmp/promptseg_lock_entries.json")
ENDED = 24  # stages that end before their entries are set aside: fewer entries cost DVC less than we do


class LockEntries:
    """The entries of dvc.lock, most of them set aside.

    Args:
        order: names of all stages in the order of a serial run.
        needed: names of the stages that run unless their entries say that they are up to date.
    """

    def __init__(self, order: list[str], needed: Collection[str]):
        self._order = order
        self._needed = set(needed)
        self._ended: list[str] = []
        self._lock = _read()
        self._known = list(self._lock["stages"])  # in the order in which dvc.lock has them

    def set_aside(self) -> None:
        """Leave in dvc.lock what is needed there, unless another process holds DVC's lock for long."""
        with contextlib.suppress(LockError), Repo(".") as repo, repo.lock:
            lock = _read()
            self._lock = _merged(self._lock, lock)
            if lock["stages"]:
                files.write_text(ASIDE, json.dumps(self._lock))
                kept = {name: entry for name, entry in lock["stages"].items() if name in self._needed}
                _write({**lock, "stages": kept})

    def end(self, stage: str) -> None:
        """Note that a stage has ended: DVC has written its entry and does not need it any more."""
        self._needed.discard(stage)
        self._ended.append(stage)
        if len(self._ended) >= ENDED:
            self._ended.clear()
            self.set_aside()

    def restore(self) -> None:
        """Put all entries back: in their old places, and new ones, which DVC appends, in the order of a serial run."""
        with contextlib.suppress(ParseError):  # DVC was killed while it wrote
            self._lock = _merged(self._lock, _read())
        entries = self._lock["stages"]
        positions = {name: position for position, name in reversed([*enumerate([*self._known, *self._order])])}
        if entries:
            names = sorted(entries, key=positions.__getitem__)
            _write({**self._lock, "stages": {name: entries[name] for name in names}})
            with Repo(".") as repo, repo.scm_context(quiet=True) as context:
                context.track_file(str(LOCK))  # with `core.autostage`, git's index has what DVC wrote last
        ASIDE.unlink(missing_ok=True)


def recover() -> None:
    """Put back the entries that a killed run has left aside, unless dvc.lock has newer ones."""
    if ASIDE.exists():
        _write(_merged(json.loads(ASIDE.read_text()), _read()))
        ASIDE.unlink()


def _read() -> dict:
    return {"stages": {}} | (load_yaml(LOCK) if LOCK.exists() else {})


def _merged(old: dict, new: dict) -> dict:
    return {**old, **new, "stages": old["stages"] | new["stages"]}


def _write(lock: dict) -> None:
    files.write_text(LOCK, dumps_yaml({"schema": "2.0", **lock}))
