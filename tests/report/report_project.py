"""A study of a few runs, and the files of a project in which all of them have been evaluated."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.core.settings import validate
from promptseg.core.study import Study
from promptseg.data import image_io, records
from promptseg.data.records import Prediction, Record
from promptseg.evaluation import score_table
from promptseg.report import gains, leaderboard, page
from promptseg.report.verdict import Verdict

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7 * 7 }}'
SUMMARY = {
    "iou_mean": 0.41234, "iou_pooled": 0.4, "dice_mean": 0.5, "dice_pooled": 0.55, "accuracy": 0.9, "precision": 0.7,
    "recall": 0.6, "boundary_iou": 0.2, "average_precision": 0.5,
    "images": 48, "groups": 6, "group_unit": "block of slices within one volume", "score": "tile",
    "headline": "iou_mean", "oracle": False,
}  # fmt: skip
SETTINGS = {
    "scale": {"data": "sample", "checkpoints": "tiny", "max_epochs": 3, "max_images": 48},
    "download": {"em": {"reader": "em"}, "covid": {"reader": "covid", "source": "official"}},
    "datasets": {
        "em": {"raw": "data/raw/em", "reader": "em"},
        "fires": {"raw": "/somewhere/of/mine", "reader": "folder"},
        "covid": {"raw": "data/raw/covid", "reader": "covid"},
    },
    "models": {
        "sam": {}, "clipseg": {"source": "official"}, "unet": {"source": "unet.pth"}, "whole_image": {},
    },
    "zero_shot": {
        "fires-clipseg": {"dataset": "fires", "model": "clipseg", "prompt": {"text": ["fire"], "support": True}},
        "em-clipseg": {"dataset": "em", "model": "clipseg", "prompt": {"text": [EVIL]}},
        "em-sam": {"dataset": "em", "model": "sam", "prompt": {"points": 1}},
        "em-grid": {"dataset": "em", "model": "sam", "prompt": {"automatic": True}},
        "covid-sam": {
            "dataset": "covid", "model": "sam", "prompt": {"box": True, "jitter": 0.02}, "reported_iou": 0.851,
        },
    },
    "cascade": {
        "fires-cascade": {"dataset": "fires", "from": "fires-clipseg", "model": "sam"},
        "covid-cascade": {"dataset": "covid", "from": "covid-unet", "model": "sam"},
    },
    "finetune": {
        "em-sam-20": {
            "dataset": "em", "model": "sam", "prompt": {"points": 2, "sampling": "center"}, "reported_iou": 0.254,
            "train": {"epochs": 20, "trainable": ["mask_decoder"]},
        },
        "covid-unet": {
            "dataset": "covid", "model": "unet", "prompt": {}, "train": {"epochs": 1, "trainable": ["all"]},
        },
    },
}  # fmt: skip
BEFORE = {"dataset": "em", "model": "sam", "prompt": SETTINGS["finetune"]["em-sam-20"]["prompt"]}
ORACLE = ("em-sam", "em-grid", "em-sam-20", "covid-sam")
ORDER = [
    "em-clipseg", "em-sam", "em-grid", "em-sam-20", "fires-clipseg", "fires-cascade", "covid-sam", "covid-cascade",
    "covid-unet",
]  # fmt: skip


def study(**changes) -> Study:
    """The study of SETTINGS, with whole sections replaced."""
    return validate(Study, SETTINGS | changes, "params.yaml")


def write_figure(path: Path, seed: int) -> None:
    colors = np.random.default_rng(seed).integers(0, 256, (2, 5, 3), np.uint8)
    Image.fromarray(np.kron(colors, np.ones((60, 44, 1), np.uint8))).quantize(10).save(path)


class Project:
    """Folders as `stages/report.py` takes them."""

    def __init__(self, root: Path):
        self.root, self.scores, self.plots, self.summaries = root, root / "scores", root / "plots", root / "summaries"
        self.folders = page.Folders(root / "prepared", root / "predictions", self.scores)
        for folder in (self.scores, self.summaries, self.plots / "training"):
            folder.mkdir(parents=True)
        for number, name in enumerate(ORDER):
            self.add_run(name, number, iou_mean=0.3 + number / 20)
        splits = {"val": {"kept": 5}, "test": {"kept": 1980, "dropped": 3}, "train": {"kept": 20}}
        for name in SETTINGS["datasets"]:
            (self.summaries / f"{name}.json").write_text(json.dumps(splits))

    def add_run(self, name: str, number: int = 0, **summary) -> None:
        """Write the files of a run, whose figure follows from the number."""
        self.write_summary(name, **summary)
        (self.plots / "runs" / name).mkdir(parents=True)
        curve = "".join(f"{step / 20},0.5,0.4,{1 - step / 20}\n" for step in range(1, 20))
        (self.plots / "runs" / name / "thresholds.csv").write_text("threshold,iou,precision,recall\n" + curve)
        write_figure(self.plots / "runs" / name / "images.png", number)
        rows = "epoch,loss,dice_loss,val_loss,val_iou,lr,foreground,val_foreground\n"
        rows += "1,0.9,0.8,0.95,0.1,0.0001,0.2,0.3\n2,0.7,0.654,,nan,0.0001,0.2,0.3\n"
        (self.plots / "training" / f"{name}.csv").write_text(rows)

    def write_summary(self, run: str, leave_out: str = "", **changes) -> None:
        summary = SUMMARY | {"oracle": run in ORACLE}
        summary |= {"iou_ci_low": 0.25, "iou_ci_high": 0.75} if run != "em-sam" else {"groups": 3}
        summary = {key: value for key, value in (summary | changes).items() if key != leave_out}
        rows = [{"id": "a", "group": "g", "class": "c", "tp": 5, "fp": 5, "fn": 0, "iou": 0.5}]
        score_table.write_table(self.scores / f"{run}.parquet", rows, summary)

    def add_pair(self, dataset: str, before: dict[str, int], after: dict[str, int], **names: str) -> None:
        """Write a split of images of 16 x 16, of which the upper half is foreground, and what two runs predict.

        before, after: rows of the upper half that are found, by id of the image; names: of the two runs.
        """
        mask = np.repeat(np.arange(16) < 8, 16).reshape(16, 16).astype(np.uint8)
        png = image_io.encode_png(np.full((16, 16, 3), 120, np.uint8)), image_io.encode_png(mask)
        rows = [Record(id, "g", *png, 16, 16, id, 0, 0, 16, 16, foreground=128) for id in before]
        self._write(self.folders.prepared / dataset / "test.parquet", rows, {"classes": ["c"], "score": "image"})
        for run, found in ((names["zero_shot"], before), (names["finetuned"], after)):
            maps = {id: (np.arange(16)[:, None] < count) * np.full((1, 1, 16), 0.9) for id, count in found.items()}
            predictions = [Prediction(id, records.pack(maps[id]), '[{"target": 1}]') for id in found]
            self._write(self.folders.predictions / f"{run}.parquet", predictions, {"oracle": False})
            counts = [
                {"id": id, "group": "g", "class": "c", "tp": 16 * count, "fp": 0, "fn": 128 - 16 * count}
                for id, count in found.items()
            ]
            summary = score_table.read_summary(self.scores / f"{run}.parquet")
            score_table.write_table(self.scores / f"{run}.parquet", counts, summary)

    @staticmethod
    def _write(path: Path, rows: list, metadata: dict) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with records.RecordWriter(path, type(rows[0]), metadata) as out:
            for row in rows:
                out.add(row)

    def rows(self, settings: Study | None = None) -> list[dict]:
        return leaderboard.leaderboard(settings or study(), self.scores)

    def sources(self, rows: list[dict], settings: Study | None = None) -> page.Sources:
        pairs = gains.gains(settings or study(), rows, self.scores)
        return page.Sources(self.plots, self.summaries, pairs, self.folders)

    def render(self, settings: Study | None = None, verdicts: Sequence[Verdict] = ()) -> str:
        """The page, as `stages/report.py` writes it."""
        settings, path = settings or study(), self.root / "report.html"
        rows = self.rows(settings)
        page.write_page(path, settings, rows, self.sources(rows, settings), verdicts)
        return path.read_text("utf-8")


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory) -> Project:
    """A project with its page, which no test changes."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.text = project.render()
    return project
