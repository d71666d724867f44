"""EPFL EM: the official layout is read slice by slice and paired by name; the sample looks and counts like it."""

import http.server
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from promptseg.core.errors import UserError
from promptseg.data import tiff_stack
from promptseg.datasets import load
from promptseg.datasets.em import reader as em

FILES = ("training.tif", "training_groundtruth.tif", "testing.tif", "testing_groundtruth.tif")
TILE = 256


def write(folder: Path, slices=(7, 6), **kind) -> dict[str, np.ndarray]:
    """Four small stacks in the official layout; the test one is of another size than the training one."""
    rng = np.random.default_rng(0)
    made = {}
    for name, count, width in zip(("training", "testing"), slices, (32, 40)):
        made[f"{name}.tif"] = rng.integers(0, 256, (count, 24, width), np.uint8)
        made[f"{name}_groundtruth.tif"] = rng.integers(0, 2, (count, 24, width), np.uint8) * 255
    folder.mkdir(exist_ok=True)
    for file, values in made.items():
        tifffile.imwrite(folder / file, values, photometric="minisblack", **kind)
    return made


def problem(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def best_threshold(images: np.ndarray, masks: np.ndarray) -> float:
    """IoU of the best `gray <= t` over all t."""
    inside = np.bincount(images[masks], minlength=256).cumsum()
    outside = np.bincount(images[~masks], minlength=256).cumsum()
    return float((inside / (masks.sum() + outside)).max())


def as_arrays(pictures) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([p.image() for p in pictures]), np.stack([p.mask() for p in pictures]) == 1


def has_foreground(masks: np.ndarray) -> np.ndarray:
    """For each tile of each slice."""
    n, h, w = masks.shape
    return masks.reshape(n, h // TILE, TILE, w // TILE, TILE).any((2, 4))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("em")
    em.sample(folder, 0)
    return folder


@pytest.mark.parametrize(
    "kind", [dict(), dict(metadata=None), dict(imagej=True, truncate=True), dict(compression="zlib")], ids=str
)
def test_reads_the_official_layout(tmp_path, kind):
    made = write(tmp_path, **kind)
    em.verify(tmp_path)
    pictures = list(em.read(tmp_path))
    assert [p.id for p in pictures] == [f"training/{i:03d}" for i in range(7)] + [f"testing/{i:03d}" for i in range(6)]
    assert [p.split for p in pictures] == ["train"] * 7 + ["test"] * 6
    for p in pictures:
        name, index = p.id.split("/")
        image, mask = p.image(), p.mask()
        assert image.dtype == mask.dtype == np.uint8
        np.testing.assert_array_equal(image, made[f"{name}.tif"][int(index)])
        np.testing.assert_array_equal(mask * 255, made[f"{name}_groundtruth.tif"][int(index)])


def test_the_files_may_lie_one_folder_down(tmp_path):
    write(tmp_path / "epfl")
    (tmp_path / "other").mkdir()
    em.verify(tmp_path)
    assert [picture.id for picture in em.read(tmp_path)] == [picture.id for picture in em.read(tmp_path / "epfl")]


def test_groups_are_blocks_of_five_within_a_stack(tmp_path):
    write(tmp_path, slices=(11, 5))
    groups = [p.group for p in em.read(tmp_path)]
    assert groups == ["training/b000"] * 5 + ["training/b001"] * 5 + ["training/b002"] + ["testing/b000"] * 5


def test_module_keeps_the_contract():
    module = load("em")
    assert module.CLASSES == ("mitochondrion",)
    assert all(isinstance(text, str) and text for text in (module.TITLE, module.LICENCE, module.CITATION))


def test_slices_are_read_when_asked_for_and_masks_alone(tmp_path, monkeypatch):
    write(tmp_path, compression="zlib")
    decoded = []
    take = tiff_stack.Stack.__getitem__
    monkeypatch.setattr(tiff_stack.Stack, "__getitem__", lambda s, i: (decoded.append((s.path.name, i)), take(s, i))[1])
    pictures = list(em.read(tmp_path))
    assert decoded == []
    pictures[4].mask()
    assert decoded == [("training_groundtruth.tif", 4)]
    pictures[-1].image()
    assert decoded[1:] == [("testing.tif", 5)]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("call", [em.verify, em.read])
def test_missing_file(tmp_path, file, call):
    write(tmp_path)
    (tmp_path / file).unlink()
    assert problem(partial(call, tmp_path)).startswith(f"{tmp_path / file}: not found; needed: training.tif")


@pytest.mark.parametrize("call", [em.verify, em.read])
def test_nothing_there(tmp_path, call):
    assert "training.tif: not found" in problem(partial(call, tmp_path / "nowhere"))


@pytest.mark.parametrize("call", [em.verify, em.read])
def test_unequal_number_of_slices(tmp_path, call):
    made = write(tmp_path)
    tifffile.imwrite(tmp_path / FILES[3], made[FILES[3]][:-1], photometric="minisblack")
    assert "testing_groundtruth.tif: 5 slices, but" in problem(partial(call, tmp_path))


@pytest.mark.parametrize("call", [em.verify, em.read])
def test_unequal_size(tmp_path, call):
    made = write(tmp_path)
    tifffile.imwrite(tmp_path / FILES[1], made[FILES[1]][:, :, :-1], photometric="minisblack")
    assert "training_groundtruth.tif: its slices are 31x24" in problem(partial(call, tmp_path))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("call", [em.verify, em.read])
def test_truncated_file(tmp_path, file, call):
    write(tmp_path)
    data = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(data[: len(data) // 2])
    message = problem(partial(call, tmp_path))
    assert str(tmp_path / file) in message and "fetch it again" in message


def test_value_that_is_no_label(tmp_path):
    made = write(tmp_path)
    wrong = made[FILES[1]].copy()
    wrong[2, 3, :4] = 128  # in the middle: found when the mask is asked for
    tifffile.imwrite(tmp_path / FILES[1], wrong, photometric="minisblack")
    em.verify(tmp_path)
    pictures = list(em.read(tmp_path))
    pictures[2].image()
    message = problem(pictures[2].mask)
    assert f"{FILES[1]}, slice 2: the mask holds 128 at 4 pixels; its labels are 0, 255" in message
    wrong[-1, 0, 0] = 1  # in the last slice: found by verify
    tifffile.imwrite(tmp_path / FILES[1], wrong, photometric="minisblack")
    assert "slice 6: the mask holds 1 at 1 pixels" in problem(partial(em.verify, tmp_path))


def test_verify_decodes_the_last_slice(tmp_path):
    write(tmp_path, compression="zlib")
    path = tmp_path / FILES[2]
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        data[tiff.pages[5].dataoffsets[0] + 50] ^= 0x20
    path.write_bytes(data)
    assert "testing.tif: slice 5: damaged" in problem(partial(em.verify, tmp_path))


def test_download_takes_the_four_files_and_verifies(tmp_path, monkeypatch, capsys):
    write(tmp_path / "site")
    monkeypatch.setenv("PROMPTSEG_CACHE", str(tmp_path / "cache"))
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            asked.append(path)
            return str(tmp_path / "site" / path.rpartition("/")[2])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PROMPTSEG_MIRROR", f"http://127.0.0.1:{server.server_port}")
    try:
        em.download(tmp_path / "raw")
        assert sorted(os.listdir(tmp_path / "raw")) == sorted(FILES)
        assert asked[0] == "/groups/c/cv/cvlab-unit/www/data/%20ElectronMicroscopy_Hippocampus/training.tif"
        assert capsys.readouterr().err.count("129,919,357 are listed") == 4  # another size is noted, not refused
        (tmp_path / "site" / FILES[3]).write_bytes(b"GIF89a")
        assert FILES[3] in problem(partial(em.download, tmp_path / "raw"))
    finally:
        server.shutdown()
        server.server_close()


def test_sample_is_read_and_verified(drawn):
    em.verify(drawn)
    pictures = list(em.read(drawn))
    assert [p.split for p in pictures] == ["train"] * 12 + ["test"] * 12
    assert len({p.group for p in pictures}) == 6
    assert pictures[0].image().shape == pictures[0].mask().shape == (512, 512)
    assert sorted(os.listdir(drawn)) == sorted(FILES)
    assert sum((drawn / file).stat().st_size for file in FILES) < 8e6


@pytest.mark.parametrize("split", ["train", "test"])
def test_sample_is_as_hard_as_the_real_stacks(drawn, split):
    images, masks = as_arrays([p for p in em.read(drawn) if p.split == split])
    assert 0.03 < masks.mean() < 0.10
    assert 0.05 < best_threshold(images, masks) < 0.28  # 0.13 on the real slices
    assert 130 < images.mean() < 150 and 22 < images.std() < 34  # 140 and 31 there
    assert 0.05 < 1 - has_foreground(masks).mean() < 0.35  # tiles without a mitochondrion; 0.14 there


def test_sample_changes_slowly_from_slice_to_slice(drawn):
    images, masks = as_arrays([p for p in em.read(drawn) if p.split == "train"])
    overlap = (masks[1:] & masks[:-1]).sum((1, 2)) / (masks[1:] | masks[:-1]).sum((1, 2))
    assert overlap.min() > 0.6 and overlap.max() < 1
    assert not (images[1:] == images[:-1]).all((1, 2)).any()
    assert 0.7 < np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] < 0.95
    others = as_arrays([p for p in em.read(drawn) if p.split == "test"])[0]
    assert abs(np.corrcoef(images[0].ravel(), others[0].ravel())[0, 1]) < 0.2  # another draw


def test_same_seed_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(em, "SAMPLE_SLICES", 2)
    monkeypatch.setattr(em, "SAMPLE_SIDE", 256)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        em.sample(tmp_path / name, seed)
    for file in FILES:
        a, b, c = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert a == b != c
    with tifffile.TiffFile(tmp_path / "a" / FILES[0]) as tiff:
        assert not {"DateTime", "Software", "ImageDescription"} & {tag.name for tag in tiff.pages[0].tags}


@pytest.mark.skipif("PROMPTSEG_REAL_DATA" not in os.environ, reason="PROMPTSEG_REAL_DATA names no folder")
def test_real_slices():
    folder = Path(os.environ["PROMPTSEG_REAL_DATA"]) / "em"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    em.verify(folder)
    pictures = list(em.read(folder))
    assert {p.split for p in pictures} == {"train", "test"}
    images, masks = as_arrays([p for p in pictures if p.split == "test"][::5])
    assert images.shape[1:] == (768, 1024)
    assert 0.02 < masks.mean() < 0.12
    assert best_threshold(images, masks) < 0.28
