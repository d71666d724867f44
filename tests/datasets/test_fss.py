"""FSS-1000: the reader on tiny files in the official layout with every known trap, the stand-in, the download."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.fss import reader as fss
from promptseg.datasets.fss import sample as fss_sample
from refusing import refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "fss1000"
TINY = {"abe's_flyingfish": (1, 2, 10), "bus": (3, 5), "key": (1,)}  # file names' order is 1, 10, 2


def build(root: Path, test_classes: str | None = "bus\r\nabe's_flyingfish\r\nvilla_savoye") -> Path:
    """Write the classes of TINY below `root`, 6x8; the object is as many columns as the image's number, up to 4."""
    for name, numbers in TINY.items():
        for number in numbers:
            mask = np.zeros((6, 8), np.uint8)
            mask[:, : min(number, 4)] = 255
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 6), (10 * number, 0, 0)).save(root / name / f"{number}.jpg")
            Image.fromarray(mask).save(root / name / f"{number}.png")
    if test_classes is not None:
        (root / fss.LIST).write_bytes(test_classes.encode())
    return root


def find(folder: Path, id: str):
    return {sample.id: sample for sample in fss.read(folder)}[id]


@pytest.mark.parametrize("below", ["", "fewshot_data", "fewshot_data/fewshot_data"])
def test_layouts(tmp_path, below):
    build(tmp_path / below)
    fss.verify(tmp_path)
    samples = list(fss.read(tmp_path))
    assert [p.id for p in samples] == [f"{name}/{number}" for name, numbers in TINY.items() for number in numbers]
    assert [p.split for p in samples] == ["test"] * 5 + ["train"]
    assert [p.group for p in samples] == [p.id.split("/")[0] for p in samples]
    assert samples[0].text == "abe's flyingfish" and samples[0].file.name == "1.jpg"


def test_the_list_beside_the_folder_of_the_archive(tmp_path):
    build(tmp_path / "fewshot_data", None)
    (tmp_path / fss.LIST).write_text("key\n")
    assert [p.split for p in fss.read(tmp_path)] == ["train"] * 5 + ["test"]


def test_without_a_list_no_sample_has_a_split(tmp_path):
    build(tmp_path, None)
    fss.verify(tmp_path)
    assert {p.split for p in fss.read(tmp_path)} == {None}


@pytest.mark.parametrize("text", ["", "\r\n", "<html>\n", "a/b\n", b"\xff\xfe\x00"])
def test_invalid_lists(tmp_path, text):
    build(tmp_path, None)
    (tmp_path / fss.LIST).write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(lambda: fss.verify(tmp_path), tmp_path / fss.LIST, "remove it")


def test_no_class_to_train_on(tmp_path):
    build(tmp_path, "\n".join(TINY))
    refused(lambda: fss.verify(tmp_path), "names every class")
    assert {p.split for p in fss.read(tmp_path)} == {"test"}


SOFT = np.array([[0, 3, 126, 129, 252, 255]] * 8, np.uint8)


