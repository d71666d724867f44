"""Cut, filter and split one dataset into a container for each split."""

from pathlib import Path

from promptseg import stage


def main(dataset: str, raw: Path, prepared: Path, metrics: Path):
    from promptseg import params, preparing

    settings = params.load()
    cap = settings.scale.max_images
    preparing.prepare(dataset, settings.dataset(dataset), cap, settings.seed, raw, prepared, metrics)


if __name__ == "__main__":
    stage.run(main)
