"""Select, cut, filter and split one dataset into a container for each split, and show a few of its pairs."""

from pathlib import Path

from promptseg.core import stage


def main(dataset: str, raw: Path, prepared: Path, metrics: Path, pictures: Path):
    from promptseg.core import params
    from promptseg.core.distributed import Ranks
    from promptseg.preprocessing import prepare, preview

    settings = params.load()
    cap = settings.scale.max_images
    prepare.prepare(dataset, settings.dataset(dataset), cap, settings.seed, raw, prepared, metrics)
    if Ranks().main:  # under torchrun the others may still be on their way out
        preview.preview({split: prepared / f"{split}.parquet" for split in prepare.SPLITS}, pictures)


if __name__ == "__main__":
    stage.run(main)
