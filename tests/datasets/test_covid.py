"""Tests of the COVID-QU-Ex reader and of its sample."""

import os
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.datasets.covid import reader as covid
from promptseg.datasets.covid import sample as covid_sample
from refusing import digest, refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "covid_qu_ex"
TINY = {
    "Train/COVID-19": ["covid_10", "covid_9", "covid_572"],
    "Train/Non-COVID": ["non_COVID (3)", "Non_COVID (28)"],
    "Train/Normal": ["Normal (116)", "Normal (2)"],
    "Val/COVID-19": ["covid_1"],
    "Test/COVID-19": ["covid_2"],
    "Test/Normal": ["Normal (1)"],
}
ORDER = [
    "Train/COVID-19/covid_9", "Train/COVID-19/covid_10", "Train/COVID-19/covid_572",
    "Train/Non-COVID/non_COVID (3)", "Train/Non-COVID/Non_COVID (28)",
    "Train/Normal/Normal (2)", "Train/Normal/Normal (116)",
    "Val/COVID-19/covid_1", "Test/COVID-19/covid_2", "Test/Normal/Normal (1)",
]  # fmt: skip


def build(root: Path) -> Path:
    """Write the images of TINY, 4x6, with one infected row; that row and the last row are lung.

    root: folder to hold Train, Val and Test.
    """
    for home, names in TINY.items():
        for number, name in enumerate(names):
            mask = np.zeros((4, 6), np.uint8)
            mask[number] = 255 if "COVID-19" in home else 0
            lungs = mask.copy()
            lungs[3] = 255
            image = np.full((4, 6), 40 + number, np.uint8)
            for part, array in (("images", image), ("infection masks", mask), ("lung masks", lungs)):
                (root / home / part).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(root / home / part / f"{name}.png")
    return root


@pytest.mark.parametrize("below", ["", covid.SUBSET, f"{covid.SUBSET}/{covid.SUBSET}"])
def test_folder_name_once_twice_or_not_at_all(tmp_path, below):
    build(tmp_path / below)
    covid.verify(tmp_path)
    samples = list(covid.read(tmp_path))
    assert [sample.id for sample in samples] == ORDER
    assert [sample.split for sample in samples] == ["train"] * 7 + ["val"] + ["test"] * 2
    assert all(sample.group == sample.id for sample in samples)


def test_pixels(tmp_path):
    build(tmp_path)
    samples = {sample.id: sample for sample in covid.read(tmp_path)}
    sample = samples["Train/COVID-19/covid_572"]
    image, mask = sample.image(), sample.mask()
    assert image.shape == mask.shape == (4, 6) and image.dtype == mask.dtype == np.uint8
    assert (image == 42).all() and mask.tolist() == [[0] * 6, [0] * 6, [1] * 6, [2] * 6]
    assert samples["Test/Normal/Normal (1)"].mask().tolist() == [[0] * 6] * 3 + [[2] * 6]
    assert sample.file == tmp_path / "Train/COVID-19/images/covid_572.png"


def test_infection_outside_the_lung_stays_infection(tmp_path):
    build(tmp_path)
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "Train/COVID-19/lung masks/covid_9.png")
    assert next(iter(covid.read(tmp_path))).mask().tolist() == [[0] * 6, [1] * 6, [0] * 6, [0] * 6]


def test_without_any_lung_masks_nothing_is_lung(tmp_path):
    build(tmp_path)
    for folder in tmp_path.rglob("lung masks"):
        shutil.rmtree(folder)
    covid.verify(tmp_path)
    assert all(set(np.unique(sample.mask())) <= {0, 1} for sample in covid.read(tmp_path))


@pytest.mark.parametrize("call", [covid.read, covid.verify])
def test_an_incomplete_set_of_lung_masks_is_refused(tmp_path, call):
    build(tmp_path)
    (tmp_path / "Val/COVID-19/lung masks/covid_1.png").unlink()
    refused(lambda: call(tmp_path), "images/covid_1.png", "`lung masks`")
    shutil.rmtree(tmp_path / "Test/Normal/lung masks")
    shutil.copy(tmp_path / "Val/COVID-19/images/covid_1.png", tmp_path / "Val/COVID-19/lung masks/covid_1.png")
    refused(lambda: call(tmp_path), "Test/Normal/lung masks: not found")


