"""ROIs of ImageJ, written here byte by byte: their pixels, and damaged ones."""

import struct
import sys
import zipfile
from pathlib import Path

import pytest
from filled import filled
from promptseg.annotations import imagej
from promptseg.core.errors import UserError

POLYGON, RECTANGLE, OVAL, LINE, POLYLINE, FREEHAND, TRACED, POINT = 0, 1, 2, 3, 5, 7, 8, 10
SUB_PIXEL = 128  # option
BOX = (1, 1, 6, 5)  # left, top, right, bottom
TRIANGLE = [(0, 0), (5, 0), (0, 4)]
TRIANGLE_PIXELS = ["........", ".####...", ".###....", ".##.....", ".#......", "........"]


def roi(kind: int, box=BOX, points=(), sub_pixel=(), path=(), position: int = 0) -> bytes:
    """The bytes of a ROI. points: from the corner of its box; path: of a composite one."""
    left, top, right, bottom = box
    options = SUB_PIXEL if len(sub_pixel) else 0
    size = sub_pixel if len(sub_pixel) == 4 and not points else (0, 0, 0, 0)
    header = struct.pack(">4shBxhhhhH4f", b"Iout", 227, kind, top, left, bottom, right, len(points), *size)
    header += struct.pack(">hi4s4shhBBhii", 0, len(path), b"", b"", 0, options, 0, 0, 0, position, 0)
    content = b"".join(struct.pack(f">{len(points)}h", *values) for values in zip(*points, strict=True))
    if points and sub_pixel:
        content += b"".join(struct.pack(f">{len(points)}f", *values) for values in zip(*sub_pixel, strict=True))
    return header + content + struct.pack(f">{len(path)}f", *path)


def loop(*points) -> list[float]:
    """A closed path of a composite ROI: move, lines, close."""
    return [value for number, point in enumerate(points) for value in (min(number, 1), *point)] + [4]


def file(folder: Path, content: bytes) -> Path:
    path = folder / "cell.roi"
    path.write_bytes(content)
    return path


def archive(folder: Path, **members: bytes) -> Path:
    path = folder / "RoiSet.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.roi", content)
    return path


def shapes_of(path: Path):
    pytest.importorskip("roifile")
    [found] = imagej.read(path)
    assert (found.image, found.height, found.width) == ("", None, None)
    return found.shapes


def drawn(shapes) -> list[str]:
    mask = sum(filled(shape, 6, 8).astype(int) for shape in shapes)
    return ["".join(".#2"[value] for value in row) for row in mask]


RING = loop((1, 1), (6, 1), (6, 5), (1, 5)) + loop((2, 2), (2, 4), (5, 4), (5, 2))


@pytest.mark.parametrize(("content", "expected"), [
    (roi(RECTANGLE), ["........", *[".#####.."] * 4, "........"]),
    (roi(RECTANGLE, (5, 4, 20, 20)), [*["........"] * 4, ".....###", ".....###"]),
    (roi(RECTANGLE, sub_pixel=(1.6, 1.4, 3.0, 2.0)), ["........", "..###...", "..###...", *["........"] * 3]),
    (roi(OVAL, (1, 1, 7, 5)), ["........", "..####..", ".######.", ".######.", "..####..", "........"]),
    (roi(POLYGON, points=TRIANGLE), TRIANGLE_PIXELS),
    (roi(FREEHAND, points=TRIANGLE), TRIANGLE_PIXELS),
    (roi(TRACED, points=TRIANGLE), TRIANGLE_PIXELS),
    (roi(POLYGON, points=TRIANGLE, sub_pixel=[(2.5, 2.5), (5.5, 2.5), (5.5, 4.5)]), None),
    (roi(RECTANGLE, path=RING), ["........", ".#####..", ".#...#..", ".#...#..", ".#####..", "........"]),
    (roi(RECTANGLE, path=RING + loop((3, 2), (4, 2), (4, 4), (3, 4))),
     ["........", ".#####..", ".#.#.#..", ".#.#.#..", ".#####..", "........"]),
    (roi(RECTANGLE, path=loop((0, 0), (2, 0), (2, 2), (0, 2)) + loop((2, 2), (4, 2), (4, 4), (2, 4))),
     ["##......", "##......", "..##....", "..##....", "........", "........"]),
], ids=["rectangle", "over the edge", "sub-pixel rectangle", "oval", "polygon", "freehand", "traced",
        "sub-pixel polygon", "hole", "island in a hole", "two areas"])  # fmt: skip
