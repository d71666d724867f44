"""`promptseg doctor`: what is here and what is missing; the exit code says whether params.yaml can work."""

import re
import shutil
import sys
import types

import pytest
import yaml
from huggingface_hub import constants
from promptseg import models
from promptseg.cli import doctor, main
from promptseg.nn import weights
from promptseg.training import memory
from refusing import refused
from typer.testing import CliRunner

PARAMS = {
    "scale": {"data": "sample", "checkpoints": "tiny"},
    "download": {name: {"reader": name, "source": None} for name in ("em", "fires", "covid")},
    "datasets": {
        **{name: {"raw": f"data/raw/{name}", "reader": name} for name in ("em", "fires", "covid")},
        "lungs": {"raw": "data/raw/covid", "reader": "covid", "classes": ["lung"]},
    },
    "models": {"sam": {"source": None, "official": "example/sam", "revision": "0" * 40}, "unet": {"source": None}},
}
LOCK = {
    "stages": {
        f"{stage}@{name}": {"params": {"params.yaml": {f"{section}.{name}": entry, **scale}}}
        for stage, section, scale in (
            ("download", "download", {"scale.data": "sample"}),
            ("preprocess", "datasets", {}),
            ("checkpoint", "models", {"scale.checkpoints": "tiny"}),
        )
        for name, entry in PARAMS[section].items()
    }
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in a project of four datasets and two models; returns its lines and its exit code."""
    monkeypatch.chdir(tmp_path)
    for key in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "keys"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
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


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Everything that PARAMS needs; tests do not change it."""
    folder = tmp_path_factory.mktemp("full")
    for name in PARAMS["download"]:
        (folder / "data/raw" / name).mkdir(parents=True)
    (folder / "data/summaries").mkdir()
    for name in PARAMS["datasets"]:
        (folder / "data/prepared" / name).mkdir(parents=True)
        summary = '{"train": {"records": 1980, "images": 165}, "val": {"records": 0}, "test": {"records": 7}}'
        (folder / "data/summaries" / f"{name}.json").write_text(summary)
    for name in PARAMS["models"]:
        model = models.load(name).create("tiny", 0)
        weights.write(folder / "data/checkpoints" / name, model.configuration(), model.state_dict())
    return folder


@pytest.fixture
def filled(full, tmp_path):
    return shutil.copytree(full, tmp_path, dirs_exist_ok=True)


def cache(tmp_path, repository, revision, *files):
    """Put files of a repository into the hub's cache."""
    snapshot = tmp_path / f"hub/models--{repository.replace('/', '--')}/snapshots" / revision
    snapshot.mkdir(parents=True, exist_ok=True)
    for file in files:
        (snapshot / file).write_text("")


def test_an_empty_project_is_told_how_to_fill_it(run):
    lines, code = run(download={"voc": {"reader": "voc"}})  # which no dataset reads, so that it has its own stage
    assert code == 0
    for line in (
        ["voc", "sample", "missing", "automatic"], ["em", "sample", "missing", "automatic"],
        ["fires", "sample", "missing", "by hand"], ["covid", "sample", "missing", "login"],
        ["em", "data/raw/em", "missing", "missing"], ["lungs", "data/raw/covid", "missing", "missing"],
        ["sam", "tiny", "missing", "example/sam", "no"], ["unet", "tiny", "missing", "none on the hub"],
    ):  # fmt: skip
        assert line in lines
    stages = [f"preprocess@{name}" for name in PARAMS["datasets"]]
    assert lines[-1] == [" ".join(["dvc repro download@voc", *stages, "checkpoint@sam checkpoint@unet"])]


def test_of_a_full_project_only_what_is_missing_or_differs_is_named(run, filled):
    lines, code = run()
    assert code == 0 and lines[-1] == ["all that params.yaml needs is here"]
    assert ["em", "sample", "here", "automatic"] in lines
    assert ["em", "data/raw/em", "here", "1,980, 0, 7"] in lines
    assert any(line[:2] == ["sam", "tiny"] and re.fullmatch(r"tiny, 1\.\d MB", line[2]) for line in lines)
    lines, _ = run(datasets={"em": {**PARAMS["datasets"]["em"], "tile": 128}})
    assert ["em", "data/raw/em", "here", "datasets.em differed"] in lines and lines[-1] == ["dvc repro preprocess@em"]
    shutil.rmtree(filled / "data/prepared/em")
    shutil.rmtree(filled / "data/checkpoints/unet")
    lines, code = run()
    assert code == 0 and lines[-1] == ["dvc repro preprocess@em checkpoint@unet"]
    assert ["em", "data/raw/em", "here", "missing"] in lines


def test_data_made_with_other_settings_counts_as_missing(run, filled):
    lines, code = run(scale={"data": "official", "checkpoints": "official"})
    assert ["em", "official", "scale.data was sample", "automatic"] in lines
    assert ["lungs", "data/raw/covid", "scale.data was sample", "missing"] in lines
    assert any(line[:2] == ["sam", "official"] and line[2].startswith("tiny, ") for line in lines)
    # No stage can obtain the fires.
    (blocked,) = [line[0] for line in lines if line[0].startswith("cannot work: ")]
    message = "cannot work: fires: its official files are obtained by hand; `dvc repro download@fires`"
    assert code == 1 and blocked.startswith(message)
    assert lines[-2] == ["dvc repro preprocess@em preprocess@covid preprocess@lungs checkpoint@sam checkpoint@unet"]
    assert lines[-1] == ["for covid log in first, as shown above"]


def test_a_folder_of_the_user_is_a_dataset_without_a_download(run, tmp_path):
    mine = {"mine": {"raw": "images", "reader": "folder"}}
    lines, code = run(datasets=mine)
    assert ["mine", "images", "missing", "missing"] in lines and code == 1
    assert ["cannot work: mine: no folder images; correct datasets.mine.raw in params.yaml"] in lines
    (tmp_path / "images").mkdir()
    lines, code = run(datasets=mine)
    assert ["mine", "images", "here", "missing"] in lines and code == 0
    assert lines[-1][0].startswith("dvc repro ") and " preprocess@mine" in lines[-1][0]


@pytest.mark.parametrize("there", [True, False])
def test_it_shows_whether_a_login_is_set_up_and_not_which(there, run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", types.ModuleType("kagglehub"))
    (tmp_path / "keys").mkdir()
    if there:
        (tmp_path / "keys/kaggle.json").write_text('{"username": "someone", "key": "secret"}')
    lines, _ = run(scale={"data": "official"})
    todo = f"not set up: make an API key at kaggle.com/settings and put its kaggle.json into {tmp_path / 'keys'}"
    assert ["covid", "set up" if there else todo] in lines
    assert (["for covid log in first, as shown above"] in lines) == (not there)
    assert not any("secret" in word or "someone" in word for line in lines for word in line)


@pytest.mark.parametrize("section, name", [("download", "covid"), ("models", "sam")])
def test_a_source_that_does_not_exist_cannot_work(section, name, run, tmp_path):
    entry = {name: {**PARAMS[section][name], "source": "elsewhere"}}
    lines, code = run(**{section: entry})
    message = f"cannot work: {name}: nothing at elsewhere; correct {section}.{name}.source in params.yaml"
    assert code == 1 and [message] in lines
    assert not any(f"@{name}" in word for line in lines for word in line if line[0].startswith("dvc repro"))
    (tmp_path / "elsewhere").mkdir()
    assert run(**{section: entry})[1] == 0


def test_the_cache_of_the_hub_is_read_and_not_the_hub(run, tmp_path):
    """Released weights are those of the model's file where params.yaml names none."""
    more = {"clip_decoder_cnn": {}, "pa_sam": {}}
    repository, revision = models.load("clip_decoder_cnn").OFFICIAL
    cache(tmp_path, "example/sam", "0" * 40, "config.json")
    lines, _ = run(models=more)
    assert ["sam", "tiny", "missing", "example/sam", "no"] in lines
    assert ["clip_decoder_cnn", "tiny", "missing", repository, "no"] in lines
    assert ["pa_sam", "tiny", "missing", "none on the hub"] in lines
    cache(tmp_path, "example/sam", "0" * 40, "model.safetensors")
    cache(tmp_path, repository, revision, "config.json", "pytorch_model.bin")  # it has no model.safetensors
    lines, _ = run(models=more)
    assert ["sam", "tiny", "missing", "example/sam", "yes"] in lines
    assert ["clip_decoder_cnn", "tiny", "missing", repository, "yes"] in lines


def test_the_machine_is_described_and_wrong_params_end_in_one_line(run, monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("2000000000\n")
    lines, _ = run()
    assert ["memory", "2.0 GB"] in lines
    assert any(line[0] == "processor" and re.search(r"\d+ cores?$", line[1]) for line in lines)
    assert all(any(line[0] == name and line[1] != "not installed" for line in lines) for name in doctor.PACKAGES)
    refused(lambda: run(models={"sam": {"parts": 3}}), "params.yaml: models.sam.parts")
