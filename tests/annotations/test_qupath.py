"""GeoJSON of QuPath: small files whose pixels are written by hand, and damaged ones."""

import json
from pathlib import Path

import pytest
from filled import drawn
from promptseg.annotations import qupath
from promptseg.core.errors import UserError

SQUARE = [[1, 1], [6, 1], [6, 5], [1, 5], [1, 1]]
HOLE = [[2, 2], [5, 2], [5, 4], [2, 4], [2, 2]]
ISLAND = [[3, 3], [4, 3], [4, 4], [3, 4], [3, 3]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE]}
WITH_HOLE = {"type": "Polygon", "coordinates": [SQUARE, HOLE]}
TUMOR = {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}}


def feature(geometry: object, properties: dict | None = None, **more) -> dict:
    return {"type": "Feature", "id": "1", "geometry": geometry, "properties": properties or {}} | more


def file(folder: Path, content: object) -> Path:
    path = folder / "slide.geojson"
    path.write_text(json.dumps(content))
    return path


def shapes_of(path: Path):
    [found] = qupath.read(path)
    assert (found.image, found.height, found.width) == ("", None, None)
    return found.shapes


@pytest.mark.parametrize("content", [
    {"type": "FeatureCollection", "features": [feature(WITH_HOLE, TUMOR)]},
    [feature(WITH_HOLE, TUMOR)],
    feature(WITH_HOLE, TUMOR),
], ids=["collection", "list", "feature"])  # fmt: skip
def test_a_polygon_has_its_hole_in_each_form_of_a_file(tmp_path, content):
    path = file(tmp_path, content)
    [found] = shapes_of(path)
    assert qupath.matches(path) and (found.label, found.instance) == ("Tumor", None)
    assert drawn(found, 6, 8) == ["........", ".#####..", ".#...#..", ".#...#..", ".#####..", "........"]


def test_the_polygons_of_a_multipolygon_are_one_instance_and_one_in_a_hole_is_not_cut_out(tmp_path):
    several = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [ISLAND]]}
    first, island, other = shapes_of(file(tmp_path, [feature(several, TUMOR), feature(POLYGON, TUMOR)]))
    assert drawn(first, 6, 8) == ["........", ".#####..", ".#...#..", ".#...#..", ".#####..", "........"]
    assert drawn(island, 6, 8) == ["........", "........", "........", "...#....", "........", "........"]
    assert first.instance == island.instance == 1 and other.instance is None


@pytest.mark.parametrize(("classification", "expected"), [
    ({"name": "Tumor", "colorRGB": -3670016}, "Tumor"),
    ("Tumor", "Tumor"),
    ({"names": ["Tumor", "Positive"]}, "Tumor: Positive"),
])  # fmt: skip
def test_a_class_is_named_in_each_way_that_versions_of_qupath_write(tmp_path, classification, expected):
    path = file(tmp_path, [feature(POLYGON, {"classification": classification})])
    assert [shape.label for shape in shapes_of(path)] == [expected]


def test_without_any_class_all_are_objects_but_one_without_among_others_is_named(tmp_path):
    path = file(tmp_path, [feature(POLYGON), feature(POLYGON, {"classification": None})])
    assert [shape.label for shape in shapes_of(path)] == ["object", "object"]
    path = file(tmp_path, [feature(POLYGON, TUMOR), feature(POLYGON, {"name": "left"})])
    with pytest.raises(UserError, match=r"^[^\n]*slide.geojson: feature 2 has no class, where others have one[^\n]*$"):
        shapes_of(path)


def test_cells_lie_on_the_annotation_around_them_whatever_the_order_and_their_nuclei_are_no_objects(tmp_path):
    cell = feature(POLYGON, {"objectType": "cell", "classification": "Cell"}, nucleusGeometry=WITH_HOLE)
    path = file(tmp_path, [cell, feature(POLYGON, TUMOR), feature(POLYGON, TUMOR | {"objectType": "detection"})])
    found = [(shape.label, shape.at) for shape in shapes_of(path)]
    assert found == [("Tumor", "feature 2"), ("Cell", "feature 1"), ("Tumor", "feature 3")]


