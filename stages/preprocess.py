"""Select, tile, filter and split the samples of a dataset, and preview each split.

One process: python stages/preprocess.py DATASET ...; many: torchrun --nproc-per-node 8 stages/preprocess.py DATASET ...
"""

from pathlib import Path

from promptseg.core import stage


def main(dataset: str, raw: Path, prepared: Path, summary: Path, previews: Path):
    from promptseg.core.distributed import Ranks
    from promptseg.core.params import ParamsFile
    from promptseg.preprocessing import prepare, preview

    params = ParamsFile()
    paths = prepare.Paths(raw, prepared, summary)
    prepare.prepare(dataset, params.dataset(dataset), params.scale.max_images, params.seed, paths)
    if Ranks().main:  # under torchrun the others may still be ending
        preview.preview({split: prepared / f"{split}.parquet" for split in prepare.SPLITS}, previews)


if __name__ == "__main__":
    stage.run(main)
