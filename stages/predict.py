"""Run inference with a fine-tuned model on a test split, with the threshold that is best on the validation split.

One process: python stages/predict.py RUN ...; many: torchrun --nproc-per-node 8 stages/predict.py RUN ...
"""

from pathlib import Path

from promptseg.core import stage


def main(run: str, val: Path, test: Path, checkpoint: Path, weights: Path, cache: Path, predictions: Path):
    from promptseg.core import runs
    from promptseg.core.params import ParamsFile
    from promptseg.inference import prediction

    settings = ParamsFile().entry("finetune", run, runs.FineTune)
    prediction.predict(settings, prediction.Inputs(test, checkpoint, cache, weights, val), predictions)


if __name__ == "__main__":
    stage.run(main)
