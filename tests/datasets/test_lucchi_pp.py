"""Tests of the Lucchi++ reader and of its sample."""

import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.datasets import load
from promptseg.datasets.em import reader as em
from promptseg.datasets.lucchi_pp import reader as lucchi_pp
from promptseg.datasets.lucchi_pp import sample as lucchi_pp_sample

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "lucchi_pp"
CALLS = pytest.mark.parametrize("call", [lucchi_pp.verify, lucchi_pp.read])


def values(slices=(7, 6)) -> dict[str, np.ndarray]:
    """Build small stacks by their official names; the test stacks have another size than the training stacks."""
    rng, stacks = np.random.default_rng(0), {}
    for name, count, width in zip(("Train", "Test"), slices, (32, 40)):
        stacks[f"{name}_In"] = rng.integers(0, 256, (count, 24, width), np.uint8)
        stacks[f"{name}_Out"] = rng.integers(0, 2, (count, 24, width), np.uint8) * 255
    return stacks


def write(root: Path, tiff: bool = False, **kwargs) -> dict[str, np.ndarray]:
    """Write the stacks of `values` in the official layout, as PNG or TIFF."""
    stacks = values(**kwargs)
    for name, stack in stacks.items():
        (root if tiff else root / name).mkdir(parents=True, exist_ok=True)
        if tiff:
            tifffile.imwrite(root / f"{name}.tif", stack, photometric="minisblack", compression="zlib")
        else:
            for i, page in enumerate(stack):
                Image.fromarray(page).save(root / name / f"mask{i:04d}.png")
    return stacks


def error_message(call) -> str:
    """Return the message of the UserError that `call` raises, which must be a single line."""
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("tiff", [False, True])
@pytest.mark.parametrize("below", ["", "Lucchi++"])
def test_reads_the_official_layout(tmp_path, tiff, below):
    stacks = write(tmp_path / below, tiff)
    (tmp_path / "__MACOSX").mkdir()
    lucchi_pp.verify(tmp_path)
    samples = list(lucchi_pp.read(tmp_path))
    ids = [f"train/{i:03d}" for i in range(7)] + [f"test/{i:03d}" for i in range(6)]
    assert [sample.id for sample in samples] == ids
    assert [sample.split for sample in samples] == ["train"] * 7 + ["test"] * 6
    assert [sample.group for sample in samples] == [
        *["train/b000"] * 5, *["train/b001"] * 2, *["test/b000"] * 5, "test/b001",
    ]  # fmt: skip
    for sample in samples:
        split, index = sample.id.split("/")
        image, mask = sample.image(), sample.mask()
        assert image.dtype == mask.dtype == np.uint8
        np.testing.assert_array_equal(image, stacks[f"{split.title()}_In"][int(index)])
        np.testing.assert_array_equal(mask * 255, stacks[f"{split.title()}_Out"][int(index)])
        assert sample.file == (None if tiff else tmp_path / below / f"{split.title()}_In" / f"mask{int(index):04d}.png")


def test_a_subset_keeps_its_numbers_and_blocks(tmp_path):
    write(tmp_path)
    for name in ("Train_In", "Train_Out"):
        for i in (0, 1, 2, 3):
            (tmp_path / name / f"mask{i:04d}.png").unlink()
    samples = [sample for sample in lucchi_pp.read(tmp_path) if sample.split == "train"]
    assert [(sample.id, sample.group) for sample in samples] == [
        ("train/004", "train/b000"), ("train/005", "train/b001"), ("train/006", "train/b001"),
    ]  # fmt: skip


def test_numbers_without_leading_zeros_are_in_order(tmp_path):
    stacks = write(tmp_path, slices=(11, 5))
    for name in stacks:
        for path in (tmp_path / name).iterdir():
            path.rename(path.with_name(f"slice_{int(path.stem[4:])}.png"))
    np.testing.assert_array_equal(list(lucchi_pp.read(tmp_path))[10].image(), stacks["Train_In"][10])


def test_module_constants():
    module = load("lucchi_pp")
    assert module.CLASSES == ("mitochondrion",) and module.SPLIT_SIZES == em.SPLIT_SIZES and module.ORDERED_GROUPS
    assert all(isinstance(text, str) and text for text in (module.TITLE, module.LICENCE, module.CITATION))


def test_layout_is_not_confused_with_em(tmp_path):
    write(tmp_path / "pp", tiff=True)
    assert "training.tif: not found" in error_message(partial(em.verify, tmp_path / "pp"))
    for name in ("training.tif", "testing.tif", "training_groundtruth.tif", "testing_groundtruth.tif"):
        shutil.copy(tmp_path / "pp" / "Train_In.tif", tmp_path / name)
    shutil.rmtree(tmp_path / "pp")
    assert "no Train_In and Test_In" in error_message(partial(lucchi_pp.verify, tmp_path))


def test_files_are_decoded_lazily(tmp_path):
    write(tmp_path)
    image, mask = (tmp_path / name / "mask0002.png" for name in ("Train_In", "Train_Out"))
    image.write_bytes(image.read_bytes()[:60])
    lucchi_pp.verify(tmp_path)
    sample = list(lucchi_pp.read(tmp_path))[2]
    assert sample.mask().any()
    assert "Train_In/mask0002.png" in error_message(sample.image)
    mask.write_bytes(b"")
    assert "Train_Out/mask0002.png" in error_message(sample.mask)


@CALLS
@pytest.mark.parametrize("name", ["Train_In", "Train_Out", "Test_In", "Test_Out"])
@pytest.mark.parametrize("tiff", [False, True])
def test_missing_part(tmp_path, call, name, tiff):
    write(tmp_path, tiff)
    if tiff:
        (tmp_path / f"{name}.tif").unlink()
    else:
        shutil.rmtree(tmp_path / name)
    assert f"{tmp_path / name}" in (message := error_message(partial(call, tmp_path))) and "not found" in message


