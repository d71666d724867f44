"""Progress bars: on a terminal and where a parent shows the last line, and nowhere else."""

import pytest
from promptseg.cli.repro import overprinted
from promptseg.core import progress


@pytest.mark.parametrize("watched, main, shown", [("60", True, True), ("", True, False), ("60", False, False)])
def test_a_pipe_gets_a_bar_only_where_a_parent_shows_it(watched, main, shown, monkeypatch, capsys):
    monkeypatch.setenv(progress.WATCHED, watched)
    assert list(progress.bar(range(3), desc="work", main=main)) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert ("work" in err) == shown and out == ""
    assert all(len(state) <= 60 and state.isascii() for state in err.splitlines())


def test_of_an_overprinted_line_the_last_state_is_kept():
    text = "begun\n\rwork 10%\rwork 60%\r        \rerror: it broke\nend\nwork 10%\rwork 60%\r"
    assert overprinted(text) == "begun\nerror: it broke\nend\nwork 60%"
