"""Write pictures, phrases and masks into a container: train, val, test or examples."""

from pathlib import Path

from promptseg.core import stage


def main(name: str, out: Path):
    import rows
    import settings

    how = settings.load()
    rows.write(how.phrases, how.seed, name, out)


if __name__ == "__main__":
    stage.run(main)
