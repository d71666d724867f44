"""Run inference with a fine-tuned model on a test split, with the threshold that is kept with its weights.

One process: python stages/predict.py RUN ...; many: torchrun --nproc-per-node 8 stages/predict.py RUN ...
"""

from pathlib import Path

from promptseg.core import stage


def main(run: str, dataset: Path, checkpoint: Path, weights: Path, cache: Path, predictions: Path):
    from promptseg.core import runs
    from promptseg.core.params import ParamsFile
    from promptseg.inference import prediction

    settings = ParamsFile().entry("finetune", run, runs.FineTune)
    test, train = dataset / "test.parquet", dataset / "train.parquet"
    prediction.predict(settings, prediction.Inputs(test, checkpoint, cache, weights, train=train), predictions)


if __name__ == "__main__":
    stage.run(main)
