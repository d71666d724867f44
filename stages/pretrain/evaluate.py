"""Score the tiny checkpoints on test pictures of the world, and say which targets they meet."""

from pathlib import Path

from promptseg.core import stage


def main(checkpoints: Path, phrases: Path, examples: Path, metrics: Path):
    import asked
    import settings
    from promptseg import models
    from promptseg.core import files

    how = settings.load()
    known = models.names()  # CLIP is none, as it marks nothing
    folders = [path for path in sorted(checkpoints.iterdir()) if path.name in known]
    made = {path.name: models.load(path.name).load(path, 1) for path in folders}
    files.write_json(metrics, asked.all_of(made, how.test, how.seed, phrases, examples))


if __name__ == "__main__":
    stage.run(main)
