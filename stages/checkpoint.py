"""Bring one model's released weights into the project, in our own form."""

from pathlib import Path

from promptseg.core import stage


def main(model: str, folder: Path):
    from promptseg.core import params
    from promptseg.download import checkpoints

    settings = params.load()
    checkpoints.obtain(model, settings.model(model), settings.scale, settings.seed, folder)


if __name__ == "__main__":
    stage.run(main, network=True)
