"""Tests of the COVID-QU-Ex reader and of its sample."""

import os
import shutil
import sys
import types
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from gray_threshold import best_iou, histogram
from PIL import Image
from promptseg import datasets
from promptseg.datasets.covid import reader as covid
from promptseg.datasets.covid import sample as covid_sample
from promptseg.preprocessing import class_selection
from refusing import digest, refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "covid_qu_ex"
PARTS = ("images", "infection masks", "lung masks")
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
COVID_9 = "Train/COVID-19/{}/covid_9.png"
NON_COVID = "Train/Non-COVID/{}/{}.png"


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
            for part, array in zip(PARTS, (np.full((4, 6), 40 + number, np.uint8), mask, lungs)):
                (root / home / part).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(root / home / part / f"{name}.png")
    return root


@pytest.fixture
def raw(tmp_path) -> Path:
    return build(tmp_path / "raw")


@pytest.fixture(scope="module")
def sample(written_sample) -> Path:
    return written_sample("covid")


@pytest.mark.parametrize("below", ["", covid.SUBSET, f"{covid.SUBSET}/{covid.SUBSET}"])
def test_folder_name_once_twice_or_not_at_all(tmp_path, below):
    build(tmp_path / below)
    datasets.verify(covid, tmp_path)
    samples = list(covid.read(tmp_path))
    assert [item.id for item in samples] == [item.group for item in samples] == ORDER
    assert [item.split for item in samples] == ["train"] * 7 + ["val"] + ["test"] * 2


def test_infection_precedes_lung(raw):
    samples = {item.id: item for item in covid.read(raw)}
    item = samples["Train/COVID-19/covid_572"]
    assert item.image().tolist() == [[42] * 6] * 4 and item.image().dtype == item.mask().dtype == np.uint8
    assert item.mask().tolist() == [[0] * 6, [0] * 6, [1] * 6, [2] * 6]
    assert samples["Test/Normal/Normal (1)"].mask().tolist() == [[0] * 6] * 3 + [[2] * 6]
    assert item.file == raw / "Train/COVID-19/images/covid_572.png"
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(raw / COVID_9.format("lung masks"))
    assert samples[ORDER[0]].mask().tolist() == [[0] * 6, [1] * 6, [0] * 6, [0] * 6]  # outside the lung too


def test_lungs_include_their_infection_unless_it_is_a_class_of_its_own(raw):
    item = {item.id: item for item in covid.read(raw)}["Train/COVID-19/covid_572"]
    for wanted, rows in (
        (["lung"], [0, 0, 1, 1]),
        (["lung", "infection"], [0, 0, 2, 1]),
        (["infection"], [0, 0, 1, 0]),
    ):
        _, table = class_selection.select(covid.CLASSES, wanted, "k", covid.CONTAINED_IN)
        assert table[item.mask()].tolist() == [[row] * 6 for row in rows]


def test_without_any_lung_masks_nothing_is_lung(raw):
    for folder in list(raw.rglob("lung masks")):
        shutil.rmtree(folder)
    datasets.verify(covid, raw)
    assert all(set(np.unique(item.mask())) <= {0, 1} for item in covid.read(raw))


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    "removed, words",
    [
        (
            ["Val/COVID-19/lung masks/covid_1.png"],
            ("lung masks/covid_1.png: not found, the mask of images/covid_1.png",),
        ),
        (["Test/Normal/lung masks"], ("Test/Normal/lung masks: not found",)),
        (["Test/Normal/infection masks"], ("Normal/infection masks", "not found")),
        (
            [NON_COVID.format("infection masks", "non_COVID (3)")],
            ("infection masks/non_COVID (3).png: not found", "images/non_COVID (3).png"),
        ),
        (
            [NON_COVID.format("images", "Non_COVID (28)")],
            ("images/Non_COVID (28).png: not found, the image of infection masks/Non",),
        ),
        (list(TINY), ("no images in",)),
        (["Train", "Val", "Test"], (covid.SUBSET, "give the folder of the archive")),
    ],
)
def test_missing_files_and_folders_are_named(raw, removed, words):
    for place in removed:
        remove(raw / place)
    refused(partial(covid.read, raw), raw, *words)


def test_names_pair_with_their_case_and_are_printable(raw):
    path = raw / NON_COVID.format("infection masks", "non_COVID (3)")
    path.rename(path.with_name("Non_COVID (3).png"))
    refused(
        partial(covid.read, raw), "images/Non_COVID (3).png: not found, the image of infection masks/Non_COVID (3).png"
    )
    for part in ("images", "infection masks"):
        (raw / "Train/COVID-19" / part / os.fsdecode(b"covid_\xff.png")).write_bytes(b"")
    refused(partial(covid.read, raw), "\\udcff", "rename")
    refused(partial(covid.read, raw / "nowhere"), "nowhere")


