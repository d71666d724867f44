"""One picture as settings want it: classes, sizes, edges, untouched bytes, support pictures."""

import io

import numpy as np
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.core.params import Dataset
from promptseg.data import image_io, records
from promptseg.datasets import Sample
from promptseg.preprocessing.tiles import Cutter

rng = np.random.default_rng(0)
IMAGE = rng.integers(0, 256, (40, 60, 3), np.uint8)
MASK = (np.arange(2400).reshape(40, 60) // 600).astype(np.uint8)  # bands of 0, 1, 2, 3


def picture(**more):
    return Sample("p", "train", "g", lambda: IMAGE, lambda: MASK, **more)


def cut(picture, table=None, chosen=None, **settings):
    cutter = Cutter(Dataset(reader="r", **settings), table)
    image, mask = cutter.read(picture)
    if chosen is None:
        chosen = range(len(cutter.windows(*cutter.mask(picture).shape)))
    return list(cutter.pairs(picture, image, mask, chosen))


def test_classes_are_mapped_by_the_table():
    table = np.zeros(256, np.uint8)
    table[[2, 3]] = 1, 255
    (pair,) = cut(picture(), table)
    np.testing.assert_array_equal(records.mask(pair), table[MASK])
    np.testing.assert_array_equal(records.image(pair), IMAGE)


@pytest.mark.parametrize("longer, size", [(30, (20, 30)), (120, (80, 120)), (60, (40, 60))])
def test_resize_is_of_the_longer_side_and_keeps_labels(longer, size):
    (pair,) = cut(picture(), resize=longer)
    assert records.image(pair).shape == (*size, 3) and records.mask(pair).shape == size
    assert (pair.height, pair.width) == (pair.whole_height, pair.whole_width) == size
    assert set(np.unique(records.mask(pair))) == {0, 1, 2, 3}


def test_what_is_resized_is_then_cut():
    pairs = cut(picture(), resize=30, tile=16, overlap=2)
    assert {(pair.whole_height, pair.whole_width) for pair in pairs} == {(20, 30)}
    assert sorted({(pair.top, pair.left) for pair in pairs}) == [(0, 0), (0, 14), (4, 0), (4, 14)]


@pytest.mark.parametrize(
    "edge, corners",
    [
        ("shift", {(0, 0, 16, 16), (0, 14, 16, 16), (4, 0, 16, 16), (4, 14, 16, 16)}),
        ("cut", {(0, 0, 16, 16), (0, 16, 16, 14), (16, 0, 4, 16), (16, 16, 4, 14)}),
        ("drop", {(0, 0, 16, 16)}),
    ],
)
def test_edges(edge, corners):
    pairs = cut(picture(), resize=30, tile=16, edge=edge)
    assert {(pair.top, pair.left, pair.height, pair.width) for pair in pairs} == corners


def jpeg(path, mode="RGB", **save):
    Image.fromarray(IMAGE).convert(mode).save(path, "JPEG", quality=80, **save)
    return path


def of_file(path):
    return Sample("p", None, "g", lambda: image_io.read_image(path), lambda: MASK, file=path)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_stays_whole_keeps_its_bytes(tmp_path, mode):
    path = jpeg(tmp_path / "a.jpg", mode)
    (pair,) = cut(of_file(path))
    assert pair.image == path.read_bytes()
    np.testing.assert_array_equal(records.image(pair), image_io.rgb(image_io.read_image(path)))


def test_a_jpeg_that_is_cut_or_resized_is_stored_without_loss(tmp_path):
    path = jpeg(tmp_path / "a.jpg")
    for pair in cut(of_file(path), tile=32):
        assert pair.image[:4] == b"\x89PNG"
        window = image_io.read_image(path)[pair.top : pair.top + pair.height, pair.left : pair.left + pair.width]
        np.testing.assert_array_equal(records.image(pair), window)


def test_a_turned_jpeg_and_a_png_are_encoded_anew(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down: the same size, so that only the pixels tell
    for path in (jpeg(tmp_path / "turned.jpg", exif=exif), tmp_path / "b.png"):
        if not path.exists():
            Image.fromarray(IMAGE).save(path)
        (pair,) = cut(of_file(path))
        assert pair.image != path.read_bytes()
        np.testing.assert_array_equal(records.image(pair), image_io.read_image(path))


def test_text_and_support_go_into_every_row():
    support = rng.integers(0, 256, (20, 24, 3), np.uint8), np.full((20, 24), 2, np.uint8)
    table = np.arange(256, dtype=np.uint8)
    table[2] = 1
    pairs = cut(picture(text="a thing", support=lambda: support), table, tile=32)
    for pair in pairs:
        assert pair.text == "a thing"
        np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(pair.support_image))), support[0])
        assert set(np.unique(image_io.decode(pair.support_mask))) == {1}
    (plain,) = cut(picture())
    assert (plain.text, plain.support_image, plain.support_mask) == ("", b"", b"")


def test_a_mask_of_another_size_is_a_problem_that_names_the_picture():
    odd = Sample("odd/7", None, "g", lambda: IMAGE, lambda: MASK[:-1])
    with pytest.raises(UserError, match="^odd/7: the picture is 60x40 and its mask 60x39"):
        cut(odd)
