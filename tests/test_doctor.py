"""`promptseg doctor`: what is here, what is missing, and that its exit code says whether params.yaml can work."""

import re
import shutil
import sys
import types

import pytest
import yaml
from promptseg import models
from promptseg.cli import doctor, main
from promptseg.core import params
from promptseg.nn import weights
from promptseg.training import memory
from typer.testing import CliRunner

PARAMS = {
    "scale": {"data": "sample", "checkpoints": "tiny"},
    "datasets": {
        "em": {"reader": "em", "parts": "em", "source": None},
        "fires": {"reader": "fires", "parts": "fires", "source": None},
        "covid": {"reader": "covid", "parts": "covid", "source": None},
    },
    "models": {"sam": {"source": None, "official": "example/sam", "revision": "0" * 40}, "unet": {"source": None}},
}
LOCK = {
    "stages": {
        f"{stage}@{name}": {"params": {"params.yaml": {f"{section}.{name}": entry, **scale}}}
        for stage, section, scale in (
            ("download", "datasets", {"scale.data": "sample"}),
            ("preprocess", "datasets", {}),
            ("checkpoint", "models", {"scale.checkpoints": "tiny"}),
        )
        for name, entry in PARAMS[section].items()
    }
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command in a project of three datasets and two models; gives its lines and its exit code."""
    monkeypatch.chdir(tmp_path)
    for key in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "keys"))
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(LOCK))

    def call(**changes):
        settings = {**PARAMS, **{key: {**PARAMS[key], **value} for key, value in changes.items()}}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        result = CliRunner().invoke(main.app, ["doctor"])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "\x1b" not in result.stdout and result.stdout.isascii()
        return [re.split(r"  +", line.strip()) for line in result.stdout.splitlines()], result.exit_code

    return call


def fill(folder):
    """Everything that PARAMS needs."""
    for name in PARAMS["datasets"]:
        for path in (folder / "data/raw" / name, folder / "data/prepared" / name, folder / "metrics/data"):
            path.mkdir(parents=True, exist_ok=True)
        counts = '{"train": {"pairs": 1980}, "val": {"pairs": 0}, "test": {"pairs": 7}}'
        (folder / "metrics/data" / f"{name}.json").write_text(counts)
    for name in PARAMS["models"]:
        model = models.load(name).create("tiny", 0)
        weights.write(folder / "data/checkpoints" / name, model.configuration(), model.state_dict())


def test_an_empty_project_is_told_how_to_fill_it(run):
    lines, code = run()
    assert code == 0
    assert ["em", "sample", "missing", "missing", "automatic"] in lines
    assert ["fires", "sample", "missing", "missing", "by hand"] in lines
    assert ["covid", "sample", "missing", "missing", "login"] in lines
    assert ["sam", "tiny", "missing", "example/sam", "no"] in lines
    assert ["unet", "tiny", "missing", "never"] in lines
    assert lines[-1] == ["dvc repro preprocess@em preprocess@fires preprocess@covid checkpoint@sam checkpoint@unet"]


def test_a_full_project_has_all(run, tmp_path):
    fill(tmp_path)
    lines, code = run()
    assert code == 0 and lines[-1] == ["all that params.yaml needs is here"]
    assert ["em", "sample", "here", "1,980, 0, 7", "automatic"] in lines
    assert any(line[:2] == ["sam", "tiny"] and re.fullmatch(r"tiny, 1\.\d MB", line[2]) for line in lines)


def test_only_what_is_missing_is_named(run, tmp_path):
    fill(tmp_path)
    shutil.rmtree(tmp_path / "data/prepared/em")
    shutil.rmtree(tmp_path / "data/checkpoints/unet")
    lines, code = run()
    assert code == 0 and lines[-1] == ["dvc repro preprocess@em checkpoint@unet"]
    assert ["em", "sample", "here", "missing", "automatic"] in lines


def test_what_was_made_with_other_settings_is_not_taken_for_what_is_asked_for(run, tmp_path):
    fill(tmp_path)
    lines, code = run(scale={"data": "official", "checkpoints": "official"})
    assert ["em", "official", "scale.data was sample", "missing", "automatic"] in lines
    assert any(line[:2] == ["sam", "official"] and line[2].startswith("tiny, ") for line in lines)
    # Nobody but a person brings the fires.
    assert code == 1 and any(
        line[0].startswith("cannot work: fires: its official files come by hand") for line in lines
    )
    assert lines[-2] == ["dvc repro preprocess@em preprocess@covid checkpoint@sam checkpoint@unet"]
    assert lines[-1] == ["for covid log in first, as said above"]


@pytest.mark.parametrize("there", [True, False])
def test_it_says_whether_a_login_is_set_up_and_not_which(there, run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", types.ModuleType("kagglehub"))
    (tmp_path / "keys").mkdir()
    if there:
        (tmp_path / "keys/kaggle.json").write_text('{"username": "someone", "key": "secret"}')
    lines, _ = run(scale={"data": "official"})
    todo = f"not set up: make an API key at kaggle.com/settings and put its kaggle.json into {tmp_path / 'keys'}"
    assert ["covid", "set up" if there else todo] in lines
    assert (["for covid log in first, as said above"] in lines) == (not there)
    assert not any("secret" in word or "someone" in word for line in lines for word in line)


@pytest.mark.parametrize("section, name", [("datasets", "covid"), ("models", "sam")])
def test_a_source_that_is_not_there_cannot_work(section, name, run, tmp_path):
    entry = {name: {**PARAMS[section][name], "source": "elsewhere"}}
    lines, code = run(**{section: entry})
    assert (
        code == 1
        and [f"cannot work: {name}: nothing at elsewhere; correct {section}.{name}.source in params.yaml"] in lines
    )
    (tmp_path / "elsewhere").mkdir()
    assert run(**{section: entry})[1] == 0


def test_the_hub_s_cache_is_looked_at_and_not_the_hub(run, tmp_path, monkeypatch):
    from huggingface_hub import constants

    snapshot = tmp_path / "hub/models--example--sam/snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (snapshot / "config.json").write_text("{}")
    assert ["sam", "tiny", "missing", "example/sam", "no"] in run()[0]
    (snapshot / "model.safetensors").write_text("")
    assert ["sam", "tiny", "missing", "example/sam", "yes"] in run()[0]


def test_the_machine_is_described(run, monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("2000000000\n")
    lines, _ = run()
    assert ["memory", "2.0 GB"] in lines
    assert any(line[0] == "processor" and re.search(r"\d+ cores?$", line[1]) for line in lines)
    assert all(any(line[0] == name and line[1] != "not installed" for line in lines) for name in doctor.PACKAGES)


def test_params_that_are_wrong_end_in_one_line(run):
    with pytest.raises(params.UserError, match="params.yaml: models.sam.parts"):
        run(models={"sam": {"parts": 3}})


def test_a_model_of_two_networks_has_both_their_places(run, tmp_path):
    pinned = {"official": "example/sam", "revision": "0" * 40}
    networks = {"clipseg": {"official": "example/clip", "revision": "1" * 40}, "sam": pinned}
    lines, code = run(models={"cascade_sam": {"source": None, "networks": networks}})
    assert ["cascade_sam", "tiny", "missing", "example/clip + example/sam", "no"] in lines and code == 0
    networks["sam"]["source"] = "elsewhere"
    lines, code = run(models={"cascade_sam": {"source": None, "networks": networks}})
    key = "models.cascade_sam.networks.sam.source"
    assert [f"cannot work: cascade_sam: nothing at elsewhere; correct {key} in params.yaml"] in lines and code == 1
