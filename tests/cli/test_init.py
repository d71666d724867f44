"""`promptseg init`: a folder becomes a study that `promptseg check` accepts; nothing that was edited is lost."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from promptseg import models, studies
from promptseg.cli import check, init, main
from promptseg.core import study
from promptseg.inspection import timing, write
from promptseg.inspection.choose import Added
from promptseg.inspection.costs import Speed
from refusing import refused
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent / "inspection"))
import folder_cases as cases  # noqa: E402

FAST = Speed(0.001, 0.001, 0.001)


@pytest.fixture
def project(tmp_path, monkeypatch, root):
    """An empty project whose models need no time; the folders of images are beside it."""
    home = tmp_path / "project"
    home.mkdir()
    (home / "dvc.yaml").write_text("stages: {}\n")
    (home / "params.yaml").write_text(studies.text("default"))
    monkeypatch.chdir(home)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(timing, "survey", lambda image, stated, phrase: timed(stated))
    return home


def timed(stated: dict[str, timing.Weights]) -> timing.Survey:
    """What `timing.survey` returns, without a process and without running a model."""
    weights = timing.locate(stated)
    added = {name: Added.of(models.load(name)) for name in weights if name not in timing.MODELS}
    return timing.Survey(weights, dict.fromkeys(weights, FAST), [], added)


def run(*arguments: str, answers: str = "") -> str:
    """Call the command; returns what it prints."""
    result = CliRunner().invoke(main.app, ["init", *arguments], input=answers)
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.mark.parametrize("write_folder", [
    cases.two_folders, cases.splits, cases.plates_in_names, cases.cellpose, cases.folders_of_classes, cases.values,
    cases.colors, cases.deep, cases.stack, cases.damaged,
])  # fmt: skip
def test_the_study_of_each_folder_is_valid_and_about_it_alone(project, write_folder):
    write_folder(project.parent / "images")
    run("../images", "--yes")
    found = study.load()
    assert list(found.datasets) == ["images"] and found.datasets["images"].raw == "../images"
    assert found.good_enough == 0.8 and not found.download
    assert check.check().startswith("params.yaml: 1 dataset")
    assert {run.dataset for run in found.runs.values()} == {"images"}
    assert all(name.startswith("images-") for name in found.runs)


def test_it_says_what_it_saw_and_that_only_tiny_weights_are_at_hand(project):
    cases.plates_in_names(project.parent / "images")
    printed = run("../images", "--yes")
    for words in (
        "formats   12 PNG", "images/{name}.* with masks/{name}.*: 12", "values 0, 255", "(plate[0-9]+)_: 4",
        "object: in 12 of 12 images, 24 instances", "the hub cannot be reached: the tiny built-in ones",
        "note: no released weights of sam2 and clipseg are at hand", "next `dvc repro`, then `promptseg verdict`",
    ):  # fmt: skip
        assert words in printed
    assert yaml.safe_load(Path("params.yaml").read_text())["models"]["sam2"] == {"source": "tiny"}


def test_options_answer_beforehand(project):
    cases.plates_in_names(project.parent / "images")
    run(
        "../images", "--yes", "--group", "(plate[0-9])", "--classes", "crack", "--text", "a dark line",
        "--good-enough", "0.7", "--weights", "unet=tiny",
    )  # fmt: skip
    found = study.load()
    assert found.datasets["images"].options["group"] == "(plate[0-9])"
    assert found.zero_shot["images-text"].prompt.text == ["crack"]
    assert found.search["images-text-search"].phrases == ["crack", "a dark line"]
    assert found.good_enough == 0.7 and found.models["unet"].source == "tiny"


def test_further_models_join_the_study_with_what_they_take(project):
    cases.plates_in_names(project.parent / "images")
    printed = run("../images", "--yes", "--models", "seggpt,sam", "--weights", "seggpt=tiny", "--weights", "sam=tiny")
    found = study.load()
    assert check.check().startswith("params.yaml: 1 dataset") and "seggpt: five such images" in printed
    runs = {name: run for name, run in found.zero_shot.items() if run.model in ("seggpt", "sam")}
    assert list(runs) == ["images-shots-1-seggpt", "images-shots-5-seggpt", "images-box-sam", "images-point-sam"]
    assert found.models["seggpt"].source == "tiny" and runs["images-shots-5-seggpt"].prompt.support.shots == 5


def test_a_further_detector_gives_sam2_its_boxes(project):
    cases.plates_in_names(project.parent / "images")
    printed = run("../images", "--yes", "--models", "owlv2", "--weights", "owlv2=tiny")
    assert check.check().startswith("params.yaml: 1 dataset") and "words, whose boxes SAM 2 refines" in printed
    assert study.load().cascade["images-owlv2-sam2"].prompt.by == "box"


def test_a_thorough_study_is_valid(project):
    cases.plates_in_names(project.parent / "images")
    run("../images", "--yes", "--thorough", "--text", "a dark line|a slit")
    found = study.load()
    assert check.check().startswith("params.yaml: 1 dataset")
    assert found.search["images-text-search"].phrases[1:] == ["a dark line", "a slit"]
    texts = [prompt.text for prompt in found.search["images-text-search"].prompts]
    assert ["object"] in texts and ["a photo of object"] in texts and ["a dark line"] in texts and len(texts) == 9
    assert found.searched["images-text-best"].prompt.search == "images-text-search"
    assert found.searched["images-points-best"].model == "sam2"
    assert found.finetune["images-decoder"].train.seeds == [0, 1, 2]
    assert found.zero_shot["images-clicks"].prompt.sweep.by == "clicks"


def test_stated_groups_replace_the_blocks_of_a_volume(project):
    cases.slices(project.parent / "images")
    assert "one volume, or clip; groups of 5 consecutive images" in run("../images", "--yes")
    assert study.load().datasets["images"].options["block"] == 5
    run("../images", "--yes", "--group", "([0-9])[.]png")
    options = study.load().datasets["images"].options
    assert options["group"] == "([0-9])[.]png" and "block" not in options


def test_at_most_three_questions_are_asked_each_with_a_default(project, monkeypatch):
    cases.plates_in_names(project.parent / "images")
    monkeypatch.setattr(init, "check_interactive", lambda yes: None)
    printed = run("../images", answers="crack\n\nthin dark line | slit\n")
    assert printed.count("]: ") == 3
    found = study.load()
    assert found.datasets["images"].options["classes"] == ["crack"]
    assert found.datasets["images"].options["group"] == "(plate[0-9]+)_"
    assert found.search["images-text-search"].phrases == ["crack", "thin dark line", "slit"]


def test_equal_folders_give_equal_bytes(project):
    cases.values(project.parent / "images")
    texts = []
    for _ in range(2):
        run("../images", "--yes")
        texts.append(Path("params.yaml").read_bytes())
    assert texts[0] == texts[1]


def test_without_a_terminal_yes_is_needed(project):
    cases.two_folders(project.parent / "images")
    refused(lambda: run("../images"), "no terminal", "--yes")
    assert Path("params.yaml").read_text() == studies.text("default")


def test_edits_that_are_in_no_commit_are_never_overwritten_without_force(project):
    cases.two_folders(project.parent / "images")
    edited = studies.text("default") + "# mine\n"
    Path("params.yaml").write_text(edited)
    for arguments in (["../images", "--yes"], ["--study", "default"]):
        refused(lambda each=arguments: run(*each), "params.yaml", "no commit", "--force")
    assert Path("params.yaml").read_text() == edited
    for command in (
        ["init", "-q"],
        ["add", "params.yaml"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "mine"],
    ):
        subprocess.run(["git", *command], check=True)
    run("../images", "--yes")  # what is committed can be brought back
    own = Path("params.yaml").read_text()
    assert write.is_own(own)
    run("../images", "--yes")  # so can what init wrote itself
    Path("params.yaml").write_text(own.replace("seed: 0", "seed: 1"))
    refused(lambda: run("../images", "--yes"), "--force")
    run("../images", "--yes", "--force")
    assert Path("params.yaml").read_text() == own


def test_the_shipped_study_comes_back_and_what_is_left_of_the_other_one_is_said(project):
    cases.two_folders(project.parent / "images")
    assert "other studies" not in run("../images", "--yes")
    Path("metrics").mkdir()
    for name in ("images-box", "em-sam-box"):
        Path(f"metrics/{name}.json").write_text("{}")
    assert "keep the results of other studies (1 runs)" in run("--study", "default")
    assert Path("params.yaml").read_text() == studies.text("default") and Path("metrics/images-box.json").exists()
    assert "keep the results of other studies (1 runs)" in run("../images", "--yes")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["give the folder of your images", "--study default"]),
        (["../images", "--study", "default"], ["give the folder"]),
        (["--study", "other"], ["--study other", "known: default"]),
        (["../nothing", "--yes"], ["../nothing", "no such folder"]),
        (["../images", "--yes", "--weights", "sam2"], ["--weights sam2", "NAME=PATH"]),
        (["../images", "--yes", "--weights", "sam9=x"], ["sam9", "known: autoencoder"]),
        (["../images", "--yes", "--models", "sam9"], ["--models", "sam9", "known: autoencoder"]),
        (["../images", "--yes", "--weights", "sam2=../none"], ["nothing at ../none"]),
        (["../images", "--yes", "--group", "(x"], ["group", "not a regular expression"]),
        (["../images", "--yes", "--group", "(nothing)"], ["options.group", "does not match"]),
        (["../images", "--yes", "--classes", "a,b"], ["--classes", "one class"]),
        (["../images", "--yes", "--text", " "], ["--text", "a phrase"]),
        (["data/raw/em", "--yes"], ["data/raw", "a folder of your own"]),
        (["../my $images", "--yes"], ["contains '$'", "ln -s"]),
        (["../my\nimages", "--yes"], ["contains '\\n'", "ln -s"]),
    ],
)
def test_what_cannot_work_is_one_line_and_params_stay(project, arguments, words):
    cases.two_folders(project.parent / "images")
    refused(lambda: run(*arguments), *words)
    assert Path("params.yaml").read_text() == studies.text("default")


def test_images_that_are_all_alike_leave_none_for_the_test_unless_groups_are_stated(project):
    for number in range(6):
        cases.save(project.parent / f"images/images/{'abcdef'[number]}.png", cases.picture(0))
        cases.save(project.parent / f"images/masks/{'abcdef'[number]}.png", cases.squares(number, 1))
    refused(lambda: run("../images", "--yes"), "all 6 images are one group", "--group")
    assert Path("params.yaml").read_text() == studies.text("default")
    run("../images", "--yes", "--group", "([a-f])[.]")
    assert study.load().datasets["images"].options["group"] == "([a-f])[.]"


def test_outside_of_a_project_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(lambda: run("images", "--yes"), "dvc.yaml", "project's folder")
    assert not Path("params.yaml").exists()


def test_the_command_ends_with_one_line_and_exit_code_1(project):
    env_run = [sys.executable, "-c", "from promptseg.cli.main import main; main()", "init", "../nothing", "--yes"]
    result = subprocess.run(env_run, capture_output=True, text=True)
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and result.stderr.startswith("error: ")


def test_looking_needs_no_torch_whose_memory_it_would_keep():
    """Models are found and timed in a process of their own."""
    code = "import sys; from promptseg.cli import init; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
