"""COCO-Stuff: the reader on tiny files in all supported layouts, the stand-in, the download."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.coco_stuff import reader as coco_stuff
from refusing import refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "coco_stuff"
TINY = {"train2017": ("000000000009", "000000000030", "000000581921"), "val2017": ("000000000139",)}
LAYOUTS = {
    "official": ("{}", "stuffthingmaps_trainval2017/{}"),
    "doubled": ("{}", "stuffthingmaps_trainval2017/stuffthingmaps_trainval2017/{}"),
    "short": ("{}", "stuffthingmaps/{}"),
    "as the authors set it up": ("images/{}", "annotations/{}"),
    "all archives unpacked in one place": ("{}", "{}"),
    "each archive in its own folder": ("{0}/{0}", "stuffthingmaps_trainval2017/{0}"),
}


def build(root: Path, images: str = "{}", maps: str = "stuffthingmaps_trainval2017/{}") -> Path:
    """Write the pairs of TINY, 5x7, each map of one value and a column of unlabeled pixels."""
    for split, names in TINY.items():
        for place, name in enumerate(names):
            labels = np.full((5, 7), 60 * place, np.uint8)
            labels[:, 6] = 255
            for home, end, array in (
                (images, "jpg", np.full((5, 7, 3), 40 * place, np.uint8)),
                (maps, "png", labels),
            ):
                folder = root / home.format(split)
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(folder / f"{name}.{end}")
    return root


def test_classes_are_the_official_ids():
    """Spot checks against the authors' labels.txt."""
    ids = {name: number for number, name in enumerate(coco_stuff.CLASSES, 1)}
    assert len(ids) == 182 and len(coco_stuff.THINGS) == len(coco_stuff.STUFF) == 91
    things = {"person": 1, "street sign": 12, "dog": 18, "hat": 26, "kite": 38, "hair brush": 91}
    stuff = {"banner": 92, "clouds": 106, "grass": 124, "road": 149, "sea": 155, "sky-other": 157, "wood": 182}
    wanted = things | stuff
    assert {name: ids[name] for name in wanted} == wanted


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    build(tmp_path, *LAYOUTS[layout])
    coco_stuff.verify(tmp_path)
    samples = list(coco_stuff.read(tmp_path))
    assert [p.id for p in samples] == [f"{split}/{name}" for split, names in TINY.items() for name in names]
    assert [p.split for p in samples] == ["train"] * 3 + ["test"]
    assert len({p.group for p in samples}) == 4
    last = samples[2]
    assert last.file.name == "000000581921.jpg" and (last.image() == 80).all()
    assert last.mask().tolist() == [[121] * 6 + [255]] * 5


def test_layout_of_image_synthesis(tmp_path):
    build(tmp_path)
    for split in TINY:
        (tmp_path / split).rename(tmp_path / f"{split[:-4]}_img")
        (tmp_path / coco_stuff.MAPS / split).rename(tmp_path / f"{split[:-4]}_label")
    assert [p.id for p in coco_stuff.read(tmp_path)][-1] == "val2017/000000000139"


def test_every_value(tmp_path):
    build(tmp_path)
    path = tmp_path / coco_stuff.MAPS / "train2017/000000000009.png"
    Image.fromarray(np.arange(182, dtype=np.uint8)[None]).save(path)
    mask = next(iter(coco_stuff.read(tmp_path))).mask()
    assert mask.tolist() == [list(range(1, 183))]
    Image.fromarray(np.array([[5, 182]], np.uint8)).save(path)
    refused(next(iter(coco_stuff.read(tmp_path))).mask, path, "182 at 1 pixels")


def test_gray_images_are_accepted(tmp_path):
    build(tmp_path)
    Image.new("L", (7, 5), 77).save(tmp_path / "train2017/000000000009.jpg")
    assert next(iter(coco_stuff.read(tmp_path))).image().shape == (5, 7)


def test_image_and_mask_are_read_separately(tmp_path):
    build(tmp_path)
    image, labels = tmp_path / "train2017/000000000009.jpg", tmp_path / coco_stuff.MAPS / "train2017/000000000009.png"
    image.write_bytes(image.read_bytes()[:200])
    sample = next(iter(coco_stuff.read(tmp_path)))
    assert sample.mask().any()
    refused(sample.image, image, "fetch it again")
    labels.write_bytes(labels.read_bytes()[:50])
    refused(sample.mask, labels)


@pytest.mark.parametrize("call", [coco_stuff.read, coco_stuff.verify])
def test_images_and_maps_are_paired_by_name(tmp_path, call):
    build(tmp_path)
    image, labels = tmp_path / "train2017/000000000030.jpg", tmp_path / coco_stuff.MAPS / "train2017/000000000030.png"
    labels.rename(labels.with_name("000000000031.png"))
    refused(lambda: call(tmp_path), image, "no label map 000000000030.png")
    image.unlink()
    refused(lambda: call(tmp_path), "000000000031.png", "delete this map")


def test_all_maps_or_all_images_missing(tmp_path):
    build(tmp_path)
    (tmp_path / coco_stuff.MAPS).rename(tmp_path / "elsewhere")
    refused(lambda: coco_stuff.verify(tmp_path), "no label map 000000000009.png", coco_stuff.MAPS)
    (tmp_path / "elsewhere").rename(tmp_path / coco_stuff.MAPS)
    (tmp_path / "val2017").rename(tmp_path / "gone")
    refused(lambda: coco_stuff.verify(tmp_path), "no image 000000000139.jpg in", tmp_path / "val2017")


