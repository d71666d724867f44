"""`promptseg doctor`: the machine, what of params.yaml is here, and the commands that make the rest."""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

from promptseg import datasets
from promptseg.cli import check
from promptseg.cli.inventory import Inventory, Lock, Rows
from promptseg.core import study
from promptseg.core.study import Study

PACKAGES = ("torch", "transformers", "dvc")


def report() -> bool:
    """Print the machine and the state of data and weights, without access to the network.

    Returns:
        False where something that params.yaml names cannot be made.

    Raises:
        UserError: params.yaml is wrong.
    """
    checked = check.check()
    settings = study.load()
    inventory = Inventory(settings, Lock())
    _print("machine", _machine())
    _print("versions", [["python", platform.python_version()], *([name, _version(name)] for name in PACKAGES)])
    print(checked)
    _print(f"download (scale.data: {settings.scale.data})", inventory.downloads())
    _print("datasets", inventory.datasets())
    _print(f"models (scale.checkpoints: {settings.scale.checkpoints})", inventory.models())
    _print("logins for official files", _logins(settings))
    for line in inventory.blocked:
        print(f"cannot work: {line}")
    if inventory.stages:
        print("to make what is missing (`make repro` makes all and runs the study):")
        print("  dvc repro", *inventory.stages)
        if inventory.logins:
            print(f"for {', '.join(inventory.logins)} log in first, as shown above")
    elif not inventory.blocked:
        print("all that params.yaml needs is here")
    return not inventory.blocked


def _logins(settings: Study) -> Rows:
    rows = []
    for name, entry in settings.download.items():
        module = datasets.load(entry.reader)
        if module.ACCESS == "login":
            missing = module.missing_login()
            rows.append([name, f"not set up: {missing}" if missing else "set up"])
    return rows or [["none needed"]]


def _machine() -> Rows:
    import torch

    from promptseg.training import memory

    cores = len(os.sched_getaffinity(0))
    rows = [
        ["processor", f"{_processor()}, {cores} core{'' if cores == 1 else 's'}"],
        ["memory", f"{memory.total() / 1e9:.1f} GB"],
        ["disk", f"{shutil.disk_usage('.').free / 1e9:.1f} GB free here"],
    ]
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        rows.append(["GPU", f"{device.name}, {device.total_memory / 1e9:.1f} GB"])
    return rows if torch.cuda.is_available() else [*rows, ["GPU", "none that torch can use"]]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _print(title: str, rows: Rows) -> None:
    """Print a table with aligned columns."""
    print(title)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
