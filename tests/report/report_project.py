"""A study of a few runs, and the files of a project in which all of them have been evaluated."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from promptseg.core.settings import validate
from promptseg.core.study import Study
from promptseg.evaluation import score_table
from promptseg.report import gains, leaderboard, page

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
        for folder in (self.scores, self.summaries, self.plots / "training"):
            folder.mkdir(parents=True)
        write_figure(root / "chart.png", 99)
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

    def rows(self, settings: Study | None = None) -> list[dict]:
        return leaderboard.leaderboard(settings or study(), self.scores)

    def render(self, settings: Study | None = None) -> str:
        """The page, as `stages/report.py` writes it."""
        settings, path = settings or study(), self.root / "report.html"
        rows = self.rows(settings)
        pairs = gains.gains(settings, rows, self.scores)
        sources = page.Sources(self.root / "chart.png", self.plots, self.summaries, pairs)
        page.write_page(path, settings, rows, sources)
        return path.read_text("utf-8")
