"""Groups that names of images suggest."""

import pytest
from promptseg.inspection import groups

NAMES = [
    (["images/plate1_a.png", "images/plate1_b.png", "images/plate2_a.png", "images/plate2_b.png",
      "images/plate13_a.png", "images/plate13_b.png"], "(plate[0-9]+)_", 3),
    ([f"p{n}-s{s}-{i}.png" for n in range(3) for s in range(3) for i in range(2)], r"(p[0-9]+)\-", 3),
    ([f"exp_{n:02d}_{i}.tif" for n in range(4) for i in range(2)], "(exp_[0-9]+)_", 4),
    ([f"12{n}_{i}.tif" for n in range(4) for i in range(2)], "([0-9]+)_", 4),
    ([f"plate{n}/images/{i}.png" for n in range(4) for i in range(2)], "^([^/]+)/", 4),
    ([f"img_{i:03d}.png" for i in range(9)], None, 0),
    ([f"{name}_{i}.jpg" for name in ("cat", "dog", "bird") for i in range(4)], None, 0),
    (["a.png"], None, 0),
    ([], None, 0),
]  # fmt: skip


@pytest.mark.parametrize(("paths", "pattern", "count"), NAMES)
def test_a_beginning_with_a_number_that_several_images_share_is_a_group(paths, pattern, count):
    found = groups.find(paths)
    assert (found.pattern, found.count) == (pattern, count) if pattern else found is None


def test_a_pattern_that_misses_an_image_is_no_group():
    assert groups.measure("(p[0-9])_", ["p1_a.png", "q2.png"]) is None
    assert groups.measure("(p[0-9])_", ["p1_a.png", "p1_b.png", "p2_a.png"]) == groups.Groups("(p[0-9])_", 2, 2)
