"""Progress bars: on a terminal and where a parent shows the last line, and nowhere else."""

import subprocess
import sys

import pytest
from promptseg.cli.repro import overprinted
from promptseg.core import progress

WORK = "from promptseg.core import progress; assert list(progress.bar(range(3), desc='work', main={})) == [0, 1, 2]"


@pytest.mark.parametrize("watched, main, shown", [("60", True, True), ("", True, False), ("60", False, False)])
def test_a_pipe_gets_a_bar_only_where_a_parent_shows_it(watched, main, shown, root):
    env = {"PYTHONPATH": str(root / "stages"), progress.WATCHED: watched}
    done = subprocess.run(
        [sys.executable, "-c", WORK.format(main)], env=env, capture_output=True, text=True, check=True
    )
    assert ("work" in done.stderr) == shown and done.stdout == ""
    assert all(len(state) <= 60 for state in done.stderr.splitlines())


def test_of_an_overprinted_line_the_last_state_is_kept():
    assert overprinted("begun\n\rwork 10%\rwork 60%\r        \rerror: it broke\nend") == "begun\nerror: it broke\nend"
    assert overprinted("work 10%\rwork 60%\r") == "work 60%"
