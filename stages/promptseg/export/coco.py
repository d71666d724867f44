"""COCO: images, and two JSON files with run lengths, ground_truth.json and predictions.json.

An annotation is an instance where the dataset tells instances apart, of predictions a connected component or an
automatic mask; otherwise it is all of a class. `score` is the mean probability of its pixels. Both files have the same
`images`, each with its `group` and with its `iou`, which is null where the ground truth has no class.
"""

from pathlib import Path
from typing import Any

import numpy as np

from promptseg.core import files
from promptseg.data import rle
from promptseg.data.masks import Region
from promptseg.export.images import THRESHOLD, ExportedImage, images
from promptseg.export.run import ExportedRun

IMAGES, GROUND_TRUTH, PREDICTIONS = "images", "ground_truth.json", "predictions.json"


def write(run: ExportedRun, folder: Path) -> str:
    """Write the images and both files."""
    entries: list[dict] = []
    annotations: dict[str, list[dict]] = {GROUND_TRUTH: [], PREDICTIONS: []}
    for number, image in enumerate(images(run), 1):
        file = image.write_image(folder / IMAGES)
        height, width = image.target.labels.shape
        about = {"group": image.group, "iou": image.iou, "promptseg_id": image.id}
        entries.append({"id": number, "file_name": file, "height": height, "width": width, **about})
        for name, label_map in ((GROUND_TRUTH, image.target), (PREDICTIONS, image.predicted)):
            for label, region in label_map.regions(len(run.classes)):
                found = {"id": len(annotations[name]) + 1, "image_id": number} | _annotation(label, region)
                if label_map is image.predicted:
                    found["score"] = _score(image, label, region)
                annotations[name].append(found)
    about = {"description": f"{run.name} on the test split of {run.entry.dataset}", "threshold": THRESHOLD}
    categories = [{"id": number, "name": name} for number, name in enumerate(run.classes, 1)]
    for name, listed in annotations.items():
        content = {"info": about, "images": entries, "annotations": listed, "categories": categories}
        files.write_json(folder / name, content)
    return f"pycocotools.coco.COCO({PREDICTIONS!r}); images are in {IMAGES}/"


def _annotation(label: int, region: Region) -> dict[str, Any]:
    height, width = region.mask.shape
    return {
        "category_id": label,
        "segmentation": rle.encode(region.mask, region.top, region.left, region.height, region.width),
        "area": int(np.count_nonzero(region.mask)),
        "bbox": [region.left, region.top, width, height],
        "iscrowd": 0,
    }


def _score(image: ExportedImage, label: int, region: Region) -> float:
    """Mean probability of the pixels of a region."""
    rows, columns = (slice(start, start + size) for start, size in zip((region.top, region.left), region.mask.shape))
    values = image.probability[label - 1, rows, columns][region.mask]
    return round(float(values.mean()) / 256, 6)
