"""The reader `folder` with annotation files instead of masks."""

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas
import pytest
import tifffile
from PIL import Image
from promptseg.core import params
from promptseg.data import rle
from promptseg.datasets.folder import reader as folder
from promptseg.preprocessing.prepare import Paths, prepare
from refusing import refused

BLOB = {"id": 1, "name": "blob"}
SIZE = (64, 96)  # height, width


def options(**given) -> folder.Options:
    return params.validate(folder.Options, given, "params.yaml", "datasets.mine.options")


def read(root: Path, **given) -> list:
    folder.verify(root, options(**given))
    return list(folder.read(root, options(**given)))


def discs(seed: int) -> np.ndarray:
    """Three discs that may touch, numbered 1, 2, 3: (h, w) uint8."""
    rng, ids = np.random.default_rng(seed), np.zeros(SIZE, np.uint8)
    for number in (1, 2, 3):
        radius = int(rng.integers(5, 10))
        center = [int(rng.integers(radius + 1, side - radius - 1)) for side in SIZE]
        cv2.circle(ids, center[::-1], radius, number, -1)
    return ids


def save_image(path: Path, ids: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).normal(60, 9, ids.shape)
    Image.fromarray(np.clip(noise + 120 * (ids > 0), 0, 255).astype(np.uint8)).save(path)


def outlines(mask: np.ndarray) -> list[list[list[int]]]:
    """The outlines of a mask, each as [[x, y], ...]."""
    return [found[:, 0].tolist() for found in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]]


