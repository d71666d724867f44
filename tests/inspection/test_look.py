"""Folders in many layouts: how each is read, what is in it, and refusals in one line."""

import folder_cases as cases
import numpy as np
import pytest
import tifffile
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.inspection import describe, evidence, look
from refusing import refused

ONE = {"classes": ["object"]}
OBJECT = {"instances": False, **ONE}


def options(images: str, masks: str, **more) -> dict:
    """Options of the reader."""
    return {"images": images, "masks": masks, **more}


def annotated(images: str, annotations: str, name: str) -> dict:
    """Options of the reader for annotation files."""
    return {"images": images, "annotations": annotations, "classes": [name]}


BY_VALUE = options("images/{name}.*", "labels/{name}.*", ignore=255, classes=["class-1", "class-2"])
BY_COLOR = {"color-3c8c3c": "#3c8c3c", "color-b4501e": "#b4501e"}
FOLDERS = options("{folder}/images/{name}.*", "{folder}/masks/{name}.*")
# The folder, options of the reader, number of images, instances of each class.
CASES = [
    (cases.two_folders, options("images/{name}.*", "masks/{name}.*", **OBJECT), 6, {"object": 12}),
    (cases.beside, options("{name}.*", "{name}_mask.*", **OBJECT), 6, {"object": 12}),
    (cases.same_names, options("{name}.jpg", "{name}.png", **OBJECT), 6, {"object": 12}),
    (cases.splits, options("{split}/images/{name}.*", "{split}/masks/{name}.*", **OBJECT), 12, {"object": 24}),
    (cases.splits_inside, options("img/{split}/{name}.*", "gt/{split}/{name}.*", **OBJECT), 8, {"object": 16}),
    (cases.plates_in_folders, FOLDERS | OBJECT, 8, {"object": 16}),
    (cases.cellpose, options("{name}.*", "{name}_cp_masks.*", instances=True, **ONE), 6, None),
    (cases.several_masks, options("images/{name}.*", "masks/{name}_*.*", **ONE), 6, {"object": 18}),
    (cases.folders_of_images, FOLDERS | ONE, 6, {"object": 18}),
    (
        cases.folders_of_classes,
        options("images/{name}.*", "masks/{class}/{name}.*", classes=["leaf", "spot"]),
        6,
        {"leaf": 6, "spot": 6},
    ),
    (cases.values, BY_VALUE, 6, {"class-1": 6, "class-2": 6}),
    (cases.colors, options("images/{name}.*", "masks/{name}.*", classes=BY_COLOR), 6, dict.fromkeys(BY_COLOR, 6)),
    (cases.jpeg_masks, options("images/{name}.*", "masks/{name}.*", threshold=128, **ONE), 6, {"object": 12}),
    (cases.coco, annotated("images/{name}.*", "annotations.json", "cell"), 6, {"cell": 12}),
    (cases.labelme, annotated("{name}.*", "{name}.json", "crack"), 6, {"crack": 6}),
    (cases.yolo, annotated("images/{split}/{name}.*", "labels/{split}/{name}.txt", "leaf"), 8, {"leaf": 8}),
    (cases.stack, options("{name}.*", "{name}_mask.*", stack=True, block=5, **OBJECT), 40, {"object": 80}),
    (cases.slices, options("images/{name}.*", "masks/{name}.*", block=5, **OBJECT), 48, {"object": 96}),
]


def name_of(value) -> str:
    """The name of a case."""
    return getattr(value, "__name__", "")


def looked(folder, names=()):
    description = describe.describe(folder, list(names))
    return description, look.examine(description, str(folder))


@pytest.mark.parametrize(("write", "expected", "images", "instances"), CASES, ids=name_of)
def test_each_layout_is_read_as_it_is_meant(tmp_path, write, expected, images, instances):
    write(tmp_path)
    description, findings = looked(tmp_path)
    assert description.entry == {"reader": "folder", "options": expected, "val_fraction": 0.2}
    assert findings.total == images and not description.problems
    if instances is not None:
        assert {name: each.instances for name, each in findings.classes.items()} == instances


def test_touching_instances_are_counted_where_the_source_tells_them_apart(tmp_path):
    cases.cellpose(tmp_path)
    description, findings = looked(tmp_path)
    assert findings.contents.known == 6 and findings.contents.touching >= 12
    lines = "\n".join([*evidence.of_description(description), *evidence.of_findings(findings)])
    assert "they number instances (6 masks)" in lines and "touch another one" in lines


def test_splits_of_the_folder_are_kept(tmp_path):
    cases.splits(tmp_path)
    findings = looked(tmp_path)[1]
    assert findings.samples == {"train": 4, "val": 4, "test": 4} and findings.own_splits == ("train", "val", "test")


@pytest.mark.parametrize("write", [cases.plates_in_names, cases.plates_in_folders])
def test_plates_in_names_are_likely_groups(tmp_path, write):
    write(tmp_path)
    description = describe.describe(tmp_path, [])
    assert description.groups.count == 4
    findings = look.examine(description.with_options(group=description.groups.pattern), str(tmp_path))
    assert findings.groups == 4
    assert any("likely, from names" in line and line.endswith(": 4") for line in evidence.of_description(description))


def test_images_of_more_than_8_bits_get_a_window_of_their_values(tmp_path):
    cases.deep(tmp_path)
    description, findings = looked(tmp_path)
    low, high = description.entry["options"]["window"]
    assert 100 <= low < high <= 255 * 16 + 100 and findings.contents.measured == 6
    assert any("more than 8 bits" in line for line in evidence.of_description(description))


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Größe 2", "grosse-2"), ("2024", "images-2024"), ("no", "images-no"), ("図", "mine"), ("plates_", "plates")],
)
def test_a_dataset_has_the_name_of_its_folder_as_params_can_have_it(tmp_path, folder, name):
    cases.two_folders(tmp_path / folder)
    assert describe.describe(tmp_path / folder, []).name == name


