"""Commands in the README and the pages: they exist, their options too, and output says when it was recorded."""

import re
import shlex

import pytest
import typer
import yaml
from conftest import ROOT
from hydra.core.override_parser.overrides_parser import OverridesParser  # DVC's, for -S
from promptseg.cli import main
from promptseg.core import study

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n?```console\n(?P<body>.*?)\n```", re.DOTALL)
DVC = {"push", "pull", "repro", "dag", "status", "commit", "remote", *(f"{name} show" for name in ("metrics", "plots"))}
DVC |= {f"{name} diff" for name in ("metrics", "params", "plots")} | {"exp run", "exp show"}


def blocks() -> list[tuple[str, str, list[str]]]:
    """Page, the line before the block, and its lines."""
    return [
        (page.name, match["before"], match["body"].splitlines())
        for page in PAGES
        for match in BLOCK.finditer(page.read_text("utf-8"))
    ]


def commands() -> list[str]:
    """All commands without their comments, once each."""
    lines = (line[2:].split("    #")[0].strip() for _, _, body in blocks() for line in body if line.startswith("$ "))
    return sorted(set(lines))


def of(*first: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("command", [command for command in commands() if command.split()[0] in first])


def test_output_says_when_it_was_recorded_and_all_commands_are_found():
    shown = [(page, before) for page, before, body in blocks() if any(not line.startswith("$ ") for line in body)]
    assert len(shown) > 10
    for page, before in shown:
        recorded = re.fullmatch(r"\*Recorded on 20\d\d-\d\d-\d\d:\*", before)
        assert recorded or before.startswith("<!-- numbers: "), (page, before)
    names = {command.split()[0] for command in commands()}
    assert names == {"make", "promptseg", "dvc", "torchrun", "python", "pip", "."}


@of("promptseg")
def test_promptseg_has_the_command_and_its_options(command):
    words = shlex.split(command)[1:]
    app = typer.main.get_command(main.app)
    parent = app.make_context("promptseg", list(words), resilient_parsing=True)
    name, found, arguments = app.resolve_command(parent, words)
    found.make_context(name, arguments, parent=parent)


@of("dvc")
def test_dvc_has_the_command_and_params_have_the_key_with_a_valid_value(command, tmp_path):
    words = shlex.split(command)[1:]
    assert words[0] in DVC or " ".join(words[:2]) in DVC
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    for place, word in enumerate(words):
        if place and words[place - 1] == "-S":
            override = OverridesParser.create().parse_override(word)
            *path, last = override.key_or_group.split(".")
            section = settings
            for part in path:
                section = section[part]
            assert override.is_add() or last in section, word
            section[last] = override.value()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    study.load(tmp_path / "params.yaml")
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    names = {name for section in settings.values() if isinstance(section, dict) for name in section}
    for stage, item in re.findall(r"\b(\w+)@([\w-]+)", command):
        assert "foreach" in stages[stage] and (item in names or item.startswith("mine"))  # the reader's own


@of("make", "torchrun")
def test_targets_and_scripts_exist(command):
    words = command.split()
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        scripts = [word for word in words if word.endswith(".py")]
        assert scripts and all((ROOT / script).is_file() for script in scripts)
