"""The reader `folder`: options, splits, groups, stacks, and the stand-in."""

import os
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.datasets.folder import reader as folder

LEAVES = {
    "masks": "labels/{name}.png", "group": "(plant[0-9]+)_", "classes": {"leaf": "#3c8c3c", "spot": "#b4501e"},
}  # fmt: skip


def options(**given) -> folder.Options:
    return params.validate(folder.Options, given, "params.yaml", "datasets.mine.options")


def refused(call, *words: str) -> str:
    with pytest.raises(UserError) as raised:
        call()
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


def save(path: Path, values) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values)).save(path)


def pair(root: Path, image: str, mask: str, value: int = 255) -> None:
    save(root / image, np.full((4, 6, 3), 70, np.uint8))
    save(root / mask, np.array([[0, value]] * 4, np.uint8).repeat(3, axis=1))


def test_defaults(tmp_path):
    for name in ("p10", "p9"):
        pair(tmp_path, f"images/{name}.jpg", f"masks/{name}.png")
    folder.verify(tmp_path)
    samples = list(folder.read(tmp_path))
    assert [(p.id, p.split, p.group) for p in samples] == [("p9", None, "p9"), ("p10", None, "p10")]
    assert samples[0].file == tmp_path / "images/p9.jpg"
    assert samples[0].image().shape == (4, 6, 3) and samples[0].mask().tolist() == [[0, 0, 0, 1, 1, 1]] * 4
    assert folder.classes() == ("object",) and folder.CHECK_DUPLICATES


def test_image_and_mask_are_read_separately(tmp_path):
    pair(tmp_path, "images/a.jpg", "masks/a.png")
    (tmp_path / "images/a.jpg").write_bytes((tmp_path / "images/a.jpg").read_bytes()[:300])
    folder.verify(tmp_path)
    (sample,) = folder.read(tmp_path)
    assert sample.mask().any()
    refused(sample.image, "images/a.jpg", "fetch it again")
    (tmp_path / "masks/a.png").write_bytes(b"")
    refused(sample.mask, "masks/a.png")


def test_split_in_the_path(tmp_path):
    for place in ("Testing", "Train", "valid"):
        pair(tmp_path, f"{place}/images/a.png", f"{place}/masks/a.png")
    samples = list(folder.read(tmp_path, options(images="{split}/images/*", masks="{split}/masks/*")))
    assert [(p.id, p.split) for p in samples] == [("Train/a", "train"), ("valid/a", "val"), ("Testing/a", "test")]
    pair(tmp_path, "fold7/images/a.png", "fold7/masks/a.png")
    refused(
        lambda: folder.verify(tmp_path, options(images="{split}/images/*", masks="{split}/masks/*")),
        "fold7/images/a.png: 'fold7' is not a split such as train, val, test", "options.splits",
    )  # fmt: skip


def test_splits_by_regular_expressions(tmp_path):
    for place in ("a1", "a2", "b1"):
        pair(tmp_path, f"{place}/x.png", f"{place}/x_mask.png")
    where = {"images": "{place}/{name}.png", "masks": "{place}/{name}_mask.png"}

    def read(**splits) -> list[str | None]:
        return [p.split for p in folder.read(tmp_path, options(**where, splits=splits))]

    assert read(test="^b") == [None, None, "test"]
    assert read(train="a1", val="a2", test="b") == ["train", "val", "test"]
    refused(lambda: read(train="^a", test="1/"), "a1/x.png: it matches both train and test of options.splits")
    refused(lambda: read(train="a1", test="b"), "a2/x.png: it matches none of options.splits")


def test_groups(tmp_path):
    for place in ("train/p1_a", "train/p1_b", "train/p2_a", "test/p3_a"):
        pair(tmp_path, f"{place}.png", f"{place}_mask.png")
    where = {"images": "{split}/{name}.png", "masks": "{split}/{name}_mask.png"}
    for expression in ("/(p[0-9]+)_", "(train|test)/(?P<group>p[0-9]+)"):
        samples = list(folder.read(tmp_path, options(**where, group=expression)))
        assert [p.group for p in samples] == ["p1", "p1", "p2", "p3"]
    refused(
        lambda: folder.verify(tmp_path, options(**where, group="(p[12])")),
        "test/p3_a.png: options.group '(p[12])' does not match test/p3_a.png",
    )
    pair(tmp_path, "test/p1_c.png", "test/p1_c_mask.png")
    refused(
        lambda: folder.read(tmp_path, options(**where, group="/(p[0-9]+)_")),
        "test/p1_c.png: group 'p1' is in train (train/p1_a.png) and in test (test/p1_c.png)",
    )


def test_window(tmp_path):
    pair(tmp_path, "images/a.png", "masks/a.png")
    Image.fromarray(np.array([[0, 1000], [2000, 4000]], np.uint16)).save(tmp_path / "images/a.png")
    refused(next(folder.read(tmp_path)).image, "images/a.png", "window")
    (sample,) = folder.read(tmp_path, options(window=[0, 2000]))
    assert sample.image().tolist() == [[0, 128], [255, 255]] and sample.file is None


