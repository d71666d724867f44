"""Training curve as TensorBoard events, written while a run trains; `train.log: tensorboard` in params.yaml.

Event files hold the time and the machine, so no two trainings have the same bytes: they are no output of a stage, and
stay in a folder beside that of the checkpoints.
"""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from promptseg.core.errors import UserError
from promptseg.training import curve


def check(log: str | None) -> None:
    """Raise UserError where events are asked for and TensorBoard is not installed."""
    if log and importlib.util.find_spec("tensorboard") is None:
        raise UserError(
            "params.yaml: train.log: TensorBoard is not installed: `pip install tensorboard`, or leave it out"
        )


def folder(resume: Path) -> Path:
    """Folder of a run's events: data/resume/<run>.tensorboard beside the checkpoints in data/resume/<run>."""
    return resume.with_name(f"{resume.name}.tensorboard")


class EventLog:
    """Writes a scalar for each number of the training curve, by epoch.

    Args:
        folder: of the events; those of an earlier training are removed, those of the epochs that are resumed stay.
        epochs: that are trained already; later ones are what a killed training wrote, and are hidden.
    """

    def __init__(self, folder: Path, epochs: int):
        from torch.utils.tensorboard import SummaryWriter

        if epochs == 0:
            shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder), purge_step=epochs + 1)

    def add(self, row: dict[str, Any]) -> None:
        """Write the row of an epoch (`curve.make_row`)."""
        for name in curve.COLUMNS[1:]:
            if isinstance(row[name], float):
                self._writer.add_scalar(name, row[name], row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
