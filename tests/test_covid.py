"""COVID-QU-Ex: the reader on tiny files in the true layout, the sample, the download's refusals."""

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
    """The pictures of TINY below `root`, which stands where Train, Val and Test lie: 4x6, infected in one row; that row
    and the last one are lung."""
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


@pytest.mark.parametrize("below", ["", covid.PART, f"{covid.PART}/{covid.PART}"])
def test_folder_name_once_twice_or_not_at_all(tmp_path, below):
    build(tmp_path / below)
    covid.verify(tmp_path)
    pictures = list(covid.read(tmp_path))
    assert [picture.id for picture in pictures] == ORDER
    assert [picture.split for picture in pictures] == ["train"] * 7 + ["val"] + ["test"] * 2
    assert all(picture.group == picture.id for picture in pictures)


def test_pixels(tmp_path):
    build(tmp_path)
    pictures = {picture.id: picture for picture in covid.read(tmp_path)}
    picture = pictures["Train/COVID-19/covid_572"]
    image, mask = picture.image(), picture.mask()
    assert image.shape == mask.shape == (4, 6) and image.dtype == mask.dtype == np.uint8
    assert (image == 42).all() and mask.tolist() == [[0] * 6, [0] * 6, [1] * 6, [2] * 6]
    assert pictures["Test/Normal/Normal (1)"].mask().tolist() == [[0] * 6] * 3 + [[2] * 6]
    assert picture.file == tmp_path / "Train/COVID-19/images/covid_572.png"


def test_infection_outside_the_lung_stays_infection(tmp_path):
    build(tmp_path)
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "Train/COVID-19/lung masks/covid_9.png")
    assert next(iter(covid.read(tmp_path))).mask().tolist() == [[0] * 6, [1] * 6, [0] * 6, [0] * 6]


def test_without_any_lung_masks_nothing_is_lung(tmp_path):
    build(tmp_path)
    for folder in tmp_path.rglob("lung masks"):
        shutil.rmtree(folder)
    covid.verify(tmp_path)
    assert all(set(np.unique(picture.mask())) <= {0, 1} for picture in covid.read(tmp_path))


@pytest.mark.parametrize("call", [covid.read, covid.verify])
def test_some_lung_masks_are_too_few(tmp_path, call):
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


def test_only_what_is_asked_for_is_read(tmp_path):
    build(tmp_path)
    image, mask = (tmp_path / "Train/COVID-19" / part / "covid_9.png" for part in ("images", "infection masks"))
    image.write_bytes(image.read_bytes()[:40])
    picture = next(iter(covid.read(tmp_path)))
    assert picture.mask().any()
    refused(picture.image, "images/covid_9.png", "fetch it again")
    mask.write_bytes(b"")
    refused(picture.mask, "infection masks/covid_9.png")


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
    refused(lambda: covid.read(tmp_path), str(tmp_path), covid.PART, "give the archive's folder")
    refused(lambda: covid.verify(tmp_path / "nowhere"), "nowhere")
    (tmp_path / "Train").mkdir()
    refused(lambda: covid.read(tmp_path), "no pictures in")
    (tmp_path / "Train/COVID-19/images").mkdir(parents=True)  # as in the archive's `Lung Segmentation Data`
    refused(lambda: covid.verify(tmp_path), "COVID-19/infection masks", "not found")


@pytest.mark.parametrize("split", ["Train", "Test"])
def test_verify_wants_both_ends(tmp_path, split):
    build(tmp_path)
    (tmp_path / split).rename(tmp_path / "elsewhere")
    refused(lambda: covid.verify(tmp_path), f"{split}: no pictures")
    assert list(covid.read(tmp_path))


def test_part_of_the_data_and_strays_are_accepted(tmp_path):
    build(tmp_path)
    (tmp_path / "Val").rename(tmp_path / "elsewhere")
    for stray in ("._covid_9.png", "Thumbs.db", ".DS_Store"):
        (tmp_path / "Train/COVID-19/images" / stray).write_bytes(b"stray")
    covid.verify(tmp_path)
    assert [picture.id for picture in covid.read(tmp_path)] == [id for id in ORDER if not id.startswith("Val")]


def test_unprintable_names_are_refused(tmp_path):
    build(tmp_path)
    for part in ("images", "infection masks"):
        (tmp_path / "Train/COVID-19" / part / os.fsdecode(b"covid_\xff.png")).write_bytes(b"")
    refused(lambda: covid.read(tmp_path), "\\udcff", "rename")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    covid.sample(folder, 0)
    return folder


