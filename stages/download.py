"""Fill data/raw/<name> with a dataset in its official layout: sampled, downloaded or unpacked."""

from pathlib import Path

from promptseg.core import stage


def main(name: str, folder: Path):
    from promptseg.core.params import ParamsFile
    from promptseg.download import raw_data

    params = ParamsFile()
    raw_data.obtain(name, params.download(name), params.scale, params.seed, folder)


if __name__ == "__main__":
    stage.run(main, network=True)