def test_a_roi_has_the_pixels_that_it_has_in_imagej(tmp_path, content, expected):
    found = shapes_of(file(tmp_path, content))
    assert {shape.label for shape in found} == {"object"} and len({shape.instance for shape in found}) == 1
    if expected is None:
        assert found[0].rings[0].tolist() == [[2.5, 2.5], [5.5, 2.5], [5.5, 4.5]], "these coordinates hold"
    else:
        assert drawn(found) == expected


def test_the_rois_of_an_archive_are_instances_in_its_order(tmp_path):
    members = {"0002-0003": roi(RECTANGLE), "0001-0001": roi(POLYGON, points=TRIANGLE)}
    path = archive(tmp_path, **members)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("__MACOSX/._0002-0003.roi", b"aside")
    found = shapes_of(path)
    assert [(shape.at, shape.instance) for shape in found] == [("0002-0003.roi", 1), ("0001-0001.roi", 2)]
    assert drawn(found)[1] == ".2222#.."


def test_lines_and_points_are_no_areas_and_counted(tmp_path):
    rois = {"a": roi(LINE), "b": roi(POINT, points=[(0, 0)]), "c": roi(POINT, points=[(0, 0)]), "d": roi(RECTANGLE)}
    path = archive(tmp_path, **rois, e=roi(POLYLINE, points=TRIANGLE))
    pytest.importorskip("roifile")
    [found] = imagej.read(path)
    assert [shape.at for shape in found.shapes] == ["d.roi"] and found.skipped == 4


def test_rois_on_several_slices_are_of_several_images(tmp_path):
    assert len(shapes_of(archive(tmp_path, a=roi(RECTANGLE, position=3), b=roi(RECTANGLE)))) == 2
    with pytest.raises(UserError, match="its ROIs are on 2 slices of a stack; save one file for each slice"):
        shapes_of(archive(tmp_path, a=roi(RECTANGLE, position=1), b=roi(RECTANGLE, position=2)))


@pytest.mark.parametrize("content", [
    b"",
    b"Iout",
    b"text" + roi(RECTANGLE)[4:],
    roi(POLYGON, points=TRIANGLE)[:-4],
    roi(POLYGON, points=TRIANGLE[:2]),
    roi(99),
    roi(RECTANGLE, path=[2, 0, 0, 1, 1]),
    roi(RECTANGLE, path=RING)[:-40],
    roi(RECTANGLE, path=[0, 1]),
    roi(RECTANGLE, sub_pixel=(0.0, 0.0, float("nan"), 1.0)),
], ids=["empty", "head", "other magic", "truncated", "two points", "unknown type", "curve", "truncated path",
        "path of one number", "nan"])  # fmt: skip
def test_a_damaged_roi_is_named_in_one_line(tmp_path, content):
    for path, at in ((file(tmp_path, content), "ROI"), (archive(tmp_path, a=roi(RECTANGLE), b=content), "b.roi")):
        with pytest.raises(UserError) as error:
            shapes_of(path)
        assert str(error.value).startswith(f"{path}: {at}: not a readable ROI (") and "\n" not in str(error.value)


def test_a_truncated_archive_and_a_member_that_is_no_roi_by_far_are_refused(tmp_path, monkeypatch):
    path = archive(tmp_path, a=roi(RECTANGLE))
    monkeypatch.setattr(imagej, "_MAX_BYTES", 20)
    with pytest.raises(UserError, match="RoiSet.zip: a.roi is larger than any ROI"):
        shapes_of(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert not imagej.matches(path)
    with pytest.raises(UserError, match="RoiSet.zip: damaged archive"):
        shapes_of(path)


def test_a_member_that_does_not_decompress_is_refused(tmp_path):
    path = tmp_path / "RoiSet.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.roi", roi(RECTANGLE))
    data = bytearray(path.read_bytes())
    data[39:43] = b"\xff\xff\xff\xff"  # behind the header of 30 bytes and the name
    path.write_bytes(data)
    assert imagej.matches(path)
    with pytest.raises(UserError, match="RoiSet.zip: damaged archive"):
        shapes_of(path)


def test_without_roifile_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "roifile", None)
    with pytest.raises(UserError, match=r"^[^\n]*cell.roi: ROIs of ImageJ need [^\n]*`pip install roifile`$"):
        list(imagej.read(file(tmp_path, roi(RECTANGLE))))


def test_the_format_is_recognized_by_its_content(tmp_path):
    assert imagej.matches(file(tmp_path, roi(RECTANGLE))) and imagej.matches(archive(tmp_path, a=b"", b=b""))
    assert not imagej.matches(file(tmp_path, b"PK..")) and not imagej.matches(archive(tmp_path))
    with zipfile.ZipFile(tmp_path / "RoiSet.zip", "a") as opened:
        opened.writestr("images/a.png", b"")
    assert not imagej.matches(tmp_path / "RoiSet.zip")
