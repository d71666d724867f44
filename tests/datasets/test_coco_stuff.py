"""COCO-Stuff: the reader on tiny files in all supported layouts, the stand-in, the download."""

from pathlib import Path

import numpy as np
import pytest
from fake_download import faked
from gray_threshold import histogram
from PIL import Image
from promptseg import datasets
from promptseg.datasets.coco_stuff import reader as coco_stuff
from refusing import refused

TINY = {"train2017": ("000000000009", "000000000030", "000000581921"), "val2017": ("000000000139",)}
IMAGE, MAP = "train2017/000000000009.jpg", f"{coco_stuff.MAPS}/train2017/000000000009.png"
LAYOUTS = {  # {0}: train2017, {1}: train
    "official": ("{0}", "stuffthingmaps_trainval2017/{0}"),
    "doubled": ("{0}", "stuffthingmaps_trainval2017/stuffthingmaps_trainval2017/{0}"),
    "short": ("{0}", "stuffthingmaps/{0}"),
    "as the authors set it up": ("images/{0}", "annotations/{0}"),
    "all archives unpacked in one place": ("{0}", "{0}"),
    "each archive in its own folder": ("{0}/{0}", "stuffthingmaps_trainval2017/{0}"),
    "image synthesis": ("{1}_img", "{1}_label"),
}


def build(root: Path, images: str = "{0}", maps: str = "stuffthingmaps_trainval2017/{0}") -> Path:
    """Write the pairs of TINY, 5x7, each map of one value and a column of unlabeled pixels."""
    for split, names in TINY.items():
        image_folder, map_folder = (root / home.format(split, split[:-4]) for home in (images, maps))
        for folder in (image_folder, map_folder):
            folder.mkdir(parents=True, exist_ok=True)
        for place, name in enumerate(names):
            labels = np.full((5, 7), 60 * place, np.uint8)
            labels[:, 6] = 255
            Image.new("RGB", (7, 5), (40 * place,) * 3).save(image_folder / f"{name}.jpg")
            Image.fromarray(labels).save(map_folder / f"{name}.png")
    return root


def test_classes_are_the_official_ids():
    """Spot checks against the authors' labels.txt."""
    ids = {name: number for number, name in enumerate(coco_stuff.CLASSES, 1)}
    assert len(ids) == 182 and len(coco_stuff.THINGS) == len(coco_stuff.STUFF) == 91
    things = {"person": 1, "street sign": 12, "dog": 18, "hat": 26, "kite": 38, "hair brush": 91}
    stuff = {"banner": 92, "clouds": 106, "grass": 124, "road": 149, "sea": 155, "sky-other": 157, "wood": 182}
    assert ids | things | stuff == ids


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    build(tmp_path, *LAYOUTS[layout])
    datasets.verify(coco_stuff, tmp_path)
    samples = list(coco_stuff.read(tmp_path))
    assert [p.id for p in samples] == [f"{split}/{name}" for split, names in TINY.items() for name in names]
    assert [p.split for p in samples] == ["train"] * 3 + ["test"]
    assert len({p.group for p in samples}) == 4
    last = samples[2]
    assert last.file.name == "000000581921.jpg" and (last.image() == 80).all()
    assert last.mask().tolist() == [[121] * 6 + [255]] * 5


def test_every_value_and_gray_images_are_read(tmp_path):
    build(tmp_path)
    Image.fromarray(np.arange(182, dtype=np.uint8)[None]).save(tmp_path / MAP)
    Image.new("L", (7, 5), 77).save(tmp_path / IMAGE)
    sample = next(coco_stuff.read(tmp_path))
    assert sample.mask().tolist() == [list(range(1, 183))] and sample.image().shape == (5, 7)
    Image.fromarray(np.array([[5, 182]], np.uint8)).save(tmp_path / MAP)
    refused(sample.mask, tmp_path / MAP, "182 at 1 pixels")


