"""What the code may not do, found in its syntax: run what a file says, unpack blindly, open what it was not told to."""

import ast
import re
from pathlib import Path

import pytest
from imports import STAGES
from promptseg import models

ROOT = STAGES.parent
FILES = sorted(path for path in STAGES.rglob("*.py") if "build" not in path.parts)
# Calls that run code from data, or start a shell.
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "marshal.load", "marshal.loads", "shelve.open", "joblib.load", "dill.load", "pd.read_pickle", "yaml.unsafe_load",
    "yaml.full_load", "jinja2.Template", "Template", "tempfile.mktemp", "ssl._create_unverified_context",
}  # fmt: skip
# Arguments that switch a protection off.
UNSAFE = {("shell", True), ("verify", False), ("allow_pickle", True), ("trust_remote_code", True),
          ("weights_only", False), ("autoescape", False)}  # fmt: skip
METHODS = {"extract", "extractall"}  # of archives, by names of their members
# Functions that open what others made, and the only modules that may call them.
ONLY = {
    "torch.load": {"nn/weights.py"},
    "load_file": {"nn/weights.py"},
    "tarfile.open": {"download/archives.py"},
    "zipfile.ZipFile": {"annotations/imagej.py", "download/archives.py", "nn/weights.py"},
}


def calls():
    """Every call in the code: where it stands, the module, the name of what is called, and the call."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                where = path.relative_to(STAGES).as_posix()
                yield f"{where}:{node.lineno}", where.removeprefix("promptseg/"), ast.unparse(node.func), node


def keywords(call: ast.Call) -> dict[str | None, object]:
    return {word.arg: getattr(word.value, "value", word.value) for word in call.keywords}


def test_no_call_runs_code_from_data_or_a_shell():
    found = list(calls())
    assert len(found) > 5000
    assert [where for where, _, name, _ in found if name in FORBIDDEN] == []
    assert [where for where, _, name, _ in found if name.rpartition(".")[2] in METHODS and "." in name] == []
    unsafe = [where for where, _, _, call in found for word in keywords(call).items()
              if any(word[0] == name and word[1] is value for name, value in UNSAFE)]  # fmt: skip
    assert unsafe == []


def test_one_function_opens_weights_and_one_module_unpacks():
    found = [(module, name) for _, module, name, _ in calls() if name in ONLY]
    assert {name for _, name in found} == set(ONLY)
    assert [(module, name) for module, name in found if module not in ONLY[name]] == []
    loads = [keywords(call) for _, _, name, call in calls() if name == "torch.load"]
    assert [words["weights_only"] for words in loads] == [True]


def test_yaml_is_read_by_a_safe_loader_and_images_by_named_decoders():
    for where, _, name, call in calls():
        if name == "yaml.load":
            assert [ast.unparse(argument) for argument in call.args[1:]] == ["yaml.CSafeLoader"], where
        if name == "Image.open" and "export/segment_onnx.py" not in where:  # a script for others, of Pillow alone
            assert "formats" in keywords(call), where


@pytest.mark.parametrize("name", sorted(models.names()))
def test_weights_of_the_hub_are_of_a_commit_and_no_pickles(name):
    model = models.load(name)
    repository, revision = model.OFFICIAL
    if repository is not None:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", repository)
        assert revision is None or re.fullmatch("[0-9a-f]{40}", revision)


def test_torch_is_new_enough_for_safe_unpickling():
    found = re.search(r'"torch>=(\d+)\.(\d+)"', Path(ROOT / "pyproject.toml").read_text())
    assert (int(found[1]), int(found[2])) >= (2, 10)
