"""Write records with images, phrases, masks and support images: the train, val, test or support split."""

from pathlib import Path

from promptseg.core import stage


def main(split: str, out: Path):
    import phrase_records
    import settings

    config = settings.load()
    phrase_records.write(config.phrases, config.seed, split, out)


if __name__ == "__main__":
    stage.run(main)
