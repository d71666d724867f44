"""Preparing: splits by group, filters, caps, tiles; on a dataset that is made up here."""

import json
import os
import subprocess
import sys
import types
from collections import Counter

import numpy as np
import pytest
from promptseg import datasets
from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.core.params import Dataset
from promptseg.core.thread_pool import Pool
from promptseg.data import records, tiling
from promptseg.datasets import Sample
from promptseg.preprocessing import filter, prepare, split_assignment
from promptseg.preprocessing.tiles import Cutter

REPORT = dict.fromkeys(
    ("pictures", "pairs", "dropped_unreadable", "dropped_empty", "dropped_small", "dropped_over_cap", "foreground",
     "min_height", "max_height", "min_width", "max_width"),
    0,
)  # fmt: skip
TEN = dict.fromkeys(("min_height", "max_height", "min_width", "max_width"), 10)
IS_CLASSIFICATION = Dataset(reader="fake", min_foreground=None)
TILES = Dataset(reader="fake", min_foreground=None, tile=16)


def picture(id, split=None, group=None, size=(24, 32), mask=None, reads=None):
    """A picture whose pixels depend on its id; `reads` counts how often image and mask are asked for."""
    rng = np.random.default_rng(list(id.encode()))
    pixels = rng.integers(0, 256, (*size, 3), np.uint8)
    truth = rng.integers(0, 2, size).astype(np.uint8) if mask is None else mask
    reads = Counter() if reads is None else reads

    def read(kind, array):
        reads[kind, id] += 1
        return array

    return Sample(id, split, group or id, lambda: read("image", pixels), lambda: read("mask", truth))


def many(count, group_of=str, split=None):
    return [picture(f"p{i:03d}", split, group=group_of(i), size=(4, 4)) for i in range(count)]


@pytest.fixture
def prepare(monkeypatch, tmp_path):
    """Prepares pictures as if they were a dataset; gives the folder and the metrics."""

    def run(pictures, settings=IS_CLASSIFICATION, max_images=None, seed=0, ordered=False, name="out", duplicates=False):
        fake = types.SimpleNamespace(
            TITLE="Made up", LICENCE="CC0", CLASSES=("thing",), ORDERED_GROUPS=ordered, CHECK_DUPLICATES=duplicates,
            verify=lambda raw: None, read=lambda raw: iter(pictures),
        )  # fmt: skip
        monkeypatch.setattr(datasets, "load", lambda _: fake)
        metrics = tmp_path / f"{name}.json"
        prepare.prepare("fake", settings, max_images, seed, tmp_path / "raw", tmp_path / name, metrics)
        return tmp_path / name, json.loads(metrics.read_text())

    return run


def choose(given, settings, cap):
    """What is kept of pictures that are one split: (picture, its windows) each, and the report."""
    cutter = Cutter(settings)
    with Pool(2) as pool:
        measured = filter.measure(given, cutter, pool)
    choice = filter.choose(list(range(len(given))), measured, settings, cap)
    chosen = []
    for index, places in choice.windows:
        grid = cutter.windows(measured[index].height, measured[index].width)
        chosen.append((given[index], [grid[place] for place in places]))
    return chosen, choice.report


def pairs(folder, split="train"):
    return list(records.pairs(folder / f"{split}.parquet"))


# --- splits


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_no_group_stands_in_two_splits(ordered, seed):
    pictures = many(60, group_of=lambda i: f"g{i % 13}")
    splits = split_assignment.assign(pictures, Dataset(reader="fake"), seed, ordered)
    assert set(splits) == set(split_assignment.SPLITS)
    for group in {p.group for p in pictures}:
        assert len({split for p, split in zip(pictures, splits, strict=True) if p.group == group}) == 1


@pytest.mark.parametrize("ordered", [False, True])
def test_the_sources_own_splits_are_kept(ordered):
    pictures = many(5, split="train") + many(3, split="test") + many(2, split="val")
    splits = split_assignment.assign(pictures, Dataset(reader="fake", val_fraction=0.5), 0, ordered)
    assert splits == ["train"] * 5 + ["test"] * 3 + ["val"] * 2


