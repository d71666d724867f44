"""Leaderboard: right rows, fixed decimals."""

import csv
import json

import pyarrow
import pyarrow.parquet
import pytest
from promptseg.core.errors import UserError
from promptseg.report import leaderboard
from report_project import EVIL, ORACLE, ORDER, SETTINGS, Project, study


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


def test_rows_are_grouped_by_dataset_and_else_in_the_order_of_params(project):
    rows = project.rows()
    assert [row["run"] for row in rows] == ORDER
    assert all(tuple(row) == leaderboard.COLUMNS for row in rows)


def test_rows_describe_the_runs(project):
    rows = {row["run"]: row for row in project.rows()}
    training = {name: row["training"] for name, row in rows.items()}
    assert training == dict.fromkeys(ORDER, "zero-shot") | {
        "em-sam-20": "3 of 20 epochs",
        "covid-unet": "1 epoch",
        "fires-cascade": "cascade of fires-clipseg",
        "covid-cascade": "cascade of covid-unet",
    }
    assert rows["em-sam-20"]["prompt"] == "2 central points"
    source = {name: row["prompt_source"] for name, row in rows.items()}
    assert source == {
        "em-clipseg": "text",
        "em-sam": "ground truth (oracle)",
        "em-grid": "none, matched with the ground truth (oracle)",
        "em-sam-20": "ground truth (oracle)",
        "fires-clipseg": "text + support",
        "fires-cascade": "text + support (cascade)",
        "covid-sam": "ground truth with jitter (oracle)",
        "covid-cascade": "none (cascade)",
        "covid-unet": "none",
    }
    assert [name for name, row in rows.items() if row["oracle"]] == [name for name in ORDER if name in ORACLE]
    assert [rows[name]["data"] for name in ("em-sam", "fires-clipseg", "covid-sam")] == ["sample", "folder", "official"]
    checkpoints = [rows[name]["checkpoints"] for name in ("em-sam", "em-clipseg", "covid-unet")]
    assert checkpoints == ["tiny", "official", "local"]


@pytest.mark.parametrize(
    ("raw", "source", "expected"),
    [
        ("data/raw/em", None, "sample"),
        ("data/raw/em", "official", "official"),
        ("data/raw/em", "em.zip", "folder"),
        ("data/raw/other", None, "folder"),
        ("elsewhere/em", None, "folder"),
        ("data/raw/em/inner", None, "folder"),
    ],
)
def test_data_is_that_of_the_download_behind_a_dataset(project, raw, source, expected):
    download = SETTINGS["download"] | {"em": {"reader": "em", "source": source}}
    datasets = SETTINGS["datasets"] | {"em": {"raw": raw, "reader": "em"}}
    assert project.rows(study(download=download, datasets=datasets))[0]["data"] == expected


def test_without_a_limit_epochs_are_those_of_the_run(project):
    rows = project.rows(study(scale={}))
    assert rows[ORDER.index("em-sam-20")]["training"] == "20 epochs"


def test_csv_has_fixed_decimals_and_empty_fields(project, tmp_path):
    leaderboard.write_leaderboard(project.rows(), tmp_path / "board.csv")
    text = (tmp_path / "board.csv").read_bytes().decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert "\r" not in text and text.endswith("\n") and tuple(rows[0]) == leaderboard.COLUMNS
    assert rows[1]["iou_ci_low"] == rows[1]["reported_iou"] == ""
    assert (rows[0]["iou_mean"], rows[0]["images"], rows[3]["reported_iou"]) == ("0.3000", "48", "0.2540")
    assert rows[0]["prompt"] == f'"{EVIL}"' and (rows[0]["oracle"], rows[1]["oracle"]) == ("False", "True")


def test_columns_are_those_of_the_registry():
    assert leaderboard.METRIC_COLUMNS == (
        "iou_mean", "iou_ci_low", "iou_ci_high", "iou_pooled", "dice_mean", "dice_pooled", "boundary_iou",
        "iou_best_single", "part_miou", "top1",
    )  # fmt: skip


def test_metrics_that_a_run_has_not_are_none(project):
    project.write_summary("em-clipseg", ("boundary_iou",), part_miou=0.678)
    project.write_summary("fires-clipseg", ("boundary_iou",), top1=0.678)
    project.write_summary("em-grid", iou_best_single=0.1234)
    rows = {row["run"]: row for row in project.rows()}
    assert rows["em-clipseg"]["boundary_iou"] is None and rows["em-clipseg"]["part_miou"] == 0.678
    assert rows["fires-clipseg"]["top1"] == 0.678 and rows["em-sam"]["top1"] is None
    assert rows["em-grid"]["iou_best_single"] == 0.1234 and rows["em-sam"]["iou_best_single"] is None


def damaged(summary) -> bytes:
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.table({"id": ["a"]}).replace_schema_metadata({b"promptseg": json.dumps({"summary": summary})})
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", damaged([]), damaged({"iou_mean": float("nan")}), damaged({"iou_mean": 0.5}), damaged({})],
    ids=["missing", "empty", "no table", "list", "nan", "incomplete", "nothing"],
)
def test_missing_or_damaged_scores_are_named(project, content):
    path = project.scores / "em-sam.parquet"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=r"em-sam\.parquet: .*dvc repro"):
        project.rows()
