"""Stages of stages/pretrain beside training: their settings, phrase records, scores, and the copy into the package."""

import functools
import shutil

import checkpoint_scores
import phrase_records
import pytest
import settings
import ship
import torch
import yaml
from conftest import ROOT
from dvc.repo import Repo
from imports import reached
from promptseg import models
from promptseg.data import records
from promptseg.nn import weights
from refusing import refused
from synthetic_scenes import PRETRAIN, RAW, imported


@functools.cache
def closure(path):
    """A file and all of our files that it imports, here and in the package."""
    found = reached(path)
    for name in imported(path):
        file = PRETRAIN.joinpath(*name.split(".")).with_suffix(".py")
        if file.is_file():
            found = found | closure(file)
    return found


def test_every_stage_depends_on_all_code_that_it_imports():
    with Repo(PRETRAIN) as repo:
        stages = list(repo.index.stages)
    expected = {f"phrases@{name}" for name in ("train", "val", "test", "support")} | {"preview", "evaluate"}
    assert {stage.name for stage in stages} == expected | {"sam", "sam2", "medsam", "pa_sam", "clip", "clipseg"}
    for stage in stages:
        deps = {(PRETRAIN / dep.def_path).resolve() for dep in stage.deps}
        assert {dep for dep in deps if not dep.exists() and PRETRAIN / "data" not in dep.parents} == set()
        code = {path for path in closure(PRETRAIN / stage.cmd.split()[1]) if path.name != "__init__.py"}
        missing = [str(path) for path in code if deps.isdisjoint({path, *path.parents})]
        assert missing == [], stage.name


def test_main_project_has_no_pretraining_stage():
    with Repo(ROOT) as repo:
        assert not [stage.addressing for stage in repo.index.stages if "pretrain" in str(stage.path_in_repo)]


TRAIN = {key: value for key, value in RAW["sam"]["train"].items() if key != "batch_size"}


@pytest.mark.parametrize(
    "model, change, word",
    [
        ("sam", {"kinds": {"foggy": 1.0}}, "foggy"),
        ("sam", {"boxes": 3}, "as many"),
        ("sam2", {"points": 3}, "sam2: as many"),
        ("sam", {"speed": 1}, "speed"),
        ("sam", {"train": TRAIN}, "batch_size"),
        ("sam", {"train": {**TRAIN, "batch_size": "auto"}}, "batch_size"),
        ("pa_sam", {"points": 2}, "leave out points"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, model, change, word):
    settings.load(PRETRAIN / "params.yaml")
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({**RAW, model: {**RAW[model], **change}}))
    refused(lambda: settings.load(path), word)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """Folder of phrase records by split."""
    folder = tmp_path_factory.mktemp("phrases")
    config = settings.PhraseSplits(kind="general", train=12, val=2, test=6, support=4, negative_share=0.25)
    for name in ("train", "again", "test", "support"):
        phrase_records.write(config, 0, "train" if name == "again" else name, folder / name)
    return folder


def test_records_have_phrases_with_masks_and_support_images(splits):
    assert (splits / "train").read_bytes() == (splits / "again").read_bytes()
    train = list(records.open_split(splits / "train"))
    assert len(train) == 12 and len({record.id for record in train}) == 12
    assert 2 <= sum(not (records.mask(record) == 1).any() for record in train) <= 3
    for record in [*train, *records.open_split(splits / "support")]:
        image, mask = records.support(record)
        assert record.text and image.shape[:2] == mask.shape
        assert records.mask(record).shape == (record.height, record.width)
        if record.id.startswith("support"):
            assert mask.any() and (records.mask(record) == 1).any()


def test_checkpoints_are_scored_by_what_they_are_prompted_with(splits):
    """SAM 2 like SAM; PA-SAM and MedSAM by their gain over SAM; CLIPSeg on phrases."""
    names = ("sam", "sam2", "medsam", "pa_sam", "clipseg")
    segmenters = {name: models.load(name).create("tiny", 0) for name in names}
    config = settings.Evaluation(images=1, prompts=2)
    scores = checkpoint_scores.score_checkpoints(segmenters, config, 0, splits / "test", splits / "support")
    met = scores.pop("requirements_met")
    without = {"sam_box_boundary_iou", "sam2_box_boundary_iou", "pa_sam_boundary_iou", "medsam_iou"}
    assert scores.keys() == met.keys() | without
    assert met.keys() == checkpoint_scores.MINIMUM.keys() | checkpoint_scores.MAXIMUM.keys()
    assert all(0 <= value <= 1 for name, value in scores.items() if not name.endswith(("gain", "correlation")))
    base = checkpoint_scores._score_boxes(segmenters["sam"], config, 0, "faint")["box_iou"]
    assert scores["medsam_iou_gain"] == pytest.approx(scores["medsam_iou"] - base, abs=1e-6)


def test_requirements_are_lower_and_upper_bounds():
    assert checkpoint_scores.requirements_met({"sam_box_iou": 0.85, "clipseg_negative_foreground": 0.03}) == {
        "sam_box_iou": True, "clipseg_negative_foreground": False,
    }  # fmt: skip


def test_only_intact_and_small_checkpoints_are_shipped(tmp_path, monkeypatch):
    trained, shipped = tmp_path / "trained", tmp_path / "tiny"
    for folder in (trained / "one", trained / "two", shipped / "old"):
        weights.write(folder, {}, {"x": torch.ones(100)})
    (shipped / "__init__.py").write_text("FOLDER = None\n")
    ship.main(trained, shipped)
    assert sorted(path.name for path in shipped.iterdir()) == ["__init__.py", "one", "two"]
    weights.check(shipped / "two")
    assert (shipped / "__init__.py").read_text() == "FOLDER = None\n"
    (trained / "one" / "config.json").write_text("{ }")
    refused(lambda: ship.main(trained, shipped), "one")
    shutil.rmtree(trained / "one")
    monkeypatch.setattr(ship, "MAX_BYTES", 10)
    refused(lambda: ship.main(trained, shipped), "at most")
    assert sorted(path.name for path in shipped.iterdir()) == ["__init__.py", "one", "two"]