def test_files_are_decoded_lazily_and_their_values_checked(raw):
    image, mask, lungs = (raw / COVID_9.format(part) for part in PARTS)
    image.write_bytes(image.read_bytes()[:40])
    item = next(iter(covid.read(raw)))
    assert item.mask().any()
    refused(item.image, "images/covid_9.png", "fetch it again")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(lungs)
    refused(item.mask, "lung masks/covid_9.png", "6x4", "5x4")
    Image.fromarray(np.full((4, 6), 7, np.uint8)).save(mask)
    refused(item.mask, "infection masks/covid_9.png", "7 at 24 pixels", "0, 255")
    mask.write_bytes(b"")
    refused(item.mask, "infection masks/covid_9.png")


@pytest.mark.parametrize("split", ["Train", "Test"])
def test_verify_requires_train_and_test(raw, split):
    remove(raw / split)
    refused(partial(datasets.verify, covid, raw), f"{split}: no images")
    assert list(covid.read(raw))


def test_a_subset_of_the_data_and_stray_files_are_accepted(raw):
    remove(raw / "Val")
    for stray in ("._covid_9.png", "Thumbs.db", ".DS_Store"):
        (raw / "Train/COVID-19/images" / stray).write_bytes(b"stray")
    datasets.verify(covid, raw)
    assert [item.id for item in covid.read(raw)] == [id for id in ORDER if not id.startswith("Val")]


def test_sample_is_in_the_official_layout(sample):
    datasets.verify(covid, sample)
    root = sample / covid.SUBSET / covid.SUBSET
    for split, numbers in covid_sample.COUNTS.items():
        for kind, number in zip(covid.KINDS, numbers):
            images, masks, lungs = ({path.name for path in (root / split / kind / part).iterdir()} for part in PARTS)
            assert len(images) == number and images == masks == lungs
    assert any(path.name.startswith("Non_COVID (") for path in root.rglob("*.png"))
    with Image.open(next(root.rglob("images/*.png"))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (256, 256))


def test_sample_is_annotated_like_the_official_data(sample):
    for item in covid.read(sample):
        mask = item.mask()
        assert item.image().shape == mask.shape == (256, 256)
        assert (mask == 1).any() == ("/COVID-19/" in item.id), item.id
        with Image.open(item.file.parents[1] / "lung masks" / item.file.name) as file:
            lungs = np.asarray(file)
        assert set(np.unique(lungs)) == {0, 255} and ((mask > 0) == (lungs > 0)).all()


def test_sample_is_not_solved_by_a_threshold(sample):
    counts = histogram(item for item in covid.read(sample) if item.split == "test")
    assert best_iou(counts, 1) < 0.25 and best_iou(counts, 1, 2) < 0.5


def test_split_sizes_are_the_official_counts():
    assert covid.SPLIT_SIZES == {covid.SPLITS[split]: sum(numbers) for split, numbers in covid.OFFICIAL_COUNTS.items()}


def test_download_copies_the_infection_part(tmp_path, monkeypatch):
    build(tmp_path / "cache" / covid.SUBSET / covid.SUBSET)
    (tmp_path / "cache" / "Lung Segmentation Data").mkdir()
    requested, kagglehub, raw = [], types.ModuleType("kagglehub"), tmp_path / "raw"
    kagglehub.dataset_download = lambda slug: requested.append(slug) or str(tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "kagglehub", kagglehub)
    refused(partial(covid.download, raw), "3 images in Train/COVID-19 instead of the official 1864")
    monkeypatch.setattr(covid, "OFFICIAL_COUNTS", {"Train": (3, 2, 2), "Val": (1, 0, 0), "Test": (1, 0, 1)})
    covid.download(raw)
    assert requested == ["anasmohammedtahir/covidqu"] * 2
    assert digest(raw) == {k: v for k, v in digest(tmp_path / "cache").items() if k.startswith(covid.SUBSET)}
    assert [item.id for item in covid.read(raw)] == ORDER
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    refused(partial(covid.download, raw), "pip install kagglehub", "anasmohammedtahir/covidqu", "download.covid.source")


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with covid_qu_ex")
def test_real_data():
    datasets.verify(covid, REAL)
    samples = list(covid.read(REAL))
    assert len({item.id for item in samples}) == len(samples)
    for item in samples[::7]:
        assert item.image().shape == item.mask().shape == (256, 256)
        assert (item.mask() == 1).any() == ("/COVID-19/" in item.id) and item.mask().mean() > 0.05
    test = [item for item in samples if item.split == "test"]
    assert best_iou(histogram(test), 1) < 0.25
    _, table = class_selection.select(covid.CLASSES, ["lung"], "k", covid.CONTAINED_IN)
    lungs = [table[item.mask()] for item in test]
    assert 0.23 < np.mean(lungs) < 0.25 and min(mask.any() for mask in lungs)
    assert np.mean([cv2.connectedComponents(mask)[0] - 1 for mask in lungs]) < 2.1
