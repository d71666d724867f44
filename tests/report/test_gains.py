"""Gains of fine-tuning: which runs are compared, and the interval of their difference."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.evaluation import score_table
from promptseg.report.gains import gains, write_gains
from promptseg.report.paired import compare
from scipy import stats
from small_studies import BOX, parsed, rows_of


def difference_interval(before: Path, after: Path) -> tuple[float, float] | None:
    return compare(before, after).overall.interval


def write(path: Path, tp: list, fn: list | None = None, fp: list | None = None, groups: str = "") -> Path:
    """Write a table of scores of images with the classes a, b, ...; counts: (images,) or (images, K)."""
    tp = np.reshape(tp, (len(tp), -1))
    fn, fp = (np.zeros_like(tp) if counts is None else np.reshape(counts, tp.shape) for counts in (fn, fp))
    rows = [
        {"id": str(i), "group": groups[i] if groups else str(i), "class": name}
        | {"tp": int(tp[i, k]), "fp": int(fp[i, k]), "fn": int(fn[i, k])}
        for i in range(len(tp)) for k, name in enumerate("abc"[: tp.shape[1]])
    ]  # fmt: skip
    score_table.write_table(path, rows, {})
    return path


def test_gains_are_of_the_same_model_dataset_and_test_prompt_each_training_once(tmp_path):
    point, text = {"points": 1}, {"text": ["cell"]}
    train = {"epochs": 20, "prompt": point}
    study = parsed(
        max_epochs=3,
        zero_shot=[
            ("point", ("em", "sam", point)), ("box", ("em", "sam", BOX)), ("point2", ("em", "sam2", point)),
            ("text", ("em", "clipseg", text)), ("other", ("voc", "sam", point)),
        ],
        finetune=[
            ("point-20", ("em", "sam", point, train)),
            ("point-50", ("em", "sam", point, {**train, "epochs": 50, "patience": 10})),  # no patience within 3 epochs
            ("point-last", ("em", "sam", point, {**train, "keep": "last"})),
            ("box-20", ("em", "sam", BOX, train)),  # trained with a point, tested with a box
            ("words-20", ("em", "clipseg", {"text": ["spots"]}, {"epochs": 20, "prompt": text})),  # nothing before
        ],
    )  # fmt: skip
    headlines = {"point": 0.3, "box": 0.6, "point2": 0.9, "text": 0.1, "other": 0.2}
    headlines |= {"point_20": 0.4, "point_50": 0.4, "point_last": 0.25, "box_20": 0.5, "words_20": 0.8}
    for run in study.runs:
        write(tmp_path / f"{run}.parquet", [1])
    found = gains(study, rows_of(study, **headlines), tmp_path)
    assert [(pair["before"], pair["after"], pytest.approx(pair["gain"])) for pair in found] == [
        ("point", ["point-20", "point-50"], 0.1), ("point", ["point-last"], -0.05), ("box", ["box-20"], -0.1),
    ]  # fmt: skip
    unlimited = study.model_copy(update={"scale": SimpleNamespace(max_epochs=None)})
    assert [pair["after"] for pair in gains(unlimited, rows_of(study, **headlines), tmp_path)][:2] == [
        ["point-20"], ["point-50"],
    ]  # fmt: skip
    write_gains(found, tmp_path / "gains.csv")
    assert (tmp_path / "gains.csv").read_text().splitlines()[1].split(",")[3:] == [
        "point", "point-20 point-50", "0.3000", "0.4000", "0.1000", "", "", "7",
    ]  # fmt: skip


def test_the_interval_is_that_of_the_paired_t_test_for_small_differences(tmp_path):
    """Differences of IoU near 0, where the scale of logits is straight; each image is a group of its own."""
    rng = np.random.default_rng(0)
    before = rng.integers(200, 800, 40)
    after = before + rng.integers(-20, 30, 40)
    paths = [write(tmp_path / name, tp, 1000 - tp) for name, tp in (("before", before), ("after", after))]
    low, high = difference_interval(*paths)
    expected = stats.t.interval(0.95, 39, *(f((after - before) / 1000) for f in (np.mean, stats.sem)))
    assert (low, high) == pytest.approx(expected, abs=1e-4)
    assert difference_interval(*paths[::-1]) == pytest.approx((-high, -low), abs=1e-9)


def test_images_of_a_group_are_not_independent_and_below_five_groups_there_is_no_interval(tmp_path):
    before, after = [5] * 20, [6, 6, 6, 6, 4, 4, 4, 4, 7, 7, 7, 7, 5, 5, 5, 5, 6, 6, 6, 6]
    widths = []
    for groups in ("abcdefghijklmnopqrst", "aaaabbbbccccddddeeee"):
        paths = [
            write(tmp_path / name, tp, [10 - n for n in tp], groups=groups) for name, tp in zip("ba", (before, after))
        ]
        low, high = difference_interval(*paths)
        assert low < 0.06 < high
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]
    four = [
        write(tmp_path / name, tp, [10 - n for n in tp], groups="aaaabbbbccccddddddda")
        for name, tp in zip("ba", (before, after))
    ]
    assert difference_interval(*four) is None


def test_with_several_classes_it_is_of_the_pooled_score(tmp_path):
    """The second class is in three images of six; what is marked in an image without any class does not count."""
    after = write(
        tmp_path / "after", [[9, 4], [8, 4], [9, 4], [7, 0], [9, 0], [8, 0], [0, 0]], fp=[[1, 1]] * 6 + [[50, 0]]
    )
    before = write(tmp_path / "before", [[5, 4], [5, 4], [5, 4], [5, 0], [5, 0], [5, 0], [0, 0]], fp=[[5, 1]] * 7)
    low, high = difference_interval(before, after)
    gain = ((50 / 56 + 12 / 18) - (30 / 60 + 12 / 18)) / 2
    assert low < gain < high and high - low < 0.1


def test_runs_on_different_images_are_refused(tmp_path):
    with pytest.raises(UserError, match="not of the same images"):
        difference_interval(write(tmp_path / "a", [1, 2]), write(tmp_path / "b", [1, 2, 3]))
    (tmp_path / "c").write_text("no table")
    with pytest.raises(UserError, match="damaged"):
        difference_interval(tmp_path / "a", tmp_path / "c")
    with pytest.raises(UserError, match="not found"):
        difference_interval(tmp_path / "a", tmp_path / "d")
