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

EVERY = {value: value for value in range(256)}
RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (6, 9), np.uint8)
RGB = RNG.integers(0, 256, (6, 9, 3), np.uint8)
BITS = GRAY > 127
OPAQUE = np.full((6, 9), 255, np.uint8)
PARTLY = np.where(BITS, 255, 254).astype(np.uint8)


def palette(**kwargs):
    """A palette image whose colors are not its indices."""
    image = Image.fromarray((GRAY % 3).astype(np.uint8), "L").convert("P")
    image.putpalette([0, 0, 0, 200, 30, 40, 7, 8, 250])
    image.info.update(kwargs)
    return image


def with_alpha(array, alpha):
    return Image.fromarray(np.dstack([array, alpha]))


def save(path, image, **kwargs):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(path, **kwargs)
    return path


def refusal(function, *args):
    """The message of the UserError; one line that names the file."""
    with pytest.raises(UserError) as caught:
        function(*args)
    message = str(caught.value)
    assert "\n" not in message
    assert str(args[0]) in message
    return message


def refused_mask(path):
    return refusal(image_io.read_mask, path, EVERY)


# --- accepted files

COLORS = np.array([[0, 0, 0], [200, 30, 40], [7, 8, 250]], np.uint8)[GRAY % 3]


@pytest.mark.parametrize("extension", ["png", "tif"])
@pytest.mark.parametrize(
    "image, expected_image, expected_mask",
    [
        pytest.param(Image.fromarray(GRAY), GRAY, GRAY, id="L"),
        pytest.param(Image.fromarray(BITS), BITS * np.uint8(255), BITS * np.uint8(255), id="1"),
        pytest.param(Image.fromarray(RGB), RGB, None, id="RGB"),
        pytest.param(Image.fromarray(np.dstack([GRAY] * 3)), np.dstack([GRAY] * 3), GRAY, id="gray RGB"),
        pytest.param(palette(), COLORS, GRAY % 3, id="P"),
        pytest.param(with_alpha(GRAY, OPAQUE), GRAY, GRAY, id="opaque LA"),
        pytest.param(with_alpha(RGB, OPAQUE), RGB, None, id="opaque RGBA"),
        pytest.param(with_alpha(np.dstack([GRAY] * 3), OPAQUE), np.dstack([GRAY] * 3), GRAY, id="opaque gray RGBA"),
        pytest.param(with_alpha(GRAY, PARTLY), None, None, id="partly LA"),
        pytest.param(with_alpha(RGB, PARTLY), None, None, id="partly RGBA"),
    ],
)
def test_every_mode_of_8_bits_as_image_and_as_mask(tmp_path, extension, image, expected_image, expected_mask):
    path = save(tmp_path / f"a.{extension}", image)
    for read, expected in (
        (image_io.read_image, expected_image),
        (lambda p: image_io.read_mask(p, EVERY), expected_mask),
    ):
        if expected is None:
            refusal(read, path)
        else:
            found = read(path)
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, expected)


def test_a_jpeg_is_an_image_in_gray_and_in_color(tmp_path):
    smooth = np.add.outer(np.arange(0, 160, 10), np.arange(0, 80, 5)).astype(np.uint8)
    for array in (smooth, np.dstack([smooth, smooth[::-1], smooth])):
        found = image_io.read_image(save(tmp_path / "a.jpg", array, quality=95))
        assert found.shape == array.shape and found.dtype == np.uint8
        assert np.abs(found.astype(int) - array).mean() < 4


def test_a_jpeg_is_no_mask(tmp_path):
    assert "blurs the labels" in refused_mask(save(tmp_path / "a.jpg", GRAY))


def test_a_jpeg_is_no_mask_by_another_name(tmp_path):
    assert "blurs the labels" in refused_mask(save(tmp_path / "a.png", GRAY, format="JPEG"))


@pytest.mark.parametrize("index, accepted", [(1, False), (3, True)])
def test_a_palette_entry_may_be_transparent_if_no_pixel_has_it(tmp_path, index, accepted):
    path = save(tmp_path / "a.png", palette(), transparency=index)
    if accepted:
        np.testing.assert_array_equal(image_io.read_image(path), COLORS)
    else:
        assert "transparent" in refusal(image_io.read_image, path)
    np.testing.assert_array_equal(image_io.read_mask(path, EVERY), GRAY % 3)


