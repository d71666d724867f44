"""Sizes of images: read from the header as `read_image` would have them, and compared with those of masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.data import image_io
from refusing import refused

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "name, options", [("a.jpg", {}), ("a.png", {}), ("a.tif", {}), ("a.tif", {"compression": "tiff_lzw"})]
)
def test_a_size_is_that_of_the_upright_image(tmp_path, name, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(tmp_path / name, exif=exif, **options)
    size = image_io.image_size(tmp_path / name)
    assert size == image_io.read_image(tmp_path / name).shape[:2] == ((9, 6) if orientation > 4 else (6, 9))


def test_no_pixel_is_decoded_and_files_without_a_size_are_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(image_io.encode_png(np.random.default_rng(0).integers(0, 256, (90, 70), np.uint8))[:-900])
    assert image_io.image_size(path) == (90, 70)
    refused(lambda: image_io.read_image(path), path, "truncated")
    path.write_bytes(b"no image")
    refused(lambda: image_io.image_size(path), path, "not a PNG")
    refused(lambda: image_io.image_size(tmp_path / "none.png"), tmp_path / "none.png", "not found")


@pytest.mark.parametrize(("mask", "shown"), [((9, 6), "6x9"), ((6, 8), "8x6"), ((5, 9), "9x5")])
def test_an_image_and_a_mask_of_two_sizes_are_both_named(mask, shown):
    image_io.check_same_size((6, 9, 3), (6, 9), "a", "b")
    message = rf"^images/3\.jpg is 9x6 and masks/3\.png is {shown}; they must be of one size$"
    with pytest.raises(UserError, match=message):
        image_io.check_same_size((6, 9, 3), mask, "images/3.jpg", Path("masks/3.png"))
