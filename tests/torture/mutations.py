"""Mutations of files for fuzzing: of bytes, of numbers and quoted values in text, and of JSON values."""

import copy
import json
import re

from hypothesis import strategies as st

NUMBERS = (
    "0", "-1", "1", "1e308", "-1e308", "1e400", "1e15", "1e9", "1e-320", "NaN", "Infinity", "0.5.5", "", "2147483648",
    "99999999999999999999", "9" * 5000, "0x10", "null", "1_000", "\u0663",
)  # fmt: skip
TEXTS = (
    "", " ", "\u0000", "\\ud800", "../../etc/passwd", "/etc/passwd", "a" * 300, "<script>", "caf\u00e9", "\u202e",
    "1,1;2,2", "0,0;1e308,0;0,1e308", "nan,nan;1,1;2,2", "0,-1,5", "&bomb;", "%s%n",
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 2**31, 10**30, 1e308, -1e308, 5e-324, float("nan"), float("inf"), "", " ", "\ud800",
    "a" * 300, "../../etc/passwd", [], {}, [[]], [[[]]], [None], {"a": []}, [0] * 50, [[0, 0], [1e308, 0], [0, 1e308]],
    [1, "a"], {"size": [4, 6], "counts": "\u007f"}, {"size": [10**9, 10**9], "counts": [10**18]},
    {"counts": [], "size": [0, 0]},
)  # fmt: skip
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_QUOTED = re.compile(r'"[^"<>]*"')


@st.composite
def of_bytes(draw, seeds: list[bytes]) -> bytes:
    """A file with some bytes changed, removed, repeated or cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(("bit", "byte", "cut", "remove", "repeat", "insert", "large")))
        length = draw(st.sampled_from((1, 2, 4, 8, 100)))
        if kind == "bit" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + length]
        elif kind == "repeat":
            data[at:at] = data[at : at + length]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "large":
            data[at : at + 4] = draw(
                st.sampled_from((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x80"))
            )
    return bytes(data)


@st.composite
def of_text(draw, seeds: list[bytes]) -> bytes:
    """A text in which some numbers or quoted values are others."""
    seed = draw(st.sampled_from(seeds))
    encoding = "utf-8" if seed.isascii() else "latin-1"  # the latter for texts within other bytes
    text = seed.decode(encoding)
    for _ in range(draw(st.integers(1, 3))):
        pattern, values, form = draw(st.sampled_from(((_NUMBER, NUMBERS, "{}"), (_QUOTED, NUMBERS + TEXTS, '"{}"'))))
        places = list(pattern.finditer(text))
        if places:
            place = draw(st.sampled_from(places))
            text = text[: place.start()] + form.format(draw(st.sampled_from(values))) + text[place.end() :]
    return text.encode(encoding, "replace")


@st.composite
def of_json(draw, seeds: list[bytes]) -> bytes:
    """A JSON document in which some values, at any depth, are others, removed or repeated."""
    root = {"root": json.loads(draw(st.sampled_from(seeds)))}
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(root))
        inner, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(("value", "value", "remove", "repeat")))
        if kind == "remove" and inner is not root:
            del inner[key]
        elif kind == "repeat" and isinstance(inner, list):
            inner.insert(key, copy.deepcopy(inner[key]))
        else:
            inner[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return json.dumps(root["root"]).encode()


def _places(value):
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(entries):
        yield value, key
        yield from _places(inner)
