"""Tests of the Lucchi++ reader and of its sample."""

import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from gray_threshold import best_iou, histogram
from PIL import Image
from promptseg.datasets.em import reader as em
from promptseg.datasets.lucchi_pp import reader as lucchi_pp
from promptseg.download import http
from refusing import refused
from volume_cases import check, save, stacks

NAMES = ("Train_In", "Train_Out", "Test_In", "Test_Out")
CALLS = pytest.mark.parametrize("call", [lucchi_pp.verify, lucchi_pp.read])


def write(root: Path, tiff: bool = False, slices=(7, 6), name: str = "mask{:04d}.png") -> dict[str, np.ndarray]:
    """Write small stacks in the official layout, as PNG or TIFF."""
    made = stacks(NAMES, slices)
    for kind, stack in made.items():
        (root if tiff else root / kind).mkdir(parents=True, exist_ok=True)
        if tiff:
            save(root / f"{kind}.tif", stack, compression="zlib")
        else:
            for i, page in enumerate(stack):
                Image.fromarray(page).save(root / kind / name.format(i))
    return made


@pytest.fixture(scope="module")
def sample(written_sample) -> Path:
    return written_sample("lucchi_pp")


@pytest.mark.parametrize("tiff", [False, True])
@pytest.mark.parametrize("below", ["", "Lucchi++"])
def test_reads_the_official_layout(tmp_path, tiff, below):
    made = write(tmp_path / below, tiff)
    (tmp_path / "__MACOSX").mkdir()
    lucchi_pp.verify(tmp_path)
    samples = list(lucchi_pp.read(tmp_path))
    check(samples, made.values(), ("train", "test"))
    home = tmp_path / below
    files = [home / f"{split}_In/mask{i:04d}.png" for split, n in (("Train", 7), ("Test", 6)) for i in range(n)]
    assert [sample.file for sample in samples] == ([None] * 13 if tiff else files)
    assert lucchi_pp.CLASSES == ("mitochondrion",) and lucchi_pp.SPLIT_SIZES == em.SPLIT_SIZES
    assert lucchi_pp.ORDERED_GROUPS


def test_a_subset_keeps_its_numbers_and_blocks(tmp_path):
    write(tmp_path)
    for name in ("Train_In", "Train_Out"):
        for i in (0, 1, 2, 3):
            (tmp_path / name / f"mask{i:04d}.png").unlink()
    found = [(sample.id, sample.group) for sample in lucchi_pp.read(tmp_path)][:3]
    assert found == [("train/004", "train/b000"), ("train/005", "train/b001"), ("train/006", "train/b001")]


