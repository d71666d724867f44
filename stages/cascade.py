"""Refine the predictions of another run with SAM or SAM 2.

One process: python stages/cascade.py RUN ...; many: torchrun --nproc-per-node 8 stages/cascade.py RUN ...
"""

from pathlib import Path

from promptseg.core import stage


def main(run: str, split: Path, source: Path, checkpoint: Path, cache: Path, predictions: Path):
    from promptseg.core import runs
    from promptseg.core.params import ParamsFile
    from promptseg.inference import cascade, prediction

    settings = ParamsFile().entry("cascade", run, runs.Cascade)
    cascade.predict_cascade(settings, prediction.Inputs(split, checkpoint, cache), source, predictions)


if __name__ == "__main__":
    stage.run(main)
