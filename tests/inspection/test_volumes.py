"""Numbered images that are slices of one volume or of several: how they are recognized, grouped and split."""

import json
import shutil

import folder_cases as cases
import numpy as np
import pytest
from promptseg.inspection import describe, evidence, look, volumes

ONE, SEVERAL = {"block": 5}, {"group": volumes.VOLUME}


def grouping(folder):
    """The options for groups that are proposed, and the evidence."""
    description = describe.describe(folder, [])
    options = {key: value for key, value in description.entry["options"].items() if key in ("block", "group")}
    return options, dict(description.evidence).get("volume", "")


@pytest.mark.parametrize(
    ("names", "expected", "words"),
    [
        (("slice_",), ONE, "48 numbered images of one size; neighbors correlate by 0."),
        (("",), ONE, "one volume, or clip; groups of 5 consecutive images, one of which is left out"),
        (("volA_", "volB_"), SEVERAL | ONE, "2 volumes, or clips; groups of 5 consecutive"),
        (("volA_", "volB_", "volC-"), SEVERAL, "3 volumes, or clips, each a group; --group states others"),
    ],
)
def test_slices_of_one_volume_are_grouped_in_blocks_and_of_several_by_volume(tmp_path, names, expected, words):
    cases.slices(tmp_path, names)
    options, said = grouping(tmp_path)
    assert options == expected and words in said


@pytest.mark.parametrize(
    ("count", "steps", "block"), [(12, 4, 2), (30, 4, 5), (72, 9, 10), (72, 40, 10), (300, 40, 50)]
)
def test_blocks_are_longer_where_slices_change_slowly_and_shorter_where_they_are_few(tmp_path, count, steps, block):
    cases.slices(tmp_path, count=count, steps=steps)
    assert grouping(tmp_path)[0] == {"block": block}


def test_one_damaged_slice_does_not_hide_a_volume_and_deep_ones_are_read_by_their_window(tmp_path):
    for place in range(48):
        share = place % 4 / 4
        image = (1 - share) * cases.picture(place // 4)[..., 0] + share * cases.picture(place // 4 + 1)[..., 0]
        cases.save(tmp_path / "images" / f"z{place:02d}.tif", (image * 16).astype(np.uint16))
        cases.save(tmp_path / "masks" / f"z{place:02d}.png", cases.squares(place, 1))
    cases.save(tmp_path / "images" / "z20.tif", np.zeros((cases.SIDE, cases.SIDE), np.uint16))
    assert grouping(tmp_path)[0] == ONE


def unlike(folder):
    cases.pairs(folder, "images/{}.png", "masks/{}.png", [f"img_{n:03d}" for n in range(20)])


def of_two_sizes(folder):
    cases.slices(folder)
    cases.save(folder / "images" / "slice_048.png", cases.picture(3, 64))
    cases.save(folder / "masks" / "slice_048.png", cases.squares(3, 1, 64))


def without_number(folder):
    cases.slices(folder)
    for part in ("images", "masks"):
        (folder / part / "slice_048.png").rename(folder / part / "last.png")


def few(folder):
    cases.slices(folder, count=7)


def alike_as_any(folder):
    """X-rays, say: each is like all others."""
    for number in range(20):
        cases.save(folder / "images" / f"{number}.png", cases.picture(99) // 2 + cases.picture(number) // 4)
        cases.save(folder / "masks" / f"{number}.png", cases.squares(number, 1))


@pytest.mark.parametrize("write", [unlike, of_two_sizes, without_number, few, alike_as_any])
def test_other_numbered_images_are_no_volume(tmp_path, write):
    write(tmp_path)
    assert grouping(tmp_path) == ({}, "")


def test_names_that_say_groups_come_first(tmp_path):
    cases.slices(tmp_path, ("mouse1_", "mouse2_", "mouse3_"))
    assert describe.describe(tmp_path, []).groups.pattern == "(mouse[0-9]+)_" and grouping(tmp_path) == ({}, "")


def test_splits_are_blocks_in_their_order_with_a_gap_between_them(tmp_path):
    cases.slices(tmp_path)
    description = describe.describe(tmp_path, [])
    findings = look.examine(description, str(tmp_path))
    assert findings.samples == {"train": 10, "val": 5, "test": 23}
    assert (findings.groups, findings.train_groups) == (10, 2)
    lines = list(evidence.of_findings(findings))
    assert "  groups    10; a group is: block of 5 consecutive images" in lines
    assert any("10 between two splits are left out" in line for line in lines)


def test_slices_with_annotation_files_are_a_volume_too(tmp_path):
    cases.slices(tmp_path)
    shutil.rmtree(tmp_path / "masks")
    names = [path.name for path in sorted((tmp_path / "images").iterdir())]
    ring = [5, 5, 20, 5, 20, 20, 5, 20]
    found = {
        "images": [{"id": n, "file_name": name, "width": 48, "height": 48} for n, name in enumerate(names)],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "segmentation": [ring]} for n in range(len(names))],
        "categories": [{"id": 1, "name": "cell"}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(found))
    assert grouping(tmp_path)[0] == ONE
    assert look.examine(describe.describe(tmp_path, []), str(tmp_path)).samples == {"train": 10, "val": 5, "test": 23}
