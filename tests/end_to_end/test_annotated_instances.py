"""Instances from annotation files of CVAT, QuPath and ImageJ to prompts, equal to those of label images."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cells import CELLS, COUNT, Write, count, png, prepared
from promptseg.data import records


def corners(cells: np.ndarray) -> list[list[tuple[int, int]]]:
    """The outline of each cell, a square, as x and y."""
    found = []
    for number in range(1, cells.max() + 1):
        ys, xs = np.nonzero(cells == number)
        left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
        found.append([(int(x), int(y)) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))])
    return found


def cvat_polygon(points: list[tuple[int, int]]) -> str:
    text = ";".join(f"{x}.00,{y}.00" for x, y in points)
    return f'<polygon label="cell" points="{text}" z_order="0"/>'


def cvat_mask(points: list[tuple[int, int]]) -> str:
    (left, top), (right, bottom) = points[0], points[2]
    area = (right - left) * (bottom - top)
    box = f'left="{left}" top="{top}" width="{right - left}" height="{bottom - top}"'
    return f'<mask label="cell" rle="0, {area}" {box} z_order="0"/>'


def cvat(shape) -> Write:
    def write(folder: Path, name: str, cells: np.ndarray) -> None:
        path, size = folder / "annotations.xml", f'width="{cells.shape[1]}" height="{cells.shape[0]}"'
        before = path.read_text().removesuffix("</annotations>") if path.exists() else "<annotations><meta/>"
        shapes = "".join(map(shape, corners(cells)))
        path.write_text(f'{before}<image id="0" name="{name}.png" {size}>{shapes}</image></annotations>')

    return write


def qupath(folder: Path, name: str, cells: np.ndarray) -> None:
    outlines = [[*points, points[0]] for points in corners(cells)]
    about = {"objectType": "cell", "classification": {"name": "cell"}}
    features = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [points]}, "properties": about}
        for points in outlines
    ]
    (folder / f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def imagej(folder: Path, name: str, cells: np.ndarray) -> None:
    roifile = pytest.importorskip("roifile")
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        for number, points in enumerate(corners(cells)):
            archive.writestr(f"{number:04d}.roi", roifile.ImagejRoi.frompoints(np.array(points)).tobytes())


@pytest.mark.parametrize(("write", "annotations"), [
    (cvat(cvat_polygon), "annotations.xml"),
    (cvat(cvat_mask), "annotations.xml"),
    (qupath, "{name}.geojson"),
    (imagej, "{name}.zip"),
], ids=["CVAT polygons", "CVAT masks", "QuPath", "ImageJ"])  # fmt: skip
def test_annotated_cells_make_the_mask_and_the_prompts_of_a_label_image(tmp_path, write, annotations):
    (record,), metadata, summary = prepared(tmp_path, write, {"annotations": annotations})
    assert (records.mask(record) == (CELLS > 0)).all() and (records.instances(record) == CELLS).all()
    assert count(record, metadata) == COUNT and summary["test"]["instances"] == "given"
    (tmp_path / "labels").mkdir()
    label_image = lambda folder, name, cells: png(folder / f"labels/{name}.png", cells, np.uint16)  # noqa: E731
    (other,), _, _ = prepared(tmp_path / "labels", label_image, {"masks": "labels/{name}.png"})
    assert (record.image, record.mask, record.instances) == (other.image, other.mask, other.instances)
