"""Tests of the EPFL Electron Microscopy reader and of its sample."""

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
from promptseg.datasets.em import sample as em_sample

FILES = ("training.tif", "training_groundtruth.tif", "testing.tif", "testing_groundtruth.tif")
TILE = 256


def write(folder: Path, slices=(7, 6), **kind) -> dict[str, np.ndarray]:
    """Write four small stacks in the official layout; the test stacks have another size than the training stacks."""
    rng = np.random.default_rng(0)
    stacks = {}
    for name, count, width in zip(("training", "testing"), slices, (32, 40)):
        stacks[f"{name}.tif"] = rng.integers(0, 256, (count, 24, width), np.uint8)
        stacks[f"{name}_groundtruth.tif"] = rng.integers(0, 2, (count, 24, width), np.uint8) * 255
    folder.mkdir(exist_ok=True)
    for file, values in stacks.items():
        tifffile.imwrite(folder / file, values, photometric="minisblack", **kind)
    return stacks


def error_message(call) -> str:
    """Return the message of the UserError that `call` raises, which must be a single line."""
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def best_threshold(images: np.ndarray, masks: np.ndarray) -> float:
    """Compute the pooled IoU of `gray <= t` at the best t."""
    inside = np.bincount(images[masks], minlength=256).cumsum()
    outside = np.bincount(images[~masks], minlength=256).cumsum()
    return float((inside / (masks.sum() + outside)).max())


def as_arrays(samples) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([sample.image() for sample in samples]), np.stack([sample.mask() for sample in samples]) == 1


