"""Export of a run: its model, or its masks beside the ground truth, as other tools read them.

A format is a module of this package, named in FORMATS. It defines
    write(run, folder)      fill an empty folder with an `ExportedRun`, and return one line: how to read it
and raises UserError where the run has nothing to write in this format.
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.export.run import ExportedRun

FORMATS = ("coco", "fiftyone", "hub", "labels", "onnx")
WITH_ADAPTER = "hub"  # the format that takes `adapter`


def load(name: str) -> ModuleType:
    """Import the module of a format. Raises UserError if the name is unknown."""
    if name not in FORMATS:
        raise UserError(f"--format {name}: unknown; known: {', '.join(FORMATS)}")
    return importlib.import_module(f"{__name__}.{name}")


def export(run: ExportedRun, name: str, out: Path, adapter: bool = False) -> str:
    """Export a run, whole or not at all.

    Args:
        run: what is exported.
        name: of the format.
        out: folder that is not there yet, or is empty.
        adapter: keep the adapters of a LoRA run apart from the network.

    Returns:
        One line: how to read it.

    Raises:
        UserError: the format is unknown, the folder has files, the run has nothing to write in this format, or a file
            of it is missing or damaged.
    """
    module = load(name)
    if adapter and name != WITH_ADAPTER:
        raise UserError(f"--adapter belongs to --format {WITH_ADAPTER}; leave it out")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out}: already there, and never overwritten; delete it or give another --out")
    run.check()
    options: dict[str, Any] = {"adapter": True} if adapter else {}
    with files.replacing(out) as aside:
        aside.mkdir()
        return module.write(run, aside, **options)
