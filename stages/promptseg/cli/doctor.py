"""What this machine has, what of params.yaml is here, and the commands that bring the rest."""

import importlib.metadata
import json
import os
import platform
import shutil
from pathlib import Path

import yaml

from promptseg import datasets
from promptseg.cli import check
from promptseg.core import params
from promptseg.core.params import Params

RAW, PREPARED, CHECKPOINTS = Path("data/raw"), Path("data/prepared"), Path("data/checkpoints")
COUNTED, LOCK, SETTINGS = Path("metrics/data"), Path("dvc.lock"), Path("params.yaml")
PACKAGES = ("torch", "transformers", "dvc")
SPLITS = ("train", "val", "test")


def report() -> bool:
    """Print what there is; gives False where something that params.yaml needs cannot be had as it says.

    Nothing is fetched, and no network is asked. Raises UserError where params.yaml is wrong.
    """
    checked = check.check()
    settings = params.load(SETTINGS)
    stages = Stages()
    _print("machine", _machine())
    _print("versions", [["python", platform.python_version()], *([name, _version(name)] for name in PACKAGES)])
    print(checked)
    blocked, commands, logins = [], [], []
    for title, rows in (
        (f"datasets (scale.data: {settings.scale.data})", _datasets(settings, stages, blocked, commands, logins)),
        (f"weights (scale.checkpoints: {settings.scale.checkpoints})", _models(settings, stages, blocked, commands)),
    ):
        _print(title, rows)
    _print("logins for official files", _logins(settings))
    for line in blocked:
        print(f"cannot work: {line}")
    if commands:
        print("to bring what is missing (`make repro` brings all, and runs the study):")
        print("  dvc repro", *commands)
        if logins:
            print(f"for {', '.join(logins)} log in first, as said above")
    elif not blocked:
        print("all that params.yaml needs is here")
    return not blocked


class Stages:
    """What dvc.lock says the outputs were made with."""

    def __init__(self):
        lock = yaml.safe_load(LOCK.read_text("utf-8")) if LOCK.is_file() else {}
        self._made = (lock or {}).get("stages", {})
        self._now = yaml.safe_load(SETTINGS.read_text("utf-8"))

    def differs(self, name: str) -> list[str]:
        """The keys of params.yaml that were others when this stage ran last."""
        then = self._made.get(name, {}).get("params", {}).get(SETTINGS.name, {})
        return [key for key, value in then.items() if value != self._value(key)]

    def value(self, name: str, key: str):
        """What a key was when this stage ran last; None where it did not, or does not follow it."""
        return self._made.get(name, {}).get("params", {}).get(SETTINGS.name, {}).get(key)

    def _value(self, key: str):
        value = self._now
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value


def _datasets(
    settings: Params, stages: Stages, blocked: list[str], commands: list[str], logins: list[str]
) -> list[list[str]]:
    rows = [["name", "wanted", "files", "pairs: train, val, test", "official files"]]
    for name, entry in settings.datasets.items():
        module = datasets.load(entry.reader)
        source, how = entry.source or settings.scale.data, module.ACCESS
        download, preprocess = f"download@{name}", f"preprocess@{name}"
        files = _state(RAW / name, stages, download)
        # What was cut out of other files is of no more use than these.
        prepared = _state(PREPARED / name, stages, preprocess) if files == "here" else "missing"
        rows.append([name, source, files, _pairs(name) if prepared == "here" else prepared, how])
        if {files, prepared} == {"here"}:
            continue
        if files != "here" and source == "official" and how == "by hand":
            blocked.append(f"{name}: its official files come by hand; `dvc repro {download}` says how")
        elif files != "here" and source not in ("sample", "official") and not Path(source).expanduser().exists():
            blocked.append(f"{name}: nothing at {source}; correct datasets.{name}.source in params.yaml")
        else:
            commands.append(preprocess)
            if files != "here" and source == "official" and how == "login" and module.missing_login():
                logins.append(name)
    return rows


def _logins(settings: Params) -> list[list[str]]:
    rows = []
    for name, entry in settings.datasets.items():
        module = datasets.load(entry.reader)
        if module.ACCESS == "login":
            missing = module.missing_login()
            rows.append([name, f"not set up: {missing}" if missing else "set up"])
    return rows or [["none needed"]]


def _models(settings: Params, stages: Stages, blocked: list[str], commands: list[str]) -> list[list[str]]:
    rows = [["name", "wanted", "here", "released as", "in the hub's cache"]]
    for name, entry in settings.models.items():
        source, stage = entry.source or settings.scale.checkpoints, f"checkpoint@{name}"
        here = _state(CHECKPOINTS / name, stages, stage)
        released = [each for each in (entry, *entry.networks.values()) if each.official]
        official = " + ".join(each.official for each in released) or "never"
        rows.append([name, source, _kind(name, stages) if here != "missing" else here, official, ""])
        if released:
            rows[-1][-1] = "yes" if all(_cached(each.official, each.revision) for each in released) else "no"
        if here == "here":
            continue
        places = {f"models.{name}.source": source}
        places |= {f"models.{name}.networks.{part}.source": each.source for part, each in entry.networks.items()}
        for key, place in places.items():
            if place not in (None, "tiny", "official") and not Path(place).expanduser().exists():
                blocked.append(f"{name}: nothing at {place}; correct {key} in params.yaml")
                break
        else:
            commands.append(stage)
    return rows


def _state(path: Path, stages: Stages, stage: str) -> str:
    """`here`, `missing`, or which setting was another one when it was made."""
    if not path.exists():
        return "missing"
    differs = stages.differs(stage)
    if not differs:
        return "here"
    then = stages.value(stage, differs[0])
    return f"{differs[0]} differed" if isinstance(then, dict) else f"{differs[0]} was {then}"


def _kind(name: str, stages: Stages) -> str:
    """What the checkpoint of a model was made from, and its size."""
    size = sum(file.stat().st_size for file in (CHECKPOINTS / name).rglob("*") if file.is_file())
    entry = stages.value(f"checkpoint@{name}", f"models.{name}") or {}
    source = entry.get("source") or stages.value(f"checkpoint@{name}", "scale.checkpoints") or "not by DVC"
    return f"{source}, {size / 1e6:.1f} MB"


def _pairs(name: str) -> str:
    path = COUNTED / f"{name}.json"
    if not path.is_file():
        return "here"
    counted = json.loads(path.read_text("utf-8"))
    return ", ".join(f"{counted.get(split, {}).get('pairs', 0):,}" for split in SPLITS)


def _cached(repository: str, revision: str) -> bool:
    """Whether the hub's client has this model's files already; it asks no network."""
    from huggingface_hub import try_to_load_from_cache

    wanted = ("config.json", "model.safetensors")
    return all(isinstance(try_to_load_from_cache(repository, file, revision=revision), str) for file in wanted)


def _machine() -> list[list[str]]:
    import torch

    from promptseg.training import memory

    cores = len(os.sched_getaffinity(0))
    rows = [
        ["processor", f"{_processor()}, {cores} core{'' if cores == 1 else 's'}"],
        ["memory", f"{memory.total() / 1e9:.1f} GB"],
        ["disk", f"{shutil.disk_usage('.').free / 1e9:.1f} GB free here"],
    ]
    for index in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(index)
        rows.append(["GPU", f"{found.name}, {found.total_memory / 1e9:.1f} GB"])
    return rows if torch.cuda.is_available() else [*rows, ["GPU", "none that torch can use"]]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, named), platform.processor() or platform.machine())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _print(title: str, rows: list[list[str]]) -> None:
    """A table of plain words, its columns in line."""
    print(title)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  " + "  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip())
    print()
