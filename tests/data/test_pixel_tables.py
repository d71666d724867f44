"""The table of `promptseg.data`, cell by cell: what becomes of each file as an image, as a mask, as a user's own mask.

Each file is read right, or refused in one line that names it, and the words of the cell say which.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from promptseg import data
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


LOSSY = "JPEG, WebP, JPEG in a TIFF"
LARGE = "more than 120,000,000 pixels"
IMAGEJ = {"imagej": True, "metadata": {"axes": "CYX"}}
OME = {"ome": True, "photometric": "minisblack", "metadata": {"axes": "CYX"}}
# The row of the table, the file's name, who writes it, and what it is as an image, as a mask, and as a mask of a user's
# own: values, or a part of the one line that refuses it.
SIGNED = GRAY.astype(np.int16)
LABEL = "one 8-bit label"
WHITE, FLAT = BITS * np.uint8(255), np.full((32, 48), 90, np.uint8)
WINDOWED = np.floor(GRAY * (255 / 4095) + 0.5)
FILES = [
    ("8-bit gray", "a.png", save(GRAY), GRAY, GRAY, GRAY),
    ("8-bit gray", "a.tif", tiff(GRAY), GRAY, GRAY, GRAY),
    ("1-bit", "a.png", save(BITS), BITS * 255, BITS * 255, BITS),
    ("1-bit", "a.tif", save(BITS), BITS * 255, BITS * 255, BITS),
    ("8-bit RGB", "a.png", save(RGB), RGB, LABEL, RGB),
    ("8-bit RGB", "a.tif", tiff(RGB, photometric="rgb"), RGB, LABEL, RGB),
    ("8-bit RGB", "a.png", save(GRAY_RGB), GRAY_RGB, GRAY, GRAY),
    ("palette", "a.png", palette, COLORS[GRAY % 3], GRAY % 3, GRAY % 3),
    ("palette", "a.tif", palette, COLORS[GRAY % 3], GRAY % 3, GRAY % 3),
    ("LA, RGBA, transparent color", "a.png", save(np.dstack([GRAY, OPAQUE])), GRAY, GRAY, GRAY),
    ("LA, RGBA, transparent color", "a.png", save(np.dstack([GRAY, PARTLY])), *["transparent"] * 3),
    ("LA, RGBA, transparent color", "a.png", save(np.dstack([GRAY_RGB, OPAQUE])), GRAY_RGB, GRAY, GRAY),
    ("LA, RGBA, transparent color", "a.png", save(np.dstack([RGB, OPAQUE])), RGB, LABEL, RGB),
    ("LA, RGBA, transparent color", "a.tif", save(np.dstack([RGB, OPAQUE])), RGB, LABEL, RGB),
    ("LA, RGBA, transparent color", "a.png", save(np.dstack([RGB, PARTLY])), *["transparent"] * 3),
    ("LA, RGBA, transparent color", "a.tif", save(np.dstack([RGB, PARTLY])), *["transparent"] * 3),
    ("LA, RGBA, transparent color", "a.png", save(GRAY, transparency=int(GRAY[0, 0])), "transparent", GRAY, GRAY),
    ("gray of more than 8 bits", "a.png", save(DEEP), SCALED, "8-bit label", DEEP),
    *[
        ("gray of more than 8 bits", "a.tif", tiff(DEEP.astype(kind)), SCALED, "", DEEP)
        for kind in (np.uint16, np.int32, np.uint64)
    ],
    ("gray of more than 8 bits", "a.tif", tiff(DEEP, imagej=True), SCALED, "8-bit label", DEEP),
    ("gray of more than 8 bits", "a.tif", tiff(GRAY.astype(np.uint16)), WINDOWED, "8-bit label", GRAY),
    ("gray of more than 8 bits", "a.tif", tiff(BITS * np.uint16(65535)), BITS * 255, "8-bit label", BITS),
    ("negative", "a.tif", tiff(-SIGNED), np.zeros((6, 9)), "8-bit label", "negative values"),
    ("color of more than 8 bits", "a.png", deep_color, *["16-bit color"] * 3),
    ("color of more than 8 bits", "a.tif", tiff(np.dstack([DEEP] * 3)), *["16-bit color"] * 3),
    ("float", "a.tif", tiff(DEEP.astype(np.float32)), SCALED, "8-bit label", DEEP),
    ("float", "a.tif", tiff(SHARES), np.zeros((6, 9)), "8-bit label", "no whole number"),
    ("float", "a.tif", tiff(NAN), "NaN or infinity", "8-bit label", "no whole number"),
    ("float", "a.tif", tiff(INF), "NaN or infinity", "8-bit label", "no whole number"),
    ("float", "a.tif", tiff(np.where(BITS, np.inf, GRAY.astype(np.float32))), "infinity", "8-bit label", "infinity"),
    ("CMYK and other", "a.jpg", mode("CMYK"), "CMYK", "JPEG", "JPEG"),
    ("CMYK and other", "a.tif", mode("CMYK"), "CMYK", "CMYK", "CMYK"),
    ("CMYK and other", "a.tif", mode("YCbCr"), "YCbCr", "YCbCr", "YCbCr"),
    ("TIFF with 0 as white", "a.tif", tiff(WHITE, photometric="miniswhite"), ~WHITE, ~WHITE, WHITE),
    *[("EXIF orientation", "a.png", turned(number), *[upright(GRAY, number)] * 3) for number in range(2, 9)],
    *[("EXIF orientation", "a.tif", turned(number), *[upright(GRAY, number)] * 3) for number in range(2, 9)],
    ("preview behind a photo", "a.jpg", with_preview, np.full((32, 48, 3), 90), "MPO", "MPO"),
    ("preview behind a photo", "a.tif", with_smaller_copy, GRAY, "2 pages", "2 pages"),
    ("more than one page", "a.tif", pages, *["2 pages"] * 3),
    ("more than one page", "a.png", pages, *["2 pages"] * 3),
    ("more than one page", "a.tif", tiff(CHANNELS[:4], **IMAGEJ), "channels C", "4 pages", "4 pages"),
    ("more than one page", "a.tif", tiff(CHANNELS, **OME), "channels C", "5 pages", "5 pages"),
    (LOSSY, "a.jpg", save(FLAT), FLAT, *["JPEG blurs the labels"] * 2),
    (LOSSY, "a.webp", save(RGB, lossless=True), RGB, *["WEBP blurs the labels"] * 2),
    (LOSSY, "a.tif", save(FLAT, compression="jpeg"), FLAT, *["TIFF without JPEG"] * 2),
    (LOSSY, "a.tif", tiff(FLAT, compression="jpeg"), FLAT, *["TIFF without JPEG"] * 2),
    ("over MAX_PIXELS", "a.png", header(100_000), *[LARGE] * 3),
    ("over MAX_PIXELS", "a.png", tight_bomb, *[LARGE] * 3),
    ("truncated, or no image", "a.png", cut, *["truncated or damaged"] * 3),
    ("truncated, or no image", "a.png", lambda path: path.write_text("<html>"), *["not a PNG"] * 3),
    ("truncated, or no image", "a.gif", save(GRAY), *["it is GIF"] * 3),
    ("truncated, or no image", "a.png", lambda path: path.touch(), *["not a PNG"] * 3),
]  # fmt: skip


def table():
    """Rows of the table: their name, and the cells of an image, a mask, and a mask of a user's own."""
    lines = [line.strip("|").split("|") for line in data.__doc__.splitlines() if line.startswith("| ")]
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in lines[1:]}


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


