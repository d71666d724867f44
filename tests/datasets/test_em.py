"""Tests of the EPFL Electron Microscopy reader and of its sample."""

import http.server
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from gray_threshold import best_iou, histogram
from promptseg.data import tiff_stack
from promptseg.datasets.em import reader as em
from refusing import refused
from volume_cases import as_arrays, check, save, stacks

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "em"
FILES = ("training.tif", "training_groundtruth.tif", "testing.tif", "testing_groundtruth.tif")
TILE = 256
CALLS = pytest.mark.parametrize("call", [em.verify, em.read])


def write(folder: Path, slices=(7, 6), **kind) -> dict[str, np.ndarray]:
    """Write small stacks in the official layout."""
    made = stacks(FILES, slices)
    folder.mkdir(exist_ok=True, parents=True)
    for file, stack in made.items():
        save(folder / file, stack, **kind)
    return made


def has_foreground(masks: np.ndarray) -> np.ndarray:
    """Whether each tile of each slice has foreground."""
    n, h, w = masks.shape
    return masks.reshape(n, h // TILE, TILE, w // TILE, TILE).any((2, 4))


@pytest.fixture(scope="module")
def sample(written_sample) -> Path:
    return written_sample("em")


@pytest.mark.parametrize("kind", [{}, {"metadata": None}, {"imagej": True, "truncate": True}, {"compression": "zlib"}])
def test_reads_the_official_layout_in_groups_of_five_slices(tmp_path, kind):
    made = write(tmp_path, slices=(11, 6), **kind)
    em.verify(tmp_path)
    check(list(em.read(tmp_path)), made.values(), ("training", "testing"))
    assert em.CLASSES == ("mitochondrion",) and em.ORDERED_GROUPS


def test_the_files_may_lie_one_folder_down(tmp_path):
    made = write(tmp_path / "epfl")
    (tmp_path / "other").mkdir()
    em.verify(tmp_path)
    check(list(em.read(tmp_path)), made.values(), ("training", "testing"))


def test_slices_are_decoded_lazily(tmp_path, monkeypatch):
    write(tmp_path, compression="zlib")
    decoded, take = [], tiff_stack.Stack.__getitem__
    monkeypatch.setattr(tiff_stack.Stack, "__getitem__", lambda s, i: (decoded.append((s.path.name, i)), take(s, i))[1])
    samples = list(em.read(tmp_path))
    assert decoded == []
    samples[4].mask()
    samples[-1].image()
    assert decoded == [("training_groundtruth.tif", 4), ("testing.tif", 5)]


@CALLS
def test_missing_or_truncated_files_are_refused(tmp_path, call):
    refused(partial(call, tmp_path / "nowhere"), "training.tif: not found")
    for file in FILES:
        write(tmp_path)
        data = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(data[: len(data) // 2])
        refused(partial(call, tmp_path), tmp_path / file, "fetch it again")
        (tmp_path / file).unlink()
        names = "training.tif, testing.tif and the _groundtruth.tif"
        refused(partial(call, tmp_path), f"{tmp_path / file}: not found; {names}")


@CALLS
@pytest.mark.parametrize(
    "file, part, words",
    [
        (FILES[3], np.s_[:-1], "testing_groundtruth.tif: 5 slices, but"),
        (FILES[1], np.s_[:, :, :-1], "training_groundtruth.tif: its slices are 31x24"),
    ],
)
def test_masks_of_another_shape_are_refused(tmp_path, file, part, words, call):
    save(tmp_path / file, write(tmp_path)[file][part])
    refused(partial(call, tmp_path), words)


def test_invalid_label_values_are_refused(tmp_path):
    wrong = write(tmp_path)[FILES[1]]
    wrong[2, 3, :4] = 128  # in the middle: found when this mask is read
    save(tmp_path / FILES[1], wrong)
    em.verify(tmp_path)
    sample = list(em.read(tmp_path))[2]
    sample.image()
    refused(sample.mask, f"{FILES[1]}, slice 2: the mask holds 128 at 4 pixels; its labels are 0, 255")
    for index in (-1, 0):  # in the last and the first slice: found by verify
        wrong[index, 0, 0] = 1
        save(tmp_path / FILES[1], wrong)
        refused(partial(em.verify, tmp_path), f"slice {index % 7}: the mask holds 1 at 1 pixels")


def test_verify_decodes_the_last_slice(tmp_path):
    write(tmp_path, compression="zlib")
    path = tmp_path / FILES[2]
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        data[tiff.pages[5].dataoffsets[0] + 50] ^= 0x20
    path.write_bytes(data)
    refused(partial(em.verify, tmp_path), "testing.tif: slice 5: damaged")


def test_download_fetches_the_four_files_and_verifies_them(tmp_path, monkeypatch, capsys):
    write(tmp_path / "site")
    requested = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            requested.append(path)
            return str(tmp_path / "site" / path.rpartition("/")[2])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        mirror = {"PROMPTSEG_MIRROR": f"http://127.0.0.1:{server.server_port}", "PROMPTSEG_CACHE": tmp_path / "cache"}
        for name, value in {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **mirror}.items():
            monkeypatch.setenv(name, str(value))
        try:
            em.download(tmp_path / "raw")
            assert sorted(os.listdir(tmp_path / "raw")) == sorted(FILES)
            assert requested[0] == "/groups/c/cv/cvlab-unit/www/data/%20ElectronMicroscopy_Hippocampus/training.tif"
            # Another size gives a note, not an error.
            assert capsys.readouterr().err.count("129,919,357 are expected") == 4
            (tmp_path / "site" / FILES[3]).write_bytes(b"GIF89a")
            refused(partial(em.download, tmp_path / "raw"), FILES[3])
        finally:
            server.shutdown()


def test_sample_is_read_and_verified(sample):
    em.verify(sample)
    samples = list(em.read(sample))
    assert [item.split for item in samples] == ["train"] * 12 + ["test"] * 25
    assert len({item.group for item in samples}) == 8
    assert samples[0].image().shape == samples[0].mask().shape == (512, 512)
    assert sorted(os.listdir(sample)) == sorted(FILES)
    with tifffile.TiffFile(sample / FILES[0]) as tiff:  # none of these changes from run to run
        assert not {"DateTime", "Software", "ImageDescription"} & {tag.name for tag in tiff.pages[0].tags}


@pytest.mark.parametrize("split", ["train", "test"])
def test_sample_is_as_difficult_as_the_real_stacks(sample, split):
    samples = [item for item in em.read(sample) if item.split == split]
    images, masks = as_arrays(samples, split)
    assert 0.03 < masks.mean() < 0.10
    assert 0.05 < best_iou(histogram(samples), 1) < 0.28  # 0.13 on the real slices
    assert 130 < images.mean() < 150 and 22 < images.std() < 34  # 140 and 31 on the real slices
    assert 0.05 < 1 - has_foreground(masks).mean() < 0.35  # tiles without a mitochondrion; 0.14 on the real slices


def test_sample_changes_slowly_from_slice_to_slice(sample):
    images, masks = as_arrays(em.read(sample), "train")
    overlap = (masks[1:] & masks[:-1]).sum((1, 2)) / (masks[1:] | masks[:-1]).sum((1, 2))
    assert overlap.min() > 0.6 and overlap.max() < 1
    assert not (images[1:] == images[:-1]).all((1, 2)).any()
    test_image = as_arrays(em.read(sample), "test")[0][0]  # of a stack of its own
    similar, other = np.corrcoef([images[0].ravel(), images[1].ravel(), test_image.ravel()])[0, 1:]
    assert 0.7 < similar < 0.95 and abs(other) < 0.2


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with em")
def test_real_slices():
    em.verify(REAL)
    samples = list(em.read(REAL))
    assert {sample.split for sample in samples} == {"train", "test"}
    images, masks = as_arrays(samples[::5], "test")
    assert images.shape[1:] == (768, 1024) and 0.02 < masks.mean() < 0.12
    assert best_iou(histogram(item for item in samples[::5] if item.split == "test"), 1) < 0.28
    images, masks = as_arrays(samples, "train")
    for apart, low, high in ((1, 0.3, 0.7), (em.BLOCK + 1, -0.1, 0.1)):  # the nearest slices beyond a gap of one block
        pairs = [(i, i + apart) for i in range(len(images) - apart)]
        alike = [np.corrcoef(images[i].ravel()[::7], images[j].ravel()[::7])[0, 1] for i, j in pairs]
        overlap = [(masks[i] & masks[j]).sum() / (masks[i] | masks[j]).sum() for i, j in pairs]
        assert low < np.mean(alike) < high and low < np.mean(overlap) < high