def test_unpaired(tmp_path):
    pair(tmp_path, "images/a.png", "masks/a.png")
    save(tmp_path / "images/b.png", np.zeros((4, 6), np.uint8))
    refused(lambda: folder.verify(tmp_path), "images/b.png: its mask masks/b.* was not found", "unpaired: skip")
    assert [p.id for p in folder.read(tmp_path, options(unpaired="skip"))] == ["a"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image": "x"}, "options.image: Extra inputs"),
        ({"images": "images/photo.png"}, "options.images: 'images/photo.png': it needs {name} or *"),
        ({"masks": "masks/{name}.{png,tif}"}, "options.masks:"),
        ({"masks": "images/{name}"}, "images and masks are the same pattern"),
        ({"masks": "{split}/masks/*"}, "masks has {split} but images does not"),
        ({"images": "{split}/*", "splits": {"test": "x"}}, "splits: images has {split} already"),
        ({"splits": {"testing": "x"}}, "options.splits.testing"),
        ({"splits": {"test": "("}}, "options.splits: not a regular expression: missing )"),
        ({"group": "plant("}, "options.group: not a regular expression: missing )"),
        ({"group": "plant"}, "options.group: it needs one (...)"),
        ({"group": "(a)(b)"}, "options.group: it needs one (...)"),
        ({"classes": {"a": None}}, "classes.a: None", ),
        ({"classes": []}, "classes: a list"),
        ({"threshold": 0}, "options.threshold"),
        ({"others": "void"}, "options.others"),
        ({"window": [5]}, "options.window"),
        ({"window": [5, 5]}, "window: two numbers, the smaller one first"),
        ({"window": [0, 5], "stack": True}, "window: two numbers"),
        ({"block": 5}, "block: only with stack: true"),
        ({"block": 5, "stack": True, "group": "(a)"}, "block: only with stack: true"),
        ({"stack": True, "classes": {"a": "#00ff00"}}, "stack: the masks of a stack are gray"),
        ({"stack": "yes"}, "options.stack"),
    ],
)  # fmt: skip
def test_invalid_options(given, words):
    message = refused(lambda: options(**given), words)
    assert message.startswith("params.yaml: datasets.mine.options")


def test_download_names_the_options_to_set(tmp_path):
    refused(lambda: folder.download(tmp_path), "datasets.<name>.raw", "options.images")
    assert not list(tmp_path.iterdir())


def test_stacks(tmp_path):
    slices = np.arange(3 * 24, dtype=np.uint8).reshape(3, 4, 6)
    for place in ("s1", "s2"):
        tifffile.imwrite(tmp_path / f"{place}.tif", slices, photometric="minisblack")
        tifffile.imwrite(tmp_path / f"{place}_m.tif", (slices % 2), photometric="minisblack")
    stack = options(images="{name}.tif", masks="{name}_m.tif", stack=True)
    samples = list(folder.read(tmp_path, stack))
    assert [(p.id, p.group) for p in samples] == [(f"s{s}/{i:03d}", f"s{s}") for s in (1, 2) for i in range(3)]
    assert (samples[4].image() == slices[1]).all() and (samples[4].mask() == slices[1] % 2).all()
    grouped = options(images="{name}.tif", masks="{name}_m.tif", stack=True, group="(s)")
    assert {p.group for p in folder.read(tmp_path, grouped)} == {"s"}
    wrong = slices % 2
    wrong[2, 0, :3] = 9
    tifffile.imwrite(tmp_path / "s2_m.tif", wrong, photometric="minisblack")
    refused(list(folder.read(tmp_path, stack))[5].mask, "s2_m.tif, slice 2: values 0, 1, 9: 9 (3 pixels) is unknown")
    tifffile.imwrite(tmp_path / "s2_m.tif", slices[:2] % 2, photometric="minisblack")
    refused(lambda: folder.verify(tmp_path, stack), "s2_m.tif: 2 slices, but", "holds 3")


def test_few_stacks_are_open_at_a_time(tmp_path):
    for i in range(20):
        for name in (f"s{i}.tif", f"s{i}_m.tif"):
            tifffile.imwrite(tmp_path / name, np.zeros((2, 4, 4), np.uint8), photometric="minisblack")
    samples = list(folder.read(tmp_path, options(images="{name}.tif", masks="{name}_m.tif", stack=True)))
    assert len(samples) == 40 and not any(p.mask().any() for p in samples)
    handles = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd.isdigit() and
               os.path.exists(f"/proc/self/fd/{fd}")]  # fmt: skip
    assert sum(str(tmp_path) in handle for handle in handles) <= 8


@pytest.fixture(scope="module")
def stand_in(written_sample) -> Path:
    return written_sample("folder")


def test_stand_in_has_the_default_layout(stand_in):
    folder.verify(stand_in)
    spots = list(folder.read(stand_in))
    both = list(folder.read(stand_in, options(**LEAVES)))
    assert len(spots) == len(both) == 45 and len({p.group for p in both}) == 15
    assert {p.file.suffix for p in spots} == {".jpg", ".png"}
    marked = 0
    for binary, colored in zip(spots, both):
        mask, labels = binary.mask(), colored.mask()
        assert binary.image().shape == (*mask.shape, 3) and min(mask.shape) >= 256
        assert binary.image().std() > 20
        np.testing.assert_array_equal(mask == 1, labels == 2)
        assert (labels == 1).mean() > 0.02
        marked += mask.any()
    assert marked == 44  # one leaf is healthy


def test_a_gray_threshold_does_not_segment_the_stand_in(stand_in):
    counts = np.zeros((2, 256), int)
    for sample in folder.read(stand_in):
        gray, mask = cv2.cvtColor(sample.image(), cv2.COLOR_RGB2GRAY), sample.mask()
        for value in (0, 1):
            counts[value] += np.bincount(gray[mask == value], minlength=256)
    sides = [partial(np.cumsum, axis=1), lambda both: both[:, ::-1].cumsum(axis=1)]
    best = max((side[1] / (counts[1].sum() + side[0])).max() for side in (sum_up(counts) for sum_up in sides))
    assert best < 0.25
