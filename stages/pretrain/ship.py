"""Put trained checkpoints into the package, where they are built in: python ship.py data/checkpoints ../promptseg/tiny"""

import shutil
from pathlib import Path

from promptseg.core import stage

MOST = 20_000_000  # bytes, of all together


def main(made: Path, shipped: Path):
    from promptseg.core import files
    from promptseg.core.errors import UserError
    from promptseg.nn import weights

    folders = sorted(path for path in made.iterdir() if path.is_dir())
    for folder in folders:
        weights.check(folder)
    size = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    if size > MOST:
        raise UserError(f"{made}: {size / 1e6:.1f} MB; what is built in has {MOST / 1e6:.0f} MB at most")
    with files.replacing(shipped) as aside:
        for folder in folders:
            shutil.copytree(folder, aside / folder.name)


if __name__ == "__main__":
    stage.run(main)
