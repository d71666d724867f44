"""Files of annotation formats, of datasets and of promptseg's own, mutated by hypothesis: read, or refused in one line.

What is no UserError is a bug, and so is an example that takes seconds or gigabytes.
"""

import io
import json
import resource
import shutil
import tarfile
import zipfile
from pathlib import Path

import mutations
import numpy as np
import pytest
import tifffile
import torch
import writers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from promptseg import annotations, datasets
from promptseg.annotations.rasterize import in_pixels, rasterize
from promptseg.core import files, study
from promptseg.core.errors import UserError
from promptseg.data import image_io, label_images, point_clouds, records
from promptseg.data.tiff_stack import Stack
from promptseg.download import archives
from promptseg.evaluation import score_table
from promptseg.nn import weights
from promptseg.studies import text as study_text
from scale import scaled

MEMORY = 6 << 30  # bytes that this process may map
LIMITS = {
    "deadline": 10_000, "derandomize": True,  # ms; nearly all take one
    "suppress_health_check": list(HealthCheck),
}  # fmt: skip
COCO = {
    "images": [{"id": 7, "file_name": "a.jpg", "height": 24, "width": 30}],
    "categories": [{"id": 1, "name": "cell"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [[1, 1, 9.5, 1, 4, 9]], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 1, "segmentation": {"size": [24, 30], "counts": [4, 2, 714]}},
        {"id": 3, "image_id": 7, "category_id": 1, "segmentation": {"size": [24, 30], "counts": "42`0"}},
    ],
}
LABELME = {
    "shapes": [
        {"label": "cell", "shape_type": "polygon", "points": [[1, 1], [9, 1], [4, 8.5]], "group_id": None},
        {"label": "cell", "shape_type": "rectangle", "points": [[1, 1], [9, 5]], "group_id": 2},
        {"label": "cell", "shape_type": "circle", "points": [[8, 8], [11, 8]]},
    ],
    "imagePath": "a.jpg", "imageHeight": 24, "imageWidth": 30,
}  # fmt: skip
RING = [[1, 1], [9, 1], [4, 8.5], [1, 1]]
QUPATH = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING]},
         "properties": {"objectType": "cell", "classification": {"name": "cell", "color": [1, 2, 3]}}},
        {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": [[RING], [RING]], "plane": {"z": 1}},
         "properties": {"classification": {"names": ["cell"]}}},
    ],
}  # fmt: skip
CVAT = b"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels><label><name>cell</name><type>any</type></label></labels></task>
</meta><image id="0" name="a.jpg" width="30" height="24">
<polygon label="cell" points="1.0,1.0;9.5,1.0;4.0,8.0" z_order="1" group_id="2"></polygon>
<box label="cell" xtl="1.5" ytl="2.0" xbr="8.0" ybr="9.0" rotation="30.0" z_order="0"></box>
<ellipse label="cell" cx="9.0" cy="8.0" rx="4.0" ry="3.0" rotation="10.0" z_order="0"></ellipse>
<mask label="cell" rle="2, 3, 1" left="3" top="4" width="3" height="2" z_order="0"></mask>
</image></annotations>
"""
YOLO = b"0 0.25 0.31 0.27 0.35 0.24 0.36\n1 0.5 0.5 0.75 0.5 0.75 0.75 0.5 0.75\n"
GRAY = np.random.default_rng(0).integers(0, 256, (24, 30), np.uint8)


@pytest.fixture(autouse=True, scope="module")
def limited_memory():
    """An allocation beyond the limit is a MemoryError, which is no UserError."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY + _mapped(), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def _mapped() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def encoded(value) -> bytes:
    return json.dumps(value).encode()


def roi() -> bytes:
    import roifile

    return roifile.ImagejRoi.frompoints(np.array([[1, 1], [9, 1], [4, 8]], np.float32)).tobytes()