def test_what_is_damaged_missing_or_alike_is_said(tmp_path):
    cases.damaged(tmp_path)
    description, findings = looked(tmp_path)
    assert description.entry["options"]["unpaired"] == "skip" and description.entry["skip_invalid"] is True
    first, second = findings.description.problems
    assert "img1.png" in first and "img2.png" in second and "30x20" in second and "48x48" in second
    assert findings.duplicates.pairs == 1
    lines = "\n".join([*evidence.of_description(description), *evidence.of_findings(findings)])
    for words in ("images/img3.png", "1 of 7 images are like an earlier one", "not read: 1 .txt", "problems  2"):
        assert words in lines


@pytest.mark.parametrize(("write", "names"), [(cases.values, ["leaf", "spot"]), (cases.two_folders, ["crack"])])
def test_names_of_classes_go_to_the_values_in_their_order(tmp_path, write, names):
    write(tmp_path)
    description = describe.describe(tmp_path, names)
    assert (
        description.classes == tuple(names) and description.entry["options"]["classes"] == names and description.named
    )


def test_names_choose_among_the_classes_of_folders(tmp_path):
    cases.folders_of_classes(tmp_path)
    description, findings = looked(tmp_path, ["spot"])
    assert description.entry["classes"] == ["spot"] and list(findings.classes) == ["spot"]


@pytest.mark.parametrize("name", ["em", "fires", "covid", "pets", "voc", "fss", "cityscapes", "qata", "lucchi_pp"])
def test_official_layouts_get_their_reader_and_the_settings_of_the_shipped_study(name, written_sample):
    description = describe.describe(written_sample(name), [])
    assert description.name == name and description.entry["reader"] == name
    assert any("looks like" in words for _, words in description.evidence)
    if name == "em":
        assert (
            description.entry == {"reader": "em", "tile": 256, "score": "tile"} and "black spots" in description.phrases
        )


@pytest.mark.parametrize("write", [case[0] for case in CASES], ids=name_of)
def test_equal_folders_give_equal_words(tmp_path, write):
    lines = []
    for copy in ("a", "b"):
        write(tmp_path / copy / "same")
        description, findings = looked(tmp_path / copy / "same")
        lines.append([*evidence.of_description(description), *evidence.of_findings(findings)])
    assert lines[0] == lines[1]


def test_a_folder_that_is_not_understood_is_refused_in_one_line(tmp_path):
    refused(lambda: describe.describe(tmp_path / "nothing", []), "nothing", "no such folder")
    refused(lambda: describe.describe(tmp_path, []), "the folder is empty")
    (tmp_path / "a.txt").write_text("x")
    refused(lambda: describe.describe(tmp_path, []), "no PNG, JPEG, TIFF or WebP images", "1 .txt")
    cases.save(tmp_path / "a.png", cases.picture(0))
    refused(lambda: describe.describe(tmp_path, []), "no image has a mask", "NAME_mask.png")
    refused(lambda: describe.describe(tmp_path / "a.png", []), "a file; unpack it")


def channels(path):
    tifffile.imwrite(path, np.zeros((2, 48, 48), np.uint8), imagej=True, metadata={"axes": "CYX"})


def cmyk(path):
    Image.new("CMYK", (48, 48)).save(path, "JPEG")


@pytest.mark.parametrize(
    ("write", "words"), [(channels, "axes are"), (cmyk, "CMYK"), (lambda path: path.write_bytes(b""), "not a PNG")]
)
def test_a_folder_none_of_whose_images_can_be_read_is_refused_with_the_reason(tmp_path, write, words):
    cases.jpeg_masks(tmp_path)
    for path in (tmp_path / "images").iterdir():
        write(path)
    refused(lambda: looked(tmp_path), "image", "can be read", words)


def test_a_link_to_nothing_is_refused_as_dvc_reads_every_file(tmp_path):
    cases.two_folders(tmp_path)
    (tmp_path / "images" / "gone.png").symlink_to("nowhere")
    refused(lambda: describe.describe(tmp_path, []), "images/gone.png: a link to nothing", "dvc", "remove it")


@pytest.mark.parametrize(
    ("add", "words"),
    [
        ("images/img9.bmp", [".bmp files are not supported", "convert it to PNG"]),
        ("images/img0.jpg", ["images/img0.jpg is another image named 'img0'", "remove one"]),
        ("images/img\n9.png", ["unprintable characters", "rename the file"]),
    ],
)
def test_what_stands_in_the_way_of_all_pairs_is_named(tmp_path, add, words):
    cases.two_folders(tmp_path)
    (tmp_path / add).write_bytes((tmp_path / "images" / "img0.png").read_bytes())
    refused(lambda: describe.describe(tmp_path, []), *words)


def test_masks_that_are_photos_and_wrong_numbers_of_names_are_refused(tmp_path):
    cases.two_folders(tmp_path)
    refused(lambda: describe.describe(tmp_path, ["a", "b"]), "--classes: 2 names", "one class")
    cases.save(tmp_path / "masks" / "img0.png", np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8))
    refused(lambda: describe.describe(tmp_path, []), "more than 40 colors")


def test_point_clouds_are_refused(written_sample):
    with pytest.raises(UserError, match="point clouds"):
        describe.describe(written_sample("modelnet40"), [])
