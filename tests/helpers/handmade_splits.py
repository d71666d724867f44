"""Splits and predictions made by hand, and what their evaluation writes."""

import json
from pathlib import Path

import numpy as np
from promptseg.data import image_io, records, rle
from promptseg.data.generated_masks import GeneratedMask
from promptseg.data.records import Prediction, Record
from promptseg.data.tiling import Window
from promptseg.evaluation import score_table
from promptseg.evaluation.evaluate import Outputs, evaluate
from promptseg.evaluation.scored_images import ScoredImages


def scene(seed: int, height: int = 40, width: int = 56, classes: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image, its mask with some discs of each class, and probabilities (k, h, w) that are mostly right."""
    rng = np.random.default_rng(seed)
    target = np.zeros((height, width), np.uint8)
    y, x = np.mgrid[:height, :width]
    for label in np.repeat(range(1, classes + 1), 2):
        center = rng.uniform(0, width), rng.uniform(0, height)
        target[(x - center[0]) ** 2 + (y - center[1]) ** 2 < rng.uniform(4, 9) ** 2] = label
    image = np.where((x // 9 + y // 7) % 2, 200, 40)[..., None].astype(np.uint8) + np.array([0, 9, 21], np.uint8)
    right = target == np.arange(1, classes + 1)[:, None, None]
    return image, target, np.clip(right * 0.5 + rng.integers(0, 7, right.shape) / 10, 0, 1)


def whole(id: str, group: str, image: np.ndarray, target: np.ndarray, text: str = "") -> Record:
    png = image_io.encode_png(image), image_io.encode_png(target)
    return Record(id, group, *png, *target.shape, id, 0, 0, *target.shape, text, foreground=foreground(target))


def foreground(target: np.ndarray) -> int:
    return int(((target > 0) & (target < 255)).sum())


def tile(source: str, image: np.ndarray, target: np.ndarray, window: Window) -> Record:
    png = [image_io.encode_png(array[window.rows, window.columns]) for array in (image, target)]
    place = (window.height, window.width, source, window.top, window.left, *target.shape)
    id, inside = f"{source}/r{window.top}c{window.left}", foreground(window.of(target))
    return Record(id, f"g{source}", *png, *place, foreground=inside)


def prediction(id: str, probability: np.ndarray, prompts: list[dict] | None = None) -> Prediction:
    return Prediction(id, records.pack(probability), json.dumps(prompts or [{"target": 1}]))


def generated(mask: np.ndarray) -> GeneratedMask:
    """An automatic mask of these pixels."""
    return GeneratedMask(rle.encode(mask), (0, 0, 1, 1), 0.9, 0.97, (1.0, 2.0), (0, 0, *mask.shape[::-1]))


def write(folder: Path, rows, predictions, classes=("disc",), metadata=None, about=None) -> tuple[Path, Path]:
    """Write both files; returns their paths. metadata: of the predictions; about: the split, beside its classes."""
    metadata = {"oracle": False} if metadata is None else metadata
    paths = folder / "split.parquet", folder / "predictions.parquet"
    about = {"classes": list(classes), "score": "image"} | (about or {})
    for path, kind, entries, given in zip(paths, (Record, Prediction), (rows, predictions), (about, metadata)):
        with records.RecordWriter(path, kind, given) as writer:
            for entry in entries:
                writer.add(entry)
    return paths


def run(folder: Path, split: Path, predictions: Path, name: str = "out") -> Outputs:
    outputs = Outputs(*(folder / name / output for output in ("metrics", "scores", "plots")))
    evaluate(split, predictions, outputs)
    return outputs


def summary(folder: Path, split: Path, predictions: Path) -> dict:
    return score_table.read_summary(run(folder, split, predictions).scores)


def several(count: int, classes: int = 1):
    """Scenes, the first with ignored pixels, and their records and predictions; two images are a group."""
    scenes = [scene(seed, classes=classes) for seed in range(count)]
    scenes[0][1][:, 20:33] = 255
    rows = [whole(f"p/{i}", f"g{i // 2}", image, target) for i, (image, target, _) in enumerate(scenes)]
    return scenes, rows, [prediction(row.id, scene[2]) for row, scene in zip(rows, scenes, strict=True)]


def scored_images(split: Path, predictions: Path) -> ScoredImages:
    return ScoredImages(records.open_split(split), records.open_predictions(predictions))


def stored(probability: np.ndarray) -> np.ndarray:
    """Probabilities as a prediction stores them."""
    return np.minimum(np.floor(probability * 256), 255).astype(np.uint8)


def cut(folder: Path, places: list[Window], scenes, score: str = "image") -> tuple[Path, Path]:
    """Files of the tiles of scenes at `places`, predicted by the scene's own probabilities. score: the setting."""
    rows = [tile(f"s{i}", *scene[:2], window) for i, scene in enumerate(scenes) for window in places]
    maps = [window.of(scene[2]) for scene in scenes for window in places]
    predictions = [prediction(row.id, probability) for row, probability in zip(rows, maps, strict=True)]
    return write(folder, rows, predictions, [f"c{j}" for j in range(len(scenes[0][2]))], about={"score": score})
