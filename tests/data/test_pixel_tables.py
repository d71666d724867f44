"""The tables of `image_io` (images and masks) and `label_images` (a user's own masks), row by row: none without a file.

Each file is read right, or refused in one line that names it.
"""

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from promptseg.core.errors import UserError
from promptseg.data import image_io, label_images
from promptseg.data.tiff_stack import Stack

RNG = np.random.default_rng(0)
GRAY = RNG.integers(1, 200, (6, 9), np.uint8)
RGB = RNG.integers(0, 256, (6, 9, 3), np.uint8)
GRAY_RGB = np.dstack([GRAY] * 3)
BITS = GRAY > 99
OPAQUE, PARTLY = np.full((6, 9), 255, np.uint8), np.where(BITS, 255, 254).astype(np.uint8)
COLORS = np.array([[0, 0, 0], [200, 30, 40], [7, 8, 250]], np.uint8)
WINDOW = (0, 4095)
DEEP = (GRAY.astype(np.uint16) * 20).clip(0, 4095)
SCALED = np.floor(DEEP * (255 / 4095) + 0.5).astype(np.uint8)
SHARES = (DEEP / 4095).astype(np.float32)
NAN, INF = np.where(BITS, np.nan, SHARES), np.where(BITS, np.inf, SHARES)
CHANNELS = np.stack([GRAY] * 5)


def save(values, **options):
    return lambda path: Image.fromarray(values).save(path, **options)


def tiff(values, **options):
    return lambda path: tifffile.imwrite(path, values, **options)


def mode(name):
    return lambda path: Image.fromarray(RGB).convert(name).save(path)


def palette(path):
    image = Image.fromarray(GRAY % 3).convert("P")
    image.putpalette(COLORS.ravel().tolist())
    image.save(path)


def deep_color(path):
    path.write_bytes(image_io.encode_png(np.dstack([DEEP] * 3)))