@pytest.mark.parametrize("row", table())
def test_a_cell_says_refused_where_every_file_is(row):
    outcomes = [outcomes for name, _, _, *outcomes in FILES if name == row]
    for cell, of_cell in zip(table()[row], zip(*outcomes, strict=True), strict=True):
        assert cell.startswith("refused") == all(isinstance(expected, str) for expected in of_cell) or "stack" in cell


def test_no_file_is_without_a_row():
    assert {row for row, *_ in FILES} == set(table()) and len(table()) == 17


@pytest.mark.parametrize("row, name, write, image, mask, own", FILES)
def test_a_file_is_read_right_or_refused(tmp_path, row, name, write, image, mask, own):
    path = tmp_path / name
    write(path)
    outcome(lambda path: image_io.read_image(path, WINDOW), path, image)
    outcome(lambda path: image_io.read_mask(path, {value: value for value in range(256)}), path, mask)
    outcome(lambda path: label_images.read_labels(path).values, path, own)
    if row in ("gray of more than 8 bits", "negative", "float"):
        outcome(image_io.read_image, path, "need a window")


def test_pages_of_a_stack_are_equal_in_size_and_color(tmp_path):
    for number, (first, second) in enumerate([(GRAY, GRAY[:, 1:]), (GRAY, RGB)]):
        path = Path(tmp_path / f"{number}.tif")
        with tifffile.TiffWriter(path) as writer:
            for page in (first, second):
                writer.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None)
        outcome(lambda path: Stack(path)[1], path, "")
