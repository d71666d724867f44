"""Offline stand-in for PhraseCut: rendered scenes, and tasks with all official fields, in the official layout."""

import json
from pathlib import Path

import cv2
import numpy as np

from promptseg.datasets.phrasecut import outdoors, tabletop
from promptseg.datasets.phrasecut.reader import INFO, NAME
from promptseg.datasets.phrasecut.scene import Scene
from promptseg.datasets.phrasecut.words import Phrase, phrases

COUNTS = {"train": 10, "val": 3, "miniv": 1, "test": 8}
MAX_PHRASES = 4  # per image
_SIZES = ((320, 427), (333, 500), (375, 500), (400, 320))  # height, width; of Visual Genome, mostly 500 at most


def write(folder: Path, seed: int) -> None:
    """Write 22 images of colored objects with three or four phrases each: 10 training, 4 validation, 8 test images.

    The layout is VGPhraseCut_v0/ with image_data_split.json, refer_{train,val,miniv,test}.json and
    images/<image_id>.jpg.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    root = folder / NAME
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    ids = rng.choice(np.arange(1, 2_400_000), sum(COUNTS.values()), replace=False).tolist()
    info, index = [], 0
    for split, count in COUNTS.items():
        tasks = []
        for _ in range(count):
            height, width = _SIZES[rng.integers(len(_SIZES))]
            kind = index % 3  # every kind of scene in every split that is large enough
            scene = tabletop.draw(rng, height, width) if kind == 0 else outdoors.draw(rng, height, width, kind == 1)
            image = cv2.cvtColor(scene.canvas.photograph(), cv2.COLOR_RGB2BGR)
            data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
            (root / "images" / f"{ids[index]}.jpg").write_bytes(data)
            url = f"https://cs.stanford.edu/people/rak248/VG_100K/{ids[index]}.jpg"  # as the official ones
            info.append({"image_id": ids[index], "coco_id": None, "flickr_id": None, "width": width, "height": height,
                         "url": url, "split": split})  # fmt: skip
            tasks += _tasks(scene, ids[index])
            index += 1
        _dump(root / f"refer_{split}.json", tasks)
    _dump(root / INFO, info)


def _tasks(scene: Scene, image_id: int) -> list[dict]:
    """Compose the phrases of a scene and their tasks."""
    things = scene.visible()
    return [_task(scene, image_id, phrase, things) for phrase in phrases(scene.rng, things, MAX_PHRASES)]


def _task(scene: Scene, image_id: int, phrase: Phrase, things: list) -> dict:
    """Build a task with all official fields."""
    ann_ids = [image_id % 1000 * 100 + i for i in phrase.things]
    polygons = [_polygons(scene.rng, scene.mask(things[i])) for i in phrase.things]
    relation = [list(phrase.relation)] if phrase.relation else []
    return {
        "task_id": f"{image_id}__{'_'.join(map(str, ann_ids))}",
        "image_id": image_id,
        "ann_ids": ann_ids,
        "instance_boxes": [_box(instance) for instance in polygons],
        "Polygons": polygons,
        "phrase": phrase.text,
        "phrase_structure": {
            "name": phrase.name,
            "attributes": list(phrase.attributes),
            "relation_ids": [ann_ids[0] * 10 for _ in relation],
            "relation_descriptions": relation,
            "type": phrase.kind,
        },
    }


def _polygons(rng: np.random.Generator, mask: np.ndarray) -> list[list[list[float]]]:
    """Trace the visible region as an annotator would: few points, about half a pixel off, without holes.

    An occluded object may have several polygons; those below 25 pixels are omitted unless it is the only one.
    """
    contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    contours = sorted(contours, key=cv2.contourArea, reverse=True)
    out = []
    for contour in contours:
        points = cv2.approxPolyDP(contour, 1.3, True)[:, 0].astype(float)
        if len(points) >= 3 and (not out or cv2.contourArea(contour) >= 25):
            points = np.clip(points + rng.normal(0, 0.5, points.shape), 0, (mask.shape[1] - 1, mask.shape[0] - 1))
            out.append(np.round(points, 2).tolist())
    return out


def _box(instance: list[list[list[float]]]) -> list[float]:
    """Compute x, y, width, height, including the last pixel, as the authors' `polygon_to_box` does."""
    points = np.concatenate([np.array(polygon) for polygon in instance])
    low, high = points.min(axis=0), points.max(axis=0)
    return np.round([*low, *(high - low + 1)], 2).tolist()


def _dump(path: Path, value: list) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
