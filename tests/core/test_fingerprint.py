"""Digests of code: what they hold, what changes them, and that they agree with what Python imports."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT
from promptseg.core import fingerprint
from promptseg.core.fingerprint import LOADED, PACKAGE, closure, digest, module_file, names

STAGES = ROOT / "stages"
# Loads what a stage's main would, and prints the files of promptseg that are in memory then.
PROBE = """
import sys
sys.path.insert(0, {stages!r})
{imports}
import importlib
for name in {loaded!r}:
    importlib.import_module(name)
from pathlib import Path
for name, module in sorted(sys.modules.items()):
    if name.split(".")[0] == "promptseg" and getattr(module, "__file__", None):
        print(Path(module.__file__).resolve())
"""


def imports_of_main(script):
    """The import statements of a script, those in its `main` last."""
    tree = ast.parse(script.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(ast.unparse(node) for node in nodes)


def reached_in_fact(verb, name):
    loaded = [module.format(name) for module in LOADED[verb]]
    code = PROBE.format(stages=str(STAGES), imports=imports_of_main(STAGES / f"{verb}.py"), loaded=loaded)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {line for line in done.stdout.splitlines()}


CASES = [("evaluate", ""), ("report", "")] + [
    (verb, name)
    for verb, picked in {
        "download": ["em", "lucchi_pp", "folder"],
        "preprocess": ["covid", "voc", "modelnet40"],
        "checkpoint": ["sam", "clip_decoder_cnn", "unet"],
        "zero_shot": ["sam", "sam2", "clipseg", "pointclip"],
        "cascade": ["sam2"],
        "finetune": ["pa_sam", "autoencoder"],
        "predict": ["unet_box", "medsam"],
    }.items()
    for name in picked
]


@pytest.mark.parametrize("verb, name", CASES)
def test_what_python_imports_is_in_the_closure(verb, name):
    files = closure([STAGES / f"{verb}.py", *(module_file(module.format(name)) for module in LOADED[verb])])
    imported = reached_in_fact(verb, name)
    assert imported
    assert imported <= {str(path.resolve()) for path in files}


@pytest.mark.parametrize("verb", [verb for verb, modules in LOADED.items() if modules])
def test_no_other_dataset_and_no_other_model_is_in_it(verb):
    """Those that share a drawing or a base class name each other; nobody else does."""
    related = {"lucchi_pp": {"em"}, "qata": {"covid"}, "cityscapes_pairs": {"cityscapes"}}
    package = LOADED[verb][0].split(".")[1]
    for name in names(LOADED[verb][0]):
        files = closure([STAGES / f"{verb}.py", *(module_file(module.format(name)) for module in LOADED[verb])])
        inside = [path.relative_to(PACKAGE / package) for path in files if path.is_relative_to(PACKAGE / package)]
        found = {path.parts[0].removesuffix(".py") for path in inside} - {"__init__", "__pycache__"}
        assert found - {name} <= related.get(name, set()), f"{verb} {name}: {sorted(found)}"


def test_the_report_reaches_its_template_and_the_checkpoints_their_weights():
    assert any(path.suffix == ".j2" for path in closure([STAGES / "report.py"]))
    assert any(path.suffix == ".safetensors" for path in closure([STAGES / "checkpoint.py"]))
    assert not any(path.suffix == ".safetensors" for path in closure([STAGES / "zero_shot.py"]))
    assert not any(path.suffix == ".j2" for path in closure([STAGES / "evaluate.py"]))


def test_stages_of_data_reach_neither_prompts_nor_torch():
    for verb in ("download", "preprocess"):
        files = closure([STAGES / f"{verb}.py"])
        assert not [path for path in files if path.is_relative_to(PACKAGE / "prompts")], verb
        assert not [path for path in files if path.is_relative_to(PACKAGE / "nn")], verb


def test_imports_for_type_checkers_are_not_followed():
    reached = closure([PACKAGE / "prompts" / "base.py"])
    assert PACKAGE / "core" / "settings.py" in reached
    assert PACKAGE / "nn" / "image_transform.py" not in reached


@pytest.fixture
def module(tmp_path):
    """Writes a module and gives its digest."""

    def write(text: str) -> str:
        path = tmp_path / "module.py"
        path.write_text(text)
        fingerprint._tree.cache_clear()
        fingerprint._file_digest.cache_clear()
        return digest([path])

    return write


CODE = 'def area(width, height=2):\n    """Compute an area."""\n    return width * height\n'


@pytest.mark.parametrize(
    "text",
    [
        CODE.replace("return", "# a comment\n    return"),
        CODE.replace("Compute an area.", "Another docstring."),
        '"""A module."""\n' + CODE,
        CODE.replace("width * height", "(width\n            * height)"),
        CODE.replace("(width, height=2)", "(\n    width,\n    height=2,\n)"),
    ],
    ids=["comment", "docstring", "module docstring", "layout", "trailing comma"],
)
def test_comments_docstrings_and_layout_do_not_change_a_digest(module, text):
    before = module(CODE)
    assert module(text) == before


@pytest.mark.parametrize(
    "text",
    [
        CODE.replace("*", "+"),
        CODE.replace("=2", "=3"),
        CODE.replace("=2", "=2.0"),
        CODE.replace("width * height", "height * width"),
        CODE + "SIDE = 1\n",
        CODE.replace("def area", "@cache\ndef area"),
    ],
    ids=["operator", "default", "type of a constant", "order", "new constant", "decorator"],
)
def test_code_changes_a_digest(module, text):
    before = module(CODE)
    assert module(text) != before


def test_a_file_that_is_no_python_counts_by_its_bytes(tmp_path):
    path = tmp_path / "page.j2"
    path.write_text("a")
    before = digest([path])
    path.write_text("b")
    fingerprint._file_digest.cache_clear()
    assert digest([path]) != before


def test_the_same_code_has_the_same_fingerprints_wherever_it_lies(tmp_path):
    fingerprint.write_fingerprints(STAGES, tmp_path / "a")
    fingerprint.write_fingerprints(STAGES, tmp_path / "b")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) > 60
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