def turned(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return save(GRAY, exif=exif)


def upright(values, orientation):
    """EXIF 2.32, 4.6.4 A: where the first row and column of the file belong."""
    turns = {2: np.fliplr, 3: lambda a: a[::-1, ::-1], 4: np.flipud, 5: np.transpose, 6: lambda a: np.rot90(a, -1),
             7: lambda a: a[::-1, ::-1].T, 8: np.rot90}  # fmt: skip
    return turns[orientation](values)


def header(side):
    """A PNG whose header announces side x side pixels."""
    data = bytearray(image_io.encode_png(GRAY))
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return lambda path: path.write_bytes(data)


def cut(path):
    save(RGB)(path)
    path.write_bytes(path.read_bytes()[:-60])


def with_preview(path):
    full = Image.fromarray(np.full((32, 48, 3), 90, np.uint8))
    full.save(path, "MPO", save_all=True, append_images=[full.resize((8, 6))])


def with_smaller_copy(path):
    with tifffile.TiffWriter(path) as writer:
        writer.write(GRAY, photometric="minisblack", metadata=None)
        writer.write(GRAY[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)


def pages(path):
    Image.fromarray(GRAY).save(path, save_all=True, append_images=[Image.fromarray(255 - GRAY)])


def tight_bomb(path):
    """Pixels that are few bytes: 11,000 x 11,000 of one value, in 120 kB."""
    out = io.BytesIO()
    Image.new("1", (11_000, 11_000)).save(out, "PNG")
    path.write_bytes(out.getvalue())


LARGE = "more than 120,000,000 pixels"
IMAGEJ = {"imagej": True, "metadata": {"axes": "CYX"}}
OME = {"ome": True, "photometric": "minisblack", "metadata": {"axes": "CYX"}}
# The first column of a row of the table, the file's name, who writes it, and what it is as an image and as a mask:
# values, or a part of the one line that refuses it.
FILES = [
    ("8-bit L, RGB, 1-bit", "a.png", save(GRAY), GRAY, GRAY),
    ("8-bit L, RGB, 1-bit", "a.tif", tiff(GRAY), GRAY, GRAY),
    ("8-bit L, RGB, 1-bit", "a.png", save(BITS), BITS * 255, BITS * 255),
    ("8-bit L, RGB, 1-bit", "a.png", save(RGB), RGB, "one 8-bit label"),
    ("8-bit L, RGB, 1-bit", "a.tif", tiff(RGB, photometric="rgb"), RGB, "one 8-bit label"),
    ("8-bit L, RGB, 1-bit", "a.png", save(GRAY_RGB), GRAY_RGB, GRAY),
    ("palette", "a.png", palette, COLORS[GRAY % 3], GRAY % 3),
    ("palette", "a.tif", palette, COLORS[GRAY % 3], GRAY % 3),
    ("LA, RGBA, transparent color", "a.png", save(np.dstack([GRAY, OPAQUE])), GRAY, GRAY),
    ("LA, RGBA, transparent color", "a.png", save(np.dstack([GRAY, PARTLY])), "transparent", "transparent"),
    ("LA, RGBA, transparent color", "a.png", save(np.dstack([RGB, OPAQUE])), RGB, "one 8-bit label"),
    ("LA, RGBA, transparent color", "a.tif", save(np.dstack([RGB, OPAQUE])), RGB, "one 8-bit label"),
    ("LA, RGBA, transparent color", "a.png", save(np.dstack([RGB, PARTLY])), "transparent", "transparent"),
    ("LA, RGBA, transparent color", "a.tif", save(np.dstack([RGB, PARTLY])), "transparent", "transparent"),
    ("LA, RGBA, transparent color", "a.png", save(GRAY, transparency=int(GRAY[0, 0])), "transparent", GRAY),
    ("gray of more than 8 bits", "a.png", save(DEEP), SCALED, "8-bit label"),
    ("gray of more than 8 bits", "a.tif", tiff(DEEP), SCALED, "8-bit label"),
    ("gray of more than 8 bits", "a.tif", tiff(DEEP, imagej=True), SCALED, "8-bit label"),
    ("gray of more than 8 bits", "a.tif", tiff(DEEP.astype(np.int32)), SCALED, "8-bit label"),
    ("color of more than 8 bits", "a.png", deep_color, "16-bit color", "16-bit color"),
    ("color of more than 8 bits", "a.tif", tiff(np.dstack([DEEP] * 3)), "16-bit color", "16-bit color"),
    ("float", "a.tif", tiff(DEEP.astype(np.float32)), SCALED, "8-bit label"),
    ("float", "a.tif", tiff(NAN), "NaN or infinity", ""),
    ("float", "a.tif", tiff(INF), "NaN or infinity", ""),
    ("CMYK and other", "a.jpg", mode("CMYK"), "CMYK", "JPEG"),
    ("CMYK and other", "a.tif", mode("CMYK"), "CMYK", "CMYK"),
    ("CMYK and other", "a.tif", mode("YCbCr"), "YCbCr", "YCbCr"),
    *[("EXIF orientation", "a.png", turned(number), *[upright(GRAY, number)] * 2) for number in range(2, 9)],
    *[("EXIF orientation", "a.tif", turned(number), *[upright(GRAY, number)] * 2) for number in range(2, 9)],
    ("preview behind a photo", "a.jpg", with_preview, np.full((32, 48, 3), 90), "MPO"),
    ("preview behind a photo", "a.tif", with_smaller_copy, GRAY, "2 pages"),
    ("more than one page", "a.tif", pages, "2 pages", "2 pages"),
    ("more than one page", "a.png", pages, "2 pages", "2 pages"),
    ("more than one page", "a.tif", tiff(CHANNELS[:4], **IMAGEJ), "channels C", "4 pages"),
    ("more than one page", "a.tif", tiff(CHANNELS, **OME), "channels C", "5 pages"),
    ("JPEG, WebP", "a.jpg", save(np.full((32, 48), 90, np.uint8)), np.full((32, 48), 90), "JPEG blurs the labels"),
    ("JPEG, WebP", "a.webp", save(RGB, lossless=True), RGB, "WEBP blurs the labels"),
    ("over MAX_PIXELS", "a.png", header(100_000), LARGE, LARGE),
    ("over MAX_PIXELS", "a.png", tight_bomb, LARGE, LARGE),
    ("truncated, or no image", "a.png", cut, "truncated or damaged", "truncated or damaged"),
    ("truncated, or no image", "a.png", lambda path: path.write_text("<html>"), "not a PNG", "not a PNG"),
    ("truncated, or no image", "a.gif", save(GRAY), "it is GIF", "it is GIF"),
    ("truncated, or no image", "a.png", lambda path: path.touch(), "not a PNG", "not a PNG"),
]  # fmt: skip
SIGNED = GRAY.astype(np.int16)
LABELS = [
    ("gray of 8 to 64 bits", "a.png", save(GRAY), GRAY),
    *[("gray of 8 to 64 bits", "a.tif", tiff(GRAY.astype(kind)), GRAY) for kind in (np.uint16, np.int32, np.uint64)],
    ("gray of 8 to 64 bits", "a.tif", tiff(-SIGNED), "negative values"),
    ("float", "a.tif", tiff(GRAY.astype(np.float32)), GRAY),
    ("float", "a.tif", tiff(SHARES), "no whole number"),
    ("float", "a.tif", tiff(NAN), "no whole number"),
    ("float", "a.tif", tiff(np.where(BITS, np.inf, GRAY.astype(np.float32))), "infinity"),
    ("gray as RGB, LA, RGBA", "a.png", save(GRAY_RGB), GRAY),
    ("gray as RGB, LA, RGBA", "a.png", save(np.dstack([GRAY, OPAQUE])), GRAY),
    ("gray as RGB, LA, RGBA", "a.png", save(np.dstack([GRAY_RGB, OPAQUE])), GRAY),
    ("gray as RGB, LA, RGBA", "a.png", save(np.dstack([GRAY, PARTLY])), "transparent"),
    ("1 bit; 16 bits of 0 and 65535 only", "a.png", save(BITS), BITS),
    ("1 bit; 16 bits of 0 and 65535 only", "a.tif", tiff(BITS * np.uint16(65535)), BITS),
    ("TIFF with 0 as white", "a.tif", tiff(BITS * np.uint8(255), photometric="miniswhite"), BITS * 255),
    ("palette", "a.png", palette, GRAY % 3),
]  # fmt: skip


def rows(module):
    """The first column of the table in a module's docstring."""
    cells = re.findall(r"^\| *(.*?) *\|", module.__doc__, re.MULTILINE)
    return [cell for cell in cells if cell != "file" and not cell.startswith("-")]


def outcome(read, path, expected):
    """Nothing where `expected` is read, or refused with such words in one line that names the file."""
    try:
        found = read(path)
    except UserError as error:
        assert isinstance(expected, str), error
        assert str(path) in str(error) and expected in str(error) and "\n" not in str(error)
    else:
        assert not isinstance(expected, str), f"{expected!r} is expected, and it was read"
        np.testing.assert_array_equal(found, expected)


def test_no_row_of_a_table_is_without_a_file():
    assert {row for row, *_ in FILES} == set(rows(image_io))
    assert {row for row, *_ in LABELS} == set(rows(label_images))


@pytest.mark.parametrize("row, name, write, image, mask", FILES)
def test_a_file_is_read_right_or_refused_as_an_image_and_as_a_mask(tmp_path, row, name, write, image, mask):
    path = tmp_path / name
    write(path)
    outcome(lambda path: image_io.read_image(path, WINDOW), path, image)
    outcome(lambda path: image_io.read_mask(path, {value: value for value in range(256)}), path, mask)
    if row in ("gray of more than 8 bits", "float"):
        outcome(image_io.read_image, path, "need a window")


@pytest.mark.parametrize("row, name, write, values", LABELS)
def test_a_mask_of_a_user_is_read_right_or_refused(tmp_path, row, name, write, values):
    write(tmp_path / name)
    outcome(lambda path: label_images.read_labels(path).values, tmp_path / name, values)


def test_pages_of_a_stack_are_equal_in_size_and_color(tmp_path):
    for number, (first, second) in enumerate([(GRAY, GRAY[:, 1:]), (GRAY, RGB)]):
        path = Path(tmp_path / f"{number}.tif")
        with tifffile.TiffWriter(path) as writer:
            for page in (first, second):
                writer.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None)
        outcome(lambda path: Stack(path)[1], path, "")
