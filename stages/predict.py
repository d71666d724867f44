"""Ask a fine-tuned model about every test picture.

One process: python stages/predict.py RUN ...; many: torchrun --nproc-per-node 8 stages/predict.py RUN ...
"""

from pathlib import Path

from promptseg.core import stage


def main(run: str, truth: Path, checkpoint: Path, weights: Path, embeddings: Path, predictions: Path):
    from promptseg.core import params
    from promptseg.inference import prediction

    settings = params.load()
    prediction.predict(settings.run(run), settings.seed, truth, checkpoint, weights, embeddings, predictions)


if __name__ == "__main__":
    stage.run(main)
