"""Copy trained checkpoints into the package: `python ship.py data/checkpoints ../promptseg/tiny`."""

import shutil
from pathlib import Path

from promptseg.core import stage

MAX_BYTES = 20_000_000  # of all checkpoints together


def main(checkpoints: Path, package: Path):
    from promptseg.core import files
    from promptseg.core.errors import UserError
    from promptseg.nn import weights

    folders = sorted(path for path in checkpoints.iterdir() if path.is_dir())
    for folder in folders:
        weights.check(folder)
    size = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    if size > MAX_BYTES:
        raise UserError(
            f"{checkpoints}: {size / 1e6:.1f} MB; the shipped checkpoints have {MAX_BYTES / 1e6:.0f} MB at most"
        )
    modules = sorted(package.glob("*.py"))  # of the package that the checkpoints lie in
    with files.replacing(package) as aside:
        for folder in folders:
            shutil.copytree(folder, aside / folder.name)
        for module in modules:
            shutil.copy(module, aside)


if __name__ == "__main__":
    stage.run(main)
