"""The reader `folder`: options, splits, groups, stacks, agreement with the readers of em and covid, the stand-in."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from gray_threshold import best_iou, histogram
from PIL import Image
from promptseg import datasets
from promptseg.core import params
from promptseg.datasets import Sample
from promptseg.datasets.covid import reader as covid
from promptseg.datasets.covid import sample as covid_sample
from promptseg.datasets.em import reader as em
from promptseg.datasets.em import sample as em_sample
from promptseg.datasets.folder import reader as folder
from refusing import refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent"))
LEAVES = {
    "masks": "labels/{name}.png", "group": "(plant[0-9]+)_", "classes": {"leaf": "#3c8c3c", "spot": "#b4501e"},
}  # fmt: skip
STACKS = {"images": "{name}.tif", "masks": "{name}_m.tif", "stack": True}
EM = {
    "images": "{name}.tif", "masks": "{name}_groundtruth.tif", "stack": True, "block": 5,
    "splits": {"train": "^training", "test": "^testing"}, "classes": ["mitochondrion"],
}  # fmt: skip


def options(**given) -> folder.Options:
    return params.validate(folder.Options, given, "params.yaml", "datasets.mine.options")


def read(root: Path, **given) -> list[Sample]:
    return list(folder.read(root, options(**given)))


def pair(root: Path, image: str, mask: str) -> None:
    for path, values in (image, np.full((4, 6, 3), 70)), (mask, np.repeat([[0, 255]] * 4, 3, axis=1)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(root / path)


def save_stack(path: Path, values: np.ndarray) -> None:
    tifffile.imwrite(path, values, photometric="minisblack")


def test_defaults_read_image_and_mask_separately(tmp_path):
    for name in ("p10", "p9"):
        pair(tmp_path, f"images/{name}.jpg", f"masks/{name}.png")
    folder.verify(tmp_path)
    samples = list(folder.read(tmp_path))
    assert [(p.id, p.split, p.group) for p in samples] == [("p9", None, "p9"), ("p10", None, "p10")]
    assert samples[0].file == tmp_path / "images/p9.jpg"
    assert samples[0].image().shape == (4, 6, 3) and samples[0].mask().tolist() == [[0, 0, 0, 1, 1, 1]] * 4
    assert folder.classes() == ("object",) and folder.CHECK_DUPLICATES
    (tmp_path / "images/p9.jpg").write_bytes((tmp_path / "images/p9.jpg").read_bytes()[:300])
    folder.verify(tmp_path)
    assert samples[0].mask().any()
    refused(samples[0].image, "images/p9.jpg", "fetch it again")
    (tmp_path / "masks/p9.png").write_bytes(b"")
    refused(samples[0].mask, "masks/p9.png")


def test_split_in_the_path(tmp_path):
    where = {"images": "{split}/images/*", "masks": "{split}/masks/*"}
    for place in ("Testing", "Train", "valid"):
        pair(tmp_path, f"{place}/images/a.png", f"{place}/masks/a.png")
    found = [(p.id, p.split) for p in read(tmp_path, **where)]
    assert found == [("Train/a", "train"), ("valid/a", "val"), ("Testing/a", "test")]
    pair(tmp_path, "fold7/images/a.png", "fold7/masks/a.png")
    words = "fold7/images/a.png: 'fold7' is not a split such as train, val, test", "options.splits"
    refused(partial(folder.verify, tmp_path, options(**where)), *words)


def test_splits_by_regular_expressions(tmp_path):
    for place in ("a1", "a2", "b1"):
        pair(tmp_path, f"{place}/x.png", f"{place}/x_mask.png")
    where = {"images": "{place}/{name}.png", "masks": "{place}/{name}_mask.png"}

    def splits(**given) -> list[str | None]:
        return [p.split for p in read(tmp_path, **where, splits=given)]

    assert splits(test="^b") == [None, None, "test"]
    assert splits(train="a1", val="a2", test="b") == ["train", "val", "test"]
    refused(lambda: splits(train="^a", test="1/"), "a1/x.png: it matches both train and test of options.splits")
    refused(lambda: splits(train="a1", test="b"), "a2/x.png: it matches none of options.splits")


def test_groups(tmp_path):
    for place in ("train/p1_a", "train/p1_b", "train/p2_a", "test/p3_a"):
        pair(tmp_path, f"{place}.png", f"{place}_mask.png")
    where = {"images": "{split}/{name}.png", "masks": "{split}/{name}_mask.png"}
    for expression in ("/(p[0-9]+)_", "(train|test)/(?P<group>p[0-9]+)"):
        assert [p.group for p in read(tmp_path, **where, group=expression)] == ["p1", "p1", "p2", "p3"]
    unmatched = partial(folder.verify, tmp_path, options(**where, group="(p[12])"))
    refused(unmatched, "test/p3_a.png: options.group '(p[12])' does not match test/p3_a.png")
    pair(tmp_path, "test/p1_c.png", "test/p1_c_mask.png")
    divided = partial(folder.read, tmp_path, options(**where, group="/(p[0-9]+)_"))
    refused(divided, "test/p1_c.png: group 'p1' is in train (train/p1_a.png) and in test (test/p1_c.png)")


def test_consecutive_images_of_a_volume_are_blocks(tmp_path):
    names = [f"{split}/{volume}{number}" for split in ("train", "test") for volume in "ab" for number in range(8, 12)]
    for name in names:
        pair(tmp_path, f"{name}.png", f"{name}_mask.png")
    where = {"images": "{split}/{name}.png", "masks": "{split}/{name}_mask.png", "block": 3}
    found = {p.id: p.group for p in read(tmp_path, **where)}
    assert list(found) == names and options(**where).ordered_groups
    assert list(found.values()) == [f"{split}/b00{number // 3}" for split in ("train", "test") for number in range(8)]
    found = {p.id: p.group for p in read(tmp_path, **where, group="(.*[ab])")}
    assert [found[f"test/a{number}"] for number in range(8, 12)] == ["test/a/b000"] * 3 + ["test/a/b001"]
    assert found["test/b8"] == "test/b/b000" and found["train/b11"] == "train/b/b001"
    divided = partial(folder.read, tmp_path, options(**where, group="([ab])"))
    refused(divided, "group 'a' is in train (train/a8.png) and in test (test/a8.png)")


def test_window_and_unpaired_images(tmp_path):
    pair(tmp_path, "images/a.png", "masks/a.png")
    Image.fromarray(np.array([[0, 1000], [2000, 4000]], np.uint16)).save(tmp_path / "images/a.png")
    refused(next(folder.read(tmp_path)).image, "images/a.png", "window")
    (sample,) = read(tmp_path, window=[0, 2000])
    assert sample.image().tolist() == [[0, 128], [255, 255]] and sample.file is None and sample.size() == (2, 2)
    Image.new("L", (6, 4)).save(tmp_path / "images/b.png")
    unpaired = partial(folder.verify, tmp_path)
    refused(unpaired, "images/b.png: its mask masks/b.* was not found", "unpaired: skip")
    assert [p.id for p in read(tmp_path, unpaired="skip")] == ["a"]


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
        ({"block": 0}, "block"),
        ({"block": 5, "stack": True, "group": "(a)"}, "block: not with group, which puts whole stacks into a group"),
        ({"stack": True, "classes": {"a": "#00ff00"}}, "stack: the masks of a stack are gray"),
        ({"stack": "yes"}, "options.stack"),
        ({"classes": ["leaf"], "contained": {"spot": "leaf"}}, "contained: 'spot' is not among classes: leaf"),
    ],
)  # fmt: skip
def test_invalid_options(given, words):
    with pytest.raises(params.UserError, match="^params.yaml: datasets.mine.options") as error:
        options(**given)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_classes_inside_others_and_what_a_group_is():
    inner = options(classes=["leaf", "spot"], contained={"spot": "leaf"})
    assert datasets.contained_in(folder, inner) == {"spot": "leaf"} and datasets.contained_in(folder, options()) == {}
    units = [{}, {"group": "(a)"}, STACKS, STACKS | {"block": 3}, {"group": "(a)", "block": 3}]
    assert [datasets.group_unit(folder, options(**given)) for given in units] == [
        "image", "images of one name", "stack", "block of 3 slices within one stack", "block of 3 consecutive images",
    ]  # fmt: skip


def test_download_names_the_options_to_set(tmp_path):
    refused(partial(folder.download, tmp_path), "datasets.<name>.raw", "options.images")
    assert not list(tmp_path.iterdir())


def test_stacks(tmp_path):
    slices = np.arange(3 * 24, dtype=np.uint8).reshape(3, 4, 6)
    for place in ("s1", "s2"):
        save_stack(tmp_path / f"{place}.tif", slices)
        save_stack(tmp_path / f"{place}_m.tif", slices % 2)
    samples = read(tmp_path, **STACKS)
    assert [(p.id, p.group) for p in samples] == [(f"s{s}/{i:03d}", f"s{s}") for s in (1, 2) for i in range(3)]
    assert (samples[4].image() == slices[1]).all() and (samples[4].mask() == slices[1] % 2).all()
    assert {p.group for p in read(tmp_path, **STACKS, group="(s)")} == {"s"}
    assert options(**STACKS, block=2).ordered_groups and not options(**STACKS).ordered_groups
    wrong = slices % 2
    wrong[2, 0, :3] = 9
    save_stack(tmp_path / "s2_m.tif", wrong)
    mask = read(tmp_path, **STACKS)[5].mask
    refused(mask, "s2_m.tif, slice 2: values 0, 1, 9: 9 (3 pixels) is unknown")
    save_stack(tmp_path / "s2_m.tif", slices[:2] % 2)
    refused(partial(folder.verify, tmp_path, options(**STACKS)), "s2_m.tif: 2 slices, but", "holds 3")


def test_few_stacks_are_open_at_a_time(tmp_path):
    for i in range(20):
        for name in (f"s{i}.tif", f"s{i}_m.tif"):
            save_stack(tmp_path / name, np.zeros((2, 4, 4), np.uint8))
    samples = read(tmp_path, **STACKS)
    assert len(samples) == 40 and not any(p.mask().any() for p in samples)
    handles = [path.resolve() for path in Path("/proc/self/fd").iterdir() if path.exists()]
    assert sum(tmp_path.resolve() in handle.parents for handle in handles) <= 8


def same(mask: np.ndarray) -> np.ndarray:
    return mask


def infection(mask: np.ndarray) -> np.ndarray:
    """Remove the lungs from a mask of covid."""
    return (mask == 1).astype(np.uint8)


def compare(actual: Iterable[Sample], expected: Iterable[Sample], convert: Callable[[np.ndarray], np.ndarray]) -> int:
    """Assert that two readers agree bit for bit, after converting the expected masks; return the count."""
    actual, expected = list(actual), list(expected)
    assert [(p.id, p.split, p.group) for p in actual] == [(p.id, p.split, p.group) for p in expected]
    for ours, theirs in zip(actual, expected):
        np.testing.assert_array_equal(ours.image(), theirs.image())
        np.testing.assert_array_equal(ours.mask(), convert(theirs.mask()))
    return len(actual)


def covid_options(root: Path) -> dict[str, object]:
    home = min(root.rglob("Train")).parent.relative_to(root) / "{split}/{kind}"
    return {"images": f"{home}/images/*.png", "masks": f"{home}/infection masks/*.png", "classes": ["infection"]}


def test_options_alone_read_em_and_covid(tmp_path, monkeypatch):
    monkeypatch.setattr(em_sample, "SLICES", {"training": 7, "testing": 7})
    monkeypatch.setattr(em_sample, "SIDE", 64)
    em_sample.write(tmp_path / "em", 0)
    assert compare(read(tmp_path / "em", **EM), em.read(tmp_path / "em"), same) == 14
    assert folder.classes(options(**EM)) == em.CLASSES
    monkeypatch.setattr(covid_sample, "COUNTS", {"Train": (2, 1, 1), "Val": (1, 1, 0), "Test": (2, 1, 0)})
    covid_sample.write(tmp_path / "covid", 0)
    root = tmp_path / "covid"
    assert compare(read(root, **covid_options(root)), covid.read(root), infection) == 9


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with em and covid_qu_ex")
def test_options_alone_read_the_official_data():
    assert compare(read(REAL / "em", **EM), em.read(REAL / "em"), same) == 30
    root = REAL / "covid_qu_ex"
    assert compare(read(root, **covid_options(root)), covid.read(root), infection) > 100


def test_stand_in_has_the_default_layout_and_is_not_solved_by_a_threshold(written_sample):
    stand_in = written_sample("folder")
    folder.verify(stand_in)
    spots, both = read(stand_in), read(stand_in, **LEAVES)
    assert len(spots) == len(both) == 45 and len({p.group for p in both}) == 15
    assert {p.file.suffix for p in spots} == {".jpg", ".png"}
    marked = 0
    for binary, colored in zip(spots, both):
        mask, labels = binary.mask(), colored.mask()
        assert binary.image().shape == (*mask.shape, 3) and min(mask.shape) >= 256 and binary.image().std() > 20
        np.testing.assert_array_equal(mask == 1, labels == 2)
        assert (labels == 1).mean() > 0.02
        marked += mask.any()
    assert marked == 44  # one leaf is healthy
    assert best_iou(histogram(spots), 1) < 0.25
