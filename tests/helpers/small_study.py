"""A study of two runs on small images whose stages take a second or less, and its stages as dvc.yaml has them."""

import re
import shlex
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from imports import STAGES
from promptseg.core import files
from promptseg.data import image_io

STUDY = {
    "seed": 0,
    "scale": {"data": "sample", "checkpoints": "tiny", "max_epochs": 2, "max_images": 4},
    "download": {"discs": {"reader": "folder", "source": "discs.zip"}},
    "datasets": {"discs": {"raw": "data/raw/discs", "reader": "folder"}},
    "models": {"sam": {"source": None}, "unet": {"source": None}},
    "zero_shot": {"discs-sam": {"dataset": "discs", "model": "sam", "prompt": {"box": True}}},
    "cascade": {},
    "finetune": {
        "discs-unet": {"dataset": "discs", "model": "unet", "prompt": {}, "train": {"epochs": 2, "batch_size": 2}}
    },
}
# In an order in which they can run.
SECTIONS = (
    "download", "preprocess", "checkpoint", "zero_shot", "finetune", "predict", "evaluate_zero_shot",
    "evaluate_finetuned", "report",
)  # fmt: skip


class Stage(NamedTuple):
    """A stage as DVC runs it. outputs: what it makes, relative to the folder of the study."""

    name: str
    script: Path
    arguments: list[str]
    outputs: list[str]


def stages() -> list[Stage]:
    """The stages of the study but `code`."""
    graph = yaml.safe_load((STAGES.parent / "dvc.yaml").read_text())["stages"]
    found = []
    for section in SECTIONS:
        body = graph[section].get("do", graph[section])
        entries = STUDY[graph[section]["foreach"][2:-1]] if "foreach" in graph[section] else {"": {}}
        for key, entry in entries.items():
            values = {"key": key, **{f"item.{name}": value for name, value in entry.items()}}

            def filled(text: str, values: dict = values) -> str:
                return re.sub(r"\$\{([\w.]+)\}", lambda match: str(values[match[1]]), text)

            _, script, *arguments = shlex.split(filled(body["cmd"]))
            listed = [*body.get("outs", []), *body.get("metrics", []), *body.get("plots", [])]
            outputs = [filled(out if isinstance(out, str) else next(iter(out))) for out in listed]
            name = f"{section}@{key}" if key else section
            found.append(Stage(name, STAGES.parent / script, arguments, outputs))
    return found


def write(folder: Path) -> Path:
    """A folder with the params.yaml of the study and the archive of its images."""
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    with zipfile.ZipFile(folder / "discs.zip", "w") as archive:
        for name, content in images(12).items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return folder


def images(count: int) -> dict[str, bytes]:
    """PNG files of images with a bright disc, in `images/`, and of their masks, in `masks/`."""
    rng, found = np.random.default_rng(0), {}
    y, x = np.mgrid[:48, :64]
    for number in range(count):
        disc = (x - rng.uniform(15, 49)) ** 2 + (y - rng.uniform(15, 33)) ** 2 < rng.uniform(6, 12) ** 2
        image = (90 + 90 * disc[..., None] + rng.integers(0, 40, (48, 64, 3))).astype(np.uint8)
        found[f"images/{number:02d}.png"] = image_io.encode_png(image)
        found[f"masks/{number:02d}.png"] = image_io.encode_png(disc * np.uint8(255))
    return found


def digests(folder: Path, stage: Stage) -> dict[str, str | None]:
    """The sha256 of each output of a stage; None where it is absent."""
    paths = {name: folder / name for name in stage.outputs}
    return {name: files.sha256(path) if path.exists() else None for name, path in paths.items()}


def leftovers(folder: Path) -> list[str]:
    """Temporary files and folders below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*.tmp"))
