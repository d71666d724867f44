"""Score the tiny checkpoints on test images, and compare the scores with their requirements."""

from pathlib import Path

from promptseg.core import stage


def main(checkpoints: Path, phrases: Path, support: Path, metrics: Path):
    import checkpoint_scores
    import settings
    from promptseg import models
    from promptseg.core import files

    config = settings.load()
    known = models.names()  # without CLIP, which predicts no masks
    folders = [path for path in sorted(checkpoints.iterdir()) if path.name in known]
    segmenters = {path.name: models.load(path.name).load(path, 1) for path in folders}
    scores = checkpoint_scores.score_checkpoints(segmenters, config.test, config.seed, phrases, support)
    files.write_json(metrics, scores)


if __name__ == "__main__":
    stage.run(main)