def test_a_lung_mask_of_another_size(tmp_path):
    build(tmp_path)
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "Train/COVID-19/lung masks/covid_9.png")
    refused(next(iter(covid.read(tmp_path))).mask, "lung masks/covid_9.png", "6x4", "5x4")


def test_files_are_decoded_lazily(tmp_path):
    build(tmp_path)
    image, mask = (tmp_path / "Train/COVID-19" / part / "covid_9.png" for part in ("images", "infection masks"))
    image.write_bytes(image.read_bytes()[:40])
    sample = next(iter(covid.read(tmp_path)))
    assert sample.mask().any()
    refused(sample.image, "images/covid_9.png", "fetch it again")
    mask.write_bytes(b"")
    refused(sample.mask, "infection masks/covid_9.png")


def test_mask_values_are_checked(tmp_path):
    build(tmp_path)
    Image.fromarray(np.full((4, 6), 7, np.uint8)).save(tmp_path / "Train/COVID-19/infection masks/covid_9.png")
    refused(next(iter(covid.read(tmp_path))).mask, "covid_9.png", "7 at 24 pixels", "0, 255")


@pytest.mark.parametrize("call", [covid.read, covid.verify])
def test_names_must_pair(tmp_path, call):
    build(tmp_path)
    home = tmp_path / "Train/Non-COVID"
    (home / "infection masks/non_COVID (3).png").rename(home / "infection masks/Non_COVID (3).png")
    refused(lambda: call(tmp_path), "Non_COVID (3).png", "no file of this name")
    (home / "infection masks/Non_COVID (3).png").unlink()
    refused(lambda: call(tmp_path), "images/non_COVID (3).png", "`infection masks`")
    (home / "images/non_COVID (3).png").unlink()
    (home / "images/Non_COVID (28).png").unlink()
    refused(lambda: call(tmp_path), "infection masks/Non_COVID (28).png", "`images`")


def test_missing_parts(tmp_path):
    refused(lambda: covid.read(tmp_path), str(tmp_path), covid.SUBSET, "give the folder of the archive")
    refused(lambda: covid.verify(tmp_path / "nowhere"), "nowhere")
    (tmp_path / "Train").mkdir()
    refused(lambda: covid.read(tmp_path), "no images in")
    (tmp_path / "Train/COVID-19/images").mkdir(parents=True)  # as in the archive's `Lung Segmentation Data`
    refused(lambda: covid.verify(tmp_path), "COVID-19/infection masks", "not found")


@pytest.mark.parametrize("split", ["Train", "Test"])
def test_verify_requires_train_and_test(tmp_path, split):
    build(tmp_path)
    (tmp_path / split).rename(tmp_path / "elsewhere")
    refused(lambda: covid.verify(tmp_path), f"{split}: no images")
    assert list(covid.read(tmp_path))


def test_a_subset_of_the_data_and_stray_files_are_accepted(tmp_path):
    build(tmp_path)
    (tmp_path / "Val").rename(tmp_path / "elsewhere")
    for stray in ("._covid_9.png", "Thumbs.db", ".DS_Store"):
        (tmp_path / "Train/COVID-19/images" / stray).write_bytes(b"stray")
    covid.verify(tmp_path)
    assert [sample.id for sample in covid.read(tmp_path)] == [id for id in ORDER if not id.startswith("Val")]


def test_unprintable_names_are_refused(tmp_path):
    build(tmp_path)
    for part in ("images", "infection masks"):
        (tmp_path / "Train/COVID-19" / part / os.fsdecode(b"covid_\xff.png")).write_bytes(b"")
    refused(lambda: covid.read(tmp_path), "\\udcff", "rename")


@pytest.fixture(scope="module")
def sample_folder(written_sample) -> Path:
    return written_sample("covid")


