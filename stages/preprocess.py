"""Select, cut, filter and split one dataset into a container for each split, and show a few of its pairs."""

from pathlib import Path

from promptseg.base import stage


def main(dataset: str, raw: Path, prepared: Path, metrics: Path, pictures: Path):
    from promptseg.base import params
    from promptseg.preprocessing import preparing, preview
    from promptseg.ranks import Ranks

    settings = params.load()
    cap = settings.scale.max_images
    preparing.prepare(dataset, settings.dataset(dataset), cap, settings.seed, raw, prepared, metrics)
    if Ranks().main:  # under torchrun the others may still be on their way out
        preview.preview({split: prepared / f"{split}.parquet" for split in preparing.SPLITS}, pictures)


if __name__ == "__main__":
    stage.run(main)
