"""Tests of the sample and the download of Oxford-IIIT Pet."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.pets import reader as pets
from promptseg.datasets.pets import sample as pets_sample
from refusing import digest


@pytest.fixture(scope="module")
def sample_folder(written_sample) -> Path:
    return written_sample("pets")


def test_sample_is_in_the_official_layout(sample_folder):
    pets.verify(sample_folder)
    samples = list(pets.read(sample_folder))
    splits = [sample.split for sample in samples]
    assert (splits.count("train"), splits.count("test")) == tuple(pets_sample.COUNTS.values())
    lines = (sample_folder / "annotations/list.txt").read_text().splitlines()
    assert lines[0] == "#Image CLASS-ID SPECIES BREED ID" and len(lines) == 6 + len(samples)
    with Image.open(samples[0].file) as photo:
        assert (photo.format, photo.mode) == ("JPEG", "RGB") and 256 <= min(photo.size) <= max(photo.size) <= 500
    with Image.open(sample_folder / f"annotations/trimaps/{samples[0].id}.png") as trimap:
        assert (trimap.format, trimap.mode) == ("PNG", "L")


def test_sample_has_one_pet_with_a_border(sample_folder):
    species_by_split = {"train": set(), "test": set()}
    for sample in pets.read(sample_folder):
        image, mask = sample.image(), sample.mask()
        assert image.shape[:2] == mask.shape
        species = 1 if sample.id[0].isupper() else 2
        assert set(np.unique(mask)) == {0, species, 255}, sample.id
        assert 0.01 < (mask == species).mean() < 0.8 and (mask == 255).mean() < 0.25, sample.id
        species_by_split[sample.split].add(species)
    assert species_by_split == {"train": {1, 2}, "test": {1, 2}}


def best_threshold(samples) -> float:
    """Compute the pooled IoU of the best gray threshold, with the pets on its bright or its dark side."""
    counts = np.zeros((2, 256), int)
    for sample in samples:
        image, mask = sample.image(), sample.mask()
        gray = image if image.ndim == 2 else image.mean(axis=2).astype(np.uint8)
        for value, where in enumerate((mask == 0, (mask == 1) | (mask == 2))):
            counts[value] += np.bincount(gray[where], minlength=256)
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


def test_sample_is_not_solved_by_a_threshold(sample_folder):
    assert best_threshold(sample for sample in pets.read(sample_folder) if sample.split == "test") < 0.4


def test_download_fetches_the_official_archives(tmp_path, monkeypatch):
    requested = []

    def fetch(url, path, *, md5=None, sha256=None, size=None):
        requested.append((url, md5, size))
        path.write_bytes(b"archive")

    def unpack(archive, folder):
        part = folder / archive.name.removesuffix(".tar.gz")
        part.mkdir()
        (part / "member").write_bytes(archive.read_bytes())

    monkeypatch.setattr(pets.http, "fetch", fetch)
    monkeypatch.setattr(pets.archives, "unpack", unpack)
    pets.download(tmp_path)
    home = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
    assert sorted(requested) == [
        (home + "annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f", None),
        (home + "images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c", 791918971),
    ]
    assert list(digest(tmp_path)) == ["annotations/member", "images/member"]
