"""Files of every kind, damaged in every way: one line that names the file, or what was in it; never other data."""

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import writers
from damage import DAMAGES
from PIL import Image
from promptseg.annotations import coco
from promptseg.core import stage
from promptseg.core.devices import Processes
from promptseg.data import image_io, label_images, records
from promptseg.download import archives
from promptseg.evaluation import score_table
from promptseg.nn import weights
from promptseg.training import checkpoint_manager
from promptseg.training.checkpoint_manager import CheckpointManager

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
# Damages after which a file is read as before, as other programs read it: what follows its end is not looked at.
READ = {
    **dict.fromkeys(
        ("JPEG image", "WebP image", "TIFF image", "TIFF mask", "zip", "tar.gz", "pth", "split"), {"twice"}
    ),
    **dict.fromkeys(("PNG image", "PNG mask"), {"twice", "one byte short"}),
    "scores": {"twice"},
}
OTHER = {"WebP image": {"zeros in the middle"}}  # neither WebP nor JPEG has checksums


def refusal(call, path: Path, capsys) -> str:
    """The line with which a stage ends, code 1."""
    with pytest.raises(SystemExit) as ended:
        stage.guarded(lambda: call(path))
    line = capsys.readouterr().err
    assert ended.value.code == 1 and line.startswith("error: ") and line.count("\n") == 1
    return line


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_one_line_that_names_it(kind, tmp_path, capsys):
    name, write, read = KINDS[kind]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write(path)
    whole, data, same = path.read_bytes(), read(path), set()
    for damage, change in DAMAGES.items():
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        path.write_bytes(change(whole))
        try:
            found = read(path)
        except Exception:
            line = refusal(read, path, capsys)
            assert str(path) in line, f"{damage}: {line}"
        else:
            if damage not in OTHER.get(kind, ()):
                np.testing.assert_equal(found, data, f"{damage}: other data")
                same.add(damage)
    assert same == READ.get(kind, set())


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "twice"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "SHA256SUMS"])
def test_a_damaged_training_checkpoint_is_not_resumed_from(damage, name, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    writers.WRITERS["training checkpoint"].write(tmp_path / "resume/epoch-0002")
    manager = CheckpointManager(tmp_path / "resume", {"seed": 0}, weights.write, Processes())
    assert manager.exists() and len(manager.load().rows) == 1
    path = tmp_path / "resume/epoch-0002" / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert not manager.exists() and manager.load().rows == []
