"""Train a tiny checkpoint that is asked by phrases and examples.

One process: python train_by_words.py clip ...; many: torchrun --nproc-per-node 8 -- train_by_words.py clip ...
"""

from pathlib import Path

from promptseg.core import stage


def main(name: str, resume: Path, checkpoint: Path, curve: Path, start: Path | None = None):
    import by_words
    import pretraining
    import settings

    how = settings.load()
    pretraining.train(name, by_words.TRAINED[name], getattr(how, name), how.seed, start, resume, checkpoint, curve)


if __name__ == "__main__":
    stage.run(main)
