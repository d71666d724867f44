"""Train the chosen parts of a model on one dataset.

One process: python stages/finetune.py RUN ...; many: torchrun --nproc-per-node 8 stages/finetune.py RUN ...
"""

from pathlib import Path

from promptseg.core import stage


def main(
    run: str, train: Path, val: Path, checkpoint: Path, embeddings: Path, resume: Path, weights: Path, curve: Path
):
    from promptseg.core import params
    from promptseg.training import trainer
    from promptseg.training.setup import Inputs

    settings = params.load()
    inputs = Inputs(train, val, checkpoint, embeddings)
    trainer.finetune(settings.run(run), settings.scale.max_epochs, settings.seed, inputs, resume, weights, curve)


if __name__ == "__main__":
    stage.run(main)
