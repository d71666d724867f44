"""Lucchi++: slices as PNG or TIFF, paired by name, in blocks; the sample; the download."""

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

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "lucchi_pp"
CALLS = pytest.mark.parametrize("call", [lucchi_pp.verify, lucchi_pp.read])


def values(slices=(7, 6)) -> dict[str, np.ndarray]:
    """Small stacks by the official names; the test ones are of another size than the training ones."""
    rng, made = np.random.default_rng(0), {}
    for name, count, width in zip(("Train", "Test"), slices, (32, 40)):
        made[f"{name}_In"] = rng.integers(0, 256, (count, 24, width), np.uint8)
        made[f"{name}_Out"] = rng.integers(0, 2, (count, 24, width), np.uint8) * 255
    return made


def write(root: Path, tiff: bool = False, **how) -> dict[str, np.ndarray]:
    made = values(**how)
    for name, stack in made.items():
        (root if tiff else root / name).mkdir(parents=True, exist_ok=True)
        if tiff:
            tifffile.imwrite(root / f"{name}.tif", stack, photometric="minisblack", compression="zlib")
        else:
            for i, page in enumerate(stack):
                Image.fromarray(page).save(root / name / f"mask{i:04d}.png")
    return made


def problem(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("tiff", [False, True])
@pytest.mark.parametrize("below", ["", "Lucchi++"])
def test_reads_the_official_layout(tmp_path, tiff, below):
    made = write(tmp_path / below, tiff)
    (tmp_path / "__MACOSX").mkdir()
    lucchi_pp.verify(tmp_path)
    pictures = list(lucchi_pp.read(tmp_path))
    assert [p.id for p in pictures] == [f"train/{i:03d}" for i in range(7)] + [f"test/{i:03d}" for i in range(6)]
    assert [p.split for p in pictures] == ["train"] * 7 + ["test"] * 6
    assert [p.group for p in pictures] == [
        *["train/b000"] * 5, *["train/b001"] * 2, *["test/b000"] * 5, "test/b001",
    ]  # fmt: skip
    for p in pictures:
        split, index = p.id.split("/")
        image, mask = p.image(), p.mask()
        assert image.dtype == mask.dtype == np.uint8
        np.testing.assert_array_equal(image, made[f"{split.title()}_In"][int(index)])
        np.testing.assert_array_equal(mask * 255, made[f"{split.title()}_Out"][int(index)])
        assert p.file == (None if tiff else tmp_path / below / f"{split.title()}_In" / f"mask{int(index):04d}.png")


def test_a_part_keeps_its_numbers_and_blocks(tmp_path):
    write(tmp_path)
    for name in ("Train_In", "Train_Out"):
        for i in (0, 1, 2, 3):
            (tmp_path / name / f"mask{i:04d}.png").unlink()
    pictures = [p for p in lucchi_pp.read(tmp_path) if p.split == "train"]
    assert [(p.id, p.group) for p in pictures] == [
        ("train/004", "train/b000"), ("train/005", "train/b001"), ("train/006", "train/b001"),
    ]  # fmt: skip


def test_numbers_without_leading_zeros_are_in_order(tmp_path):
    made = write(tmp_path, slices=(11, 5))
    for name in made:
        for path in (tmp_path / name).iterdir():
            path.rename(path.with_name(f"slice_{int(path.stem[4:])}.png"))
    np.testing.assert_array_equal(list(lucchi_pp.read(tmp_path))[10].image(), made["Train_In"][10])


def test_module_keeps_the_contract():
    module = load("lucchi_pp")
    assert module.CLASSES == ("mitochondrion",) and module.SPLIT_SIZES == em.SPLIT_SIZES and module.ORDERED_GROUPS
    assert all(isinstance(text, str) and text for text in (module.TITLE, module.LICENCE, module.CITATION))


def test_it_is_never_taken_for_the_first_annotation(tmp_path):
    write(tmp_path / "pp", tiff=True)
    assert "training.tif: not found" in problem(partial(em.verify, tmp_path / "pp"))
    for name in ("training.tif", "testing.tif", "training_groundtruth.tif", "testing_groundtruth.tif"):
        shutil.copy(tmp_path / "pp" / "Train_In.tif", tmp_path / name)
    shutil.rmtree(tmp_path / "pp")
    assert "no Train_In and Test_In" in problem(partial(lucchi_pp.verify, tmp_path))


def test_only_what_is_asked_for_is_read(tmp_path):
    write(tmp_path)
    image, mask = (tmp_path / name / "mask0002.png" for name in ("Train_In", "Train_Out"))
    image.write_bytes(image.read_bytes()[:60])
    lucchi_pp.verify(tmp_path)
    picture = list(lucchi_pp.read(tmp_path))[2]
    assert picture.mask().any()
    assert "Train_In/mask0002.png" in problem(picture.image)
    mask.write_bytes(b"")
    assert "Train_Out/mask0002.png" in problem(picture.mask)


@CALLS
@pytest.mark.parametrize("name", ["Train_In", "Train_Out", "Test_In", "Test_Out"])
@pytest.mark.parametrize("tiff", [False, True])
def test_missing_part(tmp_path, call, name, tiff):
    write(tmp_path, tiff)
    if tiff:
        (tmp_path / f"{name}.tif").unlink()
    else:
        shutil.rmtree(tmp_path / name)
    assert f"{tmp_path / name}" in (message := problem(partial(call, tmp_path))) and "not found" in message


@CALLS
def test_nothing_there(tmp_path, call):
    assert "no Train_In and Test_In" in problem(partial(call, tmp_path))
    assert "no such folder" in problem(partial(call, tmp_path / "nowhere"))
    for name in ("Train_In", "Train_Out", "Test_In", "Test_Out"):
        (tmp_path / name).mkdir()
    assert "no slices like mask0000.png" in problem(partial(call, tmp_path))


@CALLS
def test_names_must_pair(tmp_path, call):
    write(tmp_path)
    (tmp_path / "Test_Out/mask0003.png").unlink()
    message = problem(partial(call, tmp_path))
    assert message.startswith(f"{tmp_path / 'Test_In/mask0003.png'}: no file of this name in Test_Out")
    (tmp_path / "Test_In/mask0003.png").unlink()
    (tmp_path / "Train_In/mask0000.png").unlink()
    assert "Train_Out/mask0000.png: no file of this name in Train_In" in problem(partial(call, tmp_path))


@CALLS
def test_names_that_tell_no_slice_or_the_same_one(tmp_path, call):
    write(tmp_path)
    (tmp_path / "Train_In/cover.png").write_bytes(b"")
    assert "cover.png: name it by its slice" in problem(partial(call, tmp_path))
    (tmp_path / "Train_In/cover.png").rename(tmp_path / "Train_In/mask3.png")
    assert "is slice 3 as well" in problem(partial(call, tmp_path))


def test_strays_are_accepted(tmp_path):
    write(tmp_path)
    for stray in ("._mask0000.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / "Train_In" / stray).write_bytes(b"stray")
    lucchi_pp.verify(tmp_path)


@pytest.mark.parametrize("tiff", [False, True])
def test_value_that_is_no_label(tmp_path, tiff):
    made = write(tmp_path, tiff)
    wrong = made["Train_Out"]
    wrong[-1, 3, :4] = 128
    if tiff:
        tifffile.imwrite(tmp_path / "Train_Out.tif", wrong, photometric="minisblack")
    else:
        Image.fromarray(wrong[-1]).save(tmp_path / "Train_Out/mask0006.png")
    message = problem(partial(lucchi_pp.verify, tmp_path))
    assert "128 at 4 pixels" in message and ("slice 6" if tiff else "mask0006.png") in message


def test_sizes_that_differ(tmp_path):
    made = write(tmp_path)
    Image.fromarray(made["Test_Out"][0][:, :-1]).save(tmp_path / "Test_Out/mask0000.png")
    assert "Test_In, slice 0" in (message := problem(partial(lucchi_pp.verify, tmp_path))) and "39x24" in message
    (tmp_path / "tiff").mkdir()
    write(tmp_path / "tiff", tiff=True)
    tifffile.imwrite(tmp_path / "tiff/Test_Out.tif", made["Test_Out"][:-1], photometric="minisblack")
    assert "Test_Out.tif: 5 slices, but" in problem(partial(lucchi_pp.verify, tmp_path / "tiff"))


def test_download_unpacks_the_archive_and_removes_it(tmp_path, monkeypatch):
    write(tmp_path / "site" / "Lucchi++")
    asked, archive = [], shutil.make_archive(str(tmp_path / "made"), "zip", tmp_path / "site")

    def fetch(url, path, **checks):
        asked.append((url, checks))
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(archive, path)

    monkeypatch.setattr(lucchi_pp, "fetch", fetch)
    lucchi_pp.download(tmp_path / "raw")
    assert asked == [("https://casser.io/files/lucchi_pp.zip", {})]
    assert os.listdir(tmp_path / "raw") == ["Lucchi++"] and len(list(lucchi_pp.read(tmp_path / "raw"))) == 13


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lucchi_pp")
    lucchi_pp.sample(folder, 0)
    return folder


def test_sample_is_read_and_verified(drawn):
    lucchi_pp.verify(drawn)
    pictures = list(lucchi_pp.read(drawn))
    assert [p.split for p in pictures] == ["train"] * 10 + ["test"] * 10 and len({p.group for p in pictures}) == 4
    assert pictures[0].image().shape == pictures[0].mask().shape == (448, 448)
    assert sum(path.stat().st_size for path in drawn.rglob("*.png")) < 4e6


@pytest.mark.parametrize("split", ["train", "test"])
def test_sample_is_not_solved_by_a_threshold(drawn, split):
    pictures = [p for p in lucchi_pp.read(drawn) if p.split == split]
    images, masks = np.stack([p.image() for p in pictures]), np.stack([p.mask() for p in pictures]) == 1
    assert 0.02 < masks.mean() < 0.12
    inside = np.bincount(images[masks], minlength=256).cumsum()
    outside = np.bincount(images[~masks], minlength=256).cumsum()
    assert (inside / (masks.sum() + outside)).max() < 0.3


def test_same_seed_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(lucchi_pp, "SAMPLE_SLICES", 2)
    monkeypatch.setattr(lucchi_pp, "SAMPLE_SIDE", 128)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        lucchi_pp.sample(tmp_path / name, seed)
    for file in ("Train_In/mask0000.png", "Test_In/mask0001.png"):
        a, b, c = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert a == b != c


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with lucchi_pp")
def test_real_slices():
    lucchi_pp.verify(REAL)
    for picture in list(lucchi_pp.read(REAL))[::20]:
        assert picture.image().shape[:2] == picture.mask().shape
