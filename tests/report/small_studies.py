"""Studies of a few runs, and rows of their leaderboard."""

from promptseg.core.settings import validate
from promptseg.core.study import Study
from promptseg.report.floors import TRIVIAL

EM = {"raw": "data/raw/em", "reader": "em"}
VOC = {"raw": "data/raw/voc", "reader": "voc"}
BOX, LOOSE, EACH = {"box": True}, {"box": True, "jitter": 0.02}, {"box": True, "per": "instance"}


def parsed(zero_shot=(), finetune=(), cascade=(), datasets=None, max_epochs=None) -> Study:
    """A study of runs given as name: (dataset, model, prompt), and train settings for fine-tuned ones."""
    runs = {name: dict(zip(("dataset", "model", "prompt", "train"), run)) for name, run in [*zero_shot, *finetune]}
    return validate(
        Study,
        {
            "scale": {"max_epochs": max_epochs},
            "datasets": datasets or {"em": EM, "voc": VOC},
            "models": {name: {} for name in ("sam", "sam2", "clipseg", *TRIVIAL)},
            "zero_shot": {name: runs[name] for name, _ in zero_shot},
            "cascade": dict(cascade),
            "finetune": {name: runs[name] for name, _ in finetune},
        },
        "params.yaml",
    )


def rows_of(study: Study, **headlines: float) -> list[dict]:
    """Rows with the headlines of runs, whose names have _ for -."""
    rows = []
    for name, run in study.runs.items():
        words = {
            "dataset": run.dataset,
            "model": run.model,
            "prompt": run.prompt.describe(),
            "training": "zero-shot",
            "groups": 7,
            "metric": "iou_mean",
        }
        rows.append({"run": name, "headline": headlines[name.replace("-", "_")], **words})
    return rows
