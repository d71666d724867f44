"""Studies whose scores are written down, and their verdicts."""

import json
from pathlib import Path

import numpy as np
from promptseg.core.study import Study
from promptseg.evaluation import score_table
from promptseg.report import leaderboard, verdict, verdict_facts
from promptseg.report.verdict import Verdict
from promptseg.report.verdict_facts import Facts

PIXELS = 1000  # of each class in an image


class Scored:
    """A folder of scores and summaries. train_images: of each dataset."""

    def __init__(self, root: Path, study: Study, train_images: int | None = None):
        self.root, self.study = root, study
        self.scores, self.summaries = root / "scores", root / "summaries"
        for folder in (self.scores, self.summaries):
            folder.mkdir(parents=True)
        for name in study.datasets:
            summary = {} if train_images is None else {"train": {"images_kept": train_images}}
            (self.summaries / f"{name}.json").write_text(json.dumps(summary))

    def add(self, run: str, ious, groups=None, classes=("a",), **summary) -> None:
        """Write the table of a run whose images have these IoUs, (images,) or (images, K), NaN without the class.

        groups: of the images; None: each is its own.
        """
        ious = np.reshape(np.asarray(ious, float), (-1, len(classes)))
        groups = list(range(len(ious))) if groups is None else list(groups)
        rows = [
            {"id": f"i{number}", "group": f"g{groups[number]}", "class": name}
            | {"tp": round(PIXELS * iou), "fp": 0, "fn": (PIXELS if known else 0) - round(PIXELS * iou)}
            for number, values in enumerate(ious)
            for name, known, iou in zip(classes, ~np.isnan(values), np.nan_to_num(values), strict=True)
        ]  # fmt: skip
        about = {
            "headline": "iou_mean" if len(classes) == 1 else "iou_pooled", "images": len(ious), "images_empty": 0,
            "groups": len(set(groups)), "group_unit": "image", "score": "image",
            "oracle": getattr(self.study.run(run).prompt, "oracle", False),
            "iou_mean": float(np.nanmean(ious)), "iou_pooled": float(np.nanmean(ious)), "boundary_iou": 0.5,
        }  # fmt: skip
        score_table.write_table(self.scores / f"{run}.parquet", rows, about | summary)

    def facts(self) -> list[Facts]:
        rows = leaderboard.leaderboard(self.study, self.scores)
        return verdict_facts.collect(self.study, rows, self.scores, self.summaries)

    def verdict(self) -> Verdict:
        """The verdict on the only dataset that has runs."""
        (found,) = verdict.verdicts(self.facts())
        return found
