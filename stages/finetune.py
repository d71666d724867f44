"""Train the chosen parts of a model on one dataset.

One process: python stages/finetune.py RUN ...; many: torchrun --nproc-per-node 8 stages/finetune.py RUN ...
"""

from pathlib import Path

from promptseg.base import stage


def main(run: str, train: Path, val: Path, checkpoint: Path, embeddings: Path, weights: Path, curve: Path):
    from promptseg.base import params
    from promptseg.learning import training

    settings = params.load()
    training.finetune(
        settings.run(run), settings.scale.max_epochs, settings.seed, train, val, checkpoint, embeddings, weights, curve
    )


if __name__ == "__main__":
    stage.run(main)
