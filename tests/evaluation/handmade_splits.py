"""Splits and predictions made by hand, and what their evaluation writes."""

import json
from pathlib import Path

import numpy as np
from promptseg.data import image_io, records
from promptseg.data.records import Prediction, Record
from promptseg.data.tiling import Window, windows
from promptseg.evaluation import score_table
from promptseg.evaluation.evaluate import Outputs, evaluate
from promptseg.evaluation.scored_images import ScoredImages

TILINGS = {
    "overlapping": windows(40, 56, 16, 6),
    "moved back at the border": windows(40, 56, 24),
    "nearly all": windows(40, 56, 39, 38),
}

OUTPUTS = ("metrics", "scores", "thresholds", "figure")  # what `run` returns the paths of


def scene(seed: int, height: int = 40, width: int = 56, classes: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image, its mask with some discs of each class, and probabilities (k, h, w) that are mostly right.

    Of few colors and values each, as finding a palette for noise takes seconds.
    """
    rng = np.random.default_rng(seed)
    target = np.zeros((height, width), np.uint8)
    y, x = np.mgrid[:height, :width]
    for label in range(1, classes + 1):
        for _ in range(2):
            target[(x - rng.uniform(0, width)) ** 2 + (y - rng.uniform(0, height)) ** 2 < rng.uniform(4, 9) ** 2] = (
                label
            )
    image = np.where((x // 9 + y // 7) % 2, 200, 40)[..., None].astype(np.uint8) + np.array([0, 9, 21], np.uint8)
    right = target == np.arange(1, classes + 1)[:, None, None]
    return image, target, np.clip(right * 0.5 + rng.integers(0, 7, right.shape) / 10, 0, 1)


def whole(id: str, group: str, image: np.ndarray, target: np.ndarray) -> Record:
    png = image_io.encode_png(image), image_io.encode_png(target)
    return Record(id, group, *png, *target.shape, id, 0, 0, *target.shape)


def tile(source: str, image: np.ndarray, target: np.ndarray, window: Window) -> Record:
    crop, mask = image[window.rows, window.columns], window.of(target)
    place = (source, window.top, window.left, *target.shape)
    id = f"{source}/r{window.top}c{window.left}"
    return Record(id, f"g{source}", image_io.encode_png(crop), image_io.encode_png(mask), *mask.shape, *place)


def prediction(id: str, probability: np.ndarray, prompts: list[dict] | None = None) -> Prediction:
    return Prediction(id, records.pack(probability), json.dumps(prompts or [{"target": 1}]))


def write(folder, rows, predictions, classes=("disc",), metadata=None, names=("split", "predictions")):
    """Write both files; returns their paths. metadata: of the predictions, beside the defaults."""
    metadata = {"oracle": False, "seed": 0} | (metadata or {})
    for name, kind, entries, about in (
        (names[0], Record, rows, {"classes": list(classes)}),
        (names[1], Prediction, predictions, metadata),
    ):
        with records.RecordWriter(folder / f"{name}.parquet", kind, about) as writer:
            for entry in entries:
                writer.add(entry)
    return tuple(folder / f"{name}.parquet" for name in names)


def run(folder, split, predictions, name: str = "out") -> dict[str, Path]:
    """Evaluate; returns the files by the names of `Outputs`."""
    paths = {output: folder / name / output for output in ("metrics", "scores", "plots")}
    evaluate(split, predictions, Outputs(**paths))
    return {**paths, "thresholds": paths["plots"] / "thresholds.csv", "figure": paths["plots"] / "images.png"}


def summary(folder, split, predictions) -> dict:
    return score_table.read_summary(run(folder, split, predictions)["scores"])


def several(count: int = 5, classes: int = 1, size=(40, 56)):
    """Scenes, and their records and predictions; two images are a group."""
    scenes = [scene(seed, *size, classes) for seed in range(count)]
    rows = [whole(f"p/{i}", f"g{i // 2}", image, target) for i, (image, target, _) in enumerate(scenes)]
    return (
        scenes,
        rows,
        [prediction(row.id, probability) for row, (_, _, probability) in zip(rows, scenes, strict=True)],
    )


def scored_images(split, predictions) -> ScoredImages:
    return ScoredImages(records.open_split(split), records.open_predictions(predictions))


def stored(probability: np.ndarray) -> np.ndarray:
    """Probabilities as a prediction stores them."""
    return np.minimum(np.floor(probability * 256), 255).astype(np.uint8)


def cut(folder, places, scenes, keep=lambda window: True, of=None):
    """Files of the tiles at `places`, predicted by the image's own probabilities, or by `of(i, window)`."""
    rows, predictions = [], []
    for i, (image, target, probability) in enumerate(scenes):
        for window in filter(keep, places):
            rows.append(tile(f"s{i}", image, target, window))
            predictions.append(prediction(rows[-1].id, of(i, window) if of else window.of(probability)))
    return write(folder, rows, predictions, [f"c{j}" for j in range(scenes[0][2].shape[0])])
