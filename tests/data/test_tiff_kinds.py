"""TIFF files as people have them: channels, pyramids, depths, compressions and colors; what is not read is named."""

import numpy as np
import pytest
import tifffile
from promptseg.data import image_io, tiff_stack
from promptseg.data.tiff_stack import Stack
from promptseg.datasets.folder import reader
from refusing import refused

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (4, 20, 24), np.uint8)
RGB = RNG.integers(0, 256, (20, 24, 3), np.uint8)
IMAGEJ = {"imagej": True}
OME = {"ome": True, "photometric": "minisblack"}


def write(path, values, **options):
    tifffile.imwrite(path, values, **options)
    return path


def channels(*names, **metadata):
    """OME metadata of named channels."""
    return {"axes": "CYX", "Channel": {"Name": list(names)}, **metadata}


def ramp(*color):
    """A lookup table of ImageJ from black to a color."""
    return np.outer(color, np.arange(256)).astype(np.uint8)


R, G, B = ramp(1, 0, 0), ramp(0, 1, 0), ramp(0, 0, 1)


@pytest.mark.parametrize(
    "order, options",
    [
        ((0, 1, 2), {**IMAGEJ, "metadata": {"axes": "CYX", "mode": "composite"}}),
        ((2, 0, 1), {**IMAGEJ, "metadata": {"axes": "CYX", "mode": "composite", "LUTs": [G, B, R]}}),
        ((0, 1, 2), {**OME, "metadata": channels("red", "green", "blue")}),
        ((2, 1, 0), {**OME, "metadata": channels("B", "G", "R")}),
        ((2, 1, 0), {**OME, "metadata": {"axes": "CYX", "Channel": {"Color": [65535, 16711935, -16776961]}}}),
    ],
    ids=["ImageJ composite", "ImageJ tables", "OME names", "OME letters", "OME colors"],
)
def test_channels_that_the_file_calls_red_green_and_blue_are_one_color_image(tmp_path, order, options):
    """`order`: where red, green and blue are among the channels that are written."""
    planes = GRAY[:3]
    path = write(tmp_path / "a.tif", planes, **options)
    expected = np.dstack([planes[channel] for channel in order])
    np.testing.assert_array_equal(image_io.read_image(path), expected)
    slices = np.stack([planes, 255 - planes])
    options["metadata"] = {**options["metadata"], "axes": "ZCYX"}
    stack = Stack(write(tmp_path / "z.tif", slices, **options))
    assert len(stack) == 2 and stack.shape == (20, 24)
    np.testing.assert_array_equal(stack[1], 255 - expected)
    refused(lambda: stack.values(1), "z.tif: slice 1 is in color")


@pytest.mark.parametrize(
    "shape, axes, sizes, options",
    [
        ((3, 20, 24), "CYX", "C=3", IMAGEJ),
        ((2, 20, 24), "CYX", "C=2", {**IMAGEJ, "truncate": True}),
        ((5, 2, 20, 24), "ZCYX", "Z=5, C=2", IMAGEJ),
        ((2, 3, 4, 20, 24), "TZCYX", "T=2, Z=3, C=4", IMAGEJ),
        ((9, 20, 24), "CYX", "C=9", OME),
        ((2, 3, 20, 24), "CZYX", "C=2, Z=3", OME),
    ],
)
def test_channels_that_are_not_color_are_refused_by_their_axes(tmp_path, shape, axes, sizes, options):
    path = write(tmp_path / "a.tif", np.zeros(shape, np.uint8), metadata={"axes": axes}, **options)
    for read in (image_io.read_image, Stack):
        refused(lambda: read(path), f"{path}: its axes are {axes} ({sizes}): channels C that the file does not call")


