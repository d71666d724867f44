"""Train the tiny SAM on the drawn world.

One process: python train_sam.py ...; many: torchrun --nproc-per-node 8 train_sam.py ...
"""

from pathlib import Path

from promptseg.base import stage


def main(resume: Path, checkpoint: Path, curve: Path):
    import pretraining
    import settings

    how = settings.load()
    pretraining.sam(how.sam, how.seed, resume, checkpoint, curve)


if __name__ == "__main__":
    stage.run(main)
