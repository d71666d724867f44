"""Run zero-shot inference on a test split, with the threshold that is best on the validation split.

One process: python stages/zero_shot.py RUN ...; many: torchrun --nproc-per-node 8 stages/zero_shot.py RUN ...
"""

from pathlib import Path

from promptseg.core import stage


def main(run: str, dataset: Path, checkpoint: Path, cache: Path, predictions: Path, winner: Path | None = None):
    from promptseg.core import runs, searched
    from promptseg.core.params import ParamsFile
    from promptseg.inference import prediction

    if winner is None:
        settings, found = ParamsFile().entry("zero_shot", run, runs.Run), None
    else:
        settings, found = searched.take_winner(ParamsFile().entry("searched", run, searched.Searched), winner)
    test, val, train = (dataset / f"{split}.parquet" for split in ("test", "val", "train"))
    prediction.predict(settings, prediction.Inputs(test, checkpoint, cache, val=val, train=train), predictions, found)


if __name__ == "__main__":
    stage.run(main)
