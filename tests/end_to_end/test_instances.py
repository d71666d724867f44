"""Instances from a user's masks to prompts: each keeps its own, however masks are stored, resized and tiled."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from cells import CELLS, COUNT, SIDE, count, png, prepared
from promptseg.data import records


def tiff(path: Path, values: np.ndarray, dtype: type, **settings) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values.astype(dtype), **settings)


def one_an_instance(folder: Path, name: str, cells: np.ndarray) -> None:
    for number in range(1, cells.max() + 1):
        png(folder / f"masks/{name}_{number}.png", (cells == number) * 255)


def by_class(folder: Path, name: str, cells: np.ndarray) -> None:
    """Instances of a class in its folder: cells, and their nuclei, which overlap them."""
    for number in range(1, cells.max() + 1):
        ys, xs = np.nonzero(cells == number)
        nucleus = np.zeros(cells.shape, bool)
        nucleus[ys.min() + 3 : ys.max() - 2, xs.min() + 3 : xs.max() - 2] = True
        png(folder / f"masks/cell/{name}_{number}.png", (cells == number) * 255)
        png(folder / f"masks/nucleus/{name}_{number}.png", nucleus * 255)


def numbered_by_class(folder: Path, name: str, cells: np.ndarray) -> None:
    """A label image of each class: the nuclei lie in the upper half of their cells."""
    tiff(folder / f"masks/cell/{name}.tif", cells, np.uint16)
    upper = (np.arange(cells.shape[0]) - 6) % SIDE < SIDE // 2
    tiff(folder / f"masks/nucleus/{name}.tif", np.where(upper[:, None], cells, 0), np.uint32)


@pytest.mark.parametrize(("write", "masks"), [
    (lambda folder, name, cells: png(folder / f"{name}_cp_masks.png", cells, np.uint16), "{name}_cp_masks.*"),
    (lambda folder, name, cells: png(folder / f"{name}_cp_masks.png", cells, np.uint8), "{name}_cp_masks.*"),
    (lambda folder, name, cells: tiff(folder / f"{name}_cp_masks.tif", cells, np.uint16), "{name}_cp_masks.*"),
    (lambda folder, name, cells: tiff(folder / f"labels/{name}.tif", cells, np.uint32), "labels/{name}.tif"),
    (lambda folder, name, cells: tiff(folder / f"labels/{name}.tif", cells, np.int32, compression="zlib"),
     "labels/{name}.tif"),
    (lambda folder, name, cells: tiff(folder / f"labels/{name}.tif", cells * 70_000, np.uint32), "labels/{name}.tif"),
    (lambda folder, name, cells: tiff(folder / f"labels/{name}.tif", cells, np.int64), "labels/{name}.tif"),
    (one_an_instance, "masks/{name}_*.png"),
], ids=["Cellpose, 16 bits", "Cellpose, 8 bits", "Cellpose, TIFF", "napari, 32 bits", "micro-sam, 32 bits signed",
        "ids beyond 16 bits", "64 bits", "a file an instance"])  # fmt: skip
def test_touching_instances_keep_prompts_of_their_own(tmp_path, write, masks):
    (record,), metadata, summary = prepared(tmp_path, write, {"masks": masks})
    assert (records.mask(record) == (CELLS > 0)).all() and count(record, metadata) == COUNT
    assert summary["test"]["instances"] == summary["train"]["instances"] == "given"


def test_a_binary_mask_of_the_same_cells_is_one_component_and_the_summary_says_so(tmp_path):
    write = lambda folder, name, cells: png(folder / f"{name}_mask.png", (cells > 0) * 255)  # noqa: E731
    (record,), metadata, summary = prepared(tmp_path, write, {"masks": "{name}_mask.png"})
    assert count(record, metadata) == 1 and summary["test"]["instances"] == "connected components"


@pytest.mark.parametrize(("write", "more"), [
    (by_class, {"masks": "masks/{class}/{name}_*.png"}),
    (numbered_by_class, {"masks": "masks/{class}/{name}.tif"}),
    (numbered_by_class, {"masks": "masks/{class}/{name}.tif", "instances": True}),
], ids=["a file an instance", "label images", "label images, as stated"])  # fmt: skip
def test_overlapping_instances_of_classes_in_folders_keep_prompts_of_their_own(tmp_path, write, more):
    (record,), metadata, summary = prepared(tmp_path, write, {"classes": ["cell", "nucleus"]} | more)
    assert [count(record, metadata, target) for target in (1, 2)] == [COUNT, COUNT]
    assert summary["test"]["instances"] == "given"


def cellpose(folder: Path, name: str, cells: np.ndarray) -> None:
    png(folder / f"{name}_cp_masks.png", cells, np.uint16)


@pytest.mark.parametrize("resize", [30, 90])
def test_resized_instances_keep_prompts_of_their_own(tmp_path, resize):
    (record,), metadata, _ = prepared(tmp_path, cellpose, {"masks": "{name}_cp_masks.png"}, resize=resize)
    assert max(record.height, record.width) == resize and count(record, metadata) == COUNT


@pytest.mark.parametrize("resize", [None, 45])
def test_each_tile_prompts_for_the_instances_in_it(tmp_path, resize):
    options = {"masks": "{name}_cp_masks.png"}
    tiles, metadata, _ = prepared(tmp_path, cellpose, options, tile=20, overlap=4, resize=resize)
    seen = set()
    for record in tiles:
        numbers = set(np.unique(records.instances(record))) - {0}
        assert count(record, metadata) == len(numbers)
        seen |= numbers
    assert len(tiles) > 4 and len(seen) == COUNT