def test_sample_is_in_the_official_layout(sample_folder):
    covid.verify(sample_folder)
    root = sample_folder / covid.SUBSET / covid.SUBSET
    for split, numbers in covid_sample.COUNTS.items():
        for kind, number in zip(covid.KINDS, numbers):
            parts = (root / split / kind / part for part in ("images", "infection masks", "lung masks"))
            images, masks, lungs = ({path.name for path in part.iterdir()} for part in parts)
            assert len(images) == number and images == masks == lungs
    assert any(path.name.startswith("Non_COVID (") for path in root.rglob("*.png"))
    with Image.open(next(root.rglob("images/*.png"))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (256, 256))


def test_sample_is_annotated_like_the_official_data(sample_folder):
    for sample in covid.read(sample_folder):
        mask = sample.mask()
        assert sample.image().shape == mask.shape == (256, 256)
        assert (mask == 1).any() == ("/COVID-19/" in sample.id), sample.id
        home, name = sample.id.rsplit("/", 1)
        with Image.open(sample_folder / covid.SUBSET / covid.SUBSET / home / "lung masks" / f"{name}.png") as file:
            lungs = np.asarray(file)
        assert set(np.unique(lungs)) == {0, 255} and ((mask > 0) == (lungs > 0)).all()


def best_threshold(samples, classes=(1,)) -> float:
    """Compute the pooled IoU of the best gray threshold, with the classes on its bright or its dark side."""
    counts = np.zeros((2, 256), int)
    for sample in samples:
        image, mask = sample.image(), np.isin(sample.mask(), classes)
        for value in (0, 1):
            counts[value] += np.bincount(image[mask == value], minlength=256)
    if not counts[1].any():
        raise AssertionError("no pixel has any of the classes")
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


@pytest.mark.parametrize("classes, most", [((1,), 0.25), ((1, 2), 0.5)])
def test_sample_is_not_solved_by_a_threshold(sample_folder, classes, most):
    assert best_threshold((sample for sample in covid.read(sample_folder) if sample.split == "test"), classes) < most


def _fake_kagglehub(monkeypatch, dataset_download) -> None:
    """Replace kagglehub by a module with this function alone."""
    module = types.ModuleType("kagglehub")
    module.dataset_download = dataset_download
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def test_download_without_kagglehub(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    refused(
        lambda: covid.download(tmp_path), "pip install kagglehub", "anasmohammedtahir/covidqu", "download.covid.source"
    )


def test_download_error_hides_the_signed_address(tmp_path, monkeypatch):
    def fail(slug):
        raise OSError("Max retries exceeded with url: /b?X-Goog-Signature=secret\nmore")

    _fake_kagglehub(monkeypatch, fail)
    with pytest.raises(UserError, match="Max retries exceeded; log in") as error:
        covid.download(tmp_path)
    assert "secret" not in str(error.value) and "\n" not in str(error.value)


def test_split_sizes_are_the_official_counts():
    assert covid.SPLIT_SIZES == {covid.SPLITS[split]: sum(numbers) for split, numbers in covid.OFFICIAL_COUNTS.items()}


def test_download_copies_the_infection_part(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    build(cache / covid.SUBSET / covid.SUBSET)
    (cache / "Lung Segmentation Data").mkdir()
    requested = []
    _fake_kagglehub(monkeypatch, lambda slug: requested.append(slug) or str(cache))
    refused(lambda: covid.download(tmp_path / "raw"), "3 images in Train/COVID-19 instead of the official 1864")
    monkeypatch.setattr(covid, "OFFICIAL_COUNTS", {"Train": (3, 2, 2), "Val": (1, 0, 0), "Test": (1, 0, 1)})
    covid.download(tmp_path / "raw")
    assert requested == [covid.SLUG] * 2
    assert digest(tmp_path / "raw") == {k: v for k, v in digest(cache).items() if k.startswith(covid.SUBSET)}
    assert [sample.id for sample in covid.read(tmp_path / "raw")] == ORDER


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with covid_qu_ex")
def test_real_data():
    covid.verify(REAL)
    samples = list(covid.read(REAL))
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples[::7]:
        assert sample.image().shape == sample.mask().shape == (256, 256)
        assert (sample.mask() == 1).any() == ("/COVID-19/" in sample.id) and sample.mask().mean() > 0.05
    assert best_threshold(sample for sample in samples if sample.split == "test") < 0.25
