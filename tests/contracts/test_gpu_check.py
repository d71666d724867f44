"""The script that checks a GPU: its rows at tiny sizes on a CPU, and rows that fail, die or hang."""

import json
import os
import sys
import time

import pytest
import torch
from conftest import ROOT
from promptseg import models


@pytest.fixture(scope="module")
def gpu_check():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests" / "benchmarks")
        import gpu_check

        yield gpu_check


@pytest.fixture
def checked(gpu_check, tmp_path):
    """Runs rows on a CPU; returns the report and what was written of it."""

    def check(rows: dict, deadline: float = 300.0) -> dict:
        from gpu_rig import Rig

        report = gpu_check.check(tmp_path / "out.json", rows, deadline, lambda: Rig(torch.device("cpu"), True))
        assert json.loads((tmp_path / "out.json").read_text()) == report
        return report

    return check


def fail(rig):
    raise ValueError("first line\nsecond line")


def die(rig):
    os._exit(3)


def hang(rig):
    time.sleep(100)


def import_missing(rig):
    import package_that_is_not_there  # noqa: F401


def without_pydantic(row):
    """The row on a machine without pydantic, which most of promptseg needs."""

    def run(rig):
        for name in [name for name in sys.modules if name.startswith("promptseg.") and "attention" not in name]:
            del sys.modules[name]
        sys.modules["pydantic"] = None
        return row.run(rig)

    return type(row)(run, row.limit)


def test_a_row_that_fails_dies_or_hangs_ends_alone(checked, gpu_check):
    start, row = time.monotonic(), gpu_check.Row
    runs = {"fail": fail, "die": die, "hang": hang, "missing": import_missing, "fine": lambda rig: {"value": 2}}
    report = checked({name: row(run, 2 if run is hang else 60) for name, run in runs.items()})
    assert time.monotonic() - start < 60
    assert (report["device"], report["rehearsal"]) == ("cpu", True)
    found = {name: (row.pop("status"), row.pop("seconds") >= 0, row) for name, row in report["rows"].items()}
    assert found == {
        "fail": ("failed", True, {"reason": "ValueError: first line"}),
        "die": ("failed", True, {"reason": "its process ended with 3"}),
        "hang": ("out of time", True, {"reason": "more than 2 s"}),
        "missing": ("skipped", True, {"reason": "no package package_that_is_not_there"}),
        "fine": ("ok", True, {"value": 2}),
    }


def test_rows_after_the_deadline_do_not_run(checked, gpu_check):
    report = checked({name: gpu_check.Row(hang, 60) for name in "ab"}, 3.0)
    assert [row["status"] for row in report["rows"].values()] == ["out of time"] * 2
    assert report["rows"]["b"] == {"status": "out of time", "seconds": 0.0, "reason": "3 s were over"}


def test_the_fast_rows_run(checked, gpu_check):
    rows, fast = gpu_check.rows(), ("versions", "attention", "matmul", "encoder_sam", "encoder_sam2", "models", "bf16")
    found = checked({name: rows[name] for name in fast})["rows"]
    assert {name: row["status"] for name, row in found.items()} == dict.fromkeys(fast, "ok"), found
    assert found["attention"]["sam"]["range"] > 0.1 and found["attention"]["sam2"]["range"] > 0.1
    assert found["models"]["compared"] == len(models.names())
    for name in ("encoder_sam", "encoder_sam2"):
        assert all("error" not in variant for variant in found[name]["variants"].values()), found[name]
        assert found[name]["share_of_matmul"] > 0
    assert all(0.5 < value["worst"] <= 1 for name, value in found["bf16"].items() if isinstance(value, dict))


def test_without_a_package_what_needs_it_is_skipped_and_encoders_are_still_measured(checked, gpu_check):
    rows = gpu_check.rows()
    found = checked({name: without_pydantic(rows[name]) for name in ("attention", "encoder_sam", "cache")})["rows"]
    assert [row["status"] for row in found.values()] == ["ok", "ok", "skipped"], found
    assert found["cache"]["reason"] == "no package pydantic"


def test_a_network_that_differs_on_the_device_fails_its_row_and_its_numbers_are_kept(checked, gpu_check, monkeypatch):
    import gpu_rows

    monkeypatch.setattr(gpu_rows, "TOLERANCE", -1.0)
    found = checked({"attention": gpu_check.rows()["attention"]})["rows"]["attention"]
    assert found["status"] == "failed" and found["reason"] == "not as on a CPU: sam, sam2" and "sam" in found
