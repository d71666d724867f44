"""Digests of code: what they hold, what changes them, and that they agree with what Python imports."""

import ast
import json
import os
import shutil
import subprocess
import sys

import pytest
from imports import PACKAGE, STAGES
from promptseg.core import fingerprint
from promptseg.core.fingerprint import LOADED, closure, digest, module_file, names

# Loads what the main of each stage would, in a process of its own, and prints the files of promptseg that are in memory
# then. The processes are forked from one that has imported the libraries.
PROBE = """
import contextlib, importlib, json, os, sys
libraries, cases = json.load(sys.stdin)
for statement in libraries:
    with contextlib.suppress(ImportError):
        exec(statement)
assert not any(name.startswith("promptseg") for name in sys.modules)
for imports, loaded in cases:
    if os.fork() == 0:
        exec(imports)
        for name in loaded:
            importlib.import_module(name)
        modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "promptseg"]
        print(json.dumps([module.__file__ for module in modules if getattr(module, "__file__", None)]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""
CASES = {
    "evaluate": [""], "report": [""], "download": ["em", "lucchi_pp", "folder"],
    "preprocess": ["covid", "voc", "modelnet40"], "checkpoint": ["sam", "clip_decoder_cnn", "unet"],
    "search": ["clipseg"], "zero_shot": ["sam", "sam2", "clipseg", "pointclip"], "cascade": ["sam2"],
    "finetune": ["pa_sam", "autoencoder"], "predict": ["unet_box", "medsam"],
}  # fmt: skip


def import_statements(script):
    """The import statements of a script, those in its functions last."""
    nodes = ast.walk(ast.parse(script.read_text()))
    return [ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]


def stage_closure(verb, name=""):
    return closure([STAGES / f"{verb}.py", *(module_file(module.format(name)) for module in LOADED[verb])])


def test_what_python_imports_is_in_the_closure():
    stages = [(verb, name) for verb, picked in CASES.items() for name in picked]
    every = {statement for file in PACKAGE.rglob("*.py") for statement in import_statements(file)}
    cases = [
        ("\n".join(import_statements(STAGES / f"{verb}.py")), [module.format(name) for module in LOADED[verb]])
        for verb, name in stages
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps([sorted(each for each in every if "promptseg" not in each), cases]),
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(STAGES)},
    )  # fmt: skip
    for (verb, name), line in zip(stages, done.stdout.splitlines(), strict=True):
        imported = set(json.loads(line))
        assert len(imported) > 5, (verb, name)
        assert imported <= set(map(str, stage_closure(verb, name))), (verb, name)


def test_no_other_dataset_and_no_other_model_is_in_it():
    """Those that share a drawing or a base class name each other; nobody else does."""
    related = {
        "lucchi_pp": {"em"}, "qata": {"covid"}, "cityscapes_pairs": {"cityscapes"},
        "pascal_context": {"voc", "coco_stuff"},
    }  # fmt: skip
    for verb, (first, *_) in ((verb, modules) for verb, modules in LOADED.items() if modules):
        package = PACKAGE / first.split(".")[1]
        for name in names(first):
            files = stage_closure(verb, name)
            inside = {path.relative_to(package).parts[0] for path in files if path.is_relative_to(package)}
            found = {part.removesuffix(".py") for part in inside} & set(names(first))
            assert name in found and found - {name} <= related.get(name, set()), f"{verb} {name}: {sorted(found)}"


@pytest.mark.parametrize(
    "start, reached, others",
    [
        ("report.py", [".j2", ".css", ".js"], []),
        ("evaluate.py", [], [".j2", ".css", ".js"]),
        ("checkpoint.py", [".safetensors"], []),
        ("zero_shot.py", [], [".safetensors"]),
        ("download.py", [], ["/prompts/", "/nn/"]),
        ("preprocess.py", [], ["/prompts/", "/nn/"]),
        # what is imported for type checkers alone is not followed
        ("promptseg/prompts/base.py", ["/core/settings.py"], ["/nn/image_transform.py"]),
    ],
)
def test_a_stage_reaches_its_data_and_nothing_that_it_does_not_use(start, reached, others):
    files = [path.as_posix() for path in closure([STAGES / start])]
    assert all(any(part in file for file in files) for part in reached)
    assert not [file for file in files for part in others if part in file]


CODE = 'def area(width, height=2):\n    """Compute an area."""\n    return width * height\n'


@pytest.mark.parametrize(
    "name, text, same",
    [
        ("m.py", CODE.replace("return", "# a comment\n    return"), True),
        ("m.py", CODE.replace("Compute an area.", "Another docstring."), True),
        ("m.py", '"""A module."""\n' + CODE, True),
        ("m.py", CODE.replace("width * height", "(width\n            * height)"), True),
        ("m.py", CODE.replace("(width, height=2)", "(\n    width,\n    height=2,\n)"), True),  # a trailing comma
        ("m.py", CODE.replace("*", "+"), False),
        ("m.py", CODE.replace("=2", "=3"), False),
        ("m.py", CODE.replace("=2", "=2.0"), False),
        ("m.py", CODE.replace("width * height", "height * width"), False),
        ("m.py", CODE + "SIDE = 1\n", False),
        ("m.py", CODE.replace("def area", "@cache\ndef area"), False),
        ("page.j2", CODE.replace("return", "# a comment\n    return"), False),  # counts by its bytes
    ],
)
def test_code_changes_a_digest_and_comments_docstrings_and_layout_do_not(tmp_path, name, text, same):
    digests = []
    for each in (CODE, text):
        (tmp_path / name).write_text(each)
        fingerprint._tree.cache_clear()
        fingerprint._file_digest.cache_clear()
        digests.append(digest([tmp_path / name]))
    assert (digests[0] == digests[1]) == same


def test_the_same_code_has_the_same_fingerprints_wherever_it_lies(tmp_path):
    (tmp_path / "stages").mkdir()
    for script in STAGES.glob("*.py"):
        shutil.copy(script, tmp_path / "stages")
    fingerprint.write_fingerprints(STAGES, tmp_path / "a")
    fingerprint.write_fingerprints(tmp_path / "stages", tmp_path / "b")
    written = [
        {path.relative_to(tmp_path / out): path.read_text() for path in (tmp_path / out).rglob("*") if path.is_file()}
        for out in ("a", "b")
    ]
    assert written[0] == written[1] and len(written[0]) > 60 and len(set(written[0].values())) > 60


def test_the_formats_of_annotations_are_read_by_the_folder_reader_alone():
    formats = {file for file in (PACKAGE / "annotations").glob("*.py") if file.stem != "__init__"}
    assert formats and formats <= stage_closure("preprocess", "folder")
    assert not formats & stage_closure("preprocess", "em")
