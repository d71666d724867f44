"""DVC's own command line, which puts a stage that has ended into its place in dvc.lock and leaves the rest alone.

DVC itself parses the whole file whenever a stage ends, comments and all, and writes it anew: 4 s for 18,000 lines, as
much as a small stage takes. Here the lines of that one stage are made by DVC's own writer, so the file is the same.
`promptseg repro` starts this in place of `dvc`, and lets its warm process fork it (see warm.py).
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promptseg.core import warm
from promptseg.core.files import write_text
from promptseg.core.stage import tied_to_parent

LOCK = "dvc.lock"
BEGINNING = "schema: '2.0'\nstages:\n"
_STAGE = r"^{}\n(?:(?!  \S|\S).*\n)*"  # its name's line, and what stands further in
_OTHER = re.compile(r"^(?!schema:|stages:)\S", re.MULTILINE)  # what is no stage, such as `datasets:`


def main() -> int:
    """Run DVC with this process's arguments; its exit code."""
    # A script's own folder comes first; promptseg's is none to look for libraries in.
    sys.path[:] = [place for place in sys.path if Path(place) != Path(__file__).parent]
    tied_to_parent()
    warm.hand_over()
    from dvc import cli, dvcfile

    whole = dvcfile.modify_yaml

    def modify(path: str, fs: Any = None):
        text = Path(path).read_text("utf-8") if Path(path).name == LOCK and Path(path).exists() else ""
        known = text.startswith(BEGINNING) and not _OTHER.search(text)
        return modified(Path(path), text) if known else whole(path, fs=fs)

    dvcfile.modify_yaml = modify
    return cli.main(sys.argv[1:])


@contextlib.contextmanager
def modified(path: Path, text: str) -> Iterator[dict]:
    """In place of DVC's modify_yaml for a dvc.lock with this text: what the block puts into its stages is written."""
    from dvc.utils.serialize import dumps_yaml

    data = {"schema": "2.0", "stages": {}}
    yield data
    after = text
    for name, stage in data["stages"].items():
        lines = dumps_yaml({"stages": {name: stage}}).partition("\n")[2]
        place = re.compile(_STAGE.format(re.escape(lines.partition("\n")[0])), re.MULTILINE)
        after = place.sub(lambda _: lines, after) if place.search(after) else after + lines
    if after != text:
        write_text(path, after)


if __name__ == "__main__":
    sys.exit(main())