def has_foreground(masks: np.ndarray) -> np.ndarray:
    """Whether each tile of each slice has foreground."""
    n, h, w = masks.shape
    return masks.reshape(n, h // TILE, TILE, w // TILE, TILE).any((2, 4))


@pytest.fixture(scope="module")
def sample_folder(written_sample) -> Path:
    return written_sample("em")


@pytest.mark.parametrize(
    "kind", [dict(), dict(metadata=None), dict(imagej=True, truncate=True), dict(compression="zlib")], ids=str
)
def test_reads_the_official_layout(tmp_path, kind):
    stacks = write(tmp_path, **kind)
    em.verify(tmp_path)
    samples = list(em.read(tmp_path))
    ids = [f"training/{i:03d}" for i in range(7)] + [f"testing/{i:03d}" for i in range(6)]
    assert [sample.id for sample in samples] == ids
    assert [sample.split for sample in samples] == ["train"] * 7 + ["test"] * 6
    for sample in samples:
        name, index = sample.id.split("/")
        image, mask = sample.image(), sample.mask()
        assert image.dtype == mask.dtype == np.uint8
        np.testing.assert_array_equal(image, stacks[f"{name}.tif"][int(index)])
        np.testing.assert_array_equal(mask * 255, stacks[f"{name}_groundtruth.tif"][int(index)])


def test_the_files_may_lie_one_folder_down(tmp_path):
    write(tmp_path / "epfl")
    (tmp_path / "other").mkdir()
    em.verify(tmp_path)
    assert [sample.id for sample in em.read(tmp_path)] == [sample.id for sample in em.read(tmp_path / "epfl")]


def test_groups_are_blocks_of_five_within_a_stack(tmp_path):
    write(tmp_path, slices=(11, 5))
    groups = [sample.group for sample in em.read(tmp_path)]
    assert groups == ["training/b000"] * 5 + ["training/b001"] * 5 + ["training/b002"] + ["testing/b000"] * 5


def test_module_constants():
    module = load("em")
    assert module.CLASSES == ("mitochondrion",)
    assert all(isinstance(text, str) and text for text in (module.TITLE, module.LICENCE, module.CITATION))


def test_slices_are_decoded_lazily(tmp_path, monkeypatch):
    write(tmp_path, compression="zlib")
    decoded = []
    take = tiff_stack.Stack.__getitem__
    monkeypatch.setattr(tiff_stack.Stack, "__getitem__", lambda s, i: (decoded.append((s.path.name, i)), take(s, i))[1])
    samples = list(em.read(tmp_path))
    assert decoded == []
    samples[4].mask()
    assert decoded == [("training_groundtruth.tif", 4)]
    samples[-1].image()
    assert decoded[1:] == [("testing.tif", 5)]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("call", [em.verify, em.read])
def test_missing_file(tmp_path, file, call):
    write(tmp_path)
    (tmp_path / file).unlink()
    message = error_message(partial(call, tmp_path))
    assert message.startswith(f"{tmp_path / file}: not found; training.tif, testing.tif and the _groundtruth.tif")


@pytest.mark.parametrize("call", [em.verify, em.read])
def test_nothing_there(tmp_path, call):
    assert "training.tif: not found" in error_message(partial(call, tmp_path / "nowhere"))


@pytest.mark.parametrize("call", [em.verify, em.read])
def test_unequal_number_of_slices(tmp_path, call):
    stacks = write(tmp_path)
    tifffile.imwrite(tmp_path / FILES[3], stacks[FILES[3]][:-1], photometric="minisblack")
    assert "testing_groundtruth.tif: 5 slices, but" in error_message(partial(call, tmp_path))


@pytest.mark.parametrize("call", [em.verify, em.read])
def test_unequal_size(tmp_path, call):
    stacks = write(tmp_path)
    tifffile.imwrite(tmp_path / FILES[1], stacks[FILES[1]][:, :, :-1], photometric="minisblack")
    assert "training_groundtruth.tif: its slices are 31x24" in error_message(partial(call, tmp_path))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("call", [em.verify, em.read])
def test_truncated_file(tmp_path, file, call):
    write(tmp_path)
    data = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(data[: len(data) // 2])
    message = error_message(partial(call, tmp_path))
    assert str(tmp_path / file) in message and "fetch it again" in message


def test_invalid_label_values_are_refused(tmp_path):
    stacks = write(tmp_path)
    wrong = stacks[FILES[1]].copy()
    wrong[2, 3, :4] = 128  # in the middle: found when this mask is read
    tifffile.imwrite(tmp_path / FILES[1], wrong, photometric="minisblack")
    em.verify(tmp_path)
    samples = list(em.read(tmp_path))
    samples[2].image()
    message = error_message(samples[2].mask)
    assert f"{FILES[1]}, slice 2: the mask holds 128 at 4 pixels; its labels are 0, 255" in message
    wrong[-1, 0, 0] = 1  # in the last slice: found by verify
    tifffile.imwrite(tmp_path / FILES[1], wrong, photometric="minisblack")
    assert "slice 6: the mask holds 1 at 1 pixels" in error_message(partial(em.verify, tmp_path))


def test_verify_decodes_the_last_slice(tmp_path):
    write(tmp_path, compression="zlib")
    path = tmp_path / FILES[2]
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        data[tiff.pages[5].dataoffsets[0] + 50] ^= 0x20
    path.write_bytes(data)
    assert "testing.tif: slice 5: damaged" in error_message(partial(em.verify, tmp_path))


def test_download_fetches_the_four_files_and_verifies_them(tmp_path, monkeypatch, capsys):
    write(tmp_path / "site")
    monkeypatch.setenv("PROMPTSEG_CACHE", str(tmp_path / "cache"))
    requested = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            requested.append(path)
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
        assert requested[0] == "/groups/c/cv/cvlab-unit/www/data/%20ElectronMicroscopy_Hippocampus/training.tif"
        assert capsys.readouterr().err.count("129,919,357 are expected") == 4  # another size gives a note, not an error
        (tmp_path / "site" / FILES[3]).write_bytes(b"GIF89a")
        assert FILES[3] in error_message(partial(em.download, tmp_path / "raw"))
    finally:
        server.shutdown()
        server.server_close()


def test_sample_is_read_and_verified(sample_folder):
    em.verify(sample_folder)
    samples = list(em.read(sample_folder))
    assert [sample.split for sample in samples] == ["train"] * 12 + ["test"] * 12
    assert len({sample.group for sample in samples}) == 6
    assert samples[0].image().shape == samples[0].mask().shape == (512, 512)
    assert sorted(os.listdir(sample_folder)) == sorted(FILES)
    assert sum((sample_folder / file).stat().st_size for file in FILES) < 8e6


@pytest.mark.parametrize("split", ["train", "test"])
def test_sample_is_as_difficult_as_the_real_stacks(sample_folder, split):
    images, masks = as_arrays([sample for sample in em.read(sample_folder) if sample.split == split])
    assert 0.03 < masks.mean() < 0.10
    assert 0.05 < best_threshold(images, masks) < 0.28  # 0.13 on the real slices
    assert 130 < images.mean() < 150 and 22 < images.std() < 34  # 140 and 31 on the real slices
    assert 0.05 < 1 - has_foreground(masks).mean() < 0.35  # tiles without a mitochondrion; 0.14 on the real slices


def test_sample_changes_slowly_from_slice_to_slice(sample_folder):
    images, masks = as_arrays([sample for sample in em.read(sample_folder) if sample.split == "train"])
    overlap = (masks[1:] & masks[:-1]).sum((1, 2)) / (masks[1:] | masks[:-1]).sum((1, 2))
    assert overlap.min() > 0.6 and overlap.max() < 1
    assert not (images[1:] == images[:-1]).all((1, 2)).any()
    assert 0.7 < np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] < 0.95
    test_images = as_arrays([sample for sample in em.read(sample_folder) if sample.split == "test"])[0]
    assert abs(np.corrcoef(images[0].ravel(), test_images[0].ravel())[0, 1]) < 0.2  # a stack of its own


def test_same_seed_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(em_sample, "SLICES", 2)
    monkeypatch.setattr(em_sample, "SIDE", 256)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        em_sample.write(tmp_path / name, seed)
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
    samples = list(em.read(folder))
    assert {sample.split for sample in samples} == {"train", "test"}
    images, masks = as_arrays([sample for sample in samples if sample.split == "test"][::5])
    assert images.shape[1:] == (768, 1024)
    assert 0.02 < masks.mean() < 0.12
    assert best_threshold(images, masks) < 0.28