def test_numbers_without_leading_zeros_are_in_order_and_stray_files_ignored(tmp_path):
    made = write(tmp_path, slices=(11, 5), name="slice_{}.png")
    for stray in ("._mask0000.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / "Train_In" / stray).write_bytes(b"stray")
    lucchi_pp.verify(tmp_path)
    check(list(lucchi_pp.read(tmp_path)), made.values(), ("train", "test"))


def test_layout_is_not_confused_with_em(tmp_path):
    write(tmp_path / "pp", tiff=True)
    refused(partial(em.verify, tmp_path / "pp"), "training.tif: not found")
    for name in ("training.tif", "testing.tif", "training_groundtruth.tif", "testing_groundtruth.tif"):
        shutil.copy(tmp_path / "pp" / "Train_In.tif", tmp_path / name)
    shutil.rmtree(tmp_path / "pp")
    refused(partial(lucchi_pp.verify, tmp_path), "no Train_In and Test_In")


def test_files_are_decoded_lazily(tmp_path):
    write(tmp_path)
    image, mask = (tmp_path / name / "mask0002.png" for name in ("Train_In", "Train_Out"))
    image.write_bytes(image.read_bytes()[:60])
    lucchi_pp.verify(tmp_path)
    sample = list(lucchi_pp.read(tmp_path))[2]
    assert sample.mask().any()
    refused(sample.image, "Train_In/mask0002.png")
    mask.write_bytes(b"")
    refused(sample.mask, "Train_Out/mask0002.png")


@CALLS
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tiff", [False, True])
def test_a_missing_stack_is_named(tmp_path, name, tiff, call):
    write(tmp_path, tiff)
    if tiff:
        (tmp_path / f"{name}.tif").unlink()
    else:
        shutil.rmtree(tmp_path / name)
    refused(partial(call, tmp_path), tmp_path / name, "not found")


@CALLS
def test_folders_without_slices_are_refused(tmp_path, call):
    refused(partial(call, tmp_path), "no Train_In and Test_In")
    refused(partial(call, tmp_path / "nowhere"), "no such folder")
    for name in NAMES:
        (tmp_path / name).mkdir()
    refused(partial(call, tmp_path), "no slices like mask0000.png")


@CALLS
def test_names_must_pair_and_have_a_number_of_their_own(tmp_path, call):
    write(tmp_path)
    (tmp_path / "Test_Out/mask0003.png").unlink()
    refused(partial(call, tmp_path), "Test_Out/mask0003.png: not found, the mask of Test_In/mask0003.png")
    (tmp_path / "Test_In/mask0003.png").unlink()
    (tmp_path / "Train_In/mask0000.png").unlink()
    refused(partial(call, tmp_path), "Train_In/mask0000.png: not found, the image of Train_Out/mask0000.png")
    (tmp_path / "Train_In/cover.png").write_bytes(b"")
    refused(partial(call, tmp_path), "cover.png: no slice number in its name")
    (tmp_path / "Train_In/cover.png").rename(tmp_path / "Train_In/mask3.png")
    refused(partial(call, tmp_path), "is slice 3 as well")


@pytest.mark.parametrize("tiff, where", [(False, "mask{:04d}.png"), (True, "slice {}")])
@pytest.mark.parametrize("index", [0, 6])
def test_verify_refuses_invalid_label_values_in_the_first_and_last_slice(tmp_path, tiff, where, index):
    wrong = write(tmp_path, tiff)["Train_Out"]
    wrong[index, 3, :4] = 128
    if tiff:
        save(tmp_path / "Train_Out.tif", wrong)
    else:
        Image.fromarray(wrong[index]).save(tmp_path / f"Train_Out/mask{index:04d}.png")
    refused(partial(lucchi_pp.verify, tmp_path), "128 at 4 pixels", where.format(index))


def test_different_sizes_are_refused(tmp_path):
    made = write(tmp_path)
    Image.fromarray(made["Test_Out"][0][:, :-1]).save(tmp_path / "Test_Out/mask0000.png")
    names = "Test_In/mask0000.png is 40x24", "Test_Out/mask0000.png is 39x24; they must be of one size"
    refused(partial(lucchi_pp.verify, tmp_path), *names)
    write(tmp_path / "tiff", tiff=True)
    save(tmp_path / "tiff/Test_Out.tif", made["Test_Out"][:-1])
    refused(partial(lucchi_pp.verify, tmp_path / "tiff"), "Test_Out.tif: 5 slices, but")


def test_download_unpacks_the_archive_and_removes_it(tmp_path, monkeypatch):
    write(tmp_path / "site" / "Lucchi++")
    requested, archive = [], shutil.make_archive(str(tmp_path / "stacks"), "zip", tmp_path / "site")

    def fetch(url, path, **checks):
        requested.append((url, checks))
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(archive, path)

    monkeypatch.setattr(http, "fetch", fetch)
    lucchi_pp.download(tmp_path / "raw")
    assert requested == [("https://casser.io/files/lucchi_pp.zip", {})]
    assert os.listdir(tmp_path / "raw") == ["Lucchi++"] and len(list(lucchi_pp.read(tmp_path / "raw"))) == 13


def test_sample_is_read_and_verified(sample):
    lucchi_pp.verify(sample)
    samples = list(lucchi_pp.read(sample))
    assert [item.split for item in samples] == ["train"] * 10 + ["test"] * 10
    assert len({item.group for item in samples}) == 4
    assert samples[0].image().shape == samples[0].mask().shape == (448, 448)
    assert sum(path.stat().st_size for path in sample.rglob("*.png")) < 4e6


@pytest.mark.parametrize("split", ["train", "test"])
def test_sample_is_not_solved_by_a_threshold(sample, split):
    samples = [item for item in lucchi_pp.read(sample) if item.split == split]
    assert 0.02 < np.mean([item.mask() for item in samples]) < 0.12
    assert best_iou(histogram(samples), 1) < 0.3
