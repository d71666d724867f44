"""CVAT XML 1.1: small files whose pixels are written by hand, and damaged ones."""

from pathlib import Path

import pytest
from filled import drawn
from promptseg.annotations import cvat
from promptseg.core.errors import UserError

META = """<version>1.1</version><meta><task><name>cells</name><labels>
  <label><name>nucleus</name><color>#ff0000</color><type>any</type><attributes><attribute><name>age</name>
  </attribute></attributes></label>
  <label><name>cell</name><type>mask</type></label>
  <label><name>night</name><type>tag</type></label>
</labels></task></meta>"""


def file(folder: Path, shapes: str, head: str = '<?xml version="1.0" encoding="utf-8"?>') -> Path:
    path = folder / "annotations.xml"
    image = f'<image id="0" name="plate1/a.png" width="8" height="6">{shapes}</image>'
    path.write_text(f"{head}<annotations>{META}{image}</annotations>", "utf-8")
    return path


def shapes_of(path: Path):
    [found] = cvat.read(path)
    return found.shapes


@pytest.mark.parametrize(("shape", "expected"), [
    ('<polygon label="cell" points="1.0,1.0;5.0,1.0;5.0,4.0;1.0,4.0"/>',
     ["........", ".####...", ".####...", ".####...", "........", "........"]),
    ('<polygon label="cell" points="6,4;12,4;12,9;6,9"/>',
     ["........"] * 4 + ["......##"] * 2),
    ('<mask label="cell" rle="1, 2, 1, 4, 3, 1" left="2" top="1" width="4" height="3"/>',
     ["........", "...##...", "..####..", ".....#..", "........", "........"]),
    ('<mask label="cell" rle="0, 3, 1" left="7" top="5" width="1" height="4"/>', None),
    ('<box label="cell" xtl="2" ytl="1" xbr="6" ybr="3"/>',
     ["........", "..####..", "..####..", "........", "........", "........"]),
    ('<box label="cell" xtl="2" ytl="2" xbr="6" ybr="4" rotation="90.0"/>',
     ["........", "...##...", "...##...", "...##...", "...##...", "........"]),
    ('<ellipse label="cell" cx="4" cy="3" rx="3" ry="2"/>',
     ["........", "..####..", ".######.", ".######.", "..####..", "........"]),
    ('<ellipse label="cell" cx="4" cy="3" rx="2" ry="1" rotation="270"/>',
     ["........", "...##...", "...##...", "...##...", "...##...", "........"]),
], ids=["polygon", "polygon over the edge", "mask", "mask over the edge", "box", "turned box", "ellipse",
        "turned ellipse"])  # fmt: skip
def test_a_shape_has_the_pixels_that_it_has_in_cvat(tmp_path, shape, expected):
    [found] = shapes_of(file(tmp_path, shape))
    assert found.label == "cell" and found.instance is None
    if expected is None:
        assert found.mask is not None and found.mask.ravel().tolist() == [True] * 3 + [False]
        assert (found.top, found.left) == (5, 7)
    else:
        assert drawn(found, 6, 8) == expected


def test_a_box_is_turned_clockwise(tmp_path):
    [found] = shapes_of(file(tmp_path, '<box label="cell" xtl="0" ytl="2" xbr="8" ybr="4" rotation="45"/>'))
    x, y = found.rings[0].T
    assert (x[0], y[0]) == pytest.approx((4 - 3 / 2**0.5, 3 - 5 / 2**0.5)), "the left end is up"


def test_shapes_are_ordered_by_z_order_and_those_of_a_group_are_one_instance(tmp_path):
    square, age = 'points="0,0;2,0;2,2"', '<attribute name="age">3</attribute>'
    text = "".join(
        f'<polygon label="{label}" {square} z_order="{z}" group_id="{group}">{age}</polygon>'
        for label, z, group in (("a", 1, 7), ("b", 0, 7), ("c", 0, 0), ("a", -1, 7), ("a", 0, 9))
    )
    found = shapes_of(file(tmp_path, text))
    assert [(shape.label, shape.instance) for shape in found] == [("a", 1), ("b", 2), ("c", None), ("a", 3), ("a", 1)]
    assert found[0].at == "image plate1/a.png, polygon 4"


def test_images_come_in_the_order_of_the_file_with_name_and_size_and_the_classes_in_that_of_the_task(tmp_path):
    path = file(tmp_path, '<tag label="night"/>')
    text = path.read_text()
    path.write_text(text.replace("</annotations>", '<image id="1" name="b.png" width="4" height="4"/></annotations>'))
    assert cvat.matches(path) and cvat.classes(path) == ["nucleus", "cell"]
    found = [(each.image, each.height, each.width, each.shapes) for each in cvat.read(path)]
    assert found == [("plate1/a.png", 6, 8, ()), ("b.png", 4, 4, ())]


