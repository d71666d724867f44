"""Search for the best of several prompts on a validation split.

One process: python stages/search.py SEARCH ...; many: torchrun --nproc-per-node 8 stages/search.py SEARCH ...
"""

from pathlib import Path

from promptseg.core import stage


def main(search: str, dataset: Path, checkpoint: Path, cache: Path, winner: Path, ranking: Path):
    from promptseg.core.params import ParamsFile
    from promptseg.core.search import Search
    from promptseg.inference import prediction
    from promptseg.inference import search as searching

    settings = ParamsFile().entry("search", search, Search)
    inputs = prediction.Inputs(dataset / "val.parquet", checkpoint, cache, train=dataset / "train.parquet")
    searching.search(settings, inputs, searching.Outputs(winner, ranking))


if __name__ == "__main__":
    stage.run(main)
