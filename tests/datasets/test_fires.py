"""Tests of the Corsican Fire Database reader and of its sample."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.datasets.fires import reader as fires

SWAPPED = '"rgb", "gt"\n"001_rgb.png", "001_gt.png"\n"002_gt.png", "002_rgb.png"\n'


def photo(path, height=6, width=8, shade=90):
    Image.fromarray(np.full((height, width, 3), shade, np.uint8)).save(path)


def mask(path, height=6, width=8, on=255):
    values = np.zeros((height, width), np.uint8)
    values[1:3, 2:5] = on
    Image.fromarray(values).save(path)
    return values


@pytest.fixture
def folder(tmp_path):
    """Write two photos and a sequence of two frames; the second photo has the smallest size of the database."""
    for name, size in {"001": (6, 8), "002": (76, 332)}.items():
        photo(tmp_path / f"{name}_rgb.png", *size, shade=int(name))
        mask(tmp_path / f"{name}_gt.png", *size)
    for frame in ("001", "002"):
        photo(tmp_path / f"seq05_rgb_{frame}.png")
        mask(tmp_path / f"seq05_gt_{frame}.png", on=1)
        Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / f"seq05_nir_{frame}.png")
    (tmp_path / "bdfire").mkdir()
    (tmp_path / "bdfire" / "data.csv").write_text(SWAPPED)
    return tmp_path


def refused(action, *parts):
    with pytest.raises(UserError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


def best_iou(pairs, value):
    """Compute the highest pooled IoU of `value(photo) >= threshold` over all thresholds."""
    counts = np.zeros((2, 512), np.int64)
    for image, target in pairs:
        values = value(image.astype(np.int64)) + 256
        for label in (0, 1):
            counts[label] += np.bincount(values[target == label], minlength=512)
    false, true = counts[:, ::-1].cumsum(axis=1)
    return (true / (counts[1].sum() + false)).max()


def gray(image):
    return image @ np.array([299, 587, 114]) // 1000


def red_over_blue(image):
    return image[..., 0] - image[..., 2]


def test_pairs_by_name_and_groups_by_sequence(folder):
    samples = list(fires.read(folder))
    assert [sample.id for sample in samples] == ["001", "002", "seq05/001", "seq05/002"]
    assert [sample.group for sample in samples] == ["001", "002", "seq05", "seq05"]
    assert {sample.split for sample in samples} == {None}
    fires.verify(folder)
    # data.csv swaps photo and mask of 002, the file names do not
    assert samples[1].image().shape == (76, 332, 3) and samples[1].image().max() == 2
    for sample in samples:
        target = sample.mask()
        assert target.dtype == np.uint8 and target.shape == sample.image().shape[:2]
        assert target.sum() == 6 and target.max() == 1  # for masks of 0 and 255 and for masks of 0 and 1


def test_order_is_numeric(tmp_path):
    for name in ("10", "9", "100"):
        photo(tmp_path / f"{name}_rgb.png")
        mask(tmp_path / f"{name}_gt.png")
    for name in ("seq10_{}_1", "seq9_{}_10", "seq9_{}_2"):
        photo(tmp_path / f"{name.format('rgb')}.png")
        mask(tmp_path / f"{name.format('gt')}.png")
    assert [sample.id for sample in fires.read(tmp_path)] == ["9", "10", "100", "seq9/2", "seq9/10", "seq10/1"]


def test_the_files_may_lie_one_folder_below(folder):
    for path in list(folder.glob("*.png")):
        path.rename(folder / "bdfire" / path.name)
    assert [sample.id for sample in fires.read(folder)] == ["001", "002", "seq05/001", "seq05/002"]


def test_two_folders_with_images_are_refused(folder):
    photo(folder / "bdfire" / "003_rgb.png")
    refused(lambda: fires.verify(folder), folder / "bdfire", "one folder")


def test_files_are_decoded_lazily(folder):
    (folder / "001_rgb.png").write_bytes(b"no image")
    (folder / "002_gt.png").write_bytes(b"no image")
    first, second, *_ = fires.read(folder)
    assert first.mask().sum() == 6  # though its photo is damaged
    assert second.image().shape == (76, 332, 3)
    refused(first.image, folder / "001_rgb.png")
    refused(second.mask, folder / "002_gt.png")


@pytest.mark.parametrize("lost", ["001_gt.png", "002_rgb.png", "seq05_gt_002.png", "seq05_rgb_001.png"])
def test_a_photo_or_a_mask_without_its_partner_is_refused_at_the_call(folder, lost):
    (folder / lost).unlink()
    refused(lambda: fires.read(folder), folder / lost, "not found")
    refused(lambda: fires.verify(folder), folder / lost, "not found")


def test_missing_or_unpaired_infrared_images_are_ignored(folder):
    (folder / "seq05_nir_001.png").unlink()
    (folder / "seq05_nir_009.png").write_bytes(b"")
    (folder / "001_nir.png").write_bytes(b"")
    assert len(list(fires.read(folder))) == 4


@pytest.mark.parametrize("name", ["003_RGB.png", "003_rgb (1).png", "003_gt.jpg", "seq05_003_rgb.png", "house_rgb.png"])
def test_a_misspelled_name_is_refused(folder, name):
    (folder / name).write_bytes(b"")
    refused(lambda: fires.verify(folder), folder / name, "001_rgb.png")


@pytest.mark.parametrize("name", ["notes.txt", "overview.png", "._001_rgb.png", ".DS_Store"])
def test_other_files_are_ignored(folder, name):
    (folder / name).write_bytes(b"")
    assert len(list(fires.read(folder))) == 4


def test_nothing_there(tmp_path):
    refused(lambda: fires.verify(tmp_path), tmp_path, "001_rgb.png")
    refused(lambda: fires.read(tmp_path / "away"), tmp_path / "away", "datasets.fires.raw")
    (tmp_path / "seq05_nir_001.png").write_bytes(b"")
    refused(lambda: fires.verify(tmp_path), tmp_path, "near-infrared")


@pytest.mark.parametrize("lost", [22, 40])
def test_truncated_files_are_refused(folder, lost):
    for name in ("001_rgb.png", "001_gt.png"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) - lost])
    sample = next(fires.read(folder))
    refused(sample.image, folder / "001_rgb.png")
    refused(sample.mask, folder / "001_gt.png")


@pytest.mark.parametrize("values, wrong", [((0, 128, 255), 128), ((0, 1, 255), 1), ((0, 254), 254), ((0, 1, 2), 1)])
def test_a_mask_that_is_not_binary_is_refused(folder, values, wrong):
    Image.fromarray(np.resize(np.array(values, np.uint8), (6, 8))).save(folder / "001_gt.png")
    refused(next(fires.read(folder)).mask, folder / "001_gt.png", f"holds {wrong} at", "original")


@pytest.mark.parametrize("mode", ["RGB", "1", "RGBA"])
def test_gray_masks_in_other_modes(folder, mode):
    values = mask(folder / "001_gt.png")
    Image.fromarray(values).convert(mode).save(folder / "001_gt.png")
    assert np.array_equal(next(fires.read(folder)).mask(), values // 255)


@pytest.mark.parametrize("value, expected", [(0, 0), (1, 1), (255, 1)])
def test_constant_masks(folder, value, expected):
    Image.fromarray(np.full((6, 8), value, np.uint8)).save(folder / "001_gt.png")
    assert (next(fires.read(folder)).mask() == expected).all()


def test_a_photo_in_place_of_a_mask_is_refused(folder):
    Image.fromarray(np.arange(144, dtype=np.uint8).reshape(6, 8, 3)).save(folder / "001_gt.png")
    refused(next(fires.read(folder)).mask, folder / "001_gt.png", "one 8-bit label")


def test_download_gives_the_steps_by_hand(tmp_path):
    steps = ("cfdb.univ-corse.fr", "sign", "credentials", "unpack", "datasets.fires.raw", "nothing else is needed")
    refused(lambda: fires.download(tmp_path), *steps)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def sample_folder(written_sample) -> Path:
    return written_sample("fires")


def test_sample_is_read_and_verified(sample_folder):
    fires.verify(sample_folder)
    samples = list(fires.read(sample_folder))
    assert len(samples) == 22 and len({sample.group for sample in samples}) == 16
    assert sum(sample.group.startswith("seq") for sample in samples) == 8
    assert len(list(sample_folder.rglob("seq*_nir_*.png"))) == 8
    sizes = set()
    for sample in samples:
        image, target = sample.image(), sample.mask()
        sizes.add(image.shape)
        assert image.shape == (*target.shape, 3) and image.dtype == np.uint8
        assert set(np.unique(target)) == {0, 1} and target.mean() < 0.5
    assert (150, 200, 3) in sizes and (512, 384, 3) in sizes and len(sizes) >= 5
    with open(sample_folder / "bdfire" / "data.csv", newline="") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    assert len(rows) == 22 and rows[0]["name"] == "001_rgb.png" and rows[0]["width"] == "512"


def test_frames_of_a_sequence_are_near_duplicates_but_not_equal(sample_folder):
    first, *rest = [sample for sample in fires.read(sample_folder) if sample.group == "seq05"]
    for other in rest:
        assert not np.array_equal(first.mask(), other.mask())
        assert np.abs(first.image().astype(int) - other.image()).mean() < 25


def test_sample_is_not_solved_by_a_threshold(sample_folder):
    """Compare with real frames (VisiFire), where the best IoU is 0.12 on gray and 0.49 on red minus blue."""
    pairs = [(sample.image(), sample.mask()) for sample in fires.read(sample_folder)]
    assert best_iou(pairs, gray) < 0.27
    assert 0.3 < best_iou(pairs, red_over_blue) < 0.64


def test_real_data():
    """PROMPTSEG_REAL_DATA/fires: the database, or files named as in it."""
    folder = Path(os.environ.get("PROMPTSEG_REAL_DATA", "")) / "fires"
    if "PROMPTSEG_REAL_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("PROMPTSEG_REAL_DATA names no folder with fires in it")
    fires.verify(folder)
    samples = list(fires.read(folder))
    for sample in samples[:: max(1, len(samples) // 40)]:
        target = sample.mask()
        assert sample.image().shape[:2] == target.shape
        assert set(np.unique(target)) <= {0, 1}
