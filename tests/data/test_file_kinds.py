"""A file is what its content says: photos with previews, WebP, other suffixes; and what is not read is named."""

import io

import numpy as np
import pytest
from PIL import Image
from promptseg.data import file_names, image_io
from refusing import refused

SMOOTH = np.add.outer(np.arange(0, 160, 5), np.arange(0, 80, 2)).astype(np.uint8)
PHOTO = Image.fromarray(np.dstack([SMOOTH, SMOOTH[::-1], SMOOTH]))
ROTATED = Image.Exif()
ROTATED[0x0112] = 6


def same(found, photo=PHOTO):
    assert found.shape == np.asarray(photo).shape
    return np.abs(found.astype(int) - np.asarray(photo)).mean() < 4


@pytest.mark.parametrize("previews", [1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_photo_with_previews_behind_is_its_first_frame(tmp_path, previews, mode):
    photo, path = PHOTO.convert(mode), tmp_path / "a.jpg"
    small = photo.resize((9, 7))
    photo.save(path, "MPO", save_all=True, append_images=[small] * previews, quality=95)
    with Image.open(path) as image:
        assert image.format == "MPO" and image.n_frames == previews + 1
    found = image_io.read_image(path)
    assert same(found, photo)
    np.testing.assert_array_equal(image_io.decode_image(image_io.jpeg_bytes(path)), found)
    refused(lambda: image_io.read_gray(path), str(path), "blurs the labels")


def test_a_photo_with_a_preview_is_turned_upright_as_any_other(tmp_path):
    path = tmp_path / "a.jpg"
    PHOTO.save(path, "MPO", save_all=True, append_images=[PHOTO.resize((9, 7))], quality=95, exif=ROTATED)
    assert same(image_io.read_image(path), PHOTO.transpose(Image.Transpose.ROTATE_270))
    assert image_io.jpeg_bytes(path) is None


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.jfif", "a.webp", "a.tif"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_content_decides_whatever_the_suffix(tmp_path, name, kind):
    path = tmp_path / name
    PHOTO.save(path, kind, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
    assert same(image_io.read_image(path))
    assert (image_io.jpeg_bytes(path) is not None) == (kind == "JPEG") and image_io.is_tiff(path) == (kind == "TIFF")
    if kind == "WEBP":
        refused(lambda: image_io.read_gray(path), f"{path}: a WEBP blurs the labels of a mask; give it as PNG or TIFF")


def test_a_moving_image_is_refused(tmp_path):
    PHOTO.save(tmp_path / "a.webp", save_all=True, append_images=[PHOTO.rotate(180)])
    refused(lambda: image_io.read_image(tmp_path / "a.webp"), "a.webp: it holds 2 pages where one image is expected")


def written(kind):
    out = io.BytesIO()
    PHOTO.convert("P" if kind == "GIF" else "RGB").save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    "content, words",
    [
        (written("GIF"), "it is GIF, which is not read; convert it to PNG, JPEG or TIFF"),
        (written("BMP"), "it is BMP"),
        (written("JPEG2000"), "it is JPEG 2000"),
        (written("AVIF"), "it is AVIF"),
        (b"\0\0\0\x18ftypheic" + bytes(200), "it is HEIC"),
        (b"%PDF-1.7\n" + bytes(200), "it is PDF"),
        (bytes(128) + b"DICM" + bytes(99), "it is DICOM"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "truncated or damaged"),
    ],
)
def test_another_format_is_named_with_what_to_do(tmp_path, content, words):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    refused(lambda: image_io.read_image(path), f"{path}: ", words)


def test_folders_are_walked_through_links_but_not_in_circles(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    for path in (root / "a.png", root / "sub/b.png", other / "c.png", root / ".hidden/d.png", root / "__MACOSX/e.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "linked").symlink_to(other)
    (root / "sub/up").symlink_to(root)
    (root / "file.png").symlink_to(other / "c.png")
    assert file_names.walk(root) == ["a.png", "file.png", "linked/c.png", "sub/b.png"]
