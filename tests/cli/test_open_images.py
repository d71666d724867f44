"""Images that the command line names."""

import numpy as np
import tifffile
from PIL import Image
from promptseg.cli import open_images


def test_slices_behind_one_header_are_slices(tmp_path):
    """ImageJ's way to write stacks above 4 GB: one page, and a description that says how many slices follow."""
    slices = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
    tifffile.imwrite(tmp_path / "s.tif", slices, imagej=True)
    tifffile.imwrite(
        tmp_path / "shaped.tif", slices, metadata={"axes": "ZYX"}, photometric="minisblack", contiguous=True
    )
    for name in ("s", "shaped"):
        images = list(open_images.open_images([tmp_path / f"{name}.tif"], None, tmp_path / "out"))
        assert [each.name for each in images] == [f"{name}_{i:03d}" for i in range(4)]
        assert all(np.array_equal(each.read(), each_slice) for each, each_slice in zip(images, slices, strict=True))


def test_16_bit_images_are_opened_with_a_window(tmp_path):
    values = np.linspace(0, 4000, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    (image,) = open_images.open_images([tmp_path / "a.png"], (0, 4000), tmp_path / "out")
    assert image.read().min() == 0 and image.read().max() == 255
