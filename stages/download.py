"""Bring one dataset's files into the project, in their official layout."""

from pathlib import Path

from promptseg.base import stage


def main(dataset: str, folder: Path):
    from promptseg import sources
    from promptseg.base import params

    settings = params.load()
    sources.obtain(dataset, settings.dataset(dataset), settings.scale, settings.seed, folder)


if __name__ == "__main__":
    stage.run(main, network=True)
