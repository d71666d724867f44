"""A search over 5 and over 50 phrases: encoder, decoder, and the runs that it takes the place of.

    PYTHONPATH=stages python tests/benchmarks/bench_search.py FOLDER [IMAGES] [SIDE] [tiny]

CLIPSeg in the layout of CIDAS/clipseg-rd64-refined with random weights, or with `tiny` the built-in network, on images
of noise with a disc as their mask. FOLDER gets the checkpoint, the split and the features. Times are of the processor
and of the whole search, loading of the model included, the best of three; that of the encoder is what the first search
takes longer than the next one. Five runs are five zero-shot runs on the same images, predicted and evaluated, with
features at hand.
"""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench_clipseg import create_network, create_segmenter
from promptseg import models
from promptseg.core.runs import Run
from promptseg.core.search import Search
from promptseg.data import image_io, records
from promptseg.evaluation import evaluate
from promptseg.inference import prediction, search
from promptseg.models import clipseg
from promptseg.nn import weights
from promptseg.prompts import PromptConfig

PHRASES = [f"a disc of kind {number}" for number in range(50)]


def write_split(path: Path, count: int, side: int) -> None:
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:side, :side]
    with records.RecordWriter(path, records.Record, {"classes": ["disc"], "seed": 0, "score": "image"}) as out:
        for number in range(count):
            left, top = rng.uniform(0.3, 0.7, 2) * side
            mask = ((x - left) ** 2 + (y - top) ** 2 < (0.2 * side) ** 2).astype(np.uint8)
            image = rng.integers(0, 256, (side, side, 3), np.uint8)
            files, name = (image_io.encode_png(image), image_io.encode_png(mask)), str(number)
            foreground = int(mask.sum())
            out.add(records.Record(name, name, *files, side, side, name, 0, 0, side, side, foreground=foreground))


def best(work: Callable[[], None], rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    folder, numbers = Path(sys.argv[1]), [int(each) for each in sys.argv[2:4]]
    count, side = [*numbers, *(8, 256)[len(numbers) :]]
    tiny = "tiny" in sys.argv
    shutil.rmtree(folder / "embeddings", ignore_errors=True)
    model = models.load("clipseg").create("tiny", 0) if tiny else create_segmenter(create_network())
    weights.write(folder / "checkpoint", model.configuration(), model.state_dict(), model.files())
    write_split(folder / "val.parquet", count, side)
    inputs = prediction.Inputs(folder / "val.parquet", folder / "checkpoint", folder / "embeddings")
    outputs = search.Outputs(folder / "winner.json", folder / "ranking.csv")
    encoded, encode = [], clipseg.ClipSeg.encode

    def counted(self: clipseg.ClipSeg, images: list[np.ndarray]) -> dict:
        encoded.append(len(images))
        return encode(self, images)

    def searched(phrases: int) -> None:
        settings = Search(dataset="discs", model="clipseg", phrases=list(PHRASES[:phrases]))
        search.search(settings, inputs, outputs)

    def five_runs() -> None:
        for phrase in PHRASES[:5]:
            run = Run(dataset="discs", model="clipseg", prompt=PromptConfig(text=[phrase]))
            prediction.predict(run, inputs, folder / "predictions.parquet")
            files = evaluate.Outputs(folder / "metrics.json", folder / "scores.parquet", folder / "plots")
            evaluate.evaluate(inputs.split, folder / "predictions.parquet", files)

    clipseg.ClipSeg.encode = counted  # type: ignore[method-assign]
    first = best(lambda: searched(50), 1)
    clipseg.ClipSeg.encode = encode  # type: ignore[method-assign]
    one, five, fifty = (best(lambda: searched(phrases)) for phrases in (1, 5, 50))  # noqa: B023  # called at once
    runs = best(five_runs, 1)
    # One image is encoded once more, for the shapes of the features.
    print(f"{count} images of {side}x{side}; a search over 50 phrases encodes {sum(encoded) - 1}")
    print(f"encoder {first - fifty:.2f} s; beside it 1 phrase {one:.2f} s, 5 phrases {five:.2f} s, 50 {fifty:.2f} s")
    print(f"of a phrase and an image {1000 * (fifty - five) / 45 / count:.1f} ms; five zero-shot runs {runs:.2f} s")
    print(f"50 phrases / 5: {fifty / five:.1f}, with the encoder {first / (first - fifty + five):.1f}")
    print(f"50 phrases / five zero-shot runs: {fifty / runs:.1f}, both without the encoder")


if __name__ == "__main__":
    main()
