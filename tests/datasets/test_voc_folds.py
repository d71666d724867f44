"""Pascal VOC 2012: the folds of Pascal-5i, the stand-in, the download."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.voc import reader as voc
from refusing import refused
from test_voc import TINY, build, by_id, save_mask

FOLD0 = voc.Options(fold=0)


def gray_of(image: np.ndarray) -> int:
    return int(image[0, 0, 0])


def test_samples_of_a_fold(tmp_path):
    build(tmp_path)
    samples = by_id(tmp_path, FOLD0)
    assert list(samples) == [
        "2007_000032/person", "2007_000039/car", "2007_000039/person", "2008_000008/car",
        "2007_000033/aeroplane", "2007_000042/aeroplane", "2007_000042/bird",
        "2009_000001/aeroplane", "2009_000001/bird",
    ]  # fmt: skip
    assert [sample.split for sample in samples.values()] == ["train"] * 4 + ["test"] * 5
    assert all(sample.id == f"{sample.group}/{sample.text}" for sample in samples.values())
    sample = samples["2007_000042/bird"]
    assert sample.mask()[:, 0].tolist() == [0, 0, 1, 255, 0, 0] and sample.image().shape == (6, 8, 3)
    assert samples["2007_000032/person"].mask()[:, 0].tolist() == [0, 0, 0, 255, 1, 0]  # the aeroplane is background


def test_a_fold_has_five_novel_classes(tmp_path):
    build(tmp_path)
    every = {f"{name}.png": [1 + i % 20 for i in range(4 * k, 4 * k + 6)] for k, name in enumerate(TINY["val"])}
    for name, labels in every.items():
        save_mask(tmp_path / "SegmentationClass" / name, np.repeat(np.array(labels, np.uint8)[:, None], 8, 1))
    shown = {label for labels in every.values() for label in labels}
    for fold in range(4):
        novel = set(voc.CLASSES[5 * fold : 5 * fold + 5])
        samples = list(voc.read(tmp_path, voc.Options(fold=fold)))
        test_classes = {sample.id.split("/")[1] for sample in samples if sample.split == "test"}
        assert test_classes == {voc.CLASSES[label - 1] for label in shown} & novel and test_classes
        assert not novel & {sample.id.split("/")[1] for sample in samples if sample.split == "train"}
    for fold in (-1, 4, "0"):
        with pytest.raises(ValueError, match="fold"):
            voc.Options(fold=fold)


def test_the_support_image_is_another_image_of_the_same_list(tmp_path):
    build(tmp_path)
    images = {gray_of(sample.image()): sample for sample in voc.read(tmp_path)}
    samples = by_id(tmp_path, FOLD0)
    for sample in samples.values():
        image, mask = sample.support()
        other = images[gray_of(image)]
        number = voc.CLASSES.index(sample.id.split("/")[1]) + 1
        assert other.id != sample.group and other.split == sample.split
        assert ((mask == 1) == (other.mask() == number)).all() and (mask == 1).any() and (mask == 255).any()
        assert (by_id(tmp_path, FOLD0)[sample.id].support()[0] == image).all()


def test_a_class_with_one_image_has_no_support_image(tmp_path):
    build(tmp_path)
    save_mask(tmp_path / "SegmentationClass/2009_000001.png", np.full((6, 8), 1, np.uint8))
    sample = by_id(tmp_path, FOLD0)["2007_000042/bird"]
    refused(sample.support, "2007_000042.png", "no other image of its list contains a bird")


def test_a_fold_decodes_masks_when_it_is_read(tmp_path):
    build(tmp_path)
    mask = tmp_path / "SegmentationClass/2007_000032.png"
    mask.write_bytes(mask.read_bytes()[:60])
    voc.verify(tmp_path, FOLD0)
    samples = voc.read(tmp_path, FOLD0)
    refused(lambda: list(samples), str(mask), "fetch it again")


@pytest.fixture(scope="module")
def stand_in(written_sample) -> Path:
    return written_sample("voc")


def test_stand_in_resembles_the_official_data(stand_in):
    voc.verify(stand_in)
    root = stand_in / "VOCdevkit" / "VOC2012"
    sets = {
        name: (root / f"ImageSets/Segmentation/{name}.txt").read_text().split() for name in ("train", "val", "trainval")
    }
    assert sorted(sets["train"] + sets["val"]) == sets["trainval"]
    found = set()
    for sample in voc.read(stand_in):
        mask = sample.mask()
        assert sample.image().shape == (*mask.shape, 3)
        values = set(np.unique(mask).tolist())
        assert {0, 255} < values and 0.005 < (mask == 255).mean() < 0.2
        found |= values
        with Image.open(root / "SegmentationClass" / f"{sample.id}.png") as file:
            assert file.mode == "P" and (np.array(file) == mask).all()
    assert found == {*range(21), 255}


def test_every_fold_of_the_stand_in_has_test_samples(stand_in):
    for fold in range(4):
        every = list(voc.read(stand_in, voc.Options(fold=fold)))
        samples = [sample for sample in every if sample.split == "test"]
        novel = [sample.id.split("/")[1] for sample in every if sample.split == "test"]
        base = [sample.id.split("/")[1] for sample in every if sample.split == "train"]
        assert {name for name in novel if novel.count(name) >= 4} == set(voc.CLASSES[5 * fold : 5 * fold + 5])
        assert len({name for name in base if base.count(name) >= 2}) == 15
        for sample in samples[::5]:
            assert (sample.support()[1] == 1).any()


@pytest.mark.parametrize("options", [voc.Options(), FOLD0])
def test_no_group_is_in_two_splits(stand_in, options):
    splits: dict[str, set] = {}
    for sample in voc.read(stand_in, options):
        splits.setdefault(sample.group, set()).add(sample.split)
    assert splits and all(len(of) == 1 for of in splits.values())


def best_threshold(samples) -> float:
    """Compute the pooled IoU of the best gray threshold, with the foreground above or below it."""
    counts = np.zeros((2, 256), int)
    for sample in samples:
        image, mask = sample.image().mean(axis=2).astype(np.uint8), sample.mask()
        counts[0] += np.bincount(image[mask == 0], minlength=256)
        counts[1] += np.bincount(image[(mask > 0) & (mask < 255)], minlength=256)
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


def test_a_gray_threshold_does_not_segment_the_stand_in(stand_in):
    assert best_threshold(sample for sample in voc.read(stand_in) if sample.split == "test") < 0.35


def stub_download(monkeypatch) -> list:
    requested = []

    def fetch(url, path, **checks):
        requested.append((url, checks))
        path.write_bytes(b"tar")

    def unpack(archive, folder):
        assert archive.read_bytes() == b"tar"
        root = build(folder / "VOCdevkit" / "VOC2012")
        for unused in ("Annotations", "SegmentationObject", "ImageSets/Main"):
            (root / unused).mkdir()
            (root / unused / "2007_000032.xml").write_text("x")

    monkeypatch.setattr(voc, "fetch", fetch)
    monkeypatch.setattr(voc.archives, "unpack", unpack)
    return requested


def test_download(tmp_path, monkeypatch):
    requested = stub_download(monkeypatch)
    monkeypatch.setattr(voc, "SPLIT_SIZES", {"train": 3, "test": 4})
    voc.download(tmp_path)
    (url, checks), = requested  # fmt: skip
    assert url == "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
    assert checks == {"md5": "6cd6e144f989b92b3379bac3b3de84fd", "size": 1_999_639_040}
    root = tmp_path / "VOCdevkit" / "VOC2012"
    remaining = {path.relative_to(root).parent.as_posix() for path in tmp_path.rglob("*.*")}
    assert remaining == {"JPEGImages", "SegmentationClass", "ImageSets/Segmentation"}
    assert len(list(tmp_path.rglob("*.jpg"))) == 7  # images without a mask are deleted
    assert len(list(voc.read(tmp_path))) == 7 and [path.name for path in tmp_path.iterdir()] == ["VOCdevkit"]


def test_download_counts(tmp_path, monkeypatch):
    stub_download(monkeypatch)
    refused(lambda: voc.download(tmp_path), "3 images for train, but the official number is 1464")
