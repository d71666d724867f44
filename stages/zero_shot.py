"""Run zero-shot inference on a test split, with the threshold that is best on the validation split.

One process: python stages/zero_shot.py RUN ...; many: torchrun --nproc-per-node 8 stages/zero_shot.py RUN ...
"""

from pathlib import Path

from promptseg.core import stage


def main(run: str, dataset: Path, checkpoint: Path, cache: Path, predictions: Path):
    from promptseg.core import runs
    from promptseg.core.params import ParamsFile
    from promptseg.inference import prediction

    settings = ParamsFile().entry("zero_shot", run, runs.Run)
    test, val, train = (dataset / f"{split}.parquet" for split in ("test", "val", "train"))
    prediction.predict(settings, prediction.Inputs(test, checkpoint, cache, val=val, train=train), predictions)


if __name__ == "__main__":
    stage.run(main)
