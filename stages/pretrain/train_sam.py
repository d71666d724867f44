"""Train a tiny checkpoint of SAM or a relative, with point and box prompts.

One process: python train_sam.py sam ...; several: torchrun --nproc-per-node 8 -- train_sam.py sam ...
"""

from pathlib import Path

from promptseg.core import stage


def main(name: str, resume: Path, checkpoint: Path, curve: Path, start: Path | None = None):
    import pretraining
    import settings
    from sam_models import BUILDERS

    config = settings.load()
    paths = pretraining.Paths(resume, checkpoint, curve, start)
    pretraining.train(name, BUILDERS[name], getattr(config, name), config.seed, paths)


if __name__ == "__main__":
    stage.run(main)
