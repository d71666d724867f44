"""The sample in PhraseCut's official layout: scenes as JPEG, tasks as JSON with all of its fields."""

import json
from pathlib import Path

import cv2
import numpy as np

from promptseg.datasets.phrasecut import outdoors, tabletop
from promptseg.datasets.phrasecut.scene import Scene
from promptseg.datasets.phrasecut.words import Phrase, phrases

PICTURES = {"train": 10, "val": 3, "miniv": 1, "test": 8}
PHRASES = 4  # a picture, where it has so many
_SIZES = (
    (320, 427),
    (333, 500),
    (375, 500),
    (400, 320),
)  # height, width; Visual Genome's own are of 500 at most, mostly


def write(root: Path, seed: int) -> None:
    """Write image_data_split.json, refer_<split>.json and images/<image_id>.jpg; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    ids = rng.choice(np.arange(1, 2_400_000), sum(PICTURES.values()), replace=False).tolist()
    info, place = [], 0
    for split, count in PICTURES.items():
        tasks = []
        for _ in range(count):
            height, width = _SIZES[rng.integers(len(_SIZES))]
            kind = place % 3  # every kind in every split that is large enough
            scene = tabletop.draw(rng, height, width) if kind == 0 else outdoors.draw(rng, height, width, kind == 1)
            picture = cv2.cvtColor(scene.canvas.photograph(), cv2.COLOR_RGB2BGR)
            data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
            (root / "images" / f"{ids[place]}.jpg").write_bytes(data)
            url = f"https://cs.stanford.edu/people/rak248/VG_100K/{ids[place]}.jpg"  # the form of the official ones
            info.append({"image_id": ids[place], "coco_id": None, "flickr_id": None, "width": width, "height": height,
                         "url": url, "split": split})  # fmt: skip
            tasks += _tasks(scene, ids[place])
            place += 1
        _dump(root / f"refer_{split}.json", tasks)
    _dump(root / "image_data_split.json", info)


def _tasks(scene: Scene, image_id: int) -> list[dict]:
    things = scene.visible()
    return [_task(scene, image_id, phrase, things) for phrase in phrases(scene.rng, things, PHRASES)]


def _task(scene: Scene, image_id: int, phrase: Phrase, things: list) -> dict:
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
    """Outlines of what is seen of a thing, as people click them: few points, a pixel off now and then, holes left out.

    A thing that others cut through has several; slivers are left out as long as there is something larger.
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
    """x, y, width, height, the last pixel counted in, as in the authors' `polygon_to_box`."""
    points = np.concatenate([np.array(polygon) for polygon in instance])
    low, high = points.min(axis=0), points.max(axis=0)
    return np.round([*low, *(high - low + 1)], 2).tolist()


def _dump(path: Path, value: list) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
