"""Ask a released model about every test picture.

One process: python stages/zero_shot.py RUN ...; many: torchrun --nproc-per-node 8 stages/zero_shot.py RUN ...
"""

from pathlib import Path

from promptseg.core import stage


def main(run: str, truth: Path, checkpoint: Path, embeddings: Path, predictions: Path):
    from promptseg.core import params
    from promptseg.inference import prediction

    settings = params.load()
    prediction.predict(settings.run(run), settings.seed, truth, checkpoint, None, embeddings, predictions)


if __name__ == "__main__":
    stage.run(main)
