"""What a file is by its first bytes, whatever its suffix says, and what to do with one that is not read."""

from pathlib import Path

# Bytes at an offset; the first that fits counts.
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),  # BigTIFF
    (0, b"MM\0+", "TIFF"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "PDF"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF", "HDF5"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (128, b"DICM", "DICOM"),
    (0, b"P5", "PGM"),
    (0, b"P6", "PPM"),
)
_IMAGES = {"PNG", "JPEG", "TIFF", "WebP"}
_HEAD = 132  # bytes


def kind(path: Path) -> str | None:
    """The format of a file by its content; None for others, and for a file that cannot be read."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    return next((name for at, magic, name in _SIGNATURES if head[at : at + len(magic)] == magic), None)


def refusal(path: Path) -> str:
    """What a file is that no decoder takes for an image, and what to do."""
    found = kind(path)
    if found is None:
        return "not a PNG, JPEG, TIFF or WebP image, or its header is damaged; fetch it again"
    if found in _IMAGES:
        return f"{found} whose header is damaged; fetch it again"
    return f"it is {found}, which is not read; convert it to PNG, JPEG or TIFF"