@pytest.mark.parametrize(
    "array, key", [(GRAY, int(GRAY[2, 3])), (RGB, tuple(RGB[2, 3].tolist())), (BITS, 0)], ids=["L", "RGB", "1"]
)
def test_a_color_that_stands_for_transparency_is_refused(tmp_path, array, key):
    path = save(tmp_path / "a.png", array, transparency=key)
    assert "transparent" in refusal(image_io.read_image, path)


def test_a_transparent_color_that_no_pixel_has_changes_nothing(tmp_path):
    array = np.where(GRAY == 9, 8, GRAY).astype(np.uint8)
    np.testing.assert_array_equal(image_io.read_image(save(tmp_path / "a.png", array, transparency=9)), array)


SIXTEEN = np.array([[0, 100, 1000, 2000], [3000, 4095, 40000, 65535]], np.uint16)
SCALED = np.array([[0, 0, 57, 121], [185, 255, 255, 255]])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "big-endian.tif", "zlib.tif"])
def test_16_bits_are_scaled_by_the_window_and_refused_without(tmp_path, name):
    path = tmp_path / name
    if name.endswith("png"):
        save(path, SIXTEEN)
    else:
        order = ">" if name.startswith("big") else "<"
        tifffile.imwrite(path, SIXTEEN, byteorder=order, compression="zlib" if name.startswith("zlib") else None)
    np.testing.assert_array_equal(image_io.read_image(path, (100, 4095)), SCALED)
    assert "window" in refusal(image_io.read_image, path)
    assert "8-bit label" in refused_mask(path)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.float32])
def test_32_bits_are_scaled_by_the_window_and_refused_without(tmp_path, dtype):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, SIXTEEN.astype(dtype))
    np.testing.assert_array_equal(image_io.read_image(path, (100, 4095)), SCALED)
    assert "window" in refusal(image_io.read_image, path)
    assert "8-bit label" in refused_mask(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(tmp_path, bad):
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    values[1, 2] = bad
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert "NaN or infinity" in refusal(image_io.read_image, tmp_path / "a.tif", (0, 1))


def test_a_window_does_not_touch_8_bits(tmp_path):
    np.testing.assert_array_equal(image_io.read_image(save(tmp_path / "a.png", GRAY), (10, 20)), GRAY)


def color_png(array):
    """PNG of (h, w, 3) uint16, which Pillow cannot write."""
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize("name", ["a.png", "a.tif", "zlib.tif"])
def test_16_bit_color_is_refused_and_not_cut_to_its_upper_bytes(tmp_path, name):
    array = np.full((4, 5, 3), 4095, np.uint16)
    if name.endswith("png"):
        (tmp_path / name).write_bytes(color_png(array))
    else:
        tifffile.imwrite(tmp_path / name, array, compression="zlib" if name.startswith("zlib") else None)
    with Image.open(tmp_path / name) as image:
        assert np.asarray(image).max() == 15  # what Pillow alone makes of it
    for window in (None, (0, 4095)):
        assert "16-bit color" in refusal(image_io.read_image, tmp_path / name, window)
    assert "16-bit color" in refused_mask(tmp_path / name)


@pytest.mark.parametrize("mode, name", [("CMYK", "a.tif"), ("CMYK", "a.jpg"), ("LAB", "a.tif"), ("YCbCr", "a.tif")])
def test_other_color_spaces_are_refused(tmp_path, mode, name):
    image = Image.fromarray(RGB).convert(mode) if mode != "LAB" else Image.frombytes("LAB", (9, 6), RGB.tobytes())
    path = save(tmp_path / name, image)
    assert mode in refusal(image_io.read_image, path)
    refused_mask(path)


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize(
    "value, turn",
    [
        (1, lambda array: array),
        (2, np.fliplr),
        (3, lambda array: np.rot90(array, 2)),
        (6, lambda array: np.rot90(array, -1)),
        (8, np.rot90),
    ],
)
@pytest.mark.parametrize(
    "name, options",
    [("a.jpg", {"quality": 95}), ("a.png", {}), ("a.tif", {}), ("a.tif", {"compression": "tiff_lzw"})],
)
@pytest.mark.parametrize("color", [False, True])
def test_the_exif_orientation_is_applied(tmp_path, name, options, value, turn, color):
    array = np.zeros((32, 64), np.uint8)
    array[:16, :16] = array[16:, 48:56] = 255  # looks different from every side
    path = save(tmp_path / name, np.dstack([array] * 3) if color else array, exif=orientation(value), **options)
    found = image_io.read_image(path)
    assert found.ndim == (3 if color else 2)
    np.testing.assert_array_equal(image_io.to_rgb(found)[..., 1] > 127, turn(array) > 127)
    if name != "a.jpg":
        np.testing.assert_array_equal(image_io.read_mask(path, EVERY), turn(array))


def test_the_exif_orientation_of_a_16_bit_image_is_applied(tmp_path):
    array = np.arange(32 * 64, dtype=np.uint16).reshape(32, 64)
    path = save(tmp_path / "a.tif", array, exif=orientation(6))
    np.testing.assert_array_equal(image_io.read_image(path, (0, 255)), np.clip(np.rot90(array, -1), 0, 255))


def test_a_rotated_image_no_longer_fits_a_mask_that_is_not(tmp_path):
    image = image_io.read_image(save(tmp_path / "a.jpg", RGB, exif=orientation(6)))
    mask = image_io.read_mask(save(tmp_path / "a.png", GRAY), EVERY)
    with pytest.raises(UserError, match="6x9 and its mask 9x6"):
        image_io.check_same_size(image, mask, "a")


def test_more_than_one_page_is_refused(tmp_path):
    pages = [Image.fromarray(GRAY)] * 3
    path = save(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    assert "3 pages" in refusal(image_io.read_image, path)
    assert "3 pages" in refused_mask(path)
    path = save(tmp_path / "a.png", pages[0], save_all=True, append_images=[Image.fromarray(255 - GRAY)])
    assert "2 pages" in refusal(image_io.read_image, path)


# --- too large


@pytest.fixture
def never_decoded(monkeypatch):
    def fail(*_):
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch, never_decoded):
    path = save(tmp_path / "a.png", GRAY)
    monkeypatch.setattr(image_io, "MAX_PIXELS", GRAY.size - 1)
    for message in (refusal(image_io.read_image, path), refused_mask(path)):
        assert "9x6" in message and "53" in message


def test_just_enough_pixels_are_accepted_though_pillow_warns(tmp_path, monkeypatch):
    monkeypatch.setattr(image_io, "MAX_PIXELS", GRAY.size)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GRAY.size - 1)
    np.testing.assert_array_equal(image_io.read_image(save(tmp_path / "a.png", GRAY)), GRAY)