@pytest.mark.parametrize("has, lacks", [("test", "val"), ("val", "test")])
def test_a_split_that_the_source_lacks_is_made_of_training_groups(has, lacks):
    pictures = many(20, split="train") + [picture("x", has, size=(4, 4))]
    splits = split_assignment.assign(pictures, Dataset(reader="fake", val_fraction=0.3, test_fraction=0.3), 0, True)
    assert splits == ["train"] * 14 + [lacks] * 6 + [has]


def test_ordered_groups_are_cut_off_at_the_end():
    pictures = many(40, group_of=lambda i: f"b{i // 2:02d}")
    splits = split_assignment.assign(pictures, Dataset(reader="fake", val_fraction=0.2, test_fraction=0.25), 0, ordered=True)
    assert splits == ["train"] * 24 + ["val"] * 6 + ["test"] * 10


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
def test_fractions_are_of_the_groups(fraction):
    splits = Counter(
        split_assignment.assign(many(2000), Dataset(reader="fake", test_fraction=fraction, val_fraction=fraction), 0, False)
    )
    assert splits["test"] / 2000 == pytest.approx(fraction, abs=0.04)
    assert splits["val"] / (2000 - splits["test"]) == pytest.approx(fraction, abs=0.04)


def test_a_fraction_of_zero_makes_no_split():
    assert set(split_assignment.assign(many(20), Dataset(reader="fake", val_fraction=0.0), 0, False)) == {"train", "test"}
    assert set(split_assignment.assign(many(20), Dataset(reader="fake", val_fraction=0.0, test_fraction=0.0), 0, False)) == {
        "train"
    }


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_of_few_groups_a_split_gets_at_least_one_and_leaves_at_least_one(seed, ordered):
    for fraction in (0.01, 0.5, 0.99):
        settings = Dataset(reader="fake", test_fraction=fraction, val_fraction=fraction)
        for count in (2, 3, 5):
            splits = Counter(split_assignment.assign(many(count), settings, seed, ordered))
            assert splits["test"] >= 1 and splits["train"] >= 1
            assert splits["val"] >= 1 or splits["train"] == 1
        assert split_assignment.assign(many(1), settings, seed, ordered) == ["train"]


def test_the_seed_decides_which_groups_are_drawn():
    pictures = many(40)
    first = split_assignment.assign(pictures, Dataset(reader="fake"), 0, False)
    assert (
        split_assignment.assign(pictures, Dataset(reader="fake"), 0, False)
        == first
        != split_assignment.assign(pictures, Dataset(reader="fake"), 1, False)
    )


@pytest.mark.parametrize("seed", range(5))
def test_more_pictures_and_groups_move_no_group(seed):
    pictures = many(300, group_of=lambda i: f"g{i % 100}")
    more = many(30, group_of=lambda i: f"new{i}") + pictures
    homes = {}
    for given in (pictures[:60], pictures[:61], pictures[:100], pictures, more):
        splits = split_assignment.assign(given, Dataset(reader="fake", val_fraction=0.3), seed, False)
        for p, split in zip(given, splits, strict=True):
            assert homes.setdefault(p.group, split) == split
    assert set(homes.values()) == set(split_assignment.SPLITS)


def test_the_order_of_the_pictures_does_not_matter_where_groups_are_drawn():
    pictures = many(40, group_of=lambda i: f"g{i % 17}")
    there = dict(zip((p.id for p in pictures), split_assignment.assign(pictures, Dataset(reader="fake"), 0, False)))
    back = dict(zip((p.id for p in pictures[::-1]), split_assignment.assign(pictures[::-1], Dataset(reader="fake"), 0, False)))
    assert there == back


# --- what is kept


def truth(foreground, ignored=0, size=(10, 10)):
    mask = np.zeros(size, np.uint8).ravel()
    mask[:foreground] = 1
    mask[len(mask) - ignored :] = 255
    return mask.reshape(size)


