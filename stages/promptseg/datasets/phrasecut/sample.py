"""Offline stand-in for PhraseCut: rendered photos of things, and tasks with all official fields in the official layout.

The phrases are made of the words that the built-in CLIP knows: a ball is a circle or a thing, a book a rectangle.
"""

import itertools
import json
from pathlib import Path

import cv2
import numpy as np

from promptseg.datasets.phrasecut.reader import INFO, NAME
from promptseg.datasets.phrasecut.words import Words, choose_phrases, find_words
from promptseg.synthetic import colors, figures, materials
from promptseg.synthetic.canvas import Canvas

COUNTS = {"train": 10, "val": 3, "miniv": 1, "test": 8}
MAX_PHRASES = 4  # per image
SIZES = ((320, 427), (333, 500), (375, 500), (400, 320))  # height, width; of Visual Genome, mostly 500 at most
# Materials, each from a row on down (as a share of the height); what phrases are about; what else lies there.
SCENES = (
    ({"planks": 0}, ("plate", "book", "ball", "banana"), ("wooden_spoon", "coffee_mug", "bottle")),
    ({"water": 0, "sand": 0.3}, ("starfish", "ball", "swim_ring"), ("bird", "fish", "umbrella")),
    ({"asphalt": 0, "paving": 0.7}, ("tire", "warning_sign", "gift"), ("bucket", "toothed_leaf", "twig")),
    ({"carpet": 0}, ("book", "gift", "ball", "napkin"), ("lying_cat", "guitar", "coffee_mug")),
    ({"leaves": 0, "grass": 0.2}, ("napkin", "ball", "plate", "swim_ring"), ("dog", "mushroom", "chair")),
    ({"gravel": 0}, ("warning_sign", "tire", "starfish", "book"), ("twig", "pottedplant", "stone")),
)
# The noun of each figure; of two, the first where it is about as wide as long.
NOUNS = {
    "ball": "circle oval", "plate": "circle oval", "gift": "square rectangle", "book": "square rectangle",
    "napkin": "square rectangle", "banana": "crescent", "starfish": "star", "swim_ring": "ring", "tire": "ring",
    "warning_sign": "triangle",
}  # fmt: skip
PAINTS = {"banana": ("yellow", "green"), "tire": ("black", "gray"), "starfish": ("red", "orange", "purple", "pink")}


