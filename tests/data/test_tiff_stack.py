"""Stacks: every layout of slices in a TIFF reads alike; missing, truncated and other files are one line."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from promptseg.core.errors import UserError
from promptseg.data.tiff_stack import Stack, check_same_shape

SLICES = np.random.default_rng(0).integers(0, 256, (6, 20, 25), np.uint8)
LAYOUTS = {
    "page a slice": dict(metadata=None),
    "tifffile": dict(),
    "ImageJ": dict(imagej=True),
    "ImageJ, one page": dict(imagej=True, truncate=True),
    "ImageJ, frames": dict(imagej=True, truncate=True, metadata={"axes": "TYX"}),
    "OME": dict(ome=True, metadata={"axes": "ZYX"}),
    "tifffile, one page": dict(truncate=True),
    "strips": dict(metadata=None, rowsperstrip=7),
    "tiles": dict(metadata=None, tile=(16, 16)),
    "BigTIFF, big-endian": dict(metadata=None, bigtiff=True, byteorder=">"),
    "zlib": dict(compression="zlib"),
    "LZW with predictor": dict(compression="lzw", predictor=True),
    "PackBits strips": dict(compression="packbits", rowsperstrip=9),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.tif"


def write(path, slices=SLICES, photometric="minisblack", **options):
    tifffile.imwrite(path, slices, photometric=photometric, **options)
    return path


def slices_of(path):
    stack = Stack(path)
    return [stack[index] for index in range(len(stack))]


def refused(path) -> str:
    with pytest.raises(UserError) as caught:
        slices_of(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def times_open(path):
    """How often this process has the file open."""
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(os.readlink(link) == str(path) for link in links if link.is_symlink())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_in_any_order_and_every_truncation_refused(path, layout, caplog):
    stack = Stack(write(path, **LAYOUTS[layout]))
    assert (len(stack), stack.shape, times_open(path)) == (6, (20, 25), 1)
    for index in (5, 0, 3, 3, 1, 2, 4):
        assert stack[index].dtype == np.uint8
        np.testing.assert_array_equal(stack[index], SLICES[index])
    for outside in (-1, 6):
        with pytest.raises(IndexError):
            stack[outside]
    whole, cut = path.read_bytes(), path.with_name("cut.tif")
    for length in [*range(0, len(whole), 131), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        try:
            found = slices_of(cut)
        except UserError as error:
            assert str(cut) in str(error) and "\n" not in str(error)
        else:
            np.testing.assert_array_equal(found, SLICES)  # only a trailing tag (resolution) was lost
    assert caplog.records == []  # tifffile's own log lines stay out of sight


def test_the_file_is_walked_once_and_closed_with_the_stack(path, monkeypatch):
    write(path, np.zeros((30, 8, 8), np.uint8), metadata=None)
    opened, parsed = [], []
    opening, parsing = tifffile.TiffFile.__init__, tifffile.TiffPage.__init__
    monkeypatch.setattr(tifffile.TiffFile, "__init__", lambda *a, **k: (opened.append(1), opening(*a, **k))[1])
    monkeypatch.setattr(tifffile.TiffPage, "__init__", lambda *a, **k: (parsed.append(1), parsing(*a, **k))[1])
    stack = Stack(path)
    before = len(parsed)
    for index in range(29, -1, -1):
        stack[index]
    assert len(opened) == 1 and len(parsed) - before <= 30 and times_open(path) == 1
    del stack
    gc.collect()
    assert times_open(path) == 0


def test_anything_but_a_tiff_is_refused(path):
    assert refused(path).endswith("not found") and "cannot be read" in refused(path.parent)
    page, pointer = b"<html>not here</html>", b"version https://git-lfs.github.com/spec/v1\n"
    for content in (b"", b"II*\0", b"II*\0\0\0\0\0", page, pointer, b"\x80\x04K\x01."):
        path.write_bytes(content)
        assert "fetch it again" in refused(path)
        assert times_open(path) == 0


@pytest.mark.parametrize(
    "second, words",
    [
        (np.zeros((8, 9), np.uint8), "slice 1 is 9x8 and slice 0 is 8x8; all must be of one size"),
        (np.zeros((8, 8), np.uint16), "slice 1 is uint16 MINISBLACK and slice 0 is uint8 MINISBLACK; all must"),
        (np.zeros((8, 8, 3), np.uint8), "slice 1 is uint8 RGB and slice 0 is uint8 MINISBLACK"),
        (np.zeros((8, 8), np.float32), "slice 1 is float32"),
    ],
)
def test_unequal_pages_are_refused(path, second, words):
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8), np.uint8), photometric="minisblack", metadata=None)
        writer.write(second, photometric="rgb" if second.ndim == 3 else "minisblack", metadata=None)
    assert words in refused(path) and times_open(path) == 0


def test_other_channels_and_too_many_pixels_are_refused_before_decoding(path, monkeypatch):
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    write(path, np.zeros((8, 8, 2), np.uint8), planarconfig="contig", metadata=None)
    assert "s.tif: axes YXS (8x8x2), 2 channels that are neither gray nor RGB; save" in refused(path)
    monkeypatch.setattr("promptseg.data.image_io.MAX_PIXELS", 499)
    assert "more than 499 pixels" in refused(write(path))


@pytest.mark.parametrize("compressed", [False, True])
def test_fewer_slices_than_the_only_page_announces(path, compressed):
    if compressed:
        write(path, SLICES[0], metadata=None, description="ImageJ=1.53t\nimages=6\nslices=6\n", compression="zlib")
        path.write_bytes(path.read_bytes() + bytes(SLICES.nbytes))
    else:
        with tifffile.TiffFile(write(path, imagej=True, truncate=True)) as tiff:
            end = tiff.pages[0].dataoffsets[0] + SLICES.nbytes
        path.write_bytes(path.read_bytes()[: end - 1])
    assert "truncated: less than the 6 slices it announces" in refused(path)


def test_a_damaged_compressed_slice_is_named(path):
    with tifffile.TiffFile(write(path, compression="zlib")) as tiff:
        offset = tiff.pages[4].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset + 200] ^= 0x10
    path.write_bytes(data)
    np.testing.assert_array_equal(Stack(path)[3], SLICES[3])
    assert "slice 4: damaged" in refused(path)


@pytest.mark.parametrize("missing", [False, True])
def test_a_strip_without_bytes_or_a_missing_one_is_not_read_as_zeros(path, missing):
    write(path, SLICES[:2], metadata=None, compression="zlib", rowsperstrip=10 - 5 * missing)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name in ("StripOffsets", "StripByteCounts") if missing else ("StripByteCounts",):
            tag = tiff.pages[1].tags[name]
            tag.overwrite(tag.value[:2] if missing else (tag.value[0], 0))
    assert "slice 1 is truncated" in refused(path)


def test_stacks_of_images_and_masks_are_of_one_shape(tmp_path):
    image = Stack(write(tmp_path / "a.tif"))
    check_same_shape(image, image)
    with pytest.raises(UserError, match=r"fewer.tif: 5 slices, but .*a.tif holds 6; fetch both again"):
        check_same_shape(image, Stack(write(tmp_path / "fewer.tif", SLICES[:5])))
    with pytest.raises(UserError, match=r"narrow.tif: its slices are 24x20, those of .*a.tif 25x20"):
        check_same_shape(image, Stack(write(tmp_path / "narrow.tif", SLICES[:, :, :24])))