def test_a_subset_of_the_data(tmp_path):
    refused(lambda: coco_stuff.verify(tmp_path), tmp_path, "train2017.zip, val2017.zip and stuffthingmaps")
    refused(lambda: coco_stuff.read(tmp_path / "nowhere"), "nowhere")
    build(tmp_path)
    for home in (tmp_path, tmp_path / coco_stuff.MAPS):
        (home / "train2017").rename(home / "elsewhere")
    assert [p.split for p in coco_stuff.read(tmp_path)] == ["test"]
    refused(lambda: coco_stuff.verify(tmp_path), "no images in train2017")


def test_other_files_are_left_out(tmp_path):
    build(tmp_path, "images/{}", "annotations/{}")
    for stray in ("000000000009_labelTrainIds.png", "._000000000030.png", "Thumbs.db"):
        (tmp_path / "annotations/train2017" / stray).write_bytes(b"stray")
    (tmp_path / "annotations/instances_val2017.json").write_text("{}")
    coco_stuff.verify(tmp_path)
    assert len(list(coco_stuff.read(tmp_path))) == 4


@pytest.fixture(scope="module")
def stand_in(written_sample) -> Path:
    return written_sample("coco_stuff")


def test_stand_in_reads_as_the_official_data(stand_in):
    coco_stuff.verify(stand_in)
    samples = list(coco_stuff.read(stand_in))
    assert [p.split for p in samples] == ["train"] * 44 + ["test"] * 22
    assert len({p.group for p in samples}) == len(samples)
    counts_of = {"train": np.zeros(256, int), "test": np.zeros(256, int)}
    for p in samples:
        image, mask = p.image(), p.mask()
        assert image.shape[:2] == mask.shape == (192, 256) and image.dtype == mask.dtype == np.uint8
        assert len(np.unique(mask)) >= 4 and mask.min() > 0, p.id
        counts_of[p.split] += np.bincount(mask.ravel(), minlength=256)
    assert sum(p.image().ndim == 2 for p in samples) == 2
    for counts in counts_of.values():
        assert 0.001 < counts[255] / counts.sum() < 0.1
        assert counts[92:183].sum() > 4 * counts[1:92].sum() > 0  # mostly stuff
    test_classes = {coco_stuff.CLASSES[i - 1] for i in np.flatnonzero(counts_of["test"]) if i != 255}
    assert {
        "person",
        "car",
        "dog",
        "sky-other",
        "clouds",
        "sea",
        "sand",
        "grass",
        "tree",
        "road",
        "floor-wood",
    } <= test_classes
    assert not [i for i in np.flatnonzero(counts_of["test"]) if not counts_of["train"][i]]


def test_a_gray_band_does_not_segment_the_stand_in(stand_in):
    """For each of the twelve most frequent classes, the best band of gray levels, chosen by the ground truth."""
    counts = np.zeros((256, 256), int)
    for p in coco_stuff.read(stand_in):
        if p.split == "test":
            image = p.image()
            gray = image if image.ndim == 2 else image.mean(2).astype(np.uint8)
            np.add.at(counts, (p.mask().ravel(), gray.ravel()), 1)
    counts[255] = 0
    total, common = counts.sum(0), np.argsort(counts.sum(1))[-12:]
    scores = []
    for label in common:
        own, every = (np.concatenate([[0], np.cumsum(c)]) for c in (counts[label], total))
        low, high = np.triu_indices(257, 1)
        inside = own[high] - own[low]
        scores.append((inside / (own[-1] + every[high] - every[low] - inside)).max())
    assert np.mean(scores) < 0.3


def test_download(tmp_path, monkeypatch):
    requested, unpacked = [], []

    def fetch(url, path, **checks):
        requested.append(url)
        path.write_bytes(b"zip")

    def unpack(archive, folder):
        unpacked.append((archive.name, folder))
        images, maps = ("unused/{}", "{}") if "maps" in archive.name else ("{}", "unused/{}")
        build(folder, images, maps)

    monkeypatch.setattr(coco_stuff.http, "fetch", fetch)
    monkeypatch.setattr(coco_stuff.archives, "unpack", unpack)
    coco_stuff.download(tmp_path)
    assert requested == [
        "http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip",
        "http://images.cocodataset.org/zips/val2017.zip",
        "http://images.cocodataset.org/zips/train2017.zip",
    ]
    assert unpacked[0] == ("stuffthingmaps_trainval2017.zip", tmp_path / coco_stuff.MAPS)
    assert [folder for _, folder in unpacked[1:]] == [tmp_path] * 2
    assert not list(tmp_path.glob("*.zip"))
    coco_stuff.verify(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with coco_stuff")
def test_real_data():
    coco_stuff.verify(REAL)
    samples = list(coco_stuff.read(REAL))
    assert {p.split for p in samples} <= {"train", "test"}
    for p in samples[::2]:
        mask = p.mask()
        assert p.image().shape[:2] == mask.shape and mask.min() > 0 and (mask != 255).any(), p.id
