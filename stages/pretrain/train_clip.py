"""Train a tiny checkpoint of CLIP or CLIPSeg, with phrases and support images.

One process: python train_clip.py clip ...; several: torchrun --nproc-per-node 8 -- train_clip.py clip ...
"""

from pathlib import Path

from promptseg.core import stage


def main(name: str, resume: Path, checkpoint: Path, curve: Path, start: Path | None = None):
    import pretraining
    import settings
    from clip_models import BUILDERS

    config = settings.load()
    paths = pretraining.Paths(resume, checkpoint, curve, start)
    pretraining.train(name, BUILDERS[name], getattr(config, name), config.seed, paths)


if __name__ == "__main__":
    stage.run(main)
