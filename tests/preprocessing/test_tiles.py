"""Records of one sample: classes selected, sizes, borders, unchanged bytes, support images."""

import numpy as np
import pytest
from fake_samples import Dataset
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.data import image_io, records
from promptseg.datasets import Sample
from promptseg.preprocessing.class_selection import select
from promptseg.preprocessing.tiles import Tiler

KNOWN = ("road", "car", "truck", "person")
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
MASK = (np.arange(2400).reshape(40, 60) // 600).astype(np.uint8)  # bands of 0, 1, 2, 3


def tiled(table=None, image=lambda: IMAGE, mask=lambda: MASK, text="", support=None, file=None, **settings):
    sample = Sample("p", "train", "g", image, mask, text, support, file)
    tiler = Tiler(Dataset(**settings), table)
    return list(tiler.records(sample, *tiler.read(sample), range(len(tiler.windows(*tiler.mask(sample).shape)))))


@pytest.mark.parametrize("wanted, names, values", [
    (["person", "road"], ("person", "road"), [0, 2, 0, 0, 1]),
    ({"vehicle": ["car", "truck"], "human": ["person"]}, ("vehicle", "human"), [0, 0, 1, 1, 2]),
    (["car", "background"], ("car", "background"), [2, 0, 1, 0, 0]),
])  # fmt: skip
def test_selected_classes_are_numbered_merged_and_renamed_and_the_rest_is_background(wanted, names, values):
    selected, table = select(KNOWN, wanted, "k")
    assert selected == names and table.dtype == np.uint8 and table.shape == (256,)
    assert table[[0, 1, 2, 3, 4, 255]].tolist() == [*values, 255]
    assert select(KNOWN, None, "k") == (KNOWN, None)


@pytest.mark.parametrize("wanted, values", [
    (["leaf"], [0, 1, 1, 1, 0]),
    (["vein", "leaf"], [0, 2, 1, 1, 0]),
    (["plant"], [0, 1, 1, 1, 1]),
    (["leaf", "plant"], [0, 1, 1, 1, 2]),
    ({"green": ["plant"], "sick": ["vein", "spot"]}, [0, 1, 2, 2, 1]),
    (["spot"], [0, 0, 0, 1, 0]),
    (["background", "leaf"], [1, 2, 2, 2, 0]),
])  # fmt: skip
def test_a_class_that_lies_inside_a_selected_one_belongs_to_it_unless_it_is_selected(wanted, values):
    known, inside = ("leaf", "vein", "spot", "plant"), {"spot": "vein", "vein": "leaf", "leaf": "plant"}
    _, table = select(known, wanted, "k", inside)
    assert table[[0, 1, 2, 3, 4, 255]].tolist() == [*values, 255]


@pytest.mark.parametrize("wanted, message", [
    (["tree"], "params.yaml: k: unknown class 'tree'; known: background, road, car, truck, person"),
    ({"a": ["car"], "b": ["car"]}, "params.yaml: k: 'car' is listed in 'a' and in 'b'"),
    (["car", "car"], "params.yaml: k: 'car' is listed twice"),
])  # fmt: skip
def test_unknown_and_repeated_classes_are_errors(wanted, message):
    with pytest.raises(UserError) as error:
        select(KNOWN, wanted, "k")
    assert str(error.value) == message


def test_classes_are_mapped_by_the_table():
    table = np.zeros(256, np.uint8)
    table[[2, 3]] = 1, 255
    (record,) = tiled(table)
    np.testing.assert_array_equal(records.mask(record), table[MASK])
    np.testing.assert_array_equal(records.image(record), IMAGE)
    assert (record.text, record.support_image, record.support_mask) == ("", b"", b"")


@pytest.mark.parametrize("longer, size", [(30, (20, 30)), (120, (80, 120)), (60, (40, 60))])
def test_resize_is_of_the_longer_side_and_keeps_labels(longer, size):
    (record,) = tiled(resize=longer)
    assert records.image(record).shape == (*size, 3) and records.mask(record).shape == size
    assert (record.height, record.width) == (record.source_height, record.source_width) == size
    assert set(np.unique(records.mask(record))) == {0, 1, 2, 3}


def test_shrunk_images_are_averaged():
    image, mask = np.tile(IMAGE, (2, 2, 1)), np.tile(MASK, (2, 2))
    (record,) = tiled(None, lambda: image, lambda: mask, support=lambda: (image, mask), resize=30)
    for shrunk in (records.image(record), records.support(record)[0]):
        np.testing.assert_allclose(shrunk, image.reshape(20, 4, 30, 4, 3).mean(axis=(1, 3)), atol=1)


@pytest.mark.parametrize("overlap, border, corners", [
    (0, "shift", {(0, 0, 16, 16), (0, 14, 16, 16), (4, 0, 16, 16), (4, 14, 16, 16)}),
    (0, "cut", {(0, 0, 16, 16), (0, 16, 16, 14), (16, 0, 4, 16), (16, 16, 4, 14)}),
    (0, "drop", {(0, 0, 16, 16)}),
    (3, "drop", {(0, 0, 16, 16), (0, 13, 16, 16)}),
])  # fmt: skip
def test_images_are_resized_before_tiling_with_an_overlap_and_a_border(overlap, border, corners):
    tiles = tiled(resize=30, tile=16, overlap=overlap, border=border)
    assert {(record.top, record.left, record.height, record.width) for record in tiles} == corners
    assert {(record.source_height, record.source_width) for record in tiles} == {(20, 30)}


def written(path, mode="RGB", **save):
    """IMAGE in a file, and what a sample of that file is made of."""
    Image.fromarray(IMAGE).convert(mode).save(path, **save)
    return {"image": lambda: image_io.read_image(path), "file": path}


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_stays_whole_keeps_its_bytes(tmp_path, mode):
    path = tmp_path / "a.jpg"
    (record,) = tiled(**written(path, mode))
    assert record.image == path.read_bytes()
    np.testing.assert_array_equal(records.image(record), image_io.to_rgb(image_io.read_image(path)))


def test_tiles_rotated_jpegs_and_other_files_are_stored_without_loss(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down: the same size, so that only the pixels differ
    for name, save, tile in (("a.jpg", {}, 32), ("turned.jpg", {"exif": exif}, None), ("b.png", {}, None)):
        for record in tiled(**written(tmp_path / name, **save), tile=tile):
            assert record.image[:4] == b"\x89PNG" and record.image != (tmp_path / name).read_bytes()
            rows, columns = (
                slice(start, start + n) for start, n in ((record.top, record.height), (record.left, record.width))
            )
            window = image_io.read_image(tmp_path / name)[rows, columns]
            np.testing.assert_array_equal(records.image(record), window)


def test_text_and_support_are_in_every_record():
    support, table = (IMAGE[:20, :24], np.full((20, 24), 2, np.uint8)), np.arange(256, dtype=np.uint8)
    table[2] = 1
    tiles = tiled(table, text="a thing", support=lambda: support, tile=32)
    assert len(tiles) == 4
    for record in tiles:
        assert record.text == "a thing"
        image, mask = records.support(record)
        np.testing.assert_array_equal(image, support[0])
        assert set(np.unique(mask)) == {1}


def test_a_mask_of_another_size_is_an_error_that_names_the_sample():
    odd = MASK[:-1]
    with pytest.raises(UserError, match="^the image of p is 60x40 and the mask of p is 60x39"):
        tiled(mask=lambda: odd)
    with pytest.raises(UserError, match="^p, its support image is 60x40 and its mask is 60x39"):
        tiled(support=lambda: (IMAGE, odd))


def test_records_of_one_image_have_one_digest_whatever_their_masks():
    (first,), (second,) = tiled(text="a car"), tiled(mask=lambda: MASK[::-1].copy(), text="a person")
    (other,) = tiled(image=lambda: IMAGE[::-1].copy())
    assert first.image_digest == second.image_digest == records.digest(first.image) != other.image_digest
    assert len({record.image_digest for record in tiled(tile=20)}) == 6