def test_the_limit_lies_below_where_pillow_refuses():
    assert Image.MAX_IMAGE_PIXELS < image_io.MAX_PIXELS < 2 * Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("side", [11_000, 100_000])
def test_a_header_that_promises_too_much_is_refused(tmp_path, never_decoded, side):
    data = bytearray(color_png(np.zeros((1, 1, 3))))
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    assert "more than 120,000,000 pixels" in refusal(image_io.read_image, tmp_path / "a.png")


# --- damaged


def encoded(name):
    out = io.BytesIO()
    kinds = {
        "png": {"format": "PNG"},
        "jpeg": {"format": "JPEG"},
        "progressive jpeg": {"format": "JPEG", "progressive": True},
        "tiff": {"format": "TIFF"},
        "lzw tiff": {"format": "TIFF", "compression": "tiff_lzw"},
        "zlib tiff": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    }
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)).save(out, **kinds[name])
    return out.getvalue()


FORMATS = pytest.mark.parametrize("name", ["png", "jpeg", "progressive jpeg", "tiff", "lzw tiff", "zlib tiff"])


@FORMATS
@pytest.mark.filterwarnings("ignore")  # Pillow's own, on damaged tags
@pytest.mark.parametrize("share", [0.001, 0.02, 0.25, 0.5, 0.75, 0.99])
def test_a_truncated_image_is_refused(tmp_path, name, share):
    data = encoded(name)
    path = tmp_path / "a.image"
    path.write_bytes(data[: max(1, int(share * len(data)))])
    refusal(image_io.read_image, path)


@FORMATS
@pytest.mark.filterwarnings("ignore")
def test_a_few_bytes_short_is_refused_or_changes_no_pixel(tmp_path, name):
    path, data = tmp_path / "a.image", encoded(name)
    path.write_bytes(data)
    whole = image_io.read_image(path)
    for short in range(1, 40):
        path.write_bytes(data[:-short])
        try:
            found = image_io.read_image(path)
        except UserError:
            continue
        np.testing.assert_array_equal(found, whole)
    path.write_bytes(data[:-40])
    refusal(image_io.read_image, path)


