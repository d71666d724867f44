"""Prepare: splits, records, metrics and shards, on samples without a dataset."""

import json
import os
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fake_samples import REPORT, WHOLE, Dataset, mask_of, sample
from promptseg import datasets
from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.data import records, tiling
from promptseg.datasets import Sample
from promptseg.preprocessing import prepare
from promptseg.preprocessing.split_assignment import SPLITS

TEN = dict.fromkeys(("min_height", "max_height", "min_width", "max_width"), 10)
TILES = Dataset(min_foreground=None, tile=16)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Prepare samples as if they were a dataset; returns the folder and the metrics."""

    def run(samples, settings=WHOLE, max_images=None, seed=0, ordered=False, name="out", duplicates=False):
        fake = types.SimpleNamespace(
            TITLE="Made up", LICENCE="CC0", CLASSES=("thing",), ORDERED_GROUPS=ordered, CHECK_DUPLICATES=duplicates,
            verify=lambda raw: None, read=lambda raw: iter(samples),
        )  # fmt: skip
        monkeypatch.setattr(datasets, "load", lambda _: fake)
        paths = prepare.Paths(tmp_path / "raw", tmp_path / name, tmp_path / f"{name}.json")
        prepare.prepare("fake", settings, max_images, seed, paths)
        return paths.out, json.loads(paths.metrics.read_text())

    return run


def read(folder, split="train"):
    return list(records.open_split(folder / f"{split}.parquet"))


# --- records


def test_images_are_read_only_where_they_are_kept(run):
    reads = Counter()
    samples = [
        sample(f"p{i}", "train" if i < 8 else "test", mask=mask_of(i % 2 * 9), size=(10, 10), reads=reads)
        for i in range(12)
    ]
    folder, _ = run(samples, Dataset(val_fraction=0.0), max_images=2)
    kept = {record.id for split in SPLITS for record in read(folder, split)}
    assert kept == {"p3", "p7", "p9", "p11"}
    assert {id for kind, id in reads if kind == "image"} == kept and reads["image", "p3"] == 1


def test_whole_images_are_written_unchanged(run):
    samples = [sample("train/0", "train"), sample("test/1", "test", size=(5, 7)), sample("v", "val", "patient")]
    folder, _ = run(samples)
    for given, split in zip(samples, ("train", "test", "val"), strict=True):
        (record,) = read(folder, split)
        np.testing.assert_array_equal(records.image(record), given.image())
        np.testing.assert_array_equal(records.mask(record), given.mask())
        assert (record.id, record.source, record.group) == (given.id, given.id, given.group)
        assert (record.top, record.left) == (0, 0)
        assert (record.height, record.width) == (record.source_height, record.source_width) == given.mask().shape


def test_metadata_is_written_with_each_split(run):
    folder, _ = run([sample("a", "train"), sample("b", "test")])
    for split in SPLITS:
        metadata = records.open_split(folder / f"{split}.parquet").metadata
        assert metadata == {
            "dataset": "fake",
            "title": "Made up",
            "classes": ["thing"],
            "licence": "CC0",
            "shards": 1,
            "seed": 0,
        }
    assert read(folder, "val") == []


def test_tiles_are_named_by_row_and_column(run):
    folder, _ = run([sample("x", "train", size=(32, 40)), sample("y", "test")], TILES)
    places = {record.id: (record.top, record.left, record.height, record.width) for record in read(folder)}
    assert places == {f"x/r{r}c{c}": (16 * r, left, 16, 16) for r in (0, 1) for c, left in enumerate((0, 16, 24))}
    assert {(record.source, record.source_height, record.source_width) for record in read(folder)} == {("x", 32, 40)}


def test_a_tile_keeps_its_name_when_other_tiles_are_dropped(run):
    mask = np.zeros((32, 48), np.uint8)
    mask[30, 40] = 1
    folder, _ = run([sample("x", "train", mask=mask, size=(32, 48)), sample("y", "test")], Dataset(tile=16))
    assert [record.id for record in read(folder)] == ["x/r1c2"]


@pytest.mark.parametrize("size", [(64, 48), (50, 61), (20, 90), (7, 9), (16, 16)])
@pytest.mark.parametrize("overlap", [0, 5, 15])
def test_tiles_blend_to_the_image(run, size, overlap):
    whole = sample("x", "train", size=size)
    folder, _ = run([whole, sample("y", "test")], Dataset(tile=16, overlap=overlap, min_foreground=None))
    tiles = read(folder)
    blenders = tiling.Blender(*size, 3), tiling.Blender(*size, 1)
    for record in tiles:
        window = tiling.Window(record.top, record.left, record.height, record.width)
        assert window[2:] == (min(16, size[0]), min(16, size[1]))
        blenders[0].add(records.image(record).transpose(2, 0, 1), window)
        blenders[1].add(records.mask(record)[None], window)
    for blender, array in zip(blenders, (whole.image(), whole.mask()[..., None]), strict=True):
        values, covered = blender.result()
        assert covered.all()
        np.testing.assert_array_equal(values.transpose(1, 2, 0), array)
    assert len({record.id for record in tiles}) == len(tiles)


def test_an_image_smaller_than_a_tile_is_not_tiled(run):
    folder, _ = run([sample("x", "train", size=(9, 7)), sample("y", "test")], TILES)
    (record,) = read(folder)
    assert (record.id, record.height, record.width) == ("x/r0c0", 9, 7)


def test_metrics_say_what_was_kept_and_dropped(run):
    samples = [sample(f"a{i}", "train", mask=mask_of(i * 10), size=(10, 10)) for i in range(6)]
    samples += [sample("b", "test", mask=mask_of(25), size=(10, 10))]
    _, metrics = run(samples, Dataset(val_fraction=0.0), max_images=2)
    assert metrics == {
        "train": REPORT
        | TEN
        | {"images": 6, "records": 2, "dropped_empty": 1, "dropped_over_cap": 3, "foreground": 0.3},
        "val": REPORT,
        "test": REPORT | TEN | {"images": 1, "records": 1, "foreground": 0.25},
    }


def test_the_same_samples_give_the_same_bytes(run):
    samples = [sample(f"p{i}", group=f"g{i % 5}", size=(40, 33)) for i in range(12)]
    one, _ = run(samples, Dataset(tile=16, overlap=3), 20, name="one")
    two, _ = run(samples, Dataset(tile=16, overlap=3), 20, name="two")
    for split in SPLITS:
        assert files.sha256(one / f"{split}.parquet") == files.sha256(two / f"{split}.parquet")
    assert one.with_suffix(".json").read_bytes() == two.with_suffix(".json").read_bytes()


# --- errors


@pytest.mark.parametrize("split, other", [("train", "test"), ("test", "train")])
def test_a_split_without_records_is_an_error_and_leaves_no_output(run, tmp_path, split, other):
    samples = [sample("a", split, mask=mask_of(0), size=(10, 10)), sample("b", other, mask=mask_of(5), size=(10, 10))]
    with pytest.raises(UserError, match=rf"^fake: no record is left for {split}; .*datasets\.fake\.min_foreground"):
        run(samples, Dataset())
    assert list(tmp_path.iterdir()) == []


def test_a_split_without_records_leaves_the_old_output(run, tmp_path):
    folder, _ = run([sample("a", "train"), sample("b", "test")])
    before = files.sha256(folder / "train.parquet")
    with pytest.raises(UserError):
        run([sample("a", "train", mask=mask_of(0), size=(10, 10)), sample("b", "test")], Dataset())
    assert files.sha256(folder / "train.parquet") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.json"]


def test_a_mask_of_another_size_is_an_error_that_names_the_sample(run, tmp_path):
    with pytest.raises(UserError, match=r"^odd/7: the image is 32x24 and its mask 10x10"):
        run([sample("odd/7", "train", mask=mask_of(5)), sample("b", "test")])
    assert list(tmp_path.iterdir()) == []


# --- classes, sizes, unreadable samples


def test_classes_are_selected_before_masks_are_measured(run):
    mask = np.zeros((10, 10), np.uint8)
    samples = [sample("a", "train", mask=mask + 1, size=(10, 10)), sample("b", "test", mask=mask + 1, size=(10, 10))]
    with pytest.raises(UserError, match="datasets.fake.classes: unknown class 'other'; known: background, thing"):
        run(samples, Dataset(classes=["other"]))
    folder, _ = run(samples, Dataset(classes={"it": ["thing"]}))
    assert records.open_split(folder / "train.parquet").metadata["classes"] == ["it"]


def test_masks_of_few_pixels_are_counted_apart_from_empty_ones(run):
    samples = [sample(f"a{n}", "train", mask=mask_of(n), size=(10, 10)) for n in (0, 3, 9)]
    samples += [sample("b", "test", mask=mask_of(9), size=(10, 10))]
    folder, metrics = run(samples, Dataset(min_pixels=5, val_fraction=0.0))
    assert [record.id for record in read(folder)] == ["a9"]
    assert (metrics["train"]["dropped_empty"], metrics["train"]["dropped_small"]) == (1, 1)


def broken(id, split, what):
    def fail():
        raise UserError(f"{id}.png: truncated")

    good = sample(id, split)
    return Sample(id, split, id, fail if what == "image" else good.image, fail if what == "mask" else good.mask)


@pytest.mark.parametrize("what", ["image", "mask"])
def test_an_unreadable_sample_ends_the_stage_or_is_counted(run, tmp_path, what):
    samples = [sample("a", "train"), broken("bad", "train", what), sample("c", "train"), sample("t", "test")]
    with pytest.raises(UserError, match="^bad.png: truncated"):
        run(samples)
    assert list(tmp_path.iterdir()) == []
    settings = Dataset(min_foreground=None, skip_invalid=True, val_fraction=0.0)
    folder, metrics = run(samples, settings)
    assert [record.id for record in read(folder)] == ["a", "c"]
    assert metrics["train"]["dropped_unreadable"] == 1 and metrics["train"]["records"] == 2


def test_near_duplicates_in_different_splits_are_named(run, capsys):
    samples = [sample(name, split, size=(64, 64)) for name, split in (("a", "train"), ("b", "train"), ("t", "test"))]
    smooth = np.kron(np.random.default_rng(3).integers(0, 256, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    samples.append(Sample("copy", "test", "copy", lambda: smooth + (smooth < 250), samples[0].mask))
    samples.append(Sample("original", "train", "original", lambda: smooth, samples[0].mask))
    _, metrics = run(samples)
    assert "near_duplicates" not in metrics and capsys.readouterr().err == ""
    _, metrics = run(samples, duplicates=True)
    warnings = capsys.readouterr().err
    assert metrics["near_duplicates"] == 1
    assert "original (train) and copy (test) are near-duplicates" in warnings and warnings.count("near-dup") == 1
    assert "options.group" in warnings


# --- shards and processes


def test_a_split_is_distributed_over_shards_of_about_one_size(run, monkeypatch):
    samples = [sample(f"p{i:02d}", "train", size=(20, 20)) for i in range(10)] + [sample("t", "test")]
    monkeypatch.setattr(prepare, "SHARD_PIXELS", 1000)  # two samples and a half
    folder, _ = run(samples, Dataset(min_foreground=None, val_fraction=0.0))
    shards = sorted((folder / "train.parquet").iterdir())
    assert [len(records.open_split(folder / "train.parquet")), len(shards)] == [10, 5]
    assert [record.id for record in read(folder)] == [f"p{i:02d}" for i in range(10)]
    assert len(list((folder / "test.parquet").iterdir())) == len(list((folder / "val.parquet").iterdir())) == 1


def test_several_processes_write_the_same_bytes(root, tmp_path):
    """Under torchrun, on the sample of em, in many small shards."""
    (tmp_path / "small_shards.py").write_text(
        "import sys\nfrom pathlib import Path\nfrom fake_samples import Dataset\n"
        "from promptseg.preprocessing import prepare\n"
        "prepare.SHARD_PIXELS = 300_000\n"
        "raw, out = map(Path, sys.argv[1:])\n"
        "settings = Dataset(reader='em', tile=128, overlap=16, min_foreground=0.01, val_fraction=0.2)\n"
        "prepare.prepare('em', settings, None, 0, prepare.Paths(raw, out, out.with_suffix('.json')))\n"
    )
    (tmp_path / "raw").mkdir()
    datasets.load_sample("em").write(tmp_path / "raw", 0)

    def launch(processes):
        launcher = [sys.executable]
        if processes > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        env = {**os.environ, "PYTHONPATH": f"{root / 'stages'}:{Path(__file__).parent}"}
        command = [*launcher, "small_shards.py", "raw", f"out{processes}"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return files.sha256(tmp_path / f"out{processes}"), (tmp_path / f"out{processes}.json").read_bytes()

    one = launch(1)
    assert len(list((tmp_path / "out1/train.parquet").iterdir())) > 3
    assert launch(2) == one and launch(3) == one
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_stage_runs_under_torchrun_and_writes_one_preview(root, tmp_path):
    (tmp_path / "params.yaml").write_text(
        "scale: {max_images: 8}\nmodels: {}\ndatasets: {covid: {raw: raw, reader: covid, classes: [infection]}}\n"
    )
    (tmp_path / "raw").mkdir()
    datasets.load_sample("covid").write(tmp_path / "raw", 0)

    def run(*launcher, out):
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        stage = [str(root / "stages/preprocess.py"), "covid", "raw", out, f"{out}.json", f"{out}.png"]
        command = [sys.executable, *launcher, *stage]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return files.sha256(tmp_path / out), (tmp_path / f"{out}.png").read_bytes()

    assert run("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", out="two") == run(out="one")