@pytest.mark.parametrize(
    "min_foreground, kept",
    [
        (None, ["0", "1", "50", "all ignored", "half ignored"]),
        (0.0, ["1", "50", "half ignored"]),
        (0.01, ["50", "half ignored"]),
        (0.5, ["half ignored"]),
    ],
)
def test_what_has_more_foreground_than_asked_is_kept_counted_without_ignored_pixels(min_foreground, kept):
    masks = {"0": truth(0), "1": truth(1), "50": truth(50), "all ignored": truth(0, 100), "half ignored": truth(30, 50)}
    given = [picture(name, mask=mask, size=(10, 10)) for name, mask in masks.items()]
    chosen, report = choose(given, Dataset(reader="fake", min_foreground=min_foreground), None)
    assert [p.id for p, _ in chosen] == kept
    assert report["pictures"] == 5 and report["pairs"] == len(kept)
    assert report["dropped_empty"] + report["dropped_small"] == 5 - len(kept)
    marked = sum(np.count_nonzero(masks[name] == 1) for name in kept)
    known = sum(np.count_nonzero(masks[name] != 255) for name in kept)
    assert report["foreground"] == pytest.approx(marked / known, abs=1e-6)


def test_tiles_are_kept_each_for_itself():
    mask = np.zeros((32, 64), np.uint8)
    mask[3, 20] = mask[20, 60] = 1
    chosen, report = choose([picture("a", mask=mask, size=(32, 64))], Dataset(reader="fake", tile=16), None)
    assert [(w.top, w.left) for w in chosen[0][1]] == [(0, 16), (16, 48)]
    assert report == REPORT | {
        "pictures": 1, "pairs": 2, "dropped_empty": 6, "foreground": 0.003906,
        "min_height": 32, "max_height": 32, "min_width": 64, "max_width": 64,
    }  # fmt: skip


@pytest.mark.parametrize(
    "cap, kept", [(1, [10]), (2, [5, 15]), (4, [2, 7, 12, 17]), (19, None), (20, None), (50, None)]
)
def test_the_cap_picks_evenly(cap, kept):
    given = many(20)
    chosen, report = choose(given, IS_CLASSIFICATION, cap)
    found = [int(p.id[1:]) for p, _ in chosen]
    assert report["pairs"] == len(found) == min(cap, 20) and report["dropped_over_cap"] == 20 - len(found)
    assert found == sorted(set(found)) and (kept is None or found == kept)
    assert [int(p.id[1:]) for p, _ in choose(given, IS_CLASSIFICATION, cap)[0]] == found


def test_nothing_given_is_nothing_kept():
    assert choose([], IS_CLASSIFICATION, 5) == ([], REPORT)


def test_pictures_are_read_only_where_they_are_kept(prepare):
    reads = Counter()
    given = [
        picture(f"p{i}", "train" if i < 8 else "test", mask=truth(i % 2 * 9), size=(10, 10), reads=reads)
        for i in range(12)
    ]
    choose(given, Dataset(reader="fake"), None)
    assert not [key for key in reads if key[0] == "image"]
    reads.clear()
    folder, _ = prepare(given, Dataset(reader="fake", val_fraction=0.0), max_images=2)
    kept = {pair.id for split in split_assignment.SPLITS for pair in pairs(folder, split)}
    assert kept == {"p3", "p7", "p9", "p11"}
    assert {id for kind, id in reads if kind == "image"} == kept and reads["image", "p3"] == 1


# --- what is written


def test_whole_pictures_are_written_as_they_are(prepare):
    given = [picture("train/0", "train"), picture("test/1", "test", size=(5, 7)), picture("v", "val", "patient")]
    folder, _ = prepare(given)
    for given_one, split in zip(given, ("train", "test", "val"), strict=True):
        (pair,) = pairs(folder, split)
        np.testing.assert_array_equal(records.image(pair), given_one.image())
        np.testing.assert_array_equal(records.mask(pair), given_one.mask())
        assert (pair.id, pair.source, pair.group) == (given_one.id, given_one.id, given_one.group)
        assert (pair.top, pair.left) == (0, 0)
        assert (pair.height, pair.width) == (pair.whole_height, pair.whole_width) == given_one.mask().shape


