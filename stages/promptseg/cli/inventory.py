"""The state of all entries of params.yaml: what is here, what it was made with, and the stages that make the rest."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from promptseg import datasets, models
from promptseg.cli.raw_folders import RAW, download_name
from promptseg.core import params
from promptseg.core.params import Dataset, Download
from promptseg.core.study import Study
from promptseg.download import checkpoints

PREPARED, CHECKPOINTS = Path("data/prepared"), Path("data/checkpoints")
SUMMARIES, LOCK = Path("data/summaries"), Path("dvc.lock")
SPLITS = ("train", "val", "test")

Rows = list[list[str]]


class Lock:
    """The params that stages ran with, from dvc.lock."""

    def __init__(self):
        lock = yaml.safe_load(LOCK.read_text("utf-8")) if LOCK.is_file() else {}
        self._stages = (lock or {}).get("stages", {})
        self._params = yaml.safe_load(params.PATH.read_text("utf-8"))

    def state(self, path: Path, stage: str) -> str:
        """Return `here`, `missing`, or which key of params.yaml differed when the stage made this path."""
        if not path.exists():
            return "missing"
        then = self._stages.get(stage, {}).get("params", {}).get(params.PATH.name, {})
        for key, value in then.items():
            if value != self._now(key):
                return f"{key} differed" if isinstance(value, dict) else f"{key} was {value}"
        return "here"

    def value(self, stage: str, key: str) -> Any:
        """Return a key as it was when the stage ran; None where it did not run or does not depend on the key."""
        return self._stages.get(stage, {}).get("params", {}).get(params.PATH.name, {}).get(key)

    def _now(self, key: str) -> Any:
        value = self._params
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value


@dataclass
class Inventory:
    """The state of all entries; each method returns the rows of a table and adds to the lists.

    Attributes:
        stages: that make what is missing.
        blocked: for each thing that no stage can make, why.
        logins: downloads whose account is not set up.
    """

    settings: Study
    lock: Lock
    stages: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    _blocked_raw: set[str] = field(default_factory=set)

    def downloads(self) -> Rows:
        """Table of the downloads: which files are here."""
        rows = [["name", "source", "files", "official files"]]
        used = {entry.raw for entry in self.settings.datasets.values()}
        for name, entry in self.settings.download.items():
            module, source, stage = datasets.load(entry.reader), self._source(entry), f"download@{name}"
            state = self.lock.state(RAW / name, stage)
            rows.append([name, source, state, module.ACCESS])
            if state == "here":
                continue
            if source == "official" and module.ACCESS == "by hand":
                self._block(name, f"its official files are obtained by hand; `dvc repro {stage}` shows how")
            elif source not in ("sample", "official") and not Path(source).expanduser().exists():
                self._block(name, f"nothing at {source}; correct download.{name}.source in params.yaml")
            else:
                if source == "official" and module.ACCESS == "login" and module.missing_login():
                    self.logins.append(name)
                if (RAW / name).as_posix() not in used:  # else preprocess@<dataset> brings it
                    self.stages.append(stage)
        return rows

    def datasets(self) -> Rows:
        """Table of the datasets: which are prepared, with how many records."""
        rows = [["name", "raw", "files", "records: train, val, test"]]
        for name, entry in self.settings.datasets.items():
            stage, files = f"preprocess@{name}", self._raw_state(entry)
            # Prepared from other files it is as good as missing.
            prepared = self.lock.state(PREPARED / name, stage) if files == "here" else "missing"
            rows.append([name, entry.raw, files, _records(name) if prepared == "here" else prepared])
            source = download_name(entry.raw)
            if files != "here" and source is None:
                self.blocked.append(f"{name}: no folder {entry.raw}; correct datasets.{name}.raw in params.yaml")
            elif prepared != "here" and source not in self._blocked_raw:
                self.stages.append(stage)
        return rows

    def models(self) -> Rows:
        """Table of the models: which checkpoints are here."""
        rows = [["name", "source", "here", "official weights", "in the hub's cache"]]
        for name, entry in self.settings.models.items():
            stage, source = f"checkpoint@{name}", entry.source or self.settings.scale.checkpoints
            state = self.lock.state(CHECKPOINTS / name, stage)
            repository, revision = checkpoints.official(models.load(name), entry)
            cached = ("yes" if _is_cached(name, repository, revision) else "no") if repository else ""
            here = self._checkpoint(name) if state != "missing" else state
            rows.append([name, source, here, repository or "none on the hub", cached])
            if state == "here":
                continue
            if source not in ("tiny", "official") and not Path(source).expanduser().exists():
                self.blocked.append(f"{name}: nothing at {source}; correct models.{name}.source in params.yaml")
            else:
                self.stages.append(stage)
        return rows

    def _source(self, entry: Download) -> str:
        return entry.source or self.settings.scale.data

    def _block(self, download: str, reason: str) -> None:
        self.blocked.append(f"{download}: {reason}")
        self._blocked_raw.add(download)

    def _raw_state(self, entry: Dataset) -> str:
        """State of the files that a dataset reads."""
        source = download_name(entry.raw)
        if source is None:
            return "here" if Path(entry.raw).is_dir() else "missing"
        state = self.lock.state(RAW / source, f"download@{source}")
        return state if state != "here" or Path(entry.raw).is_dir() else "missing"

    def _checkpoint(self, name: str) -> str:
        """What a checkpoint was made from, and its size."""
        size = sum(file.stat().st_size for file in (CHECKPOINTS / name).rglob("*") if file.is_file())
        entry = self.lock.value(f"checkpoint@{name}", f"models.{name}") or {}
        source = entry.get("source") or self.lock.value(f"checkpoint@{name}", "scale.checkpoints") or "not by DVC"
        return f"{source}, {size / 1e6:.1f} MB"


def _records(name: str) -> str:
    path = SUMMARIES / f"{name}.json"
    if not path.is_file():
        return "here"
    summary = json.loads(path.read_text("utf-8"))
    return ", ".join(f"{summary.get(split, {}).get('records', 0):,}" for split in SPLITS)


def _is_cached(name: str, repository: str, revision: str | None) -> bool:
    """Whether the cache of the hub's client has a model's files; without access to the network."""
    from huggingface_hub import try_to_load_from_cache

    wanted = ("config.json", models.load(name).RELEASED)
    return all(isinstance(try_to_load_from_cache(repository, file, revision=revision), str) for file in wanted)
