"""Several masks of an image: instances, or classes; which image they belong to, and what is left out."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.core import params
from promptseg.datasets.folder import pairing
from promptseg.datasets.folder import reader as folder
from promptseg.datasets.folder.patterns import Pattern
from refusing import refused

LEFT = np.array([[1, 1, 0, 0, 0, 0]] * 3, np.uint8)
RIGHT = np.array([[0, 0, 0, 0, 1, 1]] * 3, np.uint8)
BUSI = {"images": "{name}.png", "masks": "{name}_mask.png"}
DSB = {"images": "{name}/images/*.png", "masks": "{name}/masks/*.png"}


def save(path: Path, values) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def options(**given) -> folder.Options:
    return params.validate(folder.Options, given, "params.yaml", "datasets.mine.options")


def read(root: Path, **given) -> dict[str, tuple]:
    """Mask and instances of each sample, as lists."""
    found = {}
    for sample in folder.read(root, options(**given)):
        instances = sample.instances()
        found[sample.id] = sample.mask().tolist(), None if instances is None else instances.tolist()
    return found


def pairs(root: Path, images: str, masks: str, skip: bool = False) -> pairing.Pairing:
    return pairing.pair(root, Pattern(images), Pattern(masks), skip)


@pytest.mark.parametrize("masks", ["{name}_mask.png", "{name}_mask*.png"])
@pytest.mark.parametrize("more", ["_mask_1", "_mask-2", "_mask (3)", "_mask7"])
def test_numbered_masks_are_instances_of_their_image(tmp_path, capsys, masks, more):
    save(tmp_path / "benign (1).png", LEFT)
    save(tmp_path / "benign (2).png", LEFT)
    save(tmp_path / "benign (1)_mask.png", LEFT * 255)
    save(tmp_path / f"benign (1){more}.png", RIGHT * 255)
    save(tmp_path / "benign (2)_mask.png", (LEFT | RIGHT) * 255)
    found = read(tmp_path, images="{name}.png", masks=masks)
    both = (LEFT | RIGHT).tolist()
    assert found["benign (1)"][0] == both and np.array_equal(np.sort(np.unique(found["benign (1)"][1])), [0, 1, 2])
    # One file is one instance, also where it is in two pieces.
    assert found["benign (2)"] == (both, both)
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith("note: ") and note.endswith(": one of 2 masks of an image; each is read as an instance")


@pytest.mark.parametrize("patterns", [DSB, {"images": "*/images/*.png", "masks": "*/masks/*.png"}])
def test_a_folder_of_masks_holds_one_instance_a_file(tmp_path, patterns):
    for name in ("9a", "0b"):
        save(tmp_path / name / "images" / f"{name}.png", LEFT)
    save(tmp_path / "9a/masks/77.png", LEFT * 255)
    save(tmp_path / "9a/masks/f0.png", RIGHT * 255)
    save(tmp_path / "0b/masks/12.png", RIGHT * 255)
    found = list(read(tmp_path, **patterns).values())
    assert found == [(RIGHT.tolist(), RIGHT.tolist()), ((LEFT | RIGHT).tolist(), (LEFT + 2 * RIGHT).tolist())]
    refused(partial(folder.verify, tmp_path), "folders of their image", "masks: '{name}/masks/*'")


def test_the_smaller_instance_is_on_top_and_ignored_pixels_stay(tmp_path):
    save(tmp_path / "a/images/a.png", np.zeros((4, 4)))
    save(tmp_path / "a/masks/1.png", [[0] * 4, *[[1] * 4] * 3])
    save(tmp_path / "a/masks/2.png", [[255, 1, 0, 0], [0, 1, 0, 0], [0] * 4, [0] * 4])
    ((mask, instances),) = read(tmp_path, **DSB, ignore=255).values()
    assert mask == [[255, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert instances == [[0, 2, 0, 0], [1, 2, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_two_annotations_of_one_object_are_refused(tmp_path):
    save(tmp_path / "a.png", LEFT)
    save(tmp_path / "a_anna.png", LEFT)
    save(tmp_path / "a_ben.png", [[1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]])
    words = "a_ben.png: 75 % of it is in ", "a_anna.png; if both show the same object, take one out of options.masks"
    refused(partial(read, tmp_path, images="{name}.png", masks="{name}_*.png"), *words)


def test_masks_of_two_sizes_are_refused(tmp_path):
    save(tmp_path / "a/images/a.png", LEFT)
    save(tmp_path / "a/masks/1.png", LEFT)
    save(tmp_path / "a/masks/2.png", LEFT[:2])
    refused(partial(read, tmp_path, **DSB), "2.png: it is 6x2, and ", "1.png is 6x3")


@pytest.mark.parametrize("masks", ["masks/{name}_{class}.png", "masks/{class}/{name}.png", "{class}/{name}*.png"])
def test_masks_of_one_class_each(tmp_path, masks):
    names = ["left_lung", "spot"]
    for image in ("x", "x_2"):
        save(tmp_path / f"images/{image}.png", LEFT)
        for name, values in zip(names, (LEFT | RIGHT, RIGHT * 255), strict=True):
            if (image, name) != ("x_2", "spot"):  # a class that the image does not show
                path = masks.replace("{name}", image).replace("{class}", name).replace("*", "")
                save(tmp_path / path, values)
    found = read(tmp_path, images="images/{name}.png", masks=masks, classes=names)
    assert found == {"x": ((LEFT + 2 * RIGHT).tolist(), None), "x_2": ((LEFT | RIGHT).tolist(), None)}
    refused(
        partial(folder.verify, tmp_path, options(images="images/{name}.png", masks=masks, classes=["spot"])),
        "its class 'left_lung' is not in options.classes: spot",
    )


def test_words_that_return_in_other_images_may_be_classes(tmp_path):
    for image in "xy":
        save(tmp_path / f"images/{image}.png", LEFT)
        for word, values in (("left_1", LEFT), ("left_2", LEFT[::-1] * 0), ("lesion", RIGHT)):
            save(tmp_path / f"masks/{image}_{word}.png", values)
    where = {"images": "images/{name}.png", "masks": "masks/{name}_*.png"}
    words = "x.png: its masks, and those of other images, are named left and lesion", "classes: [left, lesion]"
    refused(partial(read, tmp_path, **where), *words, "options.instances: true")
    assert read(tmp_path, **where, instances=True)["x"][0] == (LEFT | RIGHT).tolist()


@pytest.mark.parametrize(
    "given, words",
    [
        ({"masks": "{class}/{name}.png"}, "{class} stands in masks alone, and classes lists its names"),
        ({"masks": "{class}/{name}.png", "classes": {"a": 1}}, "{class} stands in masks alone"),
        ({"images": "{class}/{name}.png", "classes": ["a"]}, "{class} stands in masks alone"),
        ({"masks": "{class}/{name}.tif", "classes": ["a"], "stack": True}, "{class} in masks is for single images"),
        ({"instances": True, "classes": ["a", "b"]}, "instances: only for one class"),
        ({"instances": True, "threshold": 9}, "instances: only for one class"),
        ({"instances": True, "others": "ignore"}, "instances: only for one class"),
    ],
)
def test_options_that_contradict_each_other(given, words):
    with pytest.raises(params.UserError) as error:
        options(**given)
    assert words in str(error.value)


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


def test_a_mask_belongs_to_the_longest_name_of_an_image(tmp_path):
    touch(tmp_path, "images/p1.png", "images/p1_2.png", "masks/p1.png", "masks/p1_1.png", "masks/p1_2.png")
    touch(tmp_path, "masks/p1_2_b.png")
    found = pairs(tmp_path, "images/{name}.png", "masks/{name}*.png").pairs
    assert [(pair.image, pair.masks) for pair in found] == [
        ("images/p1.png", ("masks/p1.png", "masks/p1_1.png")),
        ("images/p1_2.png", ("masks/p1_2.png", "masks/p1_2_b.png")),
    ]
    touch(tmp_path, "masks/p12.png")  # not one more mask of p1
    refused(
        partial(pairs, tmp_path, "images/{name}.png", "masks/{name}*.png"), "masks/p12.png: its image images/p12.png"
    )


def test_advice_never_loses_labels(tmp_path):
    touch(tmp_path, "images/x.png", "masks/x.png", "masks/x_1.png")
    find = partial(pairs, tmp_path, "images/{name}.*", "masks/{name}.*")
    refused(find, "masks/x_1.png", "if it is one more mask of an image, set options.masks: 'masks/{name}*.*'")
    assert pairs(tmp_path, "images/{name}.*", "masks/{name}*.*").pairs[0].masks == ("masks/x.png", "masks/x_1.png")
    touch(tmp_path, "y.png", "y_mask.png", "y_mask_left.png")
    refused(partial(pairs, tmp_path, **BUSI), "y_mask_left.png", "options.masks: '{name}_mask*.png'")
    assert pairs(tmp_path, "{name}.png", "{name}_mask*.png").pairs[0].masks == ("y_mask.png", "y_mask_left.png")


def test_several_masks_are_advised_where_one_is_missing(tmp_path):
    touch(tmp_path, "images/x.png", "masks/x_1.png", "masks/x_2.png")
    refused(partial(pairs, tmp_path, "images/{name}.*", "masks/{name}.*"), "set options.masks: 'masks/{name}_*.*'")
    assert pairs(tmp_path, "images/{name}.*", "masks/{name}_*.*").pairs[0].masks == ("masks/x_1.png", "masks/x_2.png")
    touch(tmp_path / "deep", "images/x.png", "masks/x/1.png", "masks/x/2.png")
    refused(partial(pairs, tmp_path / "deep", "images/{name}.*", "masks/{name}.*"), "masks: 'masks/{name}/*'")
    found = pairs(tmp_path / "deep", "images/{name}.*", "masks/{name}/*").pairs
    assert found[0].masks == ("masks/x/1.png", "masks/x/2.png")


def test_masks_in_other_folders_or_formats_are_no_instances(tmp_path):
    touch(tmp_path, "images/x.png", "anna/x_1.png", "ben/x_1.png")
    refused(partial(pairs, tmp_path, "images/{name}.png", "*/{name}_*.png"), "anna/x_1.png is another mask named 'x'")


def test_what_is_skipped_is_named(tmp_path):
    touch(tmp_path, "images/a.png", "images/b.png", "masks/b.png", "masks/c.png")
    assert folder.left_out(tmp_path, options(unpaired="skip")) == ["images/a.png", "masks/c.png"]
    assert pairs(tmp_path, "images/{name}.*", "masks/{name}.*", True).pairs[0].image == "images/b.png"


def test_linked_folders_and_files_are_read_and_loops_are_not_followed(tmp_path):
    store, root = tmp_path / "disk2", tmp_path / "mine"
    touch(store, "images/p.png", "masks/p.png", "elsewhere/q.png", ".hidden/r.png")
    root.mkdir()
    (root / "images").symlink_to(store / "images")
    (root / "masks").symlink_to(store / "masks")
    (store / "images/q.png").symlink_to(store / "elsewhere/q.png")
    (store / "images/back").symlink_to(root)
    (store / "images/self").symlink_to(store / "images")
    os.symlink(tmp_path / "nowhere", root / "broken")
    assert pairing.listing(root) == ["broken", "images/p.png", "images/q.png", "masks/p.png"]
    (tmp_path / "link").symlink_to(root)
    assert pairing.listing(tmp_path / "link") == pairing.listing(root)


def test_label_images_of_classes_keep_the_numbers_of_both_and_components_where_one_has_none(tmp_path):
    ids = np.repeat([[1, 4, 2, 5, 3, 6]], 4, axis=0).repeat(4, axis=1)
    save(tmp_path / "images/a.png", ids)
    save(tmp_path / "masks/cell/a.png", ids)
    save(tmp_path / "masks/nucleus/a.png", np.where(np.arange(4)[:, None] < 2, ids, 0))
    save(tmp_path / "masks/vessel/a.png", np.where(np.arange(4)[:, None] < 1, np.arange(24) >= 12, 0))
    where = {"masks": "masks/{class}/{name}.png", "classes": ["cell", "nucleus", "vessel"]}
    labels, instances = (np.array(values) for values in read(tmp_path, **where)["a"])
    assert labels[:, 0].tolist() == [2, 2, 1, 1] and labels[:, -1].tolist() == [3, 2, 1, 1]
    upper, lower = [7, 10, 8, 11, 9, 12], [1, 4, 2, 5, 3, 6]
    assert instances[:, ::4].tolist() == [[7, 10, 8, 0, 0, 0], upper, lower, lower]
    refused(partial(read, tmp_path, **where, instances=False), "masks/cell/a.png: values 1, 2, 3, 4, 5, 6")


def test_more_instances_than_can_be_told_apart_are_refused(tmp_path):
    ids = np.arange(1, 40_001).reshape(200, 200).repeat(2, axis=0).repeat(2, axis=1)
    save(tmp_path / "images/a.png", np.zeros((400, 400)))
    for name in ("cell", "nucleus"):
        (tmp_path / f"masks/{name}").mkdir(parents=True)
        shown = np.where(np.arange(400) < 200, ids, 0) if name == "nucleus" else ids
        Image.fromarray(shown.astype(np.uint16)).save(tmp_path / f"masks/{name}/a.png")
    where = {"masks": "masks/{class}/{name}.png", "classes": ["cell", "nucleus"], "instances": True}
    refused(partial(read, tmp_path, **where), "masks/nucleus/a.png: more than 65,535 instances", "into tiles first")
