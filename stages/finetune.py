"""Fine-tune the trainable parts of a model on one dataset.

One process: python stages/finetune.py RUN ...; many: torchrun --nproc-per-node 8 stages/finetune.py RUN ...
"""

from pathlib import Path

from promptseg.core import stage


def main(run: str, train: Path, val: Path, checkpoint: Path, cache: Path, resume: Path, weights: Path, curve: Path):
    from promptseg.core import runs
    from promptseg.core.params import ParamsFile
    from promptseg.training import setup, trainer

    params = ParamsFile()
    job = setup.Job(runs.load_run(params, run, "finetune"), params.scale.max_epochs, params.seed)
    inputs = setup.Inputs(train, val, checkpoint, cache)
    trainer.finetune(job, inputs, trainer.Outputs(resume, weights, curve))


if __name__ == "__main__":
    stage.run(main)
