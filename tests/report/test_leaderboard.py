"""Leaderboard: right rows, fixed decimals; and the CSV files that it and the curves are kept in."""

import csv

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.report import leaderboard, tables
from report_project import EVIL, ORACLE, ORDER, SETTINGS, project, study

__all__ = ["project"]


def test_rows_describe_the_runs_by_dataset_and_else_in_the_order_of_params(project):
    rows = {row["run"]: row for row in project.rows()}
    assert list(rows) == ORDER and all(tuple(row) == leaderboard.COLUMNS for row in rows.values())
    assert {name: row["training"] for name, row in rows.items()} == dict.fromkeys(ORDER, "zero-shot") | {
        "em-sam-20": "3 of 20 epochs",
        "covid-unet": "1 epoch",
        "fires-cascade": "cascade of fires-clipseg",
        "covid-cascade": "cascade of covid-unet",
    }
    for scale, training in (({}, "20 epochs"), ({"max_epochs": 1}, "1 of 20 epochs")):
        assert project.rows(study(scale=scale))[ORDER.index("em-sam-20")]["training"] == training
    assert rows["em-sam-20"]["prompt"] == "2 central points"
    assert {name: row["prompt_source"] for name, row in rows.items()} == {
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


@pytest.mark.parametrize(("raw", "source", "expected"), [
    ("data/raw/em", None, "sample"),
    ("data/raw/em", "official", "official"),
    ("data/raw/em", "em.zip", "folder"),
    ("data/raw/other", None, "folder"),
    ("elsewhere/em", None, "folder"),
    ("data/raw/em/inner", None, "folder"),
])  # fmt: skip
def test_data_is_that_of_the_download_behind_a_dataset(project, raw, source, expected):
    download = SETTINGS["download"] | {"em": {"reader": "em", "source": source}}
    datasets = SETTINGS["datasets"] | {"em": {"raw": raw, "reader": "em"}}
    assert project.rows(study(download=download, datasets=datasets))[0]["data"] == expected


def test_csv_has_fixed_decimals_and_empty_fields(project, tmp_path):
    leaderboard.write_leaderboard(project.rows(), tmp_path / "board.csv")
    text = (tmp_path / "board.csv").read_bytes().decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert "\r" not in text and text.endswith("\n") and tuple(rows[0]) == leaderboard.COLUMNS
    assert rows[1]["iou_ci_low"] == rows[1]["reported_iou"] == ""
    assert (rows[0]["iou_mean"], rows[0]["images"], rows[3]["reported_iou"]) == ("0.3000", "48", "0.2540")
    assert [rows[0][key] for key in ("groups", "score", "floor", "below_floor")] == ["6", "tile", "", ""]
    assert rows[0]["prompt"] == f'"{EVIL}"' and (rows[0]["oracle"], rows[1]["oracle"]) == ("False", "True")


def test_columns_are_those_of_the_registry_and_metrics_that_a_run_has_not_are_none(project):
    assert leaderboard.METRIC_COLUMNS == (
        "iou_mean", "iou_pooled", "iou_ci_low", "iou_ci_high", "iou_tuned", "threshold", "dice_mean", "dice_pooled",
        "boundary_iou", "iou_best_single", "false_alarm_rate", "false_alarm_area", "prompts_per_image", "noc_80",
        "noc_85", "noc_90", "absent_phrase_area", "iou_pooled_all", "seed_mean", "seed_std", "part_miou", "top1",
    )  # fmt: skip
    own = {"em-clipseg": "part_miou", "fires-clipseg": "top1", "em-grid": "iou_best_single"}
    for name, key in own.items():
        project.write_summary(name, "boundary_iou", **{key: 0.678})
    rows = {row["run"]: row for row in project.rows()}
    for name, key in own.items():
        assert (rows[name][key], rows[name]["boundary_iou"], rows["em-sam"][key]) == (0.678, None, None)


def test_the_headline_is_the_metric_that_the_summary_names(project):
    project.write_summary("em-sam", headline="iou_pooled", iou_pooled=0.123)
    rows = {row["run"]: row for row in project.rows()}
    assert (rows["em-sam"]["metric"], rows["em-sam"]["headline"]) == ("iou_pooled", 0.123)
    assert (rows["em-clipseg"]["metric"], rows["em-clipseg"]["headline"]) == ("iou_mean", 0.3)
    group_unit = "block of slices within one volume"
    assert [rows["em-sam"][key] for key in ("groups", "group_unit", "score")] == [3, group_unit, "tile"]


@pytest.mark.parametrize("key", ["iou_mean", "images", "oracle", "headline", "groups", "group_unit", "score"])
def test_incomplete_scores_are_named(project, key):
    project.write_summary("em-sam", key)
    with pytest.raises(UserError, match=rf"em-sam\.parquet: no '{key}' in its summary; delete it and run `dvc repro`"):
        project.rows()


def test_the_named_columns_of_a_table_are_read_in_any_order(tmp_path):
    (tmp_path / "run.csv").write_text("a,phase,b\n1,train,0.5\n2,train,\n3,train,nan\n")
    columns = tables.read_columns(tmp_path / "run.csv", ("b", "a"))
    assert list(columns) == ["b", "a"]
    np.testing.assert_array_equal(list(columns.values()), [[0.5, np.nan, np.nan], [1, 2, 3]])
    (tmp_path / "run.csv").write_text("a,b\n")
    assert tables.read_columns(tmp_path / "run.csv", ("a",))["a"].tolist() == []


@pytest.mark.parametrize(("content", "words"), [
    ("", "Empty.*; delete it and"), ("a\n1\n", "'b'.*; delete it and"), ("a,b\n1,x\n", "conversion error .*'x'"),
    ("a,b\n1,\xff\n", "conversion error"), ("a,b\n1\n", "Expected 2 columns"),
])  # fmt: skip
def test_bad_tables_are_named_in_one_line(tmp_path, content, words):
    (tmp_path / "run.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=rf"run\.csv: .*{words}.* run `dvc repro`$") as error:
        tables.read_columns(tmp_path / "run.csv", ("a", "b"))
    assert "\n" not in str(error.value)