def test_what_holds_for_all_is_written_with_each_split(prepare):
    folder, _ = prepare([picture("a", "train"), picture("b", "test")])
    for split in split_assignment.SPLITS:
        about = records.pairs(folder / f"{split}.parquet").about
        assert about == {"dataset": "fake", "title": "Made up", "classes": ["thing"], "licence": "CC0", "parts": 1}
    assert pairs(folder, "val") == []


def test_tiles_are_named_by_row_and_column(prepare):
    folder, _ = prepare([picture("x", "train", size=(32, 40)), picture("y", "test")], TILES)
    found = {pair.id: (pair.top, pair.left, pair.height, pair.width) for pair in pairs(folder)}
    assert found == {f"x/r{r}c{c}": (16 * r, left, 16, 16) for r in (0, 1) for c, left in enumerate((0, 16, 24))}
    assert {(pair.source, pair.whole_height, pair.whole_width) for pair in pairs(folder)} == {("x", 32, 40)}


def test_a_tile_keeps_its_name_when_others_are_dropped(prepare):
    mask = np.zeros((32, 48), np.uint8)
    mask[30, 40] = 1
    folder, _ = prepare(
        [picture("x", "train", mask=mask, size=(32, 48)), picture("y", "test")], Dataset(reader="fake", tile=16)
    )
    assert [pair.id for pair in pairs(folder)] == ["x/r1c2"]


@pytest.mark.parametrize("size", [(64, 48), (50, 61), (20, 90), (7, 9), (16, 16)])
@pytest.mark.parametrize("overlap", [0, 5, 15])
def test_tiles_put_back_together_are_the_picture(prepare, size, overlap):
    whole = picture("x", "train", size=size)
    folder, _ = prepare(
        [whole, picture("y", "test")], Dataset(reader="fake", tile=16, overlap=overlap, min_foreground=None)
    )
    found = pairs(folder)
    blenders = tiling.Blender(*size, 3), tiling.Blender(*size, 1)
    for pair in found:
        window = tiling.Window(pair.top, pair.left, pair.height, pair.width)
        assert window[2:] == (min(16, size[0]), min(16, size[1]))
        blenders[0].add(records.image(pair).transpose(2, 0, 1), window)
        blenders[1].add(records.mask(pair)[None], window)
    for blender, array in zip(blenders, (whole.image(), whole.mask()[..., None]), strict=True):
        values, covered = blender.result()
        assert covered.all()
        np.testing.assert_array_equal(values.transpose(1, 2, 0), array)
    assert len({pair.id for pair in found}) == len(found)


def test_a_picture_smaller_than_a_tile_stays_as_it_is(prepare):
    folder, _ = prepare([picture("x", "train", size=(9, 7)), picture("y", "test")], TILES)
    (pair,) = pairs(folder)
    assert (pair.id, pair.height, pair.width) == ("x/r0c0", 9, 7)


def test_metrics_say_what_was_kept_and_dropped(prepare):
    given = [picture(f"a{i}", "train", mask=truth(i * 10), size=(10, 10)) for i in range(6)]
    given += [picture("b", "test", mask=truth(25), size=(10, 10))]
    _, metrics = prepare(given, Dataset(reader="fake", val_fraction=0.0), max_images=2)
    assert metrics == {
        "train": REPORT
        | TEN
        | {"pictures": 6, "pairs": 2, "dropped_empty": 1, "dropped_over_cap": 3, "foreground": 0.3},
        "val": REPORT,
        "test": REPORT | TEN | {"pictures": 1, "pairs": 1, "foreground": 0.25},
    }


