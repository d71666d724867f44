"""stages/pretrain: the DVC project that trains the tiny checkpoints, its settings, and the copy into the package."""

import ast
import functools
import shutil

import pytest
import settings
import ship
import torch
import yaml
from conftest import ROOT
from dvc.repo import Repo
from imports import reached
from promptseg.core.errors import UserError
from promptseg.nn import weights
from synthetic_scenes import PRETRAIN, RAW


@functools.cache
def closure(path):
    """A file and all of our files that it imports, here and in the package."""
    found = reached(path)
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = PRETRAIN.joinpath(*name.split(".")).with_suffix(".py")
            if file.is_file():
                found = found | closure(file)
    return found


def test_every_stage_depends_on_all_code_that_it_imports():
    with Repo(PRETRAIN) as repo:
        stages = list(repo.index.stages)
    expected = {f"phrases@{name}" for name in ("train", "val", "test", "support")} | {"preview", "evaluate"}
    assert {stage.name for stage in stages} == expected | {"sam", "medsam", "pa_sam", "clip", "clipseg"}
    for stage in stages:
        script = PRETRAIN / stage.cmd.split()[1]
        deps = {(PRETRAIN / dep.def_path).resolve() for dep in stage.deps}
        assert {dep for dep in deps if not dep.exists() and PRETRAIN / "data" not in dep.parents} == set()
        code = {path for path in closure(script) if path.name != "__init__.py"}
        missing = [str(path) for path in code if deps.isdisjoint({path, *path.parents})]
        assert missing == [], stage.name


def test_main_project_has_no_pretraining_stage():
    with Repo(ROOT) as repo:
        assert not [stage.addressing for stage in repo.index.stages if "pretrain" in str(stage.path_in_repo)]


def test_wrong_settings_are_refused_by_name(tmp_path):
    settings.load(PRETRAIN / "params.yaml")
    train = {key: value for key, value in RAW["sam"]["train"].items() if key != "batch_size"}
    changes = (
        ({"kinds": {"foggy": 1.0}}, "foggy"),
        ({"boxes": 3}, "as many"),
        ({"speed": 1}, "speed"),
        ({"train": train}, "batch_size"),
        ({"train": {**train, "batch_size": "auto"}}, "batch_size"),
    )
    for change, line in changes:
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump({**RAW, "sam": {**RAW["sam"], **change}}))
        with pytest.raises(UserError, match=line):
            settings.load(path)


def test_only_intact_and_small_checkpoints_are_shipped(tmp_path, monkeypatch):
    for name in ("one", "two"):
        weights.write(tmp_path / "trained" / name, {}, {"x": torch.ones(100)})
    weights.write(tmp_path / "tiny" / "old", {}, {"x": torch.ones(100)})
    module = tmp_path / "tiny" / "__init__.py"
    module.write_text("FOLDER = None\n")
    ship.main(tmp_path / "trained", tmp_path / "tiny")
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == ["__init__.py", "one", "two"]
    weights.check(tmp_path / "tiny" / "two")
    assert module.read_text() == "FOLDER = None\n"
    (tmp_path / "trained" / "one" / "config.json").write_text("{ }")
    with pytest.raises(UserError, match="one"):
        ship.main(tmp_path / "trained", tmp_path / "tiny")
    shutil.rmtree(tmp_path / "trained" / "one")
    monkeypatch.setattr(ship, "MAX_BYTES", 10)
    with pytest.raises(UserError, match="at most"):
        ship.main(tmp_path / "trained", tmp_path / "tiny")
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == ["__init__.py", "one", "two"]
