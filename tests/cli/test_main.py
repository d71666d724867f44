"""The command `promptseg` shows its help without the libraries that its subcommands need."""

import subprocess
import sys

import pytest
from promptseg.cli import main
from promptseg.prompts import KINDS
from typer.testing import CliRunner

HEAVY = {"torch", "transformers", "pandas", "pyarrow", "dvc", "cv2", "numpy", "pydantic"}
HELP = """
import sys
from promptseg.cli.main import app
try:
    app(sys.argv[1:])
finally:
    print("loaded", *sorted(name for name in sys.modules if "." not in name))
"""


@pytest.mark.parametrize(
    "arguments, allowed",
    [(["--help"], set()), (["repro", "--help"], {"pydantic"}), (["segment", "--help"], {"numpy", "pydantic"})],
)
def test_help_is_shown_without_heavy_imports(arguments, allowed):
    done = subprocess.run([sys.executable, "-c", HELP, *arguments], capture_output=True, text=True, check=True)
    *shown, loaded = done.stdout.splitlines()
    assert any("Usage" in line for line in shown)
    assert set(loaded.split()) & HEAVY <= allowed


def test_help_lists_the_options_of_all_kinds_of_prompts():
    shown = CliRunner().invoke(main.app, ["segment", "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).stdout
    flags = [option.flag for kind in KINDS.values() for option in kind.OPTIONS]
    assert len(flags) > 6 and all(f" {flag} " in shown for flag in [*flags, "--model", "--cascade"])
    commands = CliRunner().invoke(main.app, ["--help"]).stdout
    assert "Segment images with a model of your choice" in commands and "--box" not in commands
