"""From a folder with every awkwardness, whose name has a space, through `promptseg init` to the prepared splits."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from promptseg.cli import main
from promptseg.data import image_io, records
from promptseg.inspection import timing
from promptseg.inspection.costs import Speed
from test_pipeline import new_project, ran, run
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent / "inspection"))
import awkward_folder as awkward  # noqa: E402

OTHER_PIXELS = {"gray and alpha", "microscope"}  # which have one channel
NAMES = [Path(name).stem for name in awkward.IMAGES] + list(awkward.MASKS)


@pytest.fixture(scope="module")
def project(root, tmp_path_factory):
    """A project whose dataset is prepared by DVC, and what init printed."""
    home = tmp_path_factory.mktemp("awkward")
    folder = new_project(root, home / "project")
    (folder / "metrics").mkdir()
    (folder / "metrics/em-sam.json").write_text('{"iou_mean": 0.5}')  # of the study before
    awkward.write(home / "my images, März")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HF_HUB_OFFLINE", "1")
        weights = {name: timing.Weights("tiny", "built in") for name in timing.MODELS}
        found = timing.Survey(weights, dict.fromkeys(weights, Speed(1, 1, 1)), [])
        patch.setattr(timing, "survey", lambda image, stated, phrase: found)
        result = CliRunner().invoke(main.app, ["init", "../my images, März", "--yes"])
    assert result.exit_code == 0, result.exception
    out = run(folder, "dvc", "repro", "preprocess@my-images-marz")
    assert ran(out) == ["code", "preprocess@my-images-marz"] and "warning: my-images-marz: files left out" in out
    return folder, result.output


def test_all_that_can_be_read_is_prepared_with_its_own_mask_and_upright(project):
    splits = {split: records.open_split(project[0] / f"data/prepared/my-images-marz/{split}.parquet") for split in
              ("train", "val", "test")}  # fmt: skip
    found = {record.id: record for split in splits.values() for record in split}
    empty = {name for name in NAMES if name.startswith("empty")}
    assert set(NAMES) - empty <= set(found) <= set(NAMES)
    for name, record in found.items():
        image, mask = awkward.scene(NAMES.index(name))
        np.testing.assert_array_equal(records.mask(record), mask & (name not in empty), name)
        read = image_io.to_rgb(records.image(record))
        assert name in OTHER_PIXELS or np.abs(read.astype(int) - image).mean() < 12, name


def test_what_cannot_be_read_is_named_with_the_reason_and_left_out(project):
    folder, printed = project
    summary = json.loads((folder / "data/summaries/my-images-marz.json").read_text())
    unreadable = sum(summary[split]["dropped_unreadable"] for split in ("train", "val", "test"))
    assert unreadable == len(awkward.DAMAGED) + 1 and summary["files_left_out"] == len(awkward.LEFT_OUT)
    lines = printed.splitlines()
    assert f"  problems  {len(awkward.DAMAGED) + 1}; what cannot be read is left out (skip_invalid: true)" in lines
    for name, (_, words) in awkward.DAMAGED.items():
        assert any(f"images/{name}: " in line and words in line for line in lines), name
    assert any("masks/smaller.png: 30x20, and its image images/smaller.png is 64x48" in line for line in lines)
    assert f"  unpaired  left out, without counterpart: {', '.join(awkward.LEFT_OUT)}" in lines
    assert "  other     not read: 1 .csv, 1 .db" in lines
    assert any(line.startswith("  links     masks: dvc does not watch what links lead to") for line in lines)


def test_masks_of_0_and_1_and_of_0_and_255_are_one_class_and_words_say_so(project):
    folder, printed = project
    entry = yaml.safe_load((folder / "params.yaml").read_text())["datasets"]["my-images-marz"]
    assert entry["raw"] == "../my images, März" and entry["options"]["classes"] == {"object": [1, 255]}
    assert "values 0 and 1 in some masks, 0 and 255 in others: background and one class" in printed


def test_runs_of_the_study_before_are_in_no_table(project):
    folder, printed = project
    assert "keep the results of other studies (1 runs)" in printed
    (folder / "metrics/my-images-marz-box.json").write_text('{"iou_mean": 0.25}')
    shown = run(folder, "dvc", "metrics", "show")
    assert "my-images-marz-box" in shown and "em-sam" not in shown