def write(folder: Path, seed: int) -> None:
    """Write 22 images with up to four phrases each: 10 training, 4 validation (3 in val, 1 in miniv), 8 test images.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng, root = np.random.default_rng(seed), folder / NAME
    info: list[dict] = []
    (root / "images").mkdir(parents=True)
    ids = iter(rng.choice(np.arange(1, 2_400_000), sum(COUNTS.values()), replace=False).tolist())
    for split, count in COUNTS.items():
        tasks = []
        for id in itertools.islice(ids, count):
            image, regions, words = _scene(rng, *SCENES[len(info) % len(SCENES)])
            (root / f"images/{id}.jpg").write_bytes(cv2.imencode(".jpg", image[..., ::-1])[1].tobytes())
            url = f"https://cs.stanford.edu/people/rak248/VG_100K/{id}.jpg"  # as the official ones
            info.append({"image_id": id, "coco_id": None, "flickr_id": None, "width": image.shape[1],
                         "height": image.shape[0], "url": url, "split": split})  # fmt: skip
            for phrase, meant in choose_phrases(rng, words, MAX_PHRASES):
                tasks.append(_task(rng, id, {i: regions[i] for i in meant}, phrase))
        (root / f"refer_{split}.json").write_text(json.dumps(tasks), encoding="utf-8")
    (root / INFO).write_text(json.dumps(info), encoding="utf-8")


def _scene(rng: np.random.Generator, grounds, names, others) -> tuple[np.ndarray, list[np.ndarray], list[Words]]:
    """Render an image, (h, w, 3) uint8; also return the visible regions of the things in it, and words for them."""
    h, w = SIZES[rng.integers(len(SIZES))]
    canvas, drawn = Canvas(rng, h, w), {}
    placed: list[tuple[np.ndarray, float]] = []
    for name, top in grounds.items():
        materials.layer(canvas, name, 0, top, 0.03 * (top > 0))
    paints = rng.choice([*colors.HUES, "white"], 3, replace=False)
    chosen = [*rng.choice(rng.permutation(names)[:3], 7), *rng.permutation(others)[:2]]
    sizes = (0.2, *rng.permutation((0.2, 0.12, 0.1, 0.1, 0.05, 0.05)), *rng.uniform(0.08, 0.15, 2))
    for id, (name, size) in enumerate(zip(chosen, sizes, strict=True), 1):
        radius = size * (h * w) ** 0.5 * rng.uniform(0.9, 1.05)
        for at in rng.uniform(radius, (w - radius, h - radius), (60, 2)):
            if all(np.hypot(*(at - other)) > 0.75 * (radius + extent) for other, extent in placed):
                break  # it hides little of the others
        else:
            continue
        placed.append((at, radius))
        color, turn = colors.sample_color(rng, str(rng.choice(PAINTS.get(name, paints)))), rng.uniform(-3, 3)
        figures.draw(canvas, name, tuple(at), radius, color, id, turn if name in NOUNS else 0.0)
        area, texture = canvas.labels == id, rng.choice(("striped", "checkered", ""), p=(0.25, 0.1, 0.65))
        texture = str(texture) if name in NOUNS and color @ colors.LUMA > 0.25 else ""
        bands = np.tensordot(figures.rotation(turn), np.mgrid[:h, :w], 1) // max(0.25 * radius, 5)
        dark = bands[: {"": 0, "striped": 1, "checkered": 2}[texture]].sum(axis=0) % 2 > 0
        canvas.image[area & dark] *= 0.4
        drawn[id] = NOUNS.get(name, "").split(), texture, np.count_nonzero(area)
    image = canvas.photograph()
    regions = {id: region for id in drawn if np.count_nonzero(region := canvas.labels == id) > 60}
    words = [find_words(image, region, *drawn[id][:2], region.sum() / drawn[id][2]) for id, region in regions.items()]
    return image, list(regions.values()), words


def _task(rng: np.random.Generator, image_id: int, regions: dict[int, np.ndarray], phrase: dict) -> dict:
    """Build a task with all official fields; boxes include the last pixel, as in the authors' `polygon_to_box`."""
    ann_ids = [image_id % 1000 * 100 + id for id in regions]
    instances = [_polygons(rng, region.astype(np.uint8)) for region in regions.values()]
    points = [np.concatenate(polygons) for polygons in instances]
    attributes, relations = phrase["attributes"], phrase["relation_descriptions"]
    return {
        "task_id": f"{image_id}__{'_'.join(map(str, ann_ids))}",
        "image_id": image_id,
        "ann_ids": ann_ids,
        "instance_boxes": [np.round([*each.min(axis=0), *np.ptp(each, axis=0) + 1], 2).tolist() for each in points],
        "Polygons": instances,
        "phrase": " ".join([*attributes, phrase["name"], *itertools.chain(*relations)]),
        "phrase_structure": phrase
        | {
            "relation_ids": [ann_ids[0] * 10 for _ in relations],
            "type": "relation" if relations else "attribute" if attributes else "name",
        },
    }


def _polygons(rng: np.random.Generator, mask: np.ndarray) -> list[list[list[float]]]:
    """Trace a region as an annotator would: few points, half a pixel off; a hole is reached by a cut from the right."""
    contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    hole = np.argwhere(cv2.drawContours(np.zeros_like(mask), contours, -1, 1, -1) > mask)
    if len(hole) > 25:
        row, column = hole.mean(axis=0).astype(int)
        mask[row, column:] = 0
        contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    out: list[list[list[float]]] = []
    for contour in sorted(contours, key=cv2.contourArea, reverse=True):
        points = cv2.approxPolyDP(contour, 1.3, True)[:, 0].astype(float)
        if len(points) >= 3 and (not out or cv2.contourArea(contour) >= 25):
            points = np.clip(points + rng.normal(0, 0.5, points.shape), 0, np.array(mask.shape[::-1]) - 1)
            out.append(np.round(points, 2).tolist())
    return out
