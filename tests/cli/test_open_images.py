"""Images that the command line names."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from promptseg.cli import open_images
from refusing import refused


def test_slices_behind_one_header_are_slices(tmp_path):
    """ImageJ's way to write stacks above 4 GB: one page, and a description that says how many slices follow."""
    slices = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
    tifffile.imwrite(tmp_path / "s.tif", slices, imagej=True, metadata={"axes": "ZYX"}, truncate=True)
    tifffile.imwrite(
        tmp_path / "shaped.tif", slices, metadata={"axes": "ZYX"}, photometric="minisblack", contiguous=True
    )
    for name in ("s", "shaped"):
        images = list(open_images.open_images([tmp_path / f"{name}.tif"], None, tmp_path / "out"))
        assert [each.name for each in images] == [f"{name}_{i:03d}" for i in range(4)]
        assert all(np.array_equal(each.read(), each_slice) for each, each_slice in zip(images, slices, strict=True))


def test_files_that_are_no_images_or_need_a_window_are_refused_when_they_are_read(tmp_path):
    values = np.linspace(0, 4000, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    for name in ("page.png", "page.tif"):
        (tmp_path / name).write_text("<html>")
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((2, 4, 4), np.uint16), photometric="minisblack")
    for name, *words in (
        ("page.png", f"{tmp_path / 'page.png'}: not a PNG, JPEG, TIFF or WebP image"), ("a.png", "need a window"),
        ("s.tif", "s.tif: uint16 values need a window"),
        ("page.tif", f"{tmp_path / 'page.tif'}: not a PNG, JPEG, TIFF or WebP image"),
    ):  # fmt: skip
        (image,) = open_images.open_images([tmp_path / name], None, tmp_path / "out")
        assert image.name == name.partition(".")[0]
        refused(image.read, *words)
    (image,) = open_images.open_images([tmp_path / "a.png"], (0, 4000), tmp_path / "out")
    assert image.read().min() == 0 and image.read().max() == 255
    (tmp_path / "empty").mkdir()
    refused(lambda: names([tmp_path / "empty"], tmp_path), "no PNG, JPEG or TIFF image in this folder")


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


def test_folders_are_searched_for_all_file_types_in_natural_order_but_for_hidden_files_and_results(tmp_path):
    image = Image.fromarray(np.zeros((4, 4), np.uint8))
    for name in ("b10.jpg", "b9.JPG", "deep/er/c.tiff", ".hidden/d.png", "one.tif", "out/a_mask.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("none")
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((2, 4, 4), np.uint8), photometric="minisblack")
    assert names([tmp_path], tmp_path) == ["b9", "b10", "deep/er/c", "one", "stack_000", "stack_001"]


def test_channels_are_one_refused_image_and_slices_have_the_window(tmp_path):
    values = np.linspace(0, 4000, 3 * 40 * 60).reshape(3, 40, 60).astype(np.uint16)
    tifffile.imwrite(tmp_path / "c.tif", values, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "z.tif", values, imagej=True, metadata={"axes": "ZYX"})
    channels, *slices = open_images.open_images([tmp_path / "c.tif", tmp_path / "z.tif"], (0, 4000), tmp_path / "out")
    refused(channels.read, f"{tmp_path / 'c.tif'}: its axes are CYX (C=3)")
    assert [each.name for each in (channels, *slices)] == ["c", "z_000", "z_001", "z_002"]
    assert slices[0].read().min() == 0 and slices[2].read().max() == 255


def test_all_suffixes_of_images_are_found_through_links_and_no_more_than_a_few_stacks_are_open(tmp_path):
    folder, other = tmp_path / "images", tmp_path / "other"
    folder.mkdir(), other.mkdir()
    image = Image.fromarray(np.zeros((4, 4), np.uint8))
    for name in ("a.jfif", "b.JPE", "d.mpo"):
        image.save(other / name, "JPEG")
    image.save(other / "c.webp")
    (folder / "linked").symlink_to(other)
    for number in range(20):
        tifffile.imwrite(folder / f"s{number}.tif", np.zeros((2, 4, 4), np.uint8), photometric="minisblack")
    opened = open_images.open_images([folder], None, tmp_path / "out")
    assert [each.name for each in opened[:5]] == ["linked/a", "linked/b", "linked/c", "linked/d", "s0_000"]
    assert len(opened) == 44 and all(each.read().shape[:2] == (4, 4) for each in opened)
    links = [path.resolve() for path in Path("/proc/self/fd").iterdir()]
    assert sum(link.parent == folder for link in links) <= 8


def test_linked_folders_are_searched(tmp_path):
    (tmp_path / "disk2/deep").mkdir(parents=True)
    for name in ("disk2/a.png", "disk2/deep/b.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/images").symlink_to(tmp_path / "disk2")
    (tmp_path / "mine/images/back").symlink_to(tmp_path / "mine")
    assert names([tmp_path / "mine"], tmp_path) == ["images/a", "images/deep/b"]
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    assert names([tmp_path / "link"], tmp_path) == ["images/a", "images/deep/b"]
