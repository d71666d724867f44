"""The table of image_io, cell by cell, and every kind of file that is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.data import image_io

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (6, 9), np.uint8)
RGB = RNG.integers(0, 256, (6, 9, 3), np.uint8)
GRAY_RGB = np.dstack([GRAY] * 3)
BITS = GRAY > 127
COLORS = np.array([[0, 0, 0], [200, 30, 40], [7, 8, 250]], np.uint8)[GRAY % 3]
OPAQUE = np.full((6, 9), 255, np.uint8)
PARTLY = np.where(BITS, 255, 254).astype(np.uint8)


def palette():
    """A palette image whose colors are not its indices."""
    image = Image.fromarray((GRAY % 3).astype(np.uint8), "L").convert("P")
    image.putpalette([0, 0, 0, 200, 30, 40, 7, 8, 250])
    return image


def save(path, image, **kwargs):
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **kwargs)
    return path


def mask_of(path):
    return image_io.read_mask(path, {value: value for value in range(256)})


def refusal(function, *args):
    """The message of the UserError; one line that names the file."""
    with pytest.raises(UserError) as caught:
        function(*args)
    message = str(caught.value)
    assert "\n" not in message and str(args[0]) in message
    return message


def assert_read(read, path, expected):
    """`expected` is read, or a part of the message of the refusal."""
    if isinstance(expected, str):
        assert expected in refusal(read, path)
    else:
        found = read(path)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("extension", ["png", "tif"])
@pytest.mark.parametrize(
    "image, expected_image, expected_mask",
    [
        (GRAY, GRAY, GRAY),
        (BITS, BITS * np.uint8(255), BITS * np.uint8(255)),
        (RGB, RGB, "one 8-bit label"),
        (GRAY_RGB, GRAY_RGB, GRAY),
        (palette(), COLORS, GRAY % 3),
        (np.dstack([GRAY, OPAQUE]), GRAY, GRAY),
        (np.dstack([RGB, OPAQUE]), RGB, "one 8-bit label"),
        (np.dstack([GRAY_RGB, OPAQUE]), GRAY_RGB, GRAY),
        (np.dstack([GRAY, PARTLY]), "partly transparent", "partly transparent"),
        (np.dstack([RGB, PARTLY]), "partly transparent", "partly transparent"),
    ],
    ids=["L", "1", "RGB", "gray RGB", "P", "LA", "RGBA", "gray RGBA", "partly LA", "partly RGBA"],
)
def test_every_mode_of_8_bits_as_image_and_as_mask(tmp_path, extension, image, expected_image, expected_mask):
    path = save(tmp_path / f"a.{extension}", image)
    assert_read(image_io.read_image, path, expected_image)
    assert_read(mask_of, path, expected_mask)


def test_a_jpeg_is_an_image_in_gray_and_in_color_and_no_mask(tmp_path):
    smooth = np.add.outer(np.arange(0, 160, 10), np.arange(0, 80, 5)).astype(np.uint8)
    for array in (smooth, np.dstack([smooth, smooth[::-1], smooth])):
        found = image_io.read_image(save(tmp_path / "a.jpg", array, quality=95))
        assert found.shape == array.shape and found.dtype == np.uint8
        assert np.abs(found.astype(int) - array).mean() < 4
    assert "blurs the labels" in refusal(mask_of, tmp_path / "a.jpg")
    assert "blurs the labels" in refusal(mask_of, save(tmp_path / "a.png", GRAY, format="JPEG"))


@pytest.mark.parametrize(
    "image, transparent, expected",
    [
        (palette(), 1, "transparent"),
        (palette(), 3, COLORS),  # no pixel has this entry
        (GRAY, int(GRAY[2, 3]), "transparent"),
        (RGB, tuple(RGB[2, 3].tolist()), "transparent"),
        (BITS, 0, "transparent"),
        (np.where(GRAY == 9, 8, GRAY).astype(np.uint8), 9, np.where(GRAY == 9, 8, GRAY)),
    ],
)
def test_a_transparent_color_is_refused_where_a_pixel_has_it(tmp_path, image, transparent, expected):
    path = save(tmp_path / "a.png", image, transparency=transparent)
    assert_read(image_io.read_image, path, expected)
    if isinstance(image, Image.Image):
        assert_read(mask_of, path, GRAY % 3)


SIXTEEN = np.array([[0, 100, 1000, 2000], [3000, 4095, 40000, 65535]], np.uint16)
TIFFS = {"a.tif": {}, "big-endian.tif": {"byteorder": ">"}, "zlib.tif": {"compression": "zlib"}}


@pytest.mark.parametrize(
    "name, dtype",
    [("a.png", np.uint16), *[(name, np.uint16) for name in TIFFS]]
    + [("a.tif", dtype) for dtype in (np.int32, np.uint32, np.float32)],
)
def test_16_and_32_bits_are_scaled_by_the_window_and_refused_without(tmp_path, name, dtype):
    path = tmp_path / name
    save(path, SIXTEEN) if name == "a.png" else tifffile.imwrite(path, SIXTEEN.astype(dtype), **TIFFS[name])
    scaled = [[0, 0, 57, 121], [185, 255, 255, 255]]
    np.testing.assert_array_equal(image_io.read_image(path, (100, 4095)), scaled)
    assert "window" in refusal(image_io.read_image, path) and "8-bit label" in refusal(mask_of, path)
    for bad in (np.nan, np.inf, -np.inf) if dtype == np.float32 else ():
        tifffile.imwrite(path, np.array([[0, 0.5], [1, bad]], np.float32))
        assert "NaN or infinity" in refusal(image_io.read_image, path, (0, 1))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "zlib.tif"])
def test_16_bit_color_is_refused_and_not_cut_to_its_upper_bytes(tmp_path, name):
    array, path = np.full((4, 5, 3), 4095, np.uint16), tmp_path / name
    path.write_bytes(image_io.encode_png(array)) if name == "a.png" else tifffile.imwrite(path, array, **TIFFS[name])
    with Image.open(path) as image:
        assert np.asarray(image).max() == 15  # what Pillow alone makes of it
    for window in (None, (0, 4095)):
        assert "16-bit color" in refusal(image_io.read_image, path, window)
    assert "16-bit color" in refusal(mask_of, path)


@pytest.mark.parametrize("mode, name", [("CMYK", "a.tif"), ("CMYK", "a.jpg"), ("LAB", "a.tif"), ("YCbCr", "a.tif")])
def test_other_color_spaces_are_refused(tmp_path, mode, name):
    image = Image.fromarray(RGB).convert(mode) if mode != "LAB" else Image.frombytes("LAB", (9, 6), RGB.tobytes())
    path = save(tmp_path / name, image)
    assert mode in refusal(image_io.read_image, path)
    refusal(mask_of, path)


TURNS = {1: np.asarray, 2: np.fliplr, 3: lambda array: np.rot90(array, 2), 6: lambda a: np.rot90(a, -1), 8: np.rot90}
LZW, DEFLATE = {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}


def turned(path, array, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(path, array, exif=exif, **options)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("name, options", [("a.jpg", {"quality": 95}), ("a.png", {}), ("a.tif", {}), ("a.tif", LZW)])
@pytest.mark.parametrize("color", [False, True])
def test_the_exif_orientation_is_applied(tmp_path, name, options, orientation, color):
    array = np.zeros((32, 64), np.uint8)
    array[:16, :16] = array[16:, 48:56] = 255  # looks different from every side
    expected = TURNS[orientation](array)
    path = turned(tmp_path / name, np.dstack([array] * 3) if color else array, orientation, **options)
    found = image_io.read_image(path)
    assert found.ndim == (3 if color else 2)
    np.testing.assert_array_equal(image_io.to_rgb(found)[..., 1] > 127, expected > 127)
    if name != "a.jpg":
        assert_read(mask_of, path, expected)
    if name == "a.tif" and not options:
        path = turned(path, array.astype(np.uint16) * 257, orientation)
        np.testing.assert_array_equal(image_io.read_image(path, (0, 65535)), expected)


def test_more_than_one_page_is_refused(tmp_path):
    first, second = Image.fromarray(GRAY), Image.fromarray(255 - GRAY)
    path = save(tmp_path / "a.tif", first, save_all=True, append_images=[second, first])
    assert "3 pages" in refusal(image_io.read_image, path) and "3 pages" in refusal(mask_of, path)
    path = save(tmp_path / "a.png", first, save_all=True, append_images=[second])
    assert "2 pages" in refusal(image_io.read_image, path)


def test_the_limit_of_pixels_holds_before_anything_is_decoded(tmp_path, monkeypatch):
    assert Image.MAX_IMAGE_PIXELS < image_io.MAX_PIXELS < 2 * Image.MAX_IMAGE_PIXELS
    small, path = save(tmp_path / "a.png", GRAY), tmp_path / "huge.png"
    with monkeypatch.context() as patch:
        patch.setattr(image_io, "MAX_PIXELS", GRAY.size)
        patch.setattr(Image, "MAX_IMAGE_PIXELS", GRAY.size - 1)  # Pillow warns
        np.testing.assert_array_equal(image_io.read_image(small), GRAY)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    for side in (11_000, 100_000):
        data = bytearray(image_io.encode_png(RGB))
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(data)
        assert "more than 120,000,000 pixels" in refusal(image_io.read_image, path)
    monkeypatch.setattr(image_io, "MAX_PIXELS", GRAY.size - 1)
    for message in (refusal(image_io.read_image, small), refusal(mask_of, small)):
        assert "9x6" in message and "53" in message


def outcome(path, data):
    """The pixels of a file of these bytes, or None where it is refused."""
    path.write_bytes(data)
    try:
        return image_io.read_image(path)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    "kind, options",
    [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("TIFF", {}), ("TIFF", LZW), ("TIFF", DEFLATE)],
)
@pytest.mark.filterwarnings("ignore")  # Pillow's own, on damaged tags
def test_a_damaged_image_is_refused_or_changes_no_type(tmp_path, kind, options):
    path, out, rng = tmp_path / "a.image", io.BytesIO(), np.random.default_rng(2)
    Image.fromarray(rng.integers(0, 256, (20, 25, 3), np.uint8)).save(out, kind, **options)
    data = out.getvalue()
    whole = outcome(path, data)
    for share in (0.001, 0.02, 0.25, 0.5, 0.75):
        assert outcome(path, data[: max(1, int(share * len(data)))]) is None
    for short in range(1, 40, 3):
        found = outcome(path, data[:-short])
        assert found is None or np.array_equal(found, whole)
    assert outcome(path, data[:-40]) is None
    flipped = []
    for i in range(60):
        damaged = bytearray(data)
        # The header and the end, where the tags of a TIFF stand, matter more than the pixels between.
        damaged[int(rng.integers(400)) * (-1 if i % 2 else 1)] ^= 1 << int(rng.integers(8))
        flipped.append(outcome(path, damaged))
    assert any(found is None for found in flipped)
    assert all(found is None or found.dtype == np.uint8 for found in flipped)


def test_a_flipped_bit_in_the_pixels_of_a_png_is_noticed(tmp_path):
    """Most of them decompress, to other pixels; a mask has few bytes, which say much."""
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 20:50] = mask[33:40, 5:60] = 255
    data = image_io.encode_png(mask)
    start = data.index(b"IDAT") + 4
    for at in range(start, len(data) - 16):
        damaged = bytearray(data)
        damaged[at] ^= 8
        assert outcome(tmp_path / "a.png", damaged) is None, f"byte {at}"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"<!DOCTYPE html><html></html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
        b"\x89PNG\r\n\x1a\n", b"\x80\x04\x95\x00",
    ],
    ids=["empty", "HTML", "LFS pointer", "PNG signature", "pickle"],
)  # fmt: skip
def test_anything_but_an_image_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    for read in (image_io.read_image, mask_of):
        path.unlink(missing_ok=True)
        assert refusal(read, path).endswith("a.png: not found")
        path.write_bytes(content)
        assert "fetch it again" in refusal(read, path)
        refusal(read, tmp_path)


def test_labels_are_mapped_and_an_unknown_one_is_named_with_its_count(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 5, 255], [5, 0, 7]], np.uint8))
    found = image_io.read_mask(path, {0: 0, 5: 1, 7: 2, 255: 255})
    assert found.tolist() == [[0, 1, 255], [1, 0, 2]] and found.dtype == np.uint8
    save(path, np.array([[0, 255, 128], [128, 128, 200]], np.uint8))
    message = refusal(lambda path: image_io.read_mask(path, {0: 0, 255: 1}), path)
    assert "holds 128 at 3 pixels" in message and "labels are 0, 255" in message
    strided = np.array([[0, 1, 0, 1], [1, 1, 0, 0]], np.uint8)[:, ::2]
    assert image_io.map_labels(strided, {0: 0, 1: 9}, "a").tolist() == [[0, 0], [9, 0]]
    assert image_io.map_labels(strided, {0: 254, 1: 9}, "a").tolist() == [[254, 254], [9, 254]]


@pytest.mark.parametrize("array", [GRAY, RGB, GRAY[:1, :1], GRAY[::2, ::-1], np.zeros((300, 1, 3), np.uint8), SIXTEEN])
def test_png_gives_the_array_back_and_the_same_bytes_twice(tmp_path, array):
    data = image_io.encode_png(array)
    found = image_io.decode_image(data)
    assert found.dtype == array.dtype and image_io.encode_png(array.copy()) == data
    np.testing.assert_array_equal(found, array)
    if array.dtype == np.uint8:
        (tmp_path / "a.png").write_bytes(data)
        assert_read(image_io.read_image, tmp_path / "a.png", array)


def test_gray_is_repeated_and_color_left_alone_and_scale_maps_the_window(tmp_path):
    np.testing.assert_array_equal(image_io.to_rgb(GRAY), GRAY_RGB)
    assert image_io.to_rgb(RGB) is RGB
    values = np.array([-5.0, 0.0, 0.5, 1.0, 7.0])
    assert image_io.scale(values, (0, 1)).tolist() == [0, 0, 128, 255, 255]
    assert image_io.scale(values, (0, 1)).dtype == np.uint8
    np.testing.assert_array_equal(image_io.scale(np.arange(256), (0, 255)), np.arange(256))
    assert image_io.scale(np.array([10, 20]), (20, 10)).tolist() == [255, 0]  # black is the larger one
    np.testing.assert_array_equal(image_io.read_image(save(tmp_path / "a.png", GRAY), (10, 20)), GRAY)  # 8 bits