def test_lines_and_points_are_no_areas_and_counted(tmp_path):
    points = '<points label="cell" points="1,1"/>'
    skeleton = f'<skeleton label="cell">{points}</skeleton>'
    path = file(tmp_path, f'<polyline label="cell" points="0,0;1,1"/>{points}{points}{skeleton}')
    [found] = cvat.read(path)
    assert found.shapes == () and found.skipped == 4


@pytest.mark.parametrize(("shape", "message"), [
    ('<polygon label="cell" points="1,1;2,2"/>', "polygon 1: a polygon of 2 points has no area"),
    ('<polygon label="cell" points="1,1;2,2;1,1"/>', "polygon 1: a polygon of 2 points has no area"),
    ('<polygon label="cell" points="1,1;2,2;3"/>', "polygon 1: its points are not pairs of numbers"),
    ('<polygon label="cell" points="1,1;2,2;3,nan"/>', "polygon 1: its points are not pairs of numbers"),
    ('<polygon label="cell"/>', "polygon 1: it has no points"),
    ('<polygon points="1,1;2,2;3,1"/>', "polygon 1: it has no label"),
    ('<box label="cell" xtl="a" ytl="0" xbr="1" ybr="1"/>', "box 1: its xtl 'a' is not a number"),
    ('<ellipse label="cell" cx="1" cy="1" rx="inf" ry="1"/>', "ellipse 1: its radius is not a number"),
    ('<mask label="cell" rle="1, 2" left="0" top="0" width="2" height="2"/>',
     "mask 1: the run lengths of its rle should fill its 2 x 2 pixels"),
    ('<mask label="cell" rle="5, -1" left="0" top="0" width="2" height="2"/>',
     "mask 1: the run lengths of its rle should fill its 2 x 2 pixels"),
    ('<mask label="cell" rle="4, x" left="0" top="0" width="2" height="2"/>',
     "mask 1: its rle is not a list of run lengths"),
    ('<mask label="cell" rle="4" left="0" top="0" width="2"/>', "mask 1: it needs left, top, width and height"),
    ('<mask label="cell" rle="4" left="0" top="0" width="20000" height="20000"/>', "mask 1: its 20000 x 20000 pixels"),
    ('<polygon label="cell" points="0,0;1,1;2,0" z_order="top"/>', "polygon 1: its z_order 'top' is not a number"),
])  # fmt: skip
def test_a_damaged_shape_is_named_with_its_image_in_one_line(tmp_path, shape, message):
    path = file(tmp_path, shape)
    with pytest.raises(UserError) as error:
        list(cvat.read(path))
    assert str(error.value).startswith(f"{path}: image plate1/a.png, {message}") and "\n" not in str(error.value)


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(("text", "message"), [
    (f"{BOMB}<annotations><meta>&b;</meta></annotations>", "it has a document type"),
    ('<!DOCTYPE a SYSTEM "file:///etc/hostname"><annotations><meta/></annotations>', "it has a document type"),
    ('<annotations><meta/><track id="0" label="cell"/></annotations>', 'it is a "CVAT for video" file'),
    ('<annotations><meta/><image id="3" width="1"/></annotations>', "image 3: it has no name"),
    ('<annotations><meta/><image name="a" width="wide"/></annotations>', "image a: its width 'wide' is not a number"),
    ('<annotations><meta/><image name="a" width="99999" height="1e15"/></annotations>', "image a: its 99999 x 1000000"),
    ("<annotation><folder/></annotation>", "its root is <annotation>"),
    ('<annotations><meta/><image name="a">', "damaged XML"),
    ("<annotations><meta></annotations>", "damaged XML"),
    ('<?xml version="1.0" encoding="unknown"?><annotations/>', "damaged XML"),
    ("", "damaged XML"),
])  # fmt: skip
def test_a_damaged_file_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        list(cvat.read(path))
    assert str(error.value).startswith(f"{path}: {message}") and "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "expected"), [
    ('<?xml version="1.0"?>\n<annotations>\n  <version>1.1</version>', True),
    ('<annotations><track id="0"', True),
    ("<annotation><folder>x</folder>", False),
    ("<kml></kml>", False),
    ("", False),
])  # fmt: skip
def test_the_format_is_recognized_by_its_content(tmp_path, text, expected):
    (tmp_path / "a.xml").write_text(text)
    assert cvat.matches(tmp_path / "a.xml") is expected
