"""Records of one sample: classes, sizes, borders, unchanged bytes, support images."""

import io

import numpy as np
import pytest
from fake_samples import Dataset
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.data import image_io, records
from promptseg.datasets import Sample
from promptseg.preprocessing.tiles import Tiler

rng = np.random.default_rng(0)
IMAGE = rng.integers(0, 256, (40, 60, 3), np.uint8)
MASK = (np.arange(2400).reshape(40, 60) // 600).astype(np.uint8)  # bands of 0, 1, 2, 3


def sample(**more):
    return Sample("p", "train", "g", lambda: IMAGE, lambda: MASK, **more)


def tiled(sample, table=None, chosen=None, **settings):
    tiler = Tiler(Dataset(**settings), table)
    image, mask = tiler.read(sample)
    if chosen is None:
        chosen = range(len(tiler.windows(*tiler.mask(sample).shape)))
    return list(tiler.records(sample, image, mask, chosen))


def test_classes_are_mapped_by_the_table():
    table = np.zeros(256, np.uint8)
    table[[2, 3]] = 1, 255
    (record,) = tiled(sample(), table)
    np.testing.assert_array_equal(records.mask(record), table[MASK])
    np.testing.assert_array_equal(records.image(record), IMAGE)


@pytest.mark.parametrize("longer, size", [(30, (20, 30)), (120, (80, 120)), (60, (40, 60))])
def test_resize_is_of_the_longer_side_and_keeps_labels(longer, size):
    (record,) = tiled(sample(), resize=longer)
    assert records.image(record).shape == (*size, 3) and records.mask(record).shape == size
    assert (record.height, record.width) == (record.source_height, record.source_width) == size
    assert set(np.unique(records.mask(record))) == {0, 1, 2, 3}


def test_images_are_resized_before_tiling():
    tiles = tiled(sample(), resize=30, tile=16, overlap=2)
    assert {(record.source_height, record.source_width) for record in tiles} == {(20, 30)}
    assert sorted({(record.top, record.left) for record in tiles}) == [(0, 0), (0, 14), (4, 0), (4, 14)]


@pytest.mark.parametrize(
    "border, corners",
    [
        ("shift", {(0, 0, 16, 16), (0, 14, 16, 16), (4, 0, 16, 16), (4, 14, 16, 16)}),
        ("cut", {(0, 0, 16, 16), (0, 16, 16, 14), (16, 0, 4, 16), (16, 16, 4, 14)}),
        ("drop", {(0, 0, 16, 16)}),
    ],
)
def test_borders(border, corners):
    tiles = tiled(sample(), resize=30, tile=16, border=border)
    assert {(record.top, record.left, record.height, record.width) for record in tiles} == corners


def jpeg(path, mode="RGB", **save):
    Image.fromarray(IMAGE).convert(mode).save(path, "JPEG", quality=80, **save)
    return path


def sample_of_file(path):
    return Sample("p", None, "g", lambda: image_io.read_image(path), lambda: MASK, file=path)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_stays_whole_keeps_its_bytes(tmp_path, mode):
    path = jpeg(tmp_path / "a.jpg", mode)
    (record,) = tiled(sample_of_file(path))
    assert record.image == path.read_bytes()
    np.testing.assert_array_equal(records.image(record), image_io.to_rgb(image_io.read_image(path)))


def test_a_tile_of_a_jpeg_is_stored_without_loss(tmp_path):
    path = jpeg(tmp_path / "a.jpg")
    for record in tiled(sample_of_file(path), tile=32):
        assert record.image[:4] == b"\x89PNG"
        window = image_io.read_image(path)[
            record.top : record.top + record.height, record.left : record.left + record.width
        ]
        np.testing.assert_array_equal(records.image(record), window)


def test_a_rotated_jpeg_and_a_png_are_encoded_again(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down: the same size, so that only the pixels differ
    for path in (jpeg(tmp_path / "turned.jpg", exif=exif), tmp_path / "b.png"):
        if not path.exists():
            Image.fromarray(IMAGE).save(path)
        (record,) = tiled(sample_of_file(path))
        assert record.image != path.read_bytes()
        np.testing.assert_array_equal(records.image(record), image_io.read_image(path))


def test_text_and_support_are_in_every_record():
    support = rng.integers(0, 256, (20, 24, 3), np.uint8), np.full((20, 24), 2, np.uint8)
    table = np.arange(256, dtype=np.uint8)
    table[2] = 1
    tiles = tiled(sample(text="a thing", support=lambda: support), table, tile=32)
    for record in tiles:
        assert record.text == "a thing"
        np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(record.support_image))), support[0])
        assert set(np.unique(image_io.decode_image(record.support_mask))) == {1}
    (plain,) = tiled(sample())
    assert (plain.text, plain.support_image, plain.support_mask) == ("", b"", b"")


def test_a_mask_of_another_size_is_an_error_that_names_the_sample():
    odd = Sample("odd/7", None, "g", lambda: IMAGE, lambda: MASK[:-1])
    with pytest.raises(UserError, match="^odd/7: the image is 60x40 and its mask 60x39"):
        tiled(odd)
