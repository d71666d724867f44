"""`promptseg verify` as a command: which folders it inspects, and which it refuses."""

import pytest
import yaml
from made_reader import reader, sample
from promptseg import datasets
from promptseg.cli import main
from refusing import refused
from typer.testing import CliRunner


@pytest.fixture
def project(monkeypatch, tmp_path):
    """Run the command in a project; returns its lines and its exit code."""
    monkeypatch.chdir(tmp_path)
    modules = {"good": [sample()], "twice": [sample()] * 2, "few": [sample()]}
    monkeypatch.setattr(
        datasets, "load", lambda name: reader(modules[name], SPLIT_SIZES={"train": 7} if name == "few" else {})
    )

    def run(*arguments, present=("one", "two"), data="sample", kind="good"):
        names = {"one": kind, "two": "twice", "three": "good"}
        entries = {name: {"raw": f"data/raw/{name}", "reader": reader} for name, reader in names.items()}
        params = {
            "scale": {"data": data}, "models": {}, "download": {name: {"reader": names[name]} for name in names},
            "datasets": {**entries, "own": {"raw": "mine", "reader": kind}},
        }  # fmt: skip
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        for name in present:
            (tmp_path / "data" / "raw" / name).mkdir(parents=True, exist_ok=True)
        result = CliRunner().invoke(main.app, ["verify", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout.splitlines(), result.exit_code

    return run


@pytest.mark.parametrize(
    "arguments, present, words",
    [
        (["four"], ["one"], "unknown dataset 'four'; known: one, two, three, own"),
        (["three"], ["one"], "data/raw/three: no such folder; `dvc repro preprocess@three`"),
        (["one", "nowhere"], ["one"], "nowhere: no such folder"),
        ([], [], "no dataset is here yet"),
    ],
)
def test_missing_files_are_refused(project, arguments, present, words):
    refused(lambda: project(*arguments, present=present), words)


def test_an_archive_and_another_file_are_refused_with_what_to_do(project, tmp_path):
    for name, words in (("images.zip", "an archive; unpack it first, and give"), ("a.png", "a file; give")):
        (tmp_path / name).write_bytes(b"PK")
        refused(
            lambda: project("one", name),
            f"{name}: {words} the folder of the images and masks: promptseg verify one FOLDER",
        )


def test_the_command_verifies_all_datasets_that_are_here_or_a_folder(project, tmp_path):
    lines, code = project()
    assert [line.partition(":")[0] for line in lines] == ["one", "two", "two"] and code == 1
    assert project("one") == (["one: 1 sample in 1 split, 6x4, gray 8-bit, nothing wrong"], 0)
    assert project("two")[1] == 1
    (tmp_path / "mine").mkdir()
    assert project("three", "mine")[1] == 0
    assert project("own")[1] == 0


def test_a_folder_of_the_user_is_the_raw_of_its_dataset_and_has_no_official_numbers(project, tmp_path):
    (tmp_path / "mine").mkdir()
    assert project(present=()) == (["own: 1 sample in 1 split, 6x4, gray 8-bit, nothing wrong"], 0)
    for arguments, data, code in (
        (["one"], "sample", 0), (["one", "--official"], "sample", 1), (["one"], "official", 1),
        (["one", "mine"], "official", 0), (["own"], "official", 0),
    ):  # fmt: skip
        assert project(*arguments, data=data, kind="few")[1] == code
