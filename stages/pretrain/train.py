"""Train a tiny checkpoint of sam, sam2, medsam, pa_sam, clip or clipseg.

One process: python train.py sam ...; several: torchrun --nproc-per-node 8 -- train.py sam ...
"""

from pathlib import Path

from promptseg.core import stage


def main(name: str, resume: Path, checkpoint: Path, curve: Path, start: Path | None = None):
    import clip_models
    import pretraining
    import sam2_model
    import sam_models
    import settings
    from promptseg.training.trainer import Outputs

    config, builders = settings.load(), sam_models.BUILDERS | sam2_model.BUILDERS | clip_models.BUILDERS
    outputs = Outputs(resume, checkpoint, curve)
    pretraining.train(name, builders[name], getattr(config, name), config.seed, outputs, start)


if __name__ == "__main__":
    stage.run(main)