@pytest.mark.parametrize("axes, options", [("TZYX", IMAGEJ), ("ZTYX", OME), ("TZYX", {**IMAGEJ, "truncate": True})])
def test_slices_and_frames_are_slices_in_the_order_of_the_file(tmp_path, axes, options):
    values = RNG.integers(0, 4096, (2, 3, 20, 24)).astype(np.uint16)
    path = write(tmp_path / "a.tif", values, metadata={"axes": axes}, **options)
    refused(lambda: Stack(path)[4], f"{path}: slice 4: uint16 values need a window")
    stack = Stack(path, (0, 4095))
    assert len(stack) == 6 and stack[4].dtype == np.uint8
    for index, plane in enumerate(values.reshape(6, 20, 24)):
        np.testing.assert_array_equal(stack[index], np.floor(plane * (255 / 4095) + 0.5))
        np.testing.assert_array_equal(stack.values(index), plane)


def test_slices_in_color_and_pages_of_one_write_each_are_slices(tmp_path):
    colors = np.stack([RGB, 255 - RGB])
    stack = Stack(write(tmp_path / "a.tif", colors, photometric="rgb"))
    assert len(stack) == 2
    np.testing.assert_array_equal(stack[1], 255 - RGB)
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        for plane in GRAY:
            writer.write(plane)
    np.testing.assert_array_equal([Stack(tmp_path / "b.tif")[index] for index in range(4)], GRAY)


@pytest.mark.parametrize("marked, subifds, metadata", [(1, 0, None), (0, 0, None), (1, 2, None), (1, 2, {})])
def test_smaller_copies_are_left_out(tmp_path, marked, subifds, metadata):
    """As further pages, marked as reduced or not (ImageMagick, GDAL, slide scanners), and below their page (OME)."""
    image, path = RNG.integers(0, 256, (65, 90), np.uint8), tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(image, subifds=subifds, tile=(32, 32), photometric="minisblack", metadata=metadata)
        for level in (2, 4):
            writer.write(image[::level, ::level], subfiletype=marked, photometric="minisblack", metadata=None)
    np.testing.assert_array_equal(image_io.read_image(path), image)
    assert len(Stack(path)) == 1


def test_a_preview_of_any_size_and_a_transparency_mask_are_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(RGB, photometric="rgb", metadata=None)
        writer.write(RGB[:7, :5], photometric="rgb", subfiletype=1, metadata=None)
        writer.write(np.ones((20, 24), bool), photometric=4, subfiletype=4, metadata=None)
    np.testing.assert_array_equal(image_io.read_image(tmp_path / "a.tif"), RGB)


@pytest.mark.parametrize(
    "kind", ["int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float64"]
)
def test_every_type_is_scaled_by_its_window_and_refused_without(tmp_path, kind):
    values = np.array([[-100, 0, 25, 50, 120]] if kind[0] != "u" else [[0, 0, 25, 50, 120]]).astype(kind)
    path = write(tmp_path / "a.tif", values)
    refused(lambda: image_io.read_image(path), f"{path}: {kind} values need a window", "--window")
    assert image_io.read_image(path, (0, 100)).tolist() == [[0, 0, 64, 128, 255]]
    assert image_io.image_size(path) == (1, 5)


