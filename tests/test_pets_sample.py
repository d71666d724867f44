"""Oxford-IIIT Pet: the drawn sample, read back, and what the download asks for and leaves behind."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.pets import reader as pets
from refusing import digest


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    pets.sample(folder, 0)
    return folder


def test_sample_is_in_the_official_layout(drawn):
    pets.verify(drawn)
    pictures = list(pets.read(drawn))
    splits = [picture.split for picture in pictures]
    assert (splits.count("train"), splits.count("test")) == tuple(pets.SAMPLE.values())
    lines = (drawn / "annotations/list.txt").read_text().splitlines()
    assert lines[0] == "#Image CLASS-ID SPECIES BREED ID" and len(lines) == 6 + len(pictures)
    with Image.open(pictures[0].file) as photo:
        assert (photo.format, photo.mode) == ("JPEG", "RGB") and 256 <= min(photo.size) <= max(photo.size) <= 500
    with Image.open(drawn / f"annotations/trimaps/{pictures[0].id}.png") as trimap:
        assert (trimap.format, trimap.mode) == ("PNG", "L")


def test_sample_shows_one_pet_with_a_border(drawn):
    seen = {"train": set(), "test": set()}
    for picture in pets.read(drawn):
        image, mask = picture.image(), picture.mask()
        assert image.shape[:2] == mask.shape
        species = 1 if picture.id[0].isupper() else 2
        assert set(np.unique(mask)) == {0, species, 255}, picture.id
        assert 0.01 < (mask == species).mean() < 0.8 and (mask == 255).mean() < 0.25, picture.id
        seen[picture.split].add(species)
    assert seen == {"train": {1, 2}, "test": {1, 2}}


def best_threshold(pictures) -> float:
    """The pooled IoU of the best single gray level, with the pets on its bright or on its dark side."""
    counts = np.zeros((2, 256), int)
    for picture in pictures:
        image, mask = picture.image(), picture.mask()
        gray = image if image.ndim == 2 else image.mean(axis=2).astype(np.uint8)
        for value, where in enumerate((mask == 0, (mask == 1) | (mask == 2))):
            counts[value] += np.bincount(gray[where], minlength=256)
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


def test_threshold_does_not_solve_the_sample(drawn):
    assert best_threshold(picture for picture in pets.read(drawn) if picture.split == "test") < 0.4


def test_download_asks_for_the_official_archives(tmp_path, monkeypatch):
    asked = []

    def fetch(url, path, *, md5=None, sha256=None, size=None):
        asked.append((url, md5, size))
        path.write_bytes(b"archive")

    def unpack(archive, folder):
        part = folder / archive.name.removesuffix(".tar.gz")
        part.mkdir()
        (part / "member").write_bytes(archive.read_bytes())

    monkeypatch.setattr(pets.fetch, "fetch", fetch)
    monkeypatch.setattr(pets.archives, "unpack", unpack)
    pets.download(tmp_path)
    home = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
    assert sorted(asked) == [
        (home + "annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f", None),
        (home + "images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c", 791918971),
    ]
    assert list(digest(tmp_path)) == ["annotations/member", "images/member"]
