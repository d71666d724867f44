"""Fetch the released checkpoint of a model and convert it to safetensors."""

from pathlib import Path

from promptseg.core import stage


def main(model: str, folder: Path):
    from promptseg.core.params import ParamsFile
    from promptseg.download import checkpoints

    params = ParamsFile()
    checkpoints.obtain(model, params.model(model), params.scale, params.seed, folder)


if __name__ == "__main__":
    stage.run(main, network=True)
