"""Files of each kind that promptseg reads, made by other programs or by itself, and what reads them."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import tifffile
import torch
import writers
from PIL import Image
from promptseg.annotations import coco
from promptseg.data import image_io, label_images, records
from promptseg.download import archives
from promptseg.evaluation import score_table
from promptseg.nn import weights

RGB = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)
MASK = (RGB[..., 0] > 99).astype(np.uint8)
TENSORS = {"a.weight": torch.arange(999.0), "a.bias": torch.ones(3)}
COCO = {
    "images": [{"id": 7, "file_name": "a.jpg", "height": 24, "width": 30}],
    "categories": [{"id": 1, "name": "cell"}],
    "annotations": [
        {"id": number, "image_id": 7, "category_id": 1, "segmentation": [[1, 1, number + 9.5, 1, 4, 9]]}
        for number in range(20)
    ],
}


def pack(path: Path) -> None:
    contents = {"a/x.png": image_io.encode_png(RGB), "a/y.txt": b"words " * 99}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in contents.items():
                file.writestr(zipfile.ZipInfo(name), data)
        return
    with tarfile.open(path, "w:gz") as file:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


def unpacked(path: Path) -> dict[str, bytes]:
    out = path.with_name("out")
    archives.unpack(path, out)
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}


def split_of(path: Path) -> list:
    return list(records.open_split(path))


def scores_of(path: Path) -> tuple:
    return score_table.read_counts(path), score_table.read_summary(path)


def annotated(path: Path) -> list:
    return [[(shape.label, shape.at, *map(np.ndarray.tolist, shape.rings)) for shape in found.shapes]
            for found in coco.read(path)]  # fmt: skip


def tensors(path: Path) -> dict[str, list]:
    return {name: value.tolist() for name, value in weights.tensors(path).items()}


def of_folder(path: Path) -> dict[str, list]:
    return {name: value.tolist() for name, value in weights.read(path.parent)[1].items()}


# The name of the file, what writes it, and what reads all of it.
KINDS = {
    "PNG image": ("a.png", lambda path: Image.fromarray(RGB).save(path), image_io.read_image),
    "JPEG image": ("a.jpg", lambda path: Image.fromarray(RGB).save(path, quality=95), image_io.read_image),
    "WebP image": ("a.webp", lambda path: Image.fromarray(RGB).save(path, lossless=True), image_io.read_image),
    "TIFF image": (
        "a.tif", lambda path: tifffile.imwrite(path, RGB, photometric="rgb", compression="zlib"), image_io.read_image,
    ),
    "PNG mask": (
        "a.png", lambda path: Image.fromarray(MASK).save(path), lambda path: image_io.read_mask(path, {0: 0, 1: 1}),
    ),
    "TIFF mask": (
        "a.tif", lambda path: tifffile.imwrite(path, MASK, compression="zlib"),
        lambda path: label_images.read_labels(path).values,
    ),
    "zip": ("a.zip", pack, unpacked),
    "tar.gz": ("a.tar.gz", pack, unpacked),
    "pth": ("a.pth", lambda path: torch.save(TENSORS, path), tensors),
    "weights": ("w/model.safetensors", lambda path: weights.write(path.parent, {}, TENSORS), of_folder),
    "split": ("a.parquet", writers.WRITERS["split"].write, split_of),
    "scores": ("a.parquet", writers.WRITERS["scores"].write, scores_of),
    "COCO": ("a.json", lambda path: path.write_text(json.dumps(COCO)), annotated),
}  # fmt: skip