def write_coco(path: Path, images: dict[str, list], categories=(BLOB,)) -> None:
    """Write COCO JSON. images: by name, the annotations without ids."""
    listed = [
        {"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]} for number, name in enumerate(images)
    ]
    annotations = [
        {"id": 100 * number + place, "image_id": number, "category_id": 1, "iscrowd": 0} | entry
        for number, entries in enumerate(images.values())
        for place, entry in enumerate(entries, 1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": listed, "annotations": annotations, "categories": list(categories)}))


def write_scene(root: Path, kind: str, number: int, scene: np.ndarray) -> list:
    """Write an image and its annotations as YOLO or labelme; returns its polygons."""
    save_image(root / f"images/p{number}.jpg", scene)
    polygons = outlines(scene)
    (root / "labels").mkdir(exist_ok=True)
    lines = ["0 " + " ".join(f"{x / 96:.5f} {y / 64:.5f}" for x, y in polygon) + "\n" for polygon in polygons]
    shapes = [{"label": "blob", "points": polygon, "shape_type": "polygon"} for polygon in polygons]
    if kind == "yolo":
        (root / f"labels/p{number}.txt").write_text("".join(lines))
    if kind == "labelme":
        found = {"version": "5", "shapes": shapes, "imagePath": f"p{number}.jpg", "imageHeight": 64, "imageWidth": 96}
        (root / f"images/p{number}.json").write_text(json.dumps(found))
    return polygons


@pytest.mark.parametrize(
    "kind, pattern", [("yolo", "labels/{name}.txt"), ("labelme", "images/*.json"), ("coco", "annotations.json")]
)
def test_drawn_scenes_are_read_from_each_format(tmp_path, kind, pattern):
    scenes = [(discs(seed) > 0).astype(np.uint8) for seed in range(6)]
    polygons = {f"p{number}.jpg": write_scene(tmp_path, kind, number, scene) for number, scene in enumerate(scenes)}
    if kind == "yolo":
        (tmp_path / "data.yaml").write_text("names: [blob]")
    if kind == "coco":
        flat = {
            name: [{"segmentation": [np.ravel(ring).tolist()]} for ring in found] for name, found in polygons.items()
        }
        write_coco(tmp_path / "annotations.json", flat)
    samples = read(tmp_path, annotations=pattern)
    assert [sample.id for sample in samples] == [f"p{number}" for number in range(6)]
    assert folder.classes_in(tmp_path, options(annotations=pattern)) == ("blob",)
    for sample, scene, rings in zip(samples, scenes, polygons.values()):
        mask, instances = sample.mask(), sample.instances()
        assert sample.image().shape == mask.shape == scene.shape
        # The outlines have the numbers of the outermost pixels, so they leave out about half of these.
        assert (mask & scene).sum() / (mask | scene).sum() > 0.8
        assert sorted(np.unique(instances)) == list(range(len(rings) + 1)) and ((instances > 0) == (mask == 1)).all()


def test_images_without_annotations_are_empty_where_they_are_listed(tmp_path):
    for name in ("p1", "p2", "p3"):
        save_image(tmp_path / f"images/{name}.png", np.zeros(SIZE, np.uint8))
    write_coco(tmp_path / "a.json", {"p1.png": [{"segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}], "p2.png": []})
    unlisted = partial(read, tmp_path, annotations="a.json")
    refused(unlisted, "images/p3.png: no annotations in COCO JSON are of it", "options.unpaired: skip")
    first, second = read(tmp_path, annotations="a.json", unpaired="skip")
    assert first.mask().sum() == 4 and not second.mask().any() and not second.instances().any()
    skipping = options(annotations="a.json", unpaired="skip")
    assert folder.left_out(tmp_path, skipping) == ["images/p3.png"]
    (tmp_path / "images/p2.png").unlink()
    unknown = "a.json: its image 'p2.png' is unknown; 2 files exist, most similar: 'images/p1.png'"
    refused(unlisted, unknown, "correct options.images, or leave out such files with options.unpaired: skip")
    assert folder.left_out(tmp_path, skipping) == ["images/p3.png", "p2.png"]


def test_classes_are_those_of_the_file_or_chosen_and_others_are_background(tmp_path):
    save_image(tmp_path / "images/p.png", np.zeros(SIZE, np.uint8))
    leaf = {"segmentation": [[0, 0, 6, 0, 6, 1, 0, 1]], "category_id": 5}
    spot = {"segmentation": [[2, 0, 4, 0, 4, 1, 2, 1]], "category_id": 1}
    categories = [{"id": 5, "name": "leaf"}, {"id": 1, "name": "spot"}, {"id": 2, "name": "root"}]
    write_coco(tmp_path / "a.json", {"p.png": [leaf, spot]}, categories)
    given = {"images": "images/*", "annotations": "a.json"}

    def first_row(**more) -> tuple[list, list]:
        (sample,) = read(tmp_path, **given, **more)
        return sample.mask()[0, :7].tolist(), sample.instances()[0, :7].tolist()

    assert folder.classes_in(tmp_path, options(**given)) == ("leaf", "spot", "root")
    assert first_row() == ([1, 1, 2, 2, 1, 1, 0], [1, 1, 2, 2, 1, 1, 0])
    assert first_row(classes=["spot"]) == ([0, 0, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0])
    assert first_row(classes=["leaf"]) == ([1, 1, 0, 0, 1, 1, 0], [1, 1, 0, 0, 1, 1, 0])
    assert first_row(classes=["spot", "leaf"])[0] == [2, 2, 1, 1, 2, 2, 0]
    refused(
        lambda: first_row(classes=["lef"]),
        "options.classes: 'lef' is not in the annotations; they have leaf, spot, root",
    )
    inner = options(**given, contained={"spot": "leaf"})
    assert folder.classes_in(tmp_path, inner) == ("leaf", "spot", "root")
    wrong = options(**given, contained={"spot": "tree"})
    refused(
        lambda: folder.classes_in(tmp_path, wrong), "options.contained: 'tree' is not among classes: leaf, spot, root"
    )
    refused(lambda: folder.classes(options(**given)), "list them in options.classes")


def test_splits_and_groups_are_those_of_the_images_paths(tmp_path):
    names = ["train/a1", "train/b1", "test/c1"]
    for name in names:
        save_image(tmp_path / f"images/{name}.png", np.zeros(SIZE, np.uint8))
        (tmp_path / f"labels/{name}.txt").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"labels/{name}.txt").write_text("0 0 0 0.5 0 0.5 0.5\n" if name != names[1] else "")
    (tmp_path / "data.yaml").write_text("names: [blob]")
    given = {
        "images": "images/{split}/{name}.png",
        "annotations": "labels/{split}/{name}.txt",
        "group": "/([abc])[0-9]",
    }
    samples = read(tmp_path, **given)
    assert [(each.id, each.split, each.group) for each in samples] == [
        ("train/a1", "train", "a"), ("train/b1", "train", "b"), ("test/c1", "test", "c"),
    ]  # fmt: skip
    assert [bool(each.mask().any()) for each in samples] == [True, False, True]
    (tmp_path / "images/test/c1.png").rename(tmp_path / "images/test/c2.png")
    refused(lambda: read(tmp_path, **given), "labels/test/c1.txt: there is no image of its name")


def test_a_file_for_each_split_is_of_the_images_beside_it(tmp_path):
    for split, left in (("train", 0), ("valid", 2), ("test", 4)):
        save_image(tmp_path / split / "p.jpg", np.zeros(SIZE, np.uint8))
        ring = [left, 0, left + 1, 0, left + 1, 1, left, 1]
        write_coco(tmp_path / split / "_annotations.coco.json", {"p.jpg": [{"segmentation": [ring]}]})
    for pattern in ("*/_annotations.coco.json", "**/_annotations.coco.json"):
        samples = read(tmp_path, images="{split}/{name}.jpg", annotations=pattern)
        assert [(each.split, *np.argwhere(each.mask())[0].tolist()) for each in samples] == [
            ("train", 0, 0), ("val", 0, 2), ("test", 0, 4),
        ]  # fmt: skip


def test_a_mask_is_of_the_size_of_its_image(tmp_path):
    save_image(tmp_path / "images/p.png", np.zeros((10, 20), np.uint8))
    write_coco(tmp_path / "a.json", {"p.png": []})
    (sample,) = read(tmp_path, annotations="a.json")
    for call in (sample.mask, sample.instances):
        refused(call, "images/p.png is 20x10 and ", "a.json is 96x64; they must be of one size")


@pytest.mark.parametrize(
    "given, words",
    [
        ({"masks": "masks/*"}, "masks: not with annotations, which stand instead of masks"),
        ({"threshold": 128}, "threshold: not with annotations"), ({"stack": True}, "stack: not with annotations"),
        ({"classes": {"a": 1}}, "classes: with annotations a list of names"),
        ({"annotations": "../a.json"}, "give a path within the folder"),
        ({"annotations": "labels/{nam.txt"}, "unbalanced brace"),
        ({"classes": ["leaf"], "contained": {"spot": "leaf"}}, "contained: 'spot' is not among classes: leaf"),
    ],
)  # fmt: skip
def test_options_that_contradict_annotations_are_refused(given, words):
    refused(lambda: options(**{"annotations": "a.json"} | given), "datasets.mine.options", words)


def test_files_that_are_not_there_are_named_with_what_is(tmp_path):
    save_image(tmp_path / "images/p.png", np.zeros(SIZE, np.uint8))
    write_coco(tmp_path / "instances.json", {"p.png": []})
    for text in ("instance.json", "labels/*.json"):
        missing = f"no file matches options.annotations '{text}'; 2 files exist, most similar: 'instances.json'"
        refused(lambda text=text: read(tmp_path, annotations=text), missing)
    write_coco(tmp_path / "instances.json", {"p.png": []}, categories=())
    refused(lambda: read(tmp_path, annotations="instances.json"), "the annotations have no class")
    save_image(tmp_path / "images/p.jpg", np.zeros(SIZE, np.uint8))
    refused(lambda: read(tmp_path, annotations="instances.json"), "images/p.jpg is another image named 'p'")


def test_label_images_and_coco_of_the_same_content_give_the_same_records(tmp_path):
    """Cells that touch, as run lengths and as a label image for each slice."""
    annotations: dict[str, list] = {}
    for number in range(6):
        ids = discs(number)
        for kind in ("tiff", "coco"):
            save_image(tmp_path / f"{kind}/images/slice{number}.png", ids)
        (tmp_path / "tiff/masks").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / f"tiff/masks/slice{number}.tif", ids.astype(np.uint16))
        annotations[f"slice{number}.png"] = [{"segmentation": rle.encode(ids == value)} for value in (1, 2, 3)]
    write_coco(tmp_path / "coco/a.json", annotations)
    given = {"tiff": {"instances": True, "classes": ["blob"]}, "coco": {"annotations": "a.json"}}
    for kind, own in given.items():
        entry = {
            "reader": "folder",
            "raw": str(tmp_path / kind),
            "tile": 32,
            "options": own | {"group": "(slice[0-9])"},
        }
        settings = params.validate(params.Dataset, entry, "params.yaml", "datasets.mine")
        prepare("mine", settings, None, 0, Paths(tmp_path / kind, tmp_path / f"{kind}.out", tmp_path / f"{kind}.json"))
    assert (tmp_path / "tiff.json").read_bytes() == (tmp_path / "coco.json").read_bytes()
    for split in ("train", "val", "test"):
        tables = [pandas.read_parquet(tmp_path / f"{kind}.out/{split}.parquet") for kind in given]
        pandas.testing.assert_frame_equal(*tables)
        assert split == "val" or (len(tables[0]) and (tables[0]["instances"].str.len() > 0).all())