def test_points_and_lines_are_no_areas_and_counted(tmp_path):
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    path = file(tmp_path, [feature(line), feature({"type": "Point", "coordinates": [1, 1]}), feature(POLYGON, TUMOR)])
    [found] = qupath.read(path)
    assert [shape.at for shape in found.shapes] == ["feature 3"] and found.skipped == 2


def test_objects_on_several_planes_are_of_several_images(tmp_path):
    planes = [feature(POLYGON | {"plane": {"c": -1, "z": z, "t": 0}}) for z in (0, 3)]
    assert len(shapes_of(file(tmp_path, planes[1:] * 2))) == 2
    with pytest.raises(UserError, match=r"its objects are on 2 planes of a stack; export one file for each plane"):
        shapes_of(file(tmp_path, planes))
    unset = feature(POLYGON)  # on the first plane
    with pytest.raises(UserError, match="2 planes"):
        shapes_of(file(tmp_path, [unset, planes[1]]))


@pytest.mark.parametrize(("geometry", "message"), [
    ({"type": "Polygon", "coordinates": [[[1, 1], [2, 2], [1, 1]]]}, "a polygon of 2 points has no area"),
    ({"type": "Polygon", "coordinates": [SQUARE, [[1, 1], [2, 2], [1, 1]]]}, "a polygon of 2 points has no area"),
    ({"type": "MultiPolygon", "coordinates": [[SQUARE], [[[0, 0]]]]}, "a polygon of 1 point has no area"),
    ({"type": "Polygon", "coordinates": [[[1, 1], [2, "x"], [3, 3]]]}, "its points are not pairs of numbers"),
    ({"type": "Polygon", "coordinates": [[[1, 1], [2], [3, 3]]]}, "its points are not pairs of numbers"),
    ({"type": "Polygon", "coordinates": []}, "it has no coordinates"),
    ({"type": "Polygon", "coordinates": 3}, "it has no coordinates"),
    ({"type": "MultiPolygon", "coordinates": [[]]}, "it has no coordinates"),
    ({"type": "Polygon"}, "it has no coordinates"),
])  # fmt: skip
def test_a_damaged_outline_is_named_in_one_line(tmp_path, geometry, message):
    path = file(tmp_path, [feature(POLYGON), feature(geometry)])
    with pytest.raises(UserError) as error:
        shapes_of(path)
    assert str(error.value).startswith(f"{path}: feature 2: {message}") and "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "message"), [
    (json.dumps([feature(POLYGON)])[:-20], "damaged JSON"),
    ("", "damaged JSON"),
    ("[" * 100_000, "damaged JSON"),
    ("3", "it is not GeoJSON with features"),
    ('{"type": "FeatureCollection"}', "it is not GeoJSON with features"),
    ('{"type": "Polygon", "coordinates": [[[1, 1], [2, 2], [3, 1]]]}', "feature 1 is not a GeoJSON feature"),
    ('[{"type": "Feature", "geometry": null}]', "feature 1 has no geometry"),
    ('[{"type": "Feature", "geometry": {}, "properties": 3}]', "feature 1 is not a GeoJSON feature"),
])  # fmt: skip
def test_a_damaged_file_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "a.geojson"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        list(qupath.read(path))
    assert str(error.value).startswith(f"{path}: {message}") and "\n" not in str(error.value)


def test_a_file_without_objects_is_an_image_without_any(tmp_path):
    path = file(tmp_path, {"type": "FeatureCollection", "features": []})
    assert shapes_of(path) == ()


@pytest.mark.parametrize(("text", "expected"), [
    ('\ufeff{\n  "type": "FeatureCollection",\n', True),
    ('[{"id": "x", "type" : "Feature"', True),
    ('{"images": [], "annotations": []}', False),
    ('{"shapes": [{"label": "a"}], "imagePath": "a.png"}', False),
    ("[1, 2]", False),
    ("", False),
])  # fmt: skip
def test_the_format_is_recognized_by_its_content(tmp_path, text, expected):
    (tmp_path / "a.json").write_text(text, "utf-8")
    assert qupath.matches(tmp_path / "a.json") is expected
