"""COCO-Stuff: the reader on tiny files in every layout that people have, the sample, the download."""

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


def build(root: Path, photos: str = "{}", maps: str = "stuffthingmaps_trainval2017/{}") -> Path:
    """The pairs of TINY, 5x7, the map of one value and a column of unlabelled pixels."""
    for split, names in TINY.items():
        for place, name in enumerate(names):
            labels = np.full((5, 7), 60 * place, np.uint8)
            labels[:, 6] = 255
            for home, end, array in (
                (photos, "jpg", np.full((5, 7, 3), 40 * place, np.uint8)),
                (maps, "png", labels),
            ):
                folder = root / home.format(split)
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(folder / f"{name}.{end}")
    return root


def test_classes_are_the_official_ids():
    """Spot checks against labels.txt of the authors."""
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
    pictures = list(coco_stuff.read(tmp_path))
    assert [p.id for p in pictures] == [f"{split}/{name}" for split, names in TINY.items() for name in names]
    assert [p.split for p in pictures] == ["train"] * 3 + ["test"]
    assert len({p.group for p in pictures}) == 4
    last = pictures[2]
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


def test_gray_photos_are_taken(tmp_path):
    build(tmp_path)
    Image.new("L", (7, 5), 77).save(tmp_path / "train2017/000000000009.jpg")
    assert next(iter(coco_stuff.read(tmp_path))).image().shape == (5, 7)


def test_only_what_is_asked_for_is_read(tmp_path):
    build(tmp_path)
    photo, labels = tmp_path / "train2017/000000000009.jpg", tmp_path / coco_stuff.MAPS / "train2017/000000000009.png"
    photo.write_bytes(photo.read_bytes()[:200])
    picture = next(iter(coco_stuff.read(tmp_path)))
    assert picture.mask().any()
    refused(picture.image, photo, "fetch it again")
    labels.write_bytes(labels.read_bytes()[:50])
    refused(picture.mask, labels)


@pytest.mark.parametrize("call", [coco_stuff.read, coco_stuff.verify])
def test_pairs_are_by_name(tmp_path, call):
    build(tmp_path)
    photo, labels = tmp_path / "train2017/000000000030.jpg", tmp_path / coco_stuff.MAPS / "train2017/000000000030.png"
    labels.rename(labels.with_name("000000000031.png"))
    refused(lambda: call(tmp_path), photo, "no 000000000030.png")
    photo.unlink()
    refused(lambda: call(tmp_path), "000000000031.png", "delete this")


def test_a_whole_side_missing(tmp_path):
    build(tmp_path)
    (tmp_path / coco_stuff.MAPS).rename(tmp_path / "elsewhere")
    refused(lambda: coco_stuff.verify(tmp_path), "no 000000000009.png", coco_stuff.MAPS)
    (tmp_path / "elsewhere").rename(tmp_path / coco_stuff.MAPS)
    (tmp_path / "val2017").rename(tmp_path / "gone")
    refused(lambda: coco_stuff.verify(tmp_path), "no 000000000139.jpg in", tmp_path / "val2017")


def test_a_part_of_the_data(tmp_path):
    refused(lambda: coco_stuff.verify(tmp_path), tmp_path, "train2017.zip, val2017.zip and stuffthingmaps")
    refused(lambda: coco_stuff.read(tmp_path / "nowhere"), "nowhere")
    build(tmp_path)
    for home in (tmp_path, tmp_path / coco_stuff.MAPS):
        (home / "train2017").rename(home / "elsewhere")
    assert [p.split for p in coco_stuff.read(tmp_path)] == ["test"]
    refused(lambda: coco_stuff.verify(tmp_path), "no photos in train2017")


def test_strays_are_left_out(tmp_path):
    build(tmp_path, "images/{}", "annotations/{}")
    for stray in ("000000000009_labelTrainIds.png", "._000000000030.png", "Thumbs.db"):
        (tmp_path / "annotations/train2017" / stray).write_bytes(b"stray")
    (tmp_path / "annotations/instances_val2017.json").write_text("{}")
    coco_stuff.verify(tmp_path)
    assert len(list(coco_stuff.read(tmp_path))) == 4


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("coco_stuff")
    coco_stuff.sample(folder, 0)
    return folder


def test_sample_reads_as_the_official_data_do(drawn):
    coco_stuff.verify(drawn)
    pictures = list(coco_stuff.read(drawn))
    assert [p.split for p in pictures] == ["train"] * 44 + ["test"] * 22
    assert len({p.group for p in pictures}) == len(pictures)
    seen = {"train": np.zeros(256, int), "test": np.zeros(256, int)}
    for p in pictures:
        image, mask = p.image(), p.mask()
        assert image.shape[:2] == mask.shape == (192, 256) and image.dtype == mask.dtype == np.uint8
        assert len(np.unique(mask)) >= 4 and mask.min() > 0, p.id
        seen[p.split] += np.bincount(mask.ravel(), minlength=256)
    assert sum(p.image().ndim == 2 for p in pictures) == 2
    for counts in seen.values():
        assert 0.001 < counts[255] / counts.sum() < 0.1
        assert counts[92:183].sum() > 4 * counts[1:92].sum() > 0  # mostly stuff
    tested = {coco_stuff.CLASSES[i - 1] for i in np.flatnonzero(seen["test"]) if i != 255}
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
    } <= tested
    assert not [i for i in np.flatnonzero(seen["test"]) if not seen["train"][i]]


def test_gray_does_not_solve_the_sample(drawn):
    """For each of the twelve commonest classes the best band of gray levels, chosen with the truth at hand."""
    counts = np.zeros((256, 256), int)
    for p in coco_stuff.read(drawn):
        if p.split == "test":
            image = p.image()
            gray = image if image.ndim == 2 else image.mean(2).astype(np.uint8)
            np.add.at(counts, (p.mask().ravel(), gray.ravel()), 1)
    counts[255] = 0
    total, common = counts.sum(0), np.argsort(counts.sum(1))[-12:]
    scores = []
    for label in common:
        mine, all_ = (np.concatenate([[0], np.cumsum(c)]) for c in (counts[label], total))
        low, high = np.triu_indices(257, 1)
        inside = mine[high] - mine[low]
        scores.append((inside / (mine[-1] + all_[high] - all_[low] - inside)).max())
    assert np.mean(scores) < 0.3


def test_download(tmp_path, monkeypatch):
    asked, unpacked = [], []

    def fetched(url, path, **checks):
        asked.append(url)
        path.write_bytes(b"zip")

    def unpack(archive, folder):
        unpacked.append((archive.name, folder))
        photos, maps = ("unused/{}", "{}") if "maps" in archive.name else ("{}", "unused/{}")
        build(folder, photos, maps)

    monkeypatch.setattr(coco_stuff.fetch, "fetch", fetched)
    monkeypatch.setattr(coco_stuff.archives, "unpack", unpack)
    coco_stuff.download(tmp_path)
    assert asked == [
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
    pictures = list(coco_stuff.read(REAL))
    assert {p.split for p in pictures} <= {"train", "test"}
    for p in pictures[::2]:
        mask = p.mask()
        assert p.image().shape[:2] == mask.shape and mask.min() > 0 and (mask != 255).any(), p.id