@CALLS
def test_nothing_there(tmp_path, call):
    assert "no Train_In and Test_In" in error_message(partial(call, tmp_path))
    assert "no such folder" in error_message(partial(call, tmp_path / "nowhere"))
    for name in ("Train_In", "Train_Out", "Test_In", "Test_Out"):
        (tmp_path / name).mkdir()
    assert "no slices like mask0000.png" in error_message(partial(call, tmp_path))


@CALLS
def test_names_must_pair(tmp_path, call):
    write(tmp_path)
    (tmp_path / "Test_Out/mask0003.png").unlink()
    message = error_message(partial(call, tmp_path))
    assert message.startswith(f"{tmp_path / 'Test_In/mask0003.png'}: no file of this name in Test_Out")
    (tmp_path / "Test_In/mask0003.png").unlink()
    (tmp_path / "Train_In/mask0000.png").unlink()
    assert "Train_Out/mask0000.png: no file of this name in Train_In" in error_message(partial(call, tmp_path))


@CALLS
def test_names_without_a_slice_number_or_with_a_duplicate(tmp_path, call):
    write(tmp_path)
    (tmp_path / "Train_In/cover.png").write_bytes(b"")
    assert "cover.png: no slice number in its name" in error_message(partial(call, tmp_path))
    (tmp_path / "Train_In/cover.png").rename(tmp_path / "Train_In/mask3.png")
    assert "is slice 3 as well" in error_message(partial(call, tmp_path))


def test_stray_files_are_ignored(tmp_path):
    write(tmp_path)
    for stray in ("._mask0000.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / "Train_In" / stray).write_bytes(b"stray")
    lucchi_pp.verify(tmp_path)


@pytest.mark.parametrize("tiff", [False, True])
def test_invalid_label_values_are_refused(tmp_path, tiff):
    stacks = write(tmp_path, tiff)
    wrong = stacks["Train_Out"]
    wrong[-1, 3, :4] = 128
    if tiff:
        tifffile.imwrite(tmp_path / "Train_Out.tif", wrong, photometric="minisblack")
    else:
        Image.fromarray(wrong[-1]).save(tmp_path / "Train_Out/mask0006.png")
    message = error_message(partial(lucchi_pp.verify, tmp_path))
    assert "128 at 4 pixels" in message and ("slice 6" if tiff else "mask0006.png") in message


def test_different_sizes_are_refused(tmp_path):
    stacks = write(tmp_path)
    Image.fromarray(stacks["Test_Out"][0][:, :-1]).save(tmp_path / "Test_Out/mask0000.png")
    assert "Test_In, slice 0" in (message := error_message(partial(lucchi_pp.verify, tmp_path))) and "39x24" in message
    (tmp_path / "tiff").mkdir()
    write(tmp_path / "tiff", tiff=True)
    tifffile.imwrite(tmp_path / "tiff/Test_Out.tif", stacks["Test_Out"][:-1], photometric="minisblack")
    assert "Test_Out.tif: 5 slices, but" in error_message(partial(lucchi_pp.verify, tmp_path / "tiff"))


def test_download_unpacks_the_archive_and_removes_it(tmp_path, monkeypatch):
    write(tmp_path / "site" / "Lucchi++")
    requested, archive = [], shutil.make_archive(str(tmp_path / "stacks"), "zip", tmp_path / "site")

    def fetch(url, path, **checks):
        requested.append((url, checks))
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(archive, path)

    monkeypatch.setattr(lucchi_pp, "fetch", fetch)
    lucchi_pp.download(tmp_path / "raw")
    assert requested == [("https://casser.io/files/lucchi_pp.zip", {})]
    assert os.listdir(tmp_path / "raw") == ["Lucchi++"] and len(list(lucchi_pp.read(tmp_path / "raw"))) == 13


@pytest.fixture(scope="module")
def sample_folder(written_sample) -> Path:
    return written_sample("lucchi_pp")


def test_sample_is_read_and_verified(sample_folder):
    lucchi_pp.verify(sample_folder)
    samples = list(lucchi_pp.read(sample_folder))
    assert [sample.split for sample in samples] == ["train"] * 10 + ["test"] * 10
    assert len({sample.group for sample in samples}) == 4
    assert samples[0].image().shape == samples[0].mask().shape == (448, 448)
    assert sum(path.stat().st_size for path in sample_folder.rglob("*.png")) < 4e6


@pytest.mark.parametrize("split", ["train", "test"])
def test_sample_is_not_solved_by_a_threshold(sample_folder, split):
    samples = [sample for sample in lucchi_pp.read(sample_folder) if sample.split == split]
    images = np.stack([sample.image() for sample in samples])
    masks = np.stack([sample.mask() for sample in samples]) == 1
    assert 0.02 < masks.mean() < 0.12
    inside = np.bincount(images[masks], minlength=256).cumsum()
    outside = np.bincount(images[~masks], minlength=256).cumsum()
    assert (inside / (masks.sum() + outside)).max() < 0.3


def test_same_seed_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(lucchi_pp_sample, "SLICES", 2)
    monkeypatch.setattr(lucchi_pp_sample, "SIDE", 128)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        lucchi_pp_sample.write(tmp_path / name, seed)
    for file in ("Train_In/mask0000.png", "Test_In/mask0001.png"):
        a, b, c = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert a == b != c


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with lucchi_pp")
def test_real_slices():
    lucchi_pp.verify(REAL)
    for sample in list(lucchi_pp.read(REAL))[::20]:
        assert sample.image().shape[:2] == sample.mask().shape
