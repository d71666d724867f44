"""A small folder with every awkwardness of users' images and masks that can stand side by side.

    python tests/inspection/awkward_folder.py FOLDER

The tables say what is read in spite of it, and what is refused file by file while the rest is read.
"""

import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import ExifTags, Image

HEIGHT, WIDTH = 48, 64
Write = Callable[[np.ndarray, Path], object]  # of an image, (48, 64, 3) uint8, or of a mask, (48, 64) bool


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image unlike those of other seeds, and the mask of its two blobs."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 160, (5, 6, 3), dtype=np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for left in (0, WIDTH // 2):
        cv2.circle(mask, (left + int(rng.integers(9, 23)), int(rng.integers(9, 39))), int(rng.integers(4, 8)), 1, -1)
    image[mask > 0] = 255 - image[mask > 0]
    return image, mask.astype(bool)


def photo(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image).save(path, "JPEG", quality=95)


def turned(image: np.ndarray, path: Path) -> None:
    """As phones write it: upright only once the orientation is applied."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.rot90(image)).save(path, "JPEG", exif=exif, quality=95)


def with_preview(image: np.ndarray, path: Path) -> None:
    full = Image.fromarray(image)
    full.save(path, "MPO", save_all=True, append_images=[full.resize((32, 24))], quality=95)


def with_alpha(image: np.ndarray, path: Path, alpha: int = 255) -> None:
    Image.fromarray(np.dstack([image, np.full(image.shape[:2], alpha, np.uint8)])).save(path)


def cut_off(image: np.ndarray, path: Path) -> None:
    with_alpha(image, path)
    path.write_bytes(path.read_bytes()[:300])


def gray(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(mask * np.uint8(255)).save(path)


def gray_palette(mask: np.ndarray, path: Path) -> None:
    """As optimizers of PNGs store it: the indices are not the gray values."""
    image = Image.fromarray(1 - mask.astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(path)


def linked(image: np.ndarray, path: Path) -> None:
    store = path.parent.parent.parent / "another disk"
    store.mkdir(exist_ok=True)
    Image.fromarray(image).save(store / path.name)
    path.symlink_to(store / path.name)


IMAGES: dict[str, Write] = {
    **{f"IMG {number}.png": lambda image, path: Image.fromarray(image).save(path) for number in range(12)},
    "Größe (1) & 50 %, café.PNG": lambda image, path: Image.fromarray(image).save(path, "PNG"),
    "図1.png": lambda image, path: Image.fromarray(image).save(path),
    "x" * 200 + ".jpeg": photo,
    "browser.jfif": photo,
    "phone.JPG": turned,
    "camera.JPG": with_preview,
    "site.jpg": lambda image, path: Image.fromarray(image).save(path, "WEBP", lossless=True),
    "palette.png": lambda image, path: Image.fromarray(image).quantize(64).save(path),
    "opaque.png": with_alpha,
    "gray and alpha.png": lambda image, path: Image.fromarray(image[..., 0]).convert("LA").save(path),
    "microscope.tif": lambda image, path: tifffile.imwrite(path, image[..., 0].astype(np.uint16) * 16),
    "linked.png": linked,
}
MASKS: dict[str, Write] = {
    "gray palette": gray_palette,
    "one bit": lambda mask, path: Image.fromarray(mask).save(path),
    "three channels": lambda mask, path: Image.fromarray(np.dstack([mask] * 3) * np.uint8(255)).save(path),
    "16 bits": lambda mask, path: Image.fromarray(mask.astype(np.uint16) * 255).save(path),
    "empty": lambda mask, path: gray(mask & False, path),
    "empty, one bit": lambda mask, path: Image.fromarray(mask & False).save(path),
}
EMPTY = 2
# What is refused, file by file: words of the line that says so.
DAMAGED: dict[str, tuple[Write, str]] = {
    "cut off.png": (
        lambda image, path: with_alpha(image, path) or path.write_bytes(path.read_bytes()[:300]),
        "damaged",
    ),
    "nothing.png": (lambda image, path: path.touch(), "not a PNG"),
    "page.jpg": (lambda image, path: path.write_text("<html>404</html>"), "not a PNG"),
    "print.jpg": (lambda image, path: Image.fromarray(image).convert("CMYK").save(path), "save it as RGB"),
    "see-through.png": (lambda image, path: with_alpha(image, path, 99), "transparent"),
    "scan.tif": (lambda image, path: tifffile.imwrite(path, np.stack([image, image]), photometric="rgb"), "2 pages"),
}
LEFT_OUT = ("images/alone.png", "masks/orphan.png")


def write(folder: Path) -> None:
    """Write the folder; what it links to lies beside it. Equal calls give equal pixels."""
    images, store = folder / "images", folder.parent / "masks elsewhere"
    images.mkdir(parents=True)
    store.mkdir()
    (folder / "masks").symlink_to(store, target_is_directory=True)
    written: list[tuple[str, Write, Write]] = [(name, each, gray) for name, each in IMAGES.items()]
    written += [(f"{name}.png", IMAGES["IMG 0.png"], each) for name, each in MASKS.items()]
    written += [(name, each, gray) for name, (each, _) in DAMAGED.items()]
    written += [("smaller.png", IMAGES["IMG 0.png"], lambda mask, path: gray(mask[:20, :30], path))]
    for seed, (name, of_image, of_mask) in enumerate(written):
        image, mask = scene(seed)
        of_image(image, images / name)
        # Macs store an accent as a letter of its own.
        of_mask(mask, store / unicodedata.normalize("NFD", f"{name.rpartition('.')[0]}.png"))
    image, mask = scene(len(written))
    Image.fromarray(image).save(folder / LEFT_OUT[0])
    gray(mask, folder / LEFT_OUT[1])
    (images / "._IMG 0.png").write_bytes(b"\0\5\x16\7")  # of macOS, on disks of others
    (images / "Thumbs.db").write_bytes(b"\xd0\xcf")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "IMG 0.png").touch()
    (folder / "list.csv").write_text("name\n")
    (folder / "again").symlink_to(folder, target_is_directory=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
