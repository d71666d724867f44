"""Images that the command line names."""

import numpy as np
import tifffile
from PIL import Image
from promptseg.cli import open_images
from refusing import refused


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


def names(paths, tmp_path):
    return [each.name for each in open_images.open_images(paths, None, tmp_path / "out")]


def test_names_have_as_much_of_the_path_as_tells_images_apart(tmp_path):
    def image(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)
        return path

    a, jpg, deep, other = (image(f"x/{name}") for name in ("a.png", "a.jpg", "sub/a.png", "b.png"))
    assert names([a, other], tmp_path) == ["a", "b"]
    assert names([a, jpg, other], tmp_path) == ["a.png", "a.jpg", "b"]
    assert names([a, deep], tmp_path) == ["x/a", "sub/a"]
    assert names([tmp_path / "x"], tmp_path) == ["a.jpg", "a.png", "b", "sub/a"]
    assert names([a, tmp_path / "x"], tmp_path) == ["a.png", "a.jpg", "b", "sub/a"]  # a.png is opened once
    twins = [image(f"{folder}/z/a.{suffix}") for folder in ("p", "q") for suffix in ("png", "jpg")]
    assert names(twins, tmp_path) == ["p/z/a.png", "p/z/a.jpg", "q/z/a.png", "q/z/a.jpg"]
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((2, 4, 4), np.uint8), photometric="minisblack")
    assert names([tmp_path / "s.tif", image("s_001.png")], tmp_path) == ["s.tif_000", "s.tif_001", "s_001.png"]


def test_a_stack_that_cannot_be_opened_raises_when_it_is_read(tmp_path):
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((2, 4, 4), np.uint16), photometric="minisblack")
    (image,) = open_images.open_images([tmp_path / "s.tif"], None, tmp_path / "out")
    assert image.name == "s"
    refused(image.read, "s.tif: slice 0 is uint16", "not 8-bit gray")