@FORMATS
@pytest.mark.filterwarnings("ignore")  # Pillow's own, on damaged tags
def test_flipped_bits_give_an_image_or_a_user_error(tmp_path, name):
    rng, path, data = np.random.default_rng(2), tmp_path / "a.image", encoded(name)
    outcomes = set()
    for i in range(150):
        damaged = bytearray(data)
        # The header and the end, where the tags of a TIFF stand, matter more than the pixels between.
        at = int(rng.integers(400)) * (-1 if i % 2 else 1)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            outcomes.add(image_io.read_image(path).dtype == np.uint8)
        except UserError as error:
            assert str(path) in str(error)
            outcomes.add("refused")
    assert "refused" in outcomes and False not in outcomes


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><html><body>Not found</body></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
        b"\x89PNG\r\n\x1a\n",
        b"\x80\x04\x95\x00",
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
    ],
    ids=["empty", "HTML", "LFS pointer", "PNG signature", "pickle", "GIF"],
)
def test_anything_but_an_image_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert "fetch it again" in refusal(image_io.read_image, path)
    assert "fetch it again" in refused_mask(path)


def test_a_missing_file_is_not_found(tmp_path):
    assert refusal(image_io.read_image, tmp_path / "a.png").endswith("a.png: not found")
    assert refused_mask(tmp_path / "a.png").endswith("a.png: not found")


def test_a_folder_is_refused(tmp_path):
    refusal(image_io.read_image, tmp_path)


# --- labels and sizes


def test_labels_are_mapped(tmp_path):
    mask = np.array([[0, 5, 255], [5, 0, 7]], np.uint8)
    found = image_io.read_mask(save(tmp_path / "a.png", mask), {0: 0, 5: 1, 7: 2, 255: 255})
    np.testing.assert_array_equal(found, [[0, 1, 255], [1, 0, 2]])
    assert found.dtype == np.uint8


def test_an_unknown_label_is_named_with_its_count(tmp_path):
    mask = np.array([[0, 255, 128], [128, 128, 200]], np.uint8)
    path = save(tmp_path / "a.png", mask)
    message = refusal(image_io.read_mask, path, {0: 0, 255: 1})
    assert "holds 128 at 3 pixels" in message and "labels are 0, 255" in message


def test_labels_of_an_array_that_is_not_contiguous():
    mask = np.array([[0, 1, 0, 1], [1, 1, 0, 0]], np.uint8)[:, ::2]
    np.testing.assert_array_equal(image_io.map_labels(mask, {0: 0, 1: 9}, "a"), [[0, 0], [9, 0]])


def test_image_and_mask_are_of_one_size():
    image_io.check_same_size(RGB, GRAY, "a")
    image_io.check_same_size(GRAY, GRAY, "a")
    with pytest.raises(UserError, match=r"^training/3: the image is 9x6 and its mask 6x9"):
        image_io.check_same_size(RGB, GRAY.T, "training/3")


# --- bytes and values


@pytest.mark.parametrize("array", [GRAY, RGB, GRAY[:1, :1], GRAY[::2, ::-1], np.zeros((300, 1, 3), np.uint8)])
def test_png_gives_the_array_back_and_the_same_bytes_twice(array):
    data = image_io.encode_png(array)
    found = image_io.decode_image(data)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)
    assert image_io.encode_png(array.copy()) == data


def test_our_png_is_read_as_any_other(tmp_path):
    (tmp_path / "a.png").write_bytes(image_io.encode_png(RGB))
    np.testing.assert_array_equal(image_io.read_image(tmp_path / "a.png"), RGB)


def test_gray_is_repeated_and_color_left_alone():
    np.testing.assert_array_equal(image_io.to_rgb(GRAY), np.dstack([GRAY] * 3))
    assert image_io.to_rgb(RGB) is RGB


def test_scale_maps_the_window_rounds_and_clips():
    values = np.array([-5.0, 0.0, 0.5, 1.0, 7.0])
    np.testing.assert_array_equal(image_io.scale(values, (0, 1)), [0, 0, 128, 255, 255])
    np.testing.assert_array_equal(image_io.scale(np.arange(256), (0, 255)), np.arange(256))
    np.testing.assert_array_equal(image_io.scale(np.array([10, 20]), (20, 10)), [255, 0])  # black is the larger one
    assert image_io.scale(values, (0, 1)).dtype == np.uint8
