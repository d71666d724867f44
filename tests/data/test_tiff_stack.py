"""Stacks: every layout of slices in a TIFF reads alike; missing, truncated and other files are one line."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from promptseg.core.errors import UserError
from promptseg.data.tiff_stack import Stack, check_same_shape

SLICES = np.random.default_rng(0).integers(0, 256, (6, 40, 50), np.uint8)
KINDS = {
    "page a slice": dict(metadata=None),
    "tifffile": dict(),
    "ImageJ": dict(imagej=True),
    "ImageJ, one page": dict(imagej=True, truncate=True),
    "tifffile, one page": dict(truncate=True),
    "strips": dict(metadata=None, rowsperstrip=7),
    "tiles": dict(metadata=None, tile=(16, 16)),
    "BigTIFF, big-endian": dict(metadata=None, bigtiff=True, byteorder=">"),
    "zlib": dict(compression="zlib"),
    "LZW with predictor": dict(compression="lzw", predictor=True),
    "PackBits strips": dict(compression="packbits", rowsperstrip=9),
}


@pytest.fixture(params=KINDS)
def path(request, tmp_path):
    tifffile.imwrite(tmp_path / "s.tif", SLICES, photometric="minisblack", **KINDS[request.param])
    return tmp_path / "s.tif"


def refused(path) -> str:
    with pytest.raises(UserError) as caught:
        stack = Stack(path)
        for index in range(len(stack)):
            stack[index]
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_every_layout_is_read_in_any_order(path):
    stack = Stack(path)
    assert (len(stack), stack.shape) == (6, (40, 50))
    for index in (5, 0, 3, 3, 1, 2, 4):
        assert stack[index].dtype == np.uint8
        np.testing.assert_array_equal(stack[index], SLICES[index])
    for outside in (-1, 6):
        with pytest.raises(IndexError):
            stack[outside]


def test_every_truncation_is_refused_or_loses_no_pixel(path, caplog):
    whole = path.read_bytes()
    cut = path.with_name("cut.tif")
    for length in [*range(0, len(whole), 131), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        try:
            stack = Stack(cut)
            slices = np.stack([stack[index] for index in range(len(stack))])
        except UserError as error:
            assert str(cut) in str(error) and "\n" not in str(error)
        else:
            np.testing.assert_array_equal(slices, SLICES)  # only a trailing tag (resolution) was lost
    assert caplog.records == []  # tifffile's own log lines stay out of sight


def test_opening_walks_the_file_once(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((60, 8, 8), np.uint8), metadata=None, photometric="minisblack")
    opened, parsed = [], []
    opening, parsing = tifffile.TiffFile.__init__, tifffile.TiffPage.__init__
    monkeypatch.setattr(tifffile.TiffFile, "__init__", lambda *a, **k: (opened.append(1), opening(*a, **k))[1])
    monkeypatch.setattr(tifffile.TiffPage, "__init__", lambda *a, **k: (parsed.append(1), parsing(*a, **k))[1])
    stack = Stack(tmp_path / "s.tif")
    before = len(parsed)
    for index in range(59, -1, -1):
        stack[index]
    assert len(opened) == 1
    assert len(parsed) - before <= 60


def times_open(path):
    """How often this process has the file open."""
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(os.readlink(link) == str(path) for link in links if link.is_symlink())


def test_file_is_closed_with_the_stack(path):
    stack = Stack(path)
    assert times_open(path) == 1
    del stack
    gc.collect()
    assert times_open(path) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"II*\0",
        b"II*\0\0\0\0\0",
        b"<html>not here</html>",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"\x80\x04K\x01.",
    ],
)
def test_anything_but_a_tiff_is_refused(tmp_path, content):
    (tmp_path / "s.tif").write_bytes(content)
    assert "fetch it again" in refused(tmp_path / "s.tif")


def test_a_missing_file_is_not_found(tmp_path):
    assert refused(tmp_path / "s.tif").endswith("not found")


def test_a_folder_is_refused(tmp_path):
    assert "cannot be read" in refused(tmp_path)


@pytest.mark.parametrize(
    "second, words",
    [
        (np.zeros((8, 9), np.uint8), "slice 1 is 9x8 and slice 0 is 8x8; all must be of one size"),
        (np.zeros((8, 8), np.uint16), "slice 1 is uint16 (8, 8), not 8-bit gray"),
        (np.zeros((8, 8, 3), np.uint8), "slice 1 is uint8 (8, 8, 3), not 8-bit gray"),
        (np.zeros((8, 8), np.float32), "slice 1 is float32"),
    ],
)
def test_unequal_pages_are_refused(tmp_path, second, words):
    with tifffile.TiffWriter(tmp_path / "s.tif") as writer:
        writer.write(np.zeros((8, 8), np.uint8), photometric="minisblack", metadata=None)
        writer.write(second, photometric="rgb" if second.ndim == 3 else "minisblack", metadata=None)
    assert words in refused(tmp_path / "s.tif")


def test_more_than_one_channel_is_refused(tmp_path):
    two = np.zeros((8, 8, 2), np.uint8)
    tifffile.imwrite(tmp_path / "s.tif", two, photometric="minisblack", planarconfig="contig", metadata=None)
    assert "slice 0 is uint8 (8, 8, 2), not 8-bit gray" in refused(tmp_path / "s.tif")


@pytest.mark.parametrize("cut, compression", [(1, None), (0, "zlib")])
def test_fewer_slices_than_the_only_page_announces(tmp_path, cut, compression):
    path = tmp_path / "s.tif"
    if compression:
        one, text = SLICES[0], "ImageJ=1.53t\nimages=6\nslices=6\n"
        tifffile.imwrite(path, one, photometric="minisblack", metadata=None, description=text, compression=compression)
        path.write_bytes(path.read_bytes() + bytes(SLICES.nbytes))
    else:
        tifffile.imwrite(path, SLICES, photometric="minisblack", imagej=True, truncate=True)
        with tifffile.TiffFile(path) as tiff:
            end = tiff.pages[0].dataoffsets[0] + SLICES.nbytes
        path.write_bytes(path.read_bytes()[: end - cut])
    with pytest.raises(UserError, match="s.tif: truncated: less than the 6 slices it announces"):
        Stack(path)


def test_white_as_zero_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "s.tif", SLICES, photometric="miniswhite", metadata=None)
    assert "not 8-bit gray with 0 as black" in refused(tmp_path / "s.tif")


def test_too_many_pixels_are_refused_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr("promptseg.data.tiff_stack.MAX_PIXELS", 1999)
    tifffile.imwrite(tmp_path / "s.tif", SLICES, photometric="minisblack")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    assert "more than 1,999 pixels" in refused(tmp_path / "s.tif")


def test_a_damaged_compressed_slice_is_named(tmp_path):
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, SLICES, photometric="minisblack", compression="zlib")
    offset = tifffile.TiffFile(path).pages[4].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset + 200] ^= 0x10
    path.write_bytes(data)
    stack = Stack(path)
    np.testing.assert_array_equal(stack[3], SLICES[3])
    assert "slice 4: damaged" in refused(path)


def test_a_strip_without_bytes_is_not_read_as_zeros(tmp_path):
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, SLICES[:2], photometric="minisblack", metadata=None, compression="zlib", rowsperstrip=20)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        counts = tiff.pages[1].tags["StripByteCounts"]
        counts.overwrite((counts.value[0], 0))
    assert "slice 1 is truncated" in refused(path)


def test_a_missing_strip_is_not_replaced_by_zeros(tmp_path):
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, SLICES[:2], photometric="minisblack", metadata=None, compression="zlib", rowsperstrip=10)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name in ("StripOffsets", "StripByteCounts"):
            tag = tiff.pages[1].tags[name]
            tag.overwrite(tag.value[:2])
    assert "slice 1 is truncated" in refused(path)


def test_stacks_of_images_and_masks_are_of_one_shape(tmp_path):
    for name, slices in {"a": SLICES, "fewer": SLICES[:5], "narrow": SLICES[:, :, :49]}.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", slices, photometric="minisblack")
    image, fewer, narrow = (Stack(tmp_path / f"{name}.tif") for name in ("a", "fewer", "narrow"))
    check_same_shape(image, image)
    with pytest.raises(UserError, match=r"fewer.tif: 5 slices, but .*a.tif holds 6; fetch both again"):
        check_same_shape(image, fewer)
    with pytest.raises(UserError, match=r"narrow.tif: its slices are 49x40, those of .*a.tif 50x40"):
        check_same_shape(image, narrow)