@pytest.mark.parametrize(
    "name, array",
    [
        ("RGBA of 0..255 with soft edges", np.dstack([SOFT, SOFT, SOFT, np.full_like(SOFT, 255)])),
        ("RGB of 0..255", np.dstack([SOFT] * 3)),
        ("RGB with channels that differ a little", np.dstack([SOFT, SOFT, np.clip(SOFT, 12, 240)])),
        ("RGB of 0 and 1", np.dstack([SOFT // 128] * 3)),
        ("gray", SOFT),
        ("gray of 0 and 1", SOFT // 128),
        ("gray up to 200", (SOFT * 0.78).astype(np.uint8)),
        ("one bit", SOFT > 127),
    ],
)
def test_encodings_of_masks(tmp_path, name, array, monkeypatch):
    monkeypatch.setattr(fss, "MAX_OUTLIERS", 0.5)  # two of the six columns are edges here
    build(tmp_path)
    Image.fromarray(array).save(tmp_path / "key/1.png")
    mask = find(tmp_path, "key/1").mask()
    assert mask.dtype == np.uint8 and mask.tolist() == [[0, 0, 0, 1, 1, 1]] * 8, name


def test_an_empty_mask_is_valid(tmp_path):
    build(tmp_path)
    Image.new("L", (8, 6)).save(tmp_path / "key/1.png")
    assert not find(tmp_path, "key/1").mask().any()


@pytest.mark.parametrize(
    "array, words",
    [
        (np.tile(np.arange(0, 250, 10, dtype=np.uint8), (6, 1)), ("is gray", "download it again")),
        (np.full((6, 8, 3), (200, 90, 20), np.uint8), ("100% of it is colored", "download it again")),
        (np.dstack([np.full((6, 8), 255, np.uint8)] * 3 + [np.full((6, 8), 9, np.uint8)]), ("transparent",)),
    ],
)
def test_files_that_are_not_masks(tmp_path, array, words):
    build(tmp_path)
    Image.fromarray(array).save(tmp_path / "key/1.png")
    refused(find(tmp_path, "key/1").mask, tmp_path / "key/1.png", *words)


@pytest.mark.parametrize("call", [fss.read, fss.verify])
@pytest.mark.parametrize("removed, words", [("5.jpg", "this image"), ("5.png", "this mask")])
def test_images_and_masks_are_paired_by_name(tmp_path, call, removed, words):
    build(tmp_path)
    (tmp_path / "bus" / removed).unlink()
    refused(lambda: call(tmp_path), tmp_path / "bus" / removed, "not found", words)


def test_names_with_leading_zeros_are_errors(tmp_path):
    build(tmp_path)
    (tmp_path / "bus/03.png").write_bytes(b"")
    refused(lambda: fss.verify(tmp_path), "03.png", "rename it to 3.png")


def test_other_files_and_the_broken_pair_are_left_out(tmp_path):
    build(tmp_path)
    (tmp_path / "peregine_falcon").mkdir()
    for number, size in ((7, (8, 6)), (8, (20, 10))):
        Image.new("RGB", (8, 6)).save(tmp_path / f"peregine_falcon/{number}.jpg")
        Image.new("L", size, 255).save(tmp_path / f"peregine_falcon/{number}.png")
    for stray in ("bus/1.jpeg", "bus/Thumbs.db", "bus/._3.png", "bus/photo.png"):
        (tmp_path / stray).write_bytes(b"stray")
    for stray in ("__MACOSX", ".cache", "empty"):
        (tmp_path / stray).mkdir()
    (tmp_path / "__MACOSX/1.jpg").write_bytes(b"stray")
    fss.verify(tmp_path)
    ids = [p.id for p in fss.read(tmp_path)]
    assert "peregine_falcon/7" in ids and "peregine_falcon/8" not in ids and len(ids) == 7


def test_no_data(tmp_path):
    refused(lambda: fss.verify(tmp_path), tmp_path, "fewshot_data.zip")
    refused(lambda: fss.read(tmp_path / "nowhere"), "nowhere")


def test_unprintable_names_are_errors(tmp_path):
    (tmp_path / os.fsdecode(b"bus\xff")).mkdir()
    refused(lambda: fss.verify(tmp_path), "\\udcff", "rename")


def test_image_and_mask_are_read_separately(tmp_path):
    build(tmp_path)
    image, mask = tmp_path / "key/1.jpg", tmp_path / "key/1.png"
    image.write_bytes(image.read_bytes()[:200])
    found = find(tmp_path, "key/1")
    assert found.mask().any()
    refused(found.image, image, "fetch it again")
    mask.write_bytes(b"")
    refused(found.mask, mask)


def test_the_support_image_is_another_image_of_the_class(tmp_path):
    build(tmp_path)
    chosen = set()
    for number in TINY["abe's_flyingfish"]:
        found = find(tmp_path, f"abe's_flyingfish/{number}")
        image, mask = found.support()
        assert np.array_equal(image, found.support()[0])
        assert image.shape == (6, 8, 3) and not np.array_equal(image, found.image())
        chosen.add(int(mask.sum()) // 6)
    assert len(chosen) > 1
    assert find(tmp_path, "key/1").support is None


def test_the_support_image_contains_the_object(tmp_path):
    build(tmp_path)
    name = "abe's_flyingfish"
    for number in (1, 2):
        Image.new("L", (8, 6)).save(tmp_path / name / f"{number}.png")
    for number in (1, 2):
        assert find(tmp_path, f"{name}/{number}").support()[1].sum() == 24  # of number 10
    refused(find(tmp_path, f"{name}/10").support, "10.jpg", "as support image")
    Image.new("L", (3, 3), 255).save(tmp_path / name / "10.png")
    refused(find(tmp_path, f"{name}/1").support, "10.jpg", "3x3")


@pytest.fixture(scope="module")
def stand_in(written_sample) -> Path:
    return written_sample("fss")


def test_stand_in_reads_as_the_official_data(stand_in):
    fss.verify(stand_in)
    samples = list(fss.read(stand_in))
    groups = {split: {p.group for p in samples if p.split == split} for split in ("train", "test")}
    assert groups["test"] == set(fss_sample.TEST_CLASSES) and not groups["test"] & groups["train"]
    assert len(groups["train"]) == 10
    assert len(samples) == 16 * fss_sample.IMAGES_PER_CLASS
    for p in samples:
        image, mask = p.image(), p.mask()
        assert image.shape == (224, 224, 3) and mask.shape == (224, 224)
        assert 0.005 < mask.mean() < 0.6 and mask.max() == 1, p.id
    modes = {Image.open(path).mode for path in stand_in.rglob("*.png")}
    assert modes == {"RGBA", "RGB", "L"}


def test_a_gray_threshold_does_not_segment_the_stand_in(stand_in):
    """Neither one threshold for all images nor the best one for each, chosen by the ground truth."""
    counts, each = np.zeros((2, 256), int), []
    for p in fss.read(stand_in):
        if p.split == "test":
            gray, mask = p.image().mean(2).astype(np.uint8), p.mask()
            own = np.stack([np.bincount(gray[mask == value], minlength=256) for value in (0, 1)])
            counts += own
            each.append(best(own))
    assert best(counts) < 0.25 and np.mean(each) < 0.55


def best(counts: np.ndarray) -> float:
    """Compute the IoU of the best gray threshold, with the object above or below it."""
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


def test_download(tmp_path, monkeypatch):
    requested = []

    def fetch(url, path, **checks):
        requested.append((url, checks))
        path.write_bytes(b"bus\r\nkey" if path.name == fss.LIST else b"zip")

    monkeypatch.setattr(fss.http, "fetch", fetch)
    monkeypatch.setattr(fss.http, "drive", lambda id: f"drive:{id}")
    monkeypatch.setattr(fss.archives, "unpack", lambda archive, folder: build(folder / "fewshot_data", None))
    fss.download(tmp_path)
    commit = "4157351078fc1c574101c38d75604e0d90dc02e0"
    listed = f"https://raw.githubusercontent.com/HKUSTCV/FSS-1000/{commit}/fss_test_set.txt"
    assert requested == [(listed, {"sha256": fss.LIST_SHA256}), ("drive:16TgqOeI_0P41Eh3jWQlxlRXG9KIqtMgI", {})]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fewshot_data", fss.LIST]
    fss.verify(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with fss1000")
def test_real_data():
    fss.verify(REAL)
    samples = list(fss.read(REAL))
    assert samples
    for p in samples[::2]:
        image, mask = p.image(), p.mask()
        assert image.shape[:2] == mask.shape and 0.01 < mask.mean() < 0.6, p.id
        support = p.support()
        assert support[1].any() and not np.array_equal(support[0], image)