def test_sample_is_in_the_official_layout(drawn):
    covid.verify(drawn)
    root = drawn / covid.PART / covid.PART
    for split, numbers in covid.SAMPLE.items():
        for kind, number in zip(covid.KINDS, numbers):
            parts = (root / split / kind / part for part in ("images", "infection masks", "lung masks"))
            images, masks, lungs = ({path.name for path in part.iterdir()} for part in parts)
            assert len(images) == number and images == masks == lungs
    assert any(path.name.startswith("Non_COVID (") for path in root.rglob("*.png"))
    with Image.open(next(root.rglob("images/*.png"))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (256, 256))


def test_sample_is_marked_as_the_official_data_are(drawn):
    for picture in covid.read(drawn):
        mask = picture.mask()
        assert picture.image().shape == mask.shape == (256, 256)
        assert (mask == 1).any() == ("/COVID-19/" in picture.id), picture.id
        home, name = picture.id.rsplit("/", 1)
        with Image.open(drawn / covid.PART / covid.PART / home / "lung masks" / f"{name}.png") as file:
            lungs = np.asarray(file)
        assert set(np.unique(lungs)) == {0, 255} and ((mask > 0) == (lungs > 0)).all()


def best_threshold(pictures, classes=(1,)) -> float:
    """The pooled IoU of the best single gray level, with the classes on its bright or on its dark side."""
    counts = np.zeros((2, 256), int)
    for picture in pictures:
        image, mask = picture.image(), np.isin(picture.mask(), classes)
        for value in (0, 1):
            counts[value] += np.bincount(image[mask == value], minlength=256)
    if not counts[1].any():
        raise AssertionError("nothing is marked")
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


@pytest.mark.parametrize("classes, most", [((1,), 0.25), ((1, 2), 0.5)])
def test_threshold_does_not_solve_the_sample(drawn, classes, most):
    assert best_threshold((picture for picture in covid.read(drawn) if picture.split == "test"), classes) < most


def _kagglehub(monkeypatch, answer) -> None:
    module = types.ModuleType("kagglehub")
    module.dataset_download = answer
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def test_download_without_kagglehub(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    refused(
        lambda: covid.download(tmp_path), "pip install kagglehub", "anasmohammedtahir/covidqu", "datasets.covid.source"
    )


def test_download_failure_names_no_signed_address(tmp_path, monkeypatch):
    def fail(slug):
        raise OSError("Max retries exceeded with url: /b?X-Goog-Signature=secret\nmore")

    _kagglehub(monkeypatch, fail)
    with pytest.raises(UserError, match="Max retries exceeded; log in") as problem:
        covid.download(tmp_path)
    assert "secret" not in str(problem.value) and "\n" not in str(problem.value)


def test_counts_are_the_official_ones():
    assert covid.SPLIT_SIZES == {covid.SPLITS[split]: sum(numbers) for split, numbers in covid.OFFICIAL.items()}


def test_download_copies_the_infection_part(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    build(cache / covid.PART / covid.PART)
    (cache / "Lung Segmentation Data").mkdir()
    asked = []
    _kagglehub(monkeypatch, lambda slug: asked.append(slug) or str(cache))
    refused(lambda: covid.download(tmp_path / "raw"), "3 pictures in Train/COVID-19, where 1864 are official")
    monkeypatch.setattr(covid, "OFFICIAL", {"Train": (3, 2, 2), "Val": (1, 0, 0), "Test": (1, 0, 1)})
    covid.download(tmp_path / "raw")
    assert asked == [covid.SLUG] * 2
    assert digest(tmp_path / "raw") == {k: v for k, v in digest(cache).items() if k.startswith(covid.PART)}
    assert [picture.id for picture in covid.read(tmp_path / "raw")] == ORDER


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with covid_qu_ex")
def test_real_data():
    covid.verify(REAL)
    pictures = list(covid.read(REAL))
    assert len({picture.id for picture in pictures}) == len(pictures)
    for picture in pictures[::7]:
        assert picture.image().shape == picture.mask().shape == (256, 256)
        assert (picture.mask() == 1).any() == ("/COVID-19/" in picture.id) and picture.mask().mean() > 0.05
    assert best_threshold(picture for picture in pictures if picture.split == "test") < 0.25
