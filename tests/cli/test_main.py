"""The command `promptseg` starts without the libraries that its subcommands need."""

import subprocess
import sys

import pytest

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
