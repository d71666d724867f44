"""Pascal VOC 2012: the folds of Pascal-5i, the sample, the download."""

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


def test_fold_rows(tmp_path):
    build(tmp_path)
    rows = by_id(tmp_path, FOLD0)
    assert list(rows) == [
        "2007_000032/person", "2007_000039/car", "2007_000039/person", "2008_000008/car",
        "2007_000033/aeroplane", "2007_000042/aeroplane", "2007_000042/bird",
        "2009_000001/aeroplane", "2009_000001/bird",
    ]  # fmt: skip
    assert [row.split for row in rows.values()] == ["train"] * 4 + ["test"] * 5
    assert all(row.group == row.id.split("/")[0] and row.text == row.id.split("/")[1] for row in rows.values())
    row = rows["2007_000042/bird"]
    assert row.mask()[:, 0].tolist() == [0, 0, 1, 255, 0, 0] and row.image().shape == (6, 8, 3)
    assert rows["2007_000032/person"].mask()[:, 0].tolist() == [0, 0, 0, 255, 1, 0]  # the aeroplane is background


def test_a_fold_is_of_five_classes(tmp_path):
    build(tmp_path)
    every = {f"{name}.png": [1 + i % 20 for i in range(4 * k, 4 * k + 6)] for k, name in enumerate(TINY["val"])}
    for name, labels in every.items():
        save_mask(tmp_path / "SegmentationClass" / name, np.repeat(np.array(labels, np.uint8)[:, None], 8, 1))
    shown = {label for labels in every.values() for label in labels}
    for fold in range(4):
        novel = set(voc.CLASSES[5 * fold : 5 * fold + 5])
        rows = list(voc.read(tmp_path, voc.Options(fold=fold)))
        tested = {row.id.split("/")[1] for row in rows if row.split == "test"}
        assert tested == {voc.CLASSES[label - 1] for label in shown} & novel and tested
        assert not novel & {row.id.split("/")[1] for row in rows if row.split == "train"}
    for fold in (-1, 4, "0"):
        with pytest.raises(ValueError, match="fold"):
            voc.Options(fold=fold)


def test_support_is_another_photo_of_the_same_list(tmp_path):
    build(tmp_path)
    photos = {gray_of(picture.image()): picture for picture in voc.read(tmp_path)}
    rows = by_id(tmp_path, FOLD0)
    for row in rows.values():
        image, mask = row.support()
        other = photos[gray_of(image)]
        number = voc.CLASSES.index(row.id.split("/")[1]) + 1
        assert other.id != row.group and other.split == row.split
        assert ((mask == 1) == (other.mask() == number)).all() and (mask == 1).any() and (mask == 255).any()
        assert (by_id(tmp_path, FOLD0)[row.id].support()[0] == image).all()


def test_a_class_of_one_photo_has_no_support(tmp_path):
    build(tmp_path)
    save_mask(tmp_path / "SegmentationClass/2009_000001.png", np.full((6, 8), 1, np.uint8))
    row = by_id(tmp_path, FOLD0)["2007_000042/bird"]
    refused(row.support, "2007_000042.png", "no other photo of its list shows a bird")


def test_a_fold_decodes_masks_when_it_is_read(tmp_path):
    build(tmp_path)
    mask = tmp_path / "SegmentationClass/2007_000032.png"
    mask.write_bytes(mask.read_bytes()[:60])
    voc.verify(tmp_path, FOLD0)
    rows = voc.read(tmp_path, FOLD0)
    refused(lambda: list(rows), str(mask), "fetch it again")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    voc.sample(folder, 0)
    return folder


def test_sample_is_as_the_official_data_are(drawn):
    voc.verify(drawn)
    root = drawn / "VOCdevkit" / "VOC2012"
    sets = {
        name: (root / f"ImageSets/Segmentation/{name}.txt").read_text().split() for name in ("train", "val", "trainval")
    }
    assert sorted(sets["train"] + sets["val"]) == sets["trainval"]
    seen = set()
    for picture in voc.read(drawn):
        mask = picture.mask()
        assert picture.image().shape == (*mask.shape, 3)
        values = set(np.unique(mask).tolist())
        assert {0, 255} < values and 0.005 < (mask == 255).mean() < 0.2
        seen |= values
        with Image.open(root / "SegmentationClass" / f"{picture.id}.png") as file:
            assert file.mode == "P" and (np.array(file) == mask).all()
    assert seen == {*range(21), 255}


def test_every_fold_of_the_sample_can_be_tested(drawn):
    for fold in range(4):
        every = list(voc.read(drawn, voc.Options(fold=fold)))
        rows = [row for row in every if row.split == "test"]
        kinds, base = ([row.id.split("/")[1] for row in every if row.split == split] for split in ("test", "train"))
        assert {kind for kind in kinds if kinds.count(kind) >= 4} == set(voc.CLASSES[5 * fold : 5 * fold + 5])
        assert len({kind for kind in base if base.count(kind) >= 2}) == 15
        for row in rows[::5]:
            assert (row.support()[1] == 1).any()


@pytest.mark.parametrize("options", [voc.Options(), FOLD0])
def test_no_group_is_in_two_splits(drawn, options):
    splits: dict[str, set] = {}
    for picture in voc.read(drawn, options):
        splits.setdefault(picture.group, set()).add(picture.split)
    assert splits and all(len(of) == 1 for of in splits.values())


def best_threshold(pictures) -> float:
    """The pooled IoU of the best single gray level, with the foreground on its bright or on its dark side."""
    counts = np.zeros((2, 256), int)
    for picture in pictures:
        image, mask = picture.image().mean(axis=2).astype(np.uint8), picture.mask()
        counts[0] += np.bincount(image[mask == 0], minlength=256)
        counts[1] += np.bincount(image[(mask > 0) & (mask < 255)], minlength=256)
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


def test_threshold_does_not_solve_the_sample(drawn):
    assert best_threshold(picture for picture in voc.read(drawn) if picture.split == "test") < 0.35


def stub_download(monkeypatch) -> list:
    asked = []

    def fetch(url, path, **checks):
        asked.append((url, checks))
        path.write_bytes(b"tar")

    def unpack(archive, folder):
        assert archive.read_bytes() == b"tar"
        root = build(folder / "VOCdevkit" / "VOC2012")
        for other in ("Annotations", "SegmentationObject", "ImageSets/Main"):
            (root / other).mkdir()
            (root / other / "2007_000032.xml").write_text("x")

    monkeypatch.setattr(voc, "fetch", fetch)
    monkeypatch.setattr(voc.archives, "unpack", unpack)
    return asked


def test_download(tmp_path, monkeypatch):
    asked = stub_download(monkeypatch)
    monkeypatch.setattr(voc, "SPLIT_SIZES", {"train": 3, "test": 4})
    voc.download(tmp_path)
    (url, checks), = asked  # fmt: skip
    assert url == "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
    assert checks == {"md5": "6cd6e144f989b92b3379bac3b3de84fd", "size": 1_999_639_040}
    left = {path.relative_to(tmp_path / "VOCdevkit" / "VOC2012").parent.as_posix() for path in tmp_path.rglob("*.*")}
    assert left == {"JPEGImages", "SegmentationClass", "ImageSets/Segmentation"}
    assert len(list(tmp_path.rglob("*.jpg"))) == 7  # what has no mask is not kept
    assert len(list(voc.read(tmp_path))) == 7 and [path.name for path in tmp_path.iterdir()] == ["VOCdevkit"]


def test_download_counts(tmp_path, monkeypatch):
    stub_download(monkeypatch)
    refused(lambda: voc.download(tmp_path), "3 pairs for train, where 1464 are official")
