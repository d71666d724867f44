"""Pascal VOC 2012: the folds of Pascal-5i, the stand-in, the download."""

from pathlib import Path

import numpy as np
import pytest
from fake_download import faked
from gray_threshold import best_iou, histogram
from PIL import Image
from promptseg import datasets
from promptseg.datasets.voc import reader as voc
from refusing import refused
from test_voc import MASK, TINY, build, by_id, save_mask

FOLD0 = voc.Options(fold=0)


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
    shown = set()
    for k, name in enumerate(TINY["val"]):
        labels = [1 + i % 20 for i in range(4 * k, 4 * k + 6)]
        save_mask(tmp_path / f"SegmentationClass/{name}.png", labels)
        shown |= {voc.CLASSES[label - 1] for label in labels}
    for fold in range(4):
        novel = set(voc.CLASSES[5 * fold : 5 * fold + 5])
        classes = {"train": set(), "test": set()}
        for sample in voc.read(tmp_path, voc.Options(fold=fold)):
            classes[sample.split].add(sample.id.split("/")[1])
        assert classes["test"] == shown & novel and classes["test"] and not novel & classes["train"]
    for fold in (-1, 4, "0"):
        with pytest.raises(ValueError, match="fold"):
            voc.Options(fold=fold)


def test_the_support_image_is_another_image_of_the_same_list(tmp_path):
    build(tmp_path)
    images = {sample.image()[0, 0, 0]: sample for sample in voc.read(tmp_path)}
    for id, sample in by_id(tmp_path, FOLD0).items():
        image, mask = sample.support()
        other, number = images[image[0, 0, 0]], voc.CLASSES.index(id.split("/")[1]) + 1
        assert other.id != sample.group and other.split == sample.split and (mask == 255).any()
        assert ((mask == 1) == (other.mask() == number)).all() and (mask == 1).any()
    save_mask(tmp_path / "SegmentationClass/2009_000001.png", np.full((6, 8), 1))
    sample = by_id(tmp_path, FOLD0)["2007_000042/bird"]
    refused(sample.support, "2007_000042.png", "no other image of its list contains a bird")


def test_a_fold_decodes_masks_when_it_is_read(tmp_path):
    mask = build(tmp_path) / MASK
    mask.write_bytes(mask.read_bytes()[:60])
    datasets.verify(voc, tmp_path, FOLD0)
    samples = voc.read(tmp_path, FOLD0)
    refused(lambda: list(samples), mask, "fetch it again")


@pytest.fixture(scope="module")
def stand_in(written_sample) -> Path:
    return written_sample("voc")


def test_stand_in_resembles_the_official_data(stand_in):
    root = stand_in / "VOCdevkit/VOC2012"
    train, val, both = (
        (root / f"ImageSets/Segmentation/{n}.txt").read_text().split() for n in ("train", "val", "trainval")
    )
    assert sorted(train + val) == both
    samples = list(voc.read(stand_in))
    found = set()
    for sample in samples:
        mask = sample.mask()
        values = set(np.unique(mask).tolist())
        assert {0, 255} < values and 0.005 < (mask == 255).mean() < 0.2
        found |= values
        with Image.open(root / "SegmentationClass" / f"{sample.id}.png") as file:
            assert file.mode == "P" and (np.array(file) == mask).all()
    assert found == {*range(21), 255}
    assert best_iou(histogram(sample for sample in samples if sample.split == "test"), *range(1, 21)) < 0.35


def test_every_fold_of_the_stand_in_has_test_samples(stand_in):
    for fold in range(4):
        samples = list(voc.read(stand_in, voc.Options(fold=fold)))
        test = [sample for sample in samples if sample.split == "test"]
        novel = [sample.id.split("/")[1] for sample in test]
        base = [sample.id.split("/")[1] for sample in samples if sample.split == "train"]
        assert {name for name in novel if novel.count(name) >= 4} == set(voc.CLASSES[5 * fold : 5 * fold + 5])
        assert len({name for name in base if base.count(name) >= 2}) == 15
        assert all((sample.support()[1] == 1).any() for sample in test[::10])


def test_download(tmp_path, monkeypatch):
    def unpack(archive, folder):
        root = build(folder / "VOCdevkit/VOC2012")
        for unused in ("Annotations", "SegmentationObject", "ImageSets/Main"):
            (root / unused).mkdir(exist_ok=True)
            (root / unused / "2007_000032.xml").write_text("x")

    requested = faked(monkeypatch, unpack)
    refused(lambda: voc.download(tmp_path), "3 images for train, but the official number is 1464")
    monkeypatch.setattr(voc, "SPLIT_SIZES", {"train": 3, "test": 4})
    voc.download(tmp_path)
    url = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
    assert requested[1:] == [(url, {"md5": "6cd6e144f989b92b3379bac3b3de84fd", "size": 1_999_639_040})]
    root = tmp_path / "VOCdevkit/VOC2012"
    remaining = {path.relative_to(root).parent.as_posix() for path in tmp_path.rglob("*.*")}
    assert remaining == {"JPEGImages", "SegmentationClass", "ImageSets/Segmentation"}
    assert len(list(tmp_path.rglob("*.jpg"))) == 7  # images without a mask are deleted
    assert len(list(voc.read(tmp_path))) == 7 and [path.name for path in tmp_path.iterdir()] == ["VOCdevkit"]
