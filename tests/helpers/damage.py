"""What happens to files on their way: truncated, replaced by a page or a pointer, a byte changed."""

import pickle
from collections.abc import Callable

PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to download</body></html>\n" * 9
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 375042383\n"


def flipped(data: bytes, at: int, bit: int = 4) -> bytes:
    """The bytes with one bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "first byte only": lambda data: data[:1],
    "half": lambda data: data[: len(data) // 2],
    "one byte short": lambda data: data[:-1],
    "no first byte": lambda data: data[1:],
    "header of zeros": lambda data: bytes(8) + data[8:],
    "zeros in the middle": lambda data: data[: len(data) // 3] + bytes(len(data) // 3) + data[len(data) // 3 * 2 :],
    "all zeros": lambda data: bytes(len(data)),
    "twice": lambda data: data + data,
    "web page": lambda data: PAGE,
    "LFS pointer": lambda data: POINTER,
    "pickle": lambda data: pickle.dumps({"model": [1, 2, 3]}),
}