def test_the_same_pictures_give_the_same_bytes(prepare):
    given = [picture(f"p{i}", group=f"g{i % 5}", size=(40, 33)) for i in range(12)]
    one, _ = prepare(given, Dataset(reader="fake", tile=16, overlap=3), 20, name="one")
    two, _ = prepare(given, Dataset(reader="fake", tile=16, overlap=3), 20, name="two")
    for split in split_assignment.SPLITS:
        assert files.sha256(one / f"{split}.parquet") == files.sha256(two / f"{split}.parquet")
    assert one.with_suffix(".json").read_bytes() == two.with_suffix(".json").read_bytes()


# --- what cannot be done


@pytest.mark.parametrize("split, other", [("train", "test"), ("test", "train")])
def test_nothing_left_for_a_split_is_a_problem_and_leaves_no_output(prepare, tmp_path, split, other):
    given = [picture("a", split, mask=truth(0), size=(10, 10)), picture("b", other, mask=truth(5), size=(10, 10))]
    with pytest.raises(UserError, match=rf"^fake: nothing is left for {split}; .*datasets\.fake\.min_foreground"):
        prepare(given, Dataset(reader="fake"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_left_leaves_the_old_output(prepare, tmp_path):
    folder, _ = prepare([picture("a", "train"), picture("b", "test")])
    before = files.sha256(folder / "train.parquet")
    with pytest.raises(UserError):
        prepare([picture("a", "train", mask=truth(0), size=(10, 10)), picture("b", "test")], Dataset(reader="fake"))
    assert files.sha256(folder / "train.parquet") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.json"]


def test_a_mask_of_another_size_is_a_problem_that_names_the_picture(prepare, tmp_path):
    with pytest.raises(UserError, match=r"^odd/7: the picture is 32x24 and its mask 10x10"):
        prepare([picture("odd/7", "train", mask=truth(5)), picture("b", "test")])
    assert list(tmp_path.iterdir()) == []


# --- classes, sizes, what cannot be read


def test_classes_are_selected_before_anything_is_measured(prepare):
    mask = np.zeros((10, 10), np.uint8)
    given = [picture("a", "train", mask=mask + 1, size=(10, 10)), picture("b", "test", mask=mask + 1, size=(10, 10))]
    with pytest.raises(UserError, match="datasets.fake.classes: unknown class 'other'; known: background, thing"):
        prepare(given, Dataset(reader="fake", classes=["other"]))
    folder, _ = prepare(given, Dataset(reader="fake", classes={"it": ["thing"]}))
    assert records.pairs(folder / "train.parquet").about["classes"] == ["it"]


def test_few_pixels_are_too_small_and_counted_apart(prepare):
    given = [picture(f"a{n}", "train", mask=truth(n), size=(10, 10)) for n in (0, 3, 9)]
    given += [picture("b", "test", mask=truth(9), size=(10, 10))]
    folder, metrics = prepare(given, Dataset(reader="fake", min_pixels=5, val_fraction=0.0))
    assert [pair.id for pair in pairs(folder)] == ["a9"]
    assert (metrics["train"]["dropped_empty"], metrics["train"]["dropped_small"]) == (1, 1)


def broken(id, split, what):
    def fail():
        raise UserError(f"{id}.png: truncated")

    good = picture(id, split)
    return Sample(id, split, id, fail if what == "image" else good.image, fail if what == "mask" else good.mask)


@pytest.mark.parametrize("what", ["image", "mask"])
def test_a_picture_that_cannot_be_read_ends_the_stage_or_is_counted(prepare, tmp_path, what):
    given = [picture("a", "train"), broken("bad", "train", what), picture("c", "train"), picture("t", "test")]
    with pytest.raises(UserError, match="^bad.png: truncated"):
        prepare(given)
    assert list(tmp_path.iterdir()) == []
    settings = Dataset(reader="fake", min_foreground=None, skip_bad=True, val_fraction=0.0)
    folder, metrics = prepare(given, settings)
    assert [pair.id for pair in pairs(folder)] == ["a", "c"]
    assert metrics["train"]["dropped_unreadable"] == 1 and metrics["train"]["pairs"] == 2


def test_near_duplicates_in_different_splits_are_named(prepare, capsys):
    given = [picture(name, split, size=(64, 64)) for name, split in (("a", "train"), ("b", "train"), ("t", "test"))]
    smooth = np.kron(np.random.default_rng(3).integers(0, 256, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    given.append(Sample("copy", "test", "copy", lambda: smooth + (smooth < 250), given[0].mask))
    given.append(Sample("original", "train", "original", lambda: smooth, given[0].mask))
    _, metrics = prepare(given)
    assert "near_duplicates" not in metrics and capsys.readouterr().err == ""
    _, metrics = prepare(given, duplicates=True)
    told = capsys.readouterr().err
    assert metrics["near_duplicates"] == 1
    assert "original (train)" in told and "copy (test)" in told and told.count("nearly the same") == 1


# --- files of a split, and processes


def test_a_split_is_dealt_into_files_of_about_one_size(prepare, monkeypatch):
    given = [picture(f"p{i:02d}", "train", size=(20, 20)) for i in range(10)] + [picture("t", "test")]
    monkeypatch.setattr(prepare, "PART_PIXELS", 1000)  # two pictures and a half
    folder, _ = prepare(given, Dataset(reader="fake", min_foreground=None, val_fraction=0.0))
    parts = sorted((folder / "train.parquet").iterdir())
    assert [len(records.pairs(folder / "train.parquet")), len(parts)] == [10, 5]
    assert [pair.id for pair in pairs(folder)] == [f"p{i:02d}" for i in range(10)]
    assert len(list((folder / "test.parquet").iterdir())) == len(list((folder / "val.parquet").iterdir())) == 1


def test_several_processes_write_the_same_bytes(root, tmp_path):
    """Under torchrun, on the drawn stacks, in many small files."""
    (tmp_path / "params.yaml").write_text(
        "scale: {max_images: null}\nmodels: {}\n"
        "datasets: {em: {reader: em, tile: 128, overlap: 16, min_foreground: 0.01, val_fraction: 0.2}}\n"
    )
    (tmp_path / "small_parts.py").write_text(
        "import sys\nfrom pathlib import Path\n"
        "from promptseg.core import params\nfrom promptseg.preprocessing import prepare\n"
        "preparing.PART_PIXELS = 300_000\n"
        "raw, out = map(Path, sys.argv[1:])\n"
        "settings = params.load()\n"
        "preparing.prepare('em', settings.dataset('em'), None, 0, raw, out, out.with_suffix('.json'))\n"
    )
    (tmp_path / "raw").mkdir()
    datasets.load("em").sample(tmp_path / "raw", 0)

    def run(processes):
        launcher = [sys.executable]
        if processes > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        command = [*launcher, "small_parts.py", "raw", f"out{processes}"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return files.sha256(tmp_path / f"out{processes}"), (tmp_path / f"out{processes}.json").read_bytes()

    one = run(1)
    assert len(list((tmp_path / "out1/train.parquet").iterdir())) > 3
    assert run(2) == one and run(3) == one
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_stage_runs_under_torchrun_and_shows_its_pictures_once(root, tmp_path):
    (tmp_path / "params.yaml").write_text(
        "scale: {max_images: 8}\nmodels: {}\ndatasets: {covid: {reader: covid, classes: [infection]}}\n"
    )
    (tmp_path / "raw").mkdir()
    datasets.load("covid").sample(tmp_path / "raw", 0)

    def run(*launcher, out):
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        stage = [str(root / "stages/preprocess.py"), "covid", "raw", out, f"{out}.json", f"{out}.png"]
        command = [sys.executable, *launcher, *stage]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return files.sha256(tmp_path / out), (tmp_path / f"{out}.png").read_bytes()

    assert run("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", out="two") == run(out="one")
