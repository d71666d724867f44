"""Train a tiny checkpoint that is asked by points and boxes.

One process: python train_by_prompts.py sam ...; many: torchrun --nproc-per-node 8 -- train_by_prompts.py sam ...
"""

from pathlib import Path

from promptseg.core import stage


def main(name: str, resume: Path, checkpoint: Path, curve: Path, start: Path | None = None):
    import by_prompts
    import pretraining
    import settings

    how = settings.load()
    pretraining.train(name, by_prompts.TRAINED[name], getattr(how, name), how.seed, start, resume, checkpoint, curve)


if __name__ == "__main__":
    stage.run(main)
