"""Bring one dataset's files into the project, in their official layout."""

from pathlib import Path

from promptseg.core import stage


def main(dataset: str, folder: Path):
    from promptseg.core import params
    from promptseg.download import raw_data

    settings = params.load()
    raw_data.obtain(dataset, settings.dataset(dataset), settings.scale, settings.seed, folder)


if __name__ == "__main__":
    stage.run(main, network=True)