def test_large_values_keep_their_last_digits(tmp_path):
    values = np.array([[4_000_000_000, 4_000_000_050, 4_000_000_100]], np.uint32)
    path = write(tmp_path / "a.tif", values)
    assert image_io.read_image(path, (4_000_000_000, 4_000_000_100)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(
    "codec", ["jpeg2000", "jpegxl", "webp", "zstd", "lzma", "lzw", "png", "packbits", "deflate", "jpegxr"]
)
def test_every_lossless_compression_gives_the_pixels_back(tmp_path, codec):
    level = {"jpegxl": {"lossless": True}, "webp": {"lossless": True}, "jpeg2000": {"reversible": True}}.get(codec, {})
    path = write(tmp_path / "a.tif", RGB, photometric="rgb", compression=codec, compressionargs=level, tile=(16, 16))
    np.testing.assert_array_equal(image_io.read_image(path), RGB)


def test_lerc_with_a_window(tmp_path):
    path = write(tmp_path / "a.tif", GRAY[0] * np.float32(0.5), compression="lerc")
    np.testing.assert_array_equal(image_io.read_image(path, (0, 127.5)), GRAY[0])


@pytest.mark.parametrize("kind, window", [(np.uint8, None), (np.uint16, (0, 255)), (np.float32, (0, 255))])
def test_white_is_zero_is_inverted_at_every_depth(tmp_path, kind, window):
    path = write(tmp_path / "a.tif", GRAY[0].astype(kind), photometric="miniswhite")
    np.testing.assert_array_equal(image_io.read_image(path, window), 255 - GRAY[0])
    np.testing.assert_array_equal(Stack(path).values(0), GRAY[0])


def test_planes_of_color_and_bits_are_read(tmp_path):
    path = write(tmp_path / "a.tif", RGB.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(image_io.read_image(path), RGB)
    path = write(tmp_path / "b.tif", GRAY[0] > 99, photometric="minisblack")
    np.testing.assert_array_equal(image_io.read_image(path), (GRAY[0] > 99) * 255)


def tagged(path, code, value):
    """Overwrite a tag of the first page."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags[code].overwrite(value)
    return path


@pytest.mark.parametrize(
    "options, code, value, words",
    [
        ({}, "Compression", 34661, "compression JBIG of uint8 values cannot be decoded here; save it without"),
        ({}, "Compression", 54321, "compression 54321 of uint8 values cannot be decoded here; save it without"),
        ({"compression": "jpeg2000"}, "Compression", 50002, "compression JPEGXL of uint8 values cannot be decoded ("),
        ({}, "PhotometricInterpretation", 32803, "images in CFA are not supported; save it as RGB"),
    ],
)
def test_what_cannot_be_decoded_is_named_and_not_called_damaged(tmp_path, options, code, value, words):
    path = tagged(write(tmp_path / "a.tif", GRAY[0], **options), code, value)
    with pytest.raises(tiff_stack.UserError) as error:
        image_io.read_image(path)
    message = str(error.value)
    assert message.startswith(f"{path}: {words}") and "damaged" not in message and "\n" not in message


def test_complex_values_and_color_of_more_than_8_bits_are_refused_by_name(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((4, 4), np.complex64))
    refused(lambda: image_io.read_image(path, (0, 1)), f"{path}: complex64 values are not supported")
    path = write(tmp_path / "b.tif", RGB.astype(np.float32), photometric="rgb")
    refused(lambda: image_io.read_image(path, (0, 1)), f"{path}: 32-bit color is not supported; save it with 8 bits")


def test_a_folder_of_stacks_is_read_by_its_window_and_its_masks_as_they_are_stored(tmp_path):
    values = RNG.integers(0, 4096, (4, 20, 24)).astype(np.uint16)
    write(tmp_path / "a.tif", values, imagej=True, metadata={"axes": "ZYX"})
    write(tmp_path / "a_groundtruth.tif", (values > 2000).astype(np.uint8), photometric="minisblack")
    options = reader.Options(images="{name}.tif", masks="{name}_groundtruth.tif", stack=True, window=[0, 4095])
    samples = list(reader.read(tmp_path, options))
    assert [sample.id for sample in samples] == ["a/000", "a/001", "a/002", "a/003"]
    np.testing.assert_array_equal(samples[2].image(), np.floor(values[2] * (255 / 4095) + 0.5))
    np.testing.assert_array_equal(samples[2].mask(), values[2] > 2000)
    write(tmp_path / "a.tif", np.zeros((4, 3, 20, 24), np.uint8), imagej=True, metadata={"axes": "ZCYX"})
    refused(lambda: reader.verify(tmp_path, options), f"{tmp_path / 'a.tif'}: its axes are ZCYX (Z=4, C=3)")