def zipped(**contents: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in contents.items():
            file.writestr(zipfile.ZipInfo(name.replace("_", ".")), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def packed(mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as file:
        for name in ("a/x", "b"):
            info = tarfile.TarInfo(name)
            info.size = 700
            file.addfile(info, io.BytesIO(bytes(range(70)) * 10))
    return out.getvalue()


def saved(kind: str, **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(GRAY).save(out, kind, **options)
    return out.getvalue()


def tiff(values, **options) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, values, **options)
    return out.getvalue()


def annotated(path: Path) -> None:
    """All that a dataset does with an annotation file."""
    (path.parent / "data.yaml").write_text("names: [cell, spot]")
    module = annotations.recognize(path)
    if module is None:
        return
    if hasattr(module, "classes"):
        module.classes(path)
    for found in module.read(path):
        rasterize(in_pixels(found, 24, 30), {"cell": 1, "spot": 2, "object": 3}, 24, 30, str(path))


def opened(path: Path) -> None:
    for read in (image_io.image_size, image_io.jpeg_bytes, lambda each: image_io.read_image(each, (0, 255)),
                 lambda each: image_io.read_mask(each, dict.fromkeys(range(256), 1)), label_images.read_labels,
                 label_images.palette_of):  # fmt: skip
        _allowed(read, path)


def stacked(path: Path) -> None:
    stack = Stack(path, (0, 255))
    for index in range(min(3, len(stack))):
        stack[index]


def unpacked(path: Path) -> None:
    out = path.with_name("out")
    shutil.rmtree(out, ignore_errors=True)
    archives.unpack(path, out)


def of_tables(path: Path) -> None:
    _allowed(lambda each: list(records.open_split(each)), path)
    _allowed(lambda each: list(records.open_predictions(each)), path)
    score_table.read_summary(path)
    score_table.read_counts(path)


def of_points(path: Path) -> None:
    points = point_clouds.read_text(path, 3, ",")
    point_clouds.encode(points)


def _allowed(read, path: Path) -> None:
    """Read a file; a refusal is one line that names it."""
    try:
        read(path)
    except UserError as error:
        assert "\n" not in str(error) and str(path.parent) in str(error), error


def pth() -> bytes:
    out = io.BytesIO()
    torch.save({"a.weight": torch.ones(5), "a.bias": torch.arange(3.0)}, out)
    return out.getvalue()


def legacy() -> bytes:
    out = io.BytesIO()
    torch.save({"a.weight": torch.ones(5)}, out, _use_new_zipfile_serialization=False)
    return out.getvalue()


def made(kind: str, inner: str = "") -> bytes:
    """What one of the writers writes."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / writers.WRITERS[kind].name
        writers.WRITERS[kind].write(path)
        return (path / inner if inner else path).read_bytes()


STACK = np.stack([GRAY] * 3)
# The file's name, what it holds before it is mutated, by which mutations, what reads it, and how often of 100.
KINDS = {
    "COCO": ("a.json", lambda: [encoded(COCO)], "json text bytes", annotated, 100),
    "labelme": ("a.json", lambda: [encoded(LABELME)], "json text bytes", annotated, 100),
    "QuPath": ("a.geojson", lambda: [encoded(QUPATH)], "json text bytes", annotated, 100),
    "CVAT": ("a.xml", lambda: [CVAT], "text bytes", annotated, 100),
    "YOLO": ("a.txt", lambda: [YOLO], "text bytes", annotated, 100),
    "ImageJ": ("a.roi", lambda: [roi()], "bytes", annotated, 100),
    "ImageJ archive": ("a.zip", lambda: [zipped(a_roi=roi(), b_roi=roi())], "bytes", annotated, 100),
    "images": (
        "a.png", lambda: [saved("PNG"), saved("JPEG"), saved("WEBP", lossless=True), saved("TIFF"), saved("GIF")],
        "bytes", opened, 100,
    ),
    "TIFF": (
        "a.tif",
        lambda: [tiff(STACK), tiff(STACK, compression="zlib"), tiff(STACK.astype(np.uint16), imagej=True),
                 tiff(np.dstack([GRAY] * 3), tile=(16, 16), photometric="rgb"), tiff(STACK, bigtiff=True, ome=True)],
        "bytes", lambda path: (opened(path), stacked(path)), 100,
    ),
    "zip": ("a.zip", lambda: [zipped(a_x=bytes(900), b=b"1")], "bytes", unpacked, 100),
    "tar": ("a.tar", lambda: [packed("w:")], "bytes", unpacked, 100),
    "tar.gz": ("a.tar.gz", lambda: [packed("w:gz")], "bytes", unpacked, 100),
    "Parquet": ("a.parquet", lambda: [made("split"), made("scores")], "bytes", of_tables, 100),
    "pth": ("a.pth", lambda: [pth(), legacy()], "bytes", weights.tensors, 100),
    "safetensors": ("a.safetensors", lambda: [made("weights", weights.TENSORS)], "bytes text", weights.tensors, 100),
    "points": ("a.txt", lambda: [b"0.1,0.2,0.3\n-0.5,0.25,1.0\n1.5,2.5,3.5\n"], "text bytes", of_points, 50),
    "params.yaml": (
        "params.yaml", lambda: [study_text(name).encode() for name in ("default", "today")], "text bytes", study.load,
        40,
    ),
}  # fmt: skip
BY_NAME = {"json": mutations.of_json, "text": mutations.of_text, "bytes": mutations.of_bytes}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_read_or_refused_in_one_line(kind, tmp_path):
    name, seeds, kinds, read, share = KINDS[kind]
    originals, tried = seeds(), [0]
    for original in originals:
        (tmp_path / name).write_bytes(original)
        if name != "a.parquet":  # which hold a split or scores, and not both
            _allowed(read, tmp_path / name)

    @settings(max_examples=scaled(20 * share), **LIMITS)
    @given(st.one_of([BY_NAME[each](originals) for each in kinds.split()]))
    def fuzz(data):
        tried[0] += 1
        (tmp_path / name).write_bytes(data)
        _allowed(read, tmp_path / name)

    fuzz()
    print(f"fuzzing {kind}: {tried[0]} files")


# Datasets whose files are text, or whose pixels have a meaning of their own.
DATASETS = ("cityscapes", "coco_stuff", "em", "fss", "modelnet40", "pets", "phrasecut", "shapenet_part", "voc")


@pytest.mark.parametrize("name", DATASETS)
def test_a_mutated_file_of_a_dataset_is_read_or_refused_in_one_line(name, written_sample, tmp_path):
    folder = shutil.copytree(written_sample(name), tmp_path / "raw")
    reader, tried = datasets.load(name), [0]
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    # As many of each suffix, since one annotation file may stand for all images.
    by_suffix: dict[str, list[Path]] = {}
    for path in paths:
        by_suffix.setdefault(path.suffix, []).append(path)
    chosen = [path for same in by_suffix.values() for path in same[:: -(-len(same) // 3)]]

    @settings(max_examples=scaled(60), **LIMITS)
    @given(st.sampled_from(chosen), st.data())
    def fuzz(path, data):
        tried[0] += 1
        original = path.read_bytes()
        text = original.isascii() and len(original) < 100_000
        mutation = st.one_of([mutations.of_bytes([original]), *[mutations.of_text([original])] * text])
        try:
            path.write_bytes(data.draw(mutation))
            datasets.verify(reader, folder)
            for _, sample in zip(range(4), reader.read(folder)):
                sample.image(), sample.mask()
        except UserError as error:
            assert "\n" not in str(error)
        finally:
            path.write_bytes(original)

    fuzz()
    print(f"fuzzing {name}: {tried[0]} files")
    assert files.sha256(folder) == files.sha256(written_sample(name))
