"""The same bytes whatever the zone, language, hash seed, umask, folder and order of files; no token is kept."""

import os
import shutil
import subprocess
import sys

import pytest
import reversed_folders
import small_study
from imports import STAGES
from small_study import digests

pytestmark = pytest.mark.xdist_group("faults")
TOKEN = "marked-t0ken"
OTHERS = {
    "TZ": "Pacific/Chatham", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "7", "COLUMNS": "40",
    "TERM": "dumb",
    **dict.fromkeys(("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "KAGGLE_KEY", "KAGGLE_API_TOKEN"), TOKEN),
    "KAGGLE_USERNAME": TOKEN, "PROMPTSEG_MIRROR": f"http://me:{TOKEN}@127.0.0.1:9",
}  # fmt: skip
# Stages that walk folders, run a model, or write a page.
CHECKED = ("preprocess@discs", "zero_shot@discs-sam", "report")


@pytest.fixture(scope="module")
def elsewhere(whole_study, tmp_path_factory):
    """The digests of a study, and the folder of one that other surroundings made, with all that was printed there."""
    home = tmp_path_factory.mktemp("surroundings")
    study, reference = whole_study
    folder, printed = small_study.write(home / "Müller's study (2)"), ""
    environment = os.environ | OTHERS | {"PYTHONPATH": str(STAGES)}
    for stage in small_study.stages():
        if stage.name in CHECKED:
            # -O removes assertions. The libraries are compiled anew for it, so one stage has to do.
            options = ["-O"] * stage.name.startswith("zero_shot")
            command = [sys.executable, *options, reversed_folders.__file__, str(stage.script), *stage.arguments]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, umask=0o077
            )
            assert done.returncode == 0, done.stdout + done.stderr
            printed += done.stdout + done.stderr
        else:
            for name in stage.outputs:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (study / name).is_dir() else shutil.copyfile
                copy(study / name, folder / name)
    return reference, folder, printed


@pytest.mark.parametrize("name", CHECKED)
def test_a_stage_makes_the_same_bytes_elsewhere(name, elsewhere):
    reference, folder, _ = elsewhere
    stage = next(stage for stage in small_study.stages() if stage.name == name)
    assert digests(folder, stage) == reference[name][0]


def test_no_token_of_the_environment_is_in_what_is_made_or_printed(elsewhere):
    _, folder, printed = elsewhere
    made = [path for path in folder.rglob("*") if path.is_file()]
    assert len(made) > 30 and TOKEN not in printed
    assert [path for path in made if TOKEN.encode() in path.read_bytes()] == []


def test_the_order_in_which_files_were_listed_was_another(tmp_path):
    for name in "bac":
        (tmp_path / name).touch()
    (tmp_path / "list.py").write_text(
        "import os\nfrom pathlib import Path\n"
        "print(*os.listdir(), *(p.name for p in Path('.').glob('*')), *next(os.walk('.'))[2])\n"
    )
    command = [sys.executable, reversed_folders.__file__, str(tmp_path / "list.py")]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60).stdout
    assert shown == "list.py c b a " * 2 + "list.py c b a\n"