@pytest.mark.parametrize(
    "source, target, words",
    [
        (MAP, "away.png", (f"{MAP}: not found, the mask of 000000000009.jpg",)),
        (IMAGE, "away.jpg", (f"{IMAGE}: not found, the image of 000000000009.png", "or delete 000000000009.png")),
        (coco_stuff.MAPS, "away", (f"{MAP}: not found, the mask of 000000000009.jpg",)),
        ("val2017", "away", ("val2017/000000000139.jpg: not found, the image of",)),
    ],
)
def test_images_and_maps_are_paired_by_name(tmp_path, source, target, words):
    (build(tmp_path) / source).rename(tmp_path / target)
    refused(lambda: datasets.verify(coco_stuff, tmp_path), tmp_path, *words)


def test_a_subset_of_the_data_is_read_and_other_files_are_left_out(tmp_path):
    refused(lambda: datasets.verify(coco_stuff, tmp_path), tmp_path, "train2017.zip, val2017.zip and stuffthingmaps")
    build(tmp_path, "images/{0}", "annotations/{0}")
    for stray in ("000000000009_labelTrainIds.png", "._000000000030.png", "000000000031.png.part"):
        (tmp_path / "annotations/train2017" / stray).write_bytes(b"stray")
    (tmp_path / "annotations/instances_val2017.json").write_text("{}")
    datasets.verify(coco_stuff, tmp_path)
    assert len(list(coco_stuff.read(tmp_path))) == 4
    for home in ("images", "annotations"):
        (tmp_path / home / "train2017").rename(tmp_path / home / "elsewhere")
    assert [p.split for p in coco_stuff.read(tmp_path)] == ["test"]
    refused(lambda: datasets.verify(coco_stuff, tmp_path), "train2017: no images")


def test_stand_in_reads_as_the_official_data_and_a_gray_band_does_not_segment_it(written_sample):
    """For each of the twelve most frequent classes, the best band of gray levels, chosen by the ground truth."""
    samples = list(coco_stuff.read(written_sample("coco_stuff")))
    assert [p.split for p in samples] == ["train"] * 44 + ["test"] * 22
    for p in samples:
        mask = p.mask()
        assert mask.shape == (192, 256) and len(np.unique(mask)) >= 4 and mask.min() > 0, p.id
    assert sum(p.image().ndim == 2 for p in samples) == 2
    train, test = histogram(samples[:44]), histogram(samples[44:])
    for counts in (train.sum(axis=1), test.sum(axis=1)):
        assert 0.001 < counts[255] / counts.sum() < 0.1
        assert counts[92:183].sum() > 4 * counts[1:92].sum() > 0  # mostly stuff
    numbers = {number for number in np.flatnonzero(test.any(axis=1)) if number != 255}
    assert all(train[number].any() for number in numbers)
    shown = "person, car, dog, sky-other, clouds, sea, sand, grass, tree, road, floor-wood"
    assert set(shown.split(", ")) <= {coco_stuff.CLASSES[number - 1] for number in numbers}
    test[255] = 0
    scores, low, high = [], *np.triu_indices(257, 1)
    every = np.concatenate([[0], np.cumsum(test.sum(axis=0))])
    for label in np.argsort(test.sum(axis=1))[-12:]:
        own = np.concatenate([[0], np.cumsum(test[label])])
        inside = own[high] - own[low]
        scores.append((inside / (own[-1] + every[high] - every[low] - inside)).max())
    assert np.mean(scores) < 0.3


def test_download(tmp_path, monkeypatch):
    unpacked = []

    def unpack(archive, folder):
        unpacked.append((archive.name, folder))
        build(folder, *(("unused/{}", "{}") if "maps" in archive.name else ("{}", "unused/{}")))

    requested = faked(monkeypatch, unpack)
    coco_stuff.download(tmp_path)
    assert [url for url, _ in requested] == [
        "http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip",
        "http://images.cocodataset.org/zips/val2017.zip",
        "http://images.cocodataset.org/zips/train2017.zip",
    ]
    assert unpacked[0] == ("stuffthingmaps_trainval2017.zip", tmp_path / coco_stuff.MAPS)
    assert [folder for _, folder in unpacked[1:]] == [tmp_path] * 2
    assert not list(tmp_path.glob("*.zip"))
    datasets.verify(coco_stuff, tmp_path)
