"""Values of label images in every type that programs of the field write."""

from functools import partial

import numpy as np
import pytest
import tifffile
from PIL import Image
from promptseg.data import label_images
from promptseg.data.label_images import read_labels
from refusing import refused

IDS = np.array([[0, 1, 2], [3, 200, 0]])
BINARY = np.array([[0, 1, 1], [0, 0, 1]])


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize("settings", [{}, {"compression": "zlib"}, {"byteorder": ">"}, {"photometric": "miniswhite"}])
def test_whole_numbers_of_any_type_are_read_as_stored(tmp_path, dtype, settings):
    values = np.minimum(IDS, 100).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, **settings)
    found = read_labels(tmp_path / "a.tif")
    assert found.values.dtype == np.uint8 and found.values.tolist() == [[0, 1, 2], [3, 100, 0]]
    assert found.inverted == ("photometric" in settings) and found.palette is None


@pytest.mark.parametrize(
    "high, dtype, expected",
    [(255, "u2", "u1"), (256, "f4", "u2"), (65535, "i4", "u2"), (65536, "i4", "i8"), (10**9, "u8", "i8")],
)
def test_values_are_of_the_smallest_type(tmp_path, high, dtype, expected):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 5, high]], dtype))
    found = read_labels(tmp_path / "a.tif").values
    assert found.dtype == expected and found.tolist() == [[0, 5, high]]


def test_16_bit_png_and_gray_rgb(tmp_path):
    Image.fromarray(np.array([[0, 700]], np.uint16)).save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").values.tolist() == [[0, 700]]
    Image.fromarray(np.dstack([IDS.astype(np.uint8)] * 3)).save(tmp_path / "b.png")
    assert read_labels(tmp_path / "b.png").values.tolist() == IDS.tolist()
    Image.fromarray(np.dstack([IDS, IDS, 0 * IDS]).astype(np.uint8)).save(tmp_path / "c.png")
    assert read_labels(tmp_path / "c.png").values.shape == (2, 3, 3)


def test_full_scale_of_1_and_16_bits_is_bool(tmp_path):
    """Of bool, tifffile writes 0 as white and Pillow 0 as black; both mean True where it is 1."""
    tifffile.imwrite(tmp_path / "0.tif", BINARY.astype(bool))
    tifffile.imwrite(tmp_path / "1.tif", BINARY.astype(bool), photometric="minisblack")
    tifffile.imwrite(tmp_path / "2.tif", BINARY.astype(np.uint16) * 65535)
    tifffile.imwrite(tmp_path / "3.tif", BINARY.astype(np.uint16) * 65535, photometric="miniswhite")
    Image.fromarray(BINARY.astype(bool)).save(tmp_path / "4.tif")
    Image.fromarray(BINARY.astype(bool)).save(tmp_path / "5.tif", compression="group4")
    Image.fromarray(BINARY.astype(bool)).save(tmp_path / "6.png")
    for path in sorted(tmp_path.iterdir()):
        found = read_labels(path)
        assert found.values.dtype == bool and found.values.tolist() == BINARY.astype(bool).tolist(), path
    assert [read_labels(path).inverted for path in sorted(tmp_path.iterdir())] == [1, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4"])
def test_one_rule_for_white_as_zero_in_8_and_16_bits(tmp_path, dtype):
    """ImageJ with an inverting look-up table: objects are 255 and shown black."""
    tifffile.imwrite(tmp_path / "a.tif", (BINARY * 255).astype(dtype), photometric="miniswhite")
    found = read_labels(tmp_path / "a.tif")
    assert found.inverted and found.values.tolist() == (BINARY * 255).tolist()


def test_an_inverting_look_up_table_is_no_palette(tmp_path):
    table = np.repeat((255 - np.arange(256, dtype=np.uint16))[None] * 257, 3, axis=0)
    tifffile.imwrite(tmp_path / "a.tif", (BINARY * 255).astype(np.uint8), photometric="palette", colormap=table)
    found = read_labels(tmp_path / "a.tif")
    assert found.inverted and found.palette is None and found.values.tolist() == (BINARY * 255).tolist()


def test_a_palette_stands_beside_the_indices(tmp_path):
    image = Image.fromarray(BINARY.astype(np.uint8))
    image.putpalette([9, 9, 9, 200, 0, 0])
    for name in ("a.png", "a.tif"):
        image.save(tmp_path / name)
        found = read_labels(tmp_path / name)
        assert found.values.tolist() == BINARY.tolist() and found.palette[:2].tolist() == [[9, 9, 9], [200, 0, 0]]
        assert (label_images.palette_of(tmp_path / name) == found.palette).all()
        assert label_images.gray_levels(found.palette) is None
    assert label_images.gray_levels(np.array([[7, 7, 7], [0, 0, 0]])).tolist() == [7, 0]


@pytest.mark.parametrize(
    "values, words",
    [
        (np.array([[0, 0.25, 1]], np.float32), ("it holds 0.25, no whole number", "np.uint8(values > 0.5)")),
        (np.array([[0, np.nan]], np.float64), ("it holds nan, no whole number",)),
        (np.array([[0, np.inf]], np.float32), ("it holds infinity",)),
        (np.array([[0, -1]], np.int16), ("negative values, down to -1",)),
        (np.array([[0, 1j]], np.complex64), ("complex64 values are not supported",)),
    ],
)
def test_what_is_no_label_is_refused(tmp_path, values, words):
    tifffile.imwrite(tmp_path / "a.tif", values)
    refused(partial(read_labels, tmp_path / "a.tif"), tmp_path / "a.tif", *words)


@pytest.mark.parametrize("dtype", ["i4", "f8"])
def test_truncated_files_and_stacks_are_refused(tmp_path, dtype):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((64, 64), dtype))
    path.write_bytes(path.read_bytes()[:-100])
    refused(partial(read_labels, path), "a.tif is truncated; fetch it again")
    tifffile.imwrite(path, np.ones((3, 8, 8), dtype), photometric="minisblack")
    refused(partial(read_labels, path), "a.tif")


@pytest.mark.parametrize("dtype", ["u2", "i4", "f8"])
def test_an_orientation_is_applied(tmp_path, dtype):
    stored = np.arange(6).reshape(2, 3).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, extratags=[(274, "H", 1, 6, True)])
    assert read_labels(tmp_path / "a.tif").values.tolist() == np.rot90(stored, -1).tolist()
