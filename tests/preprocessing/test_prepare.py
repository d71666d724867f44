"""Prepare: splits, records, metrics and shards, on samples without a dataset."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_samples import REPORT, WHOLE, Dataset, mask_of, preparing, read, sample
from promptseg import datasets
from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.data import image_io, records, tiling
from promptseg.preprocessing import prepare
from promptseg.preprocessing.split_assignment import SPLITS

TILES = Dataset(min_foreground=None, tile=16)
WITHOUT_VALIDATION = Dataset(min_foreground=None, val_fraction=0.0)


@pytest.fixture
def run(monkeypatch, tmp_path):
    return preparing(monkeypatch, tmp_path)


def test_images_are_read_only_where_they_are_kept(run):
    reads = Counter()
    splits = ["train"] * 8 + ["test"] * 4
    samples = [sample(f"p{i}", split, mask=mask_of(i % 2 * 9), reads=reads) for i, split in enumerate(splits)]
    samples = [replace(given, size=lambda: (10, 10)) for given in samples]
    folder, _ = run(samples, Dataset(val_fraction=0.0), max_images=2)
    kept = {record.id for split in SPLITS for record in read(folder, split)}
    assert kept == {"p3", "p7", "p8", "p9", "p10", "p11"}  # of the test also the empty ones
    assert {id for kind, id in reads if kind == "image"} == kept and reads["image", "p3"] == 1


def test_whole_images_are_written_unchanged_with_metadata_in_each_split(run):
    samples = [sample("train/0", "train"), sample("test/1", "test", "patient", size=(5, 7))]
    folder, _ = run(samples, Dataset(classes={"it": ["thing"]}))
    about = {"dataset": "fake", "title": "Made up", "classes": ["it"], "licence": "CC0", "shards": 1, "seed": 5}
    about |= {"score": "image", "words": ["it"], "group_unit": "image"}
    for split in SPLITS:
        assert records.open_split(folder / f"{split}.parquet").metadata == about
    assert read(folder, "val") == []
    for given in samples:
        (record,) = read(folder, given.split)
        np.testing.assert_array_equal(records.image(record), given.image())
        np.testing.assert_array_equal(records.mask(record), given.mask())
        assert (record.id, record.source, record.group) == (given.id, given.id, given.group)
        assert (record.top, record.left) == (0, 0)
        assert (record.height, record.width) == (record.source_height, record.source_width) == given.mask().shape


def test_tiles_are_named_by_row_and_column_whether_others_are_dropped_or_not(run):
    samples = [sample("x", "train", size=(32, 40)), sample("small", "test", size=(9, 7))]
    folder, _ = run(samples, TILES)
    x, (small,) = read(folder), read(folder, "test")
    places = {record.id: (record.top, record.left, record.height, record.width) for record in x}
    assert places == {f"x/r{r}c{c}": (16 * r, left, 16, 16) for r in (0, 1) for c, left in enumerate((0, 16, 24))}
    assert {(record.source, record.source_height, record.source_width) for record in x} == {("x", 32, 40)}
    assert (small.id, small.height, small.width) == ("small/r0c0", 9, 7)
    mask = np.zeros((32, 48), np.uint8)
    mask[30, 40] = 1
    folder, _ = run([sample("x", "train", mask=mask), sample("y", "test")], Dataset(tile=16))
    assert [record.id for record in read(folder)] == ["x/r1c2"]


@pytest.mark.parametrize("size, overlap", [((50, 61), 0), ((50, 61), 5), ((20, 40), 15), ((7, 9), 5), ((16, 16), 15)])
def test_tiles_blend_to_the_image(run, size, overlap):
    whole = sample("x", "train", size=size)
    folder, _ = run([whole, sample("y", "test")], Dataset(tile=16, overlap=overlap, min_foreground=None))
    tiles = read(folder)
    blender = tiling.Blender(*size, 4)
    for record in tiles:
        window = tiling.Window(record.top, record.left, record.height, record.width)
        assert window[2:] == (min(16, size[0]), min(16, size[1]))
        blender.add(np.dstack([records.image(record), records.mask(record)]).transpose(2, 0, 1), window)
    values, covered = blender.result()
    assert covered.all() and len({record.id for record in tiles}) == len(tiles)
    np.testing.assert_array_equal(values.transpose(1, 2, 0), np.dstack([whole.image(), whole.mask()]))


def test_instances_are_resized_and_tiled_as_their_mask(run):
    ids = np.kron(np.arange(1, 49).reshape(6, 8), np.ones((8, 8), int)).astype(np.uint16)  # touching, 48 x 64
    samples = [replace(sample(name, split, mask=(ids > 0).astype(np.uint8)), instances=lambda: ids)
               for name, split in (("x", "train"), ("y", "test"))]  # fmt: skip
    folder, _ = run(samples, Dataset(tile=16, overlap=4, resize=32, classes=["thing"]))
    small = ids[::2, ::2]
    for record in read(folder):
        window = tiling.Window(record.top, record.left, record.height, record.width)
        found = records.instances(record)
        assert found.dtype == np.uint16 and np.unique(found).size > 4
        np.testing.assert_array_equal(found, window.of(small))
    folder, _ = run([replace(sample("x", "train"), instances=lambda: None), sample("y", "test")])
    assert [records.instances(record) for record in (*read(folder), *read(folder, "test"))] == [None, None]


def test_a_test_alone_is_enough_for_zero_shot_runs(run):
    for samples in ([sample("a")], [sample("a", "test"), sample("b", "test")]):
        folder, metrics = run(samples)
        assert [len(read(folder, split)) for split in SPLITS] == [0, 0, len(samples)]
        assert metrics["train"] == metrics["val"] == REPORT and metrics["test"]["records"] == len(samples)


def test_files_that_a_reader_leaves_out_are_named_and_counted(run, monkeypatch, capsys):
    samples = [sample("a", "train"), sample("b", "test")]
    assert "files_left_out" not in run(samples)[1]
    monkeypatch.setattr(datasets, "left_out", lambda module, folder: [f"{i}.png" for i in range(12)])
    assert run(samples)[1]["files_left_out"] == 12
    assert capsys.readouterr().err.splitlines() == [
        "warning: fake: files left out, without counterpart: 12: " + "".join(f"{i}.png, " for i in range(10)) + "..."
    ]


def test_metrics_say_what_was_kept_and_dropped(run):
    samples = [sample(f"a{i}", "train", mask=mask_of(i * 10)) for i in range(6)]
    samples += [sample("small", "train", mask=mask_of(3)), sample("b", "test", mask=mask_of(25))]
    samples += [sample("no", "test", mask=mask_of(0)), sample("few", "test", mask=mask_of(4))]
    folder, metrics = run(samples, Dataset(val_fraction=0.0, min_pixels=5), max_images=2)
    ten = REPORT | dict.fromkeys(("min_height", "max_height", "min_width", "max_width"), 10)
    ten |= {"instances": "connected components"}
    dropped = {"dropped_empty": 1, "dropped_small": 1, "dropped_over_cap": 3}
    assert metrics == {
        "train": ten | dropped | {"images": 7, "images_kept": 2, "records": 2, "foreground": 0.3},
        "val": REPORT,
        "test": ten | {
            "images": 3, "images_kept": 2, "records": 2, "records_empty": 1, "dropped_small": 1, "foreground": 0.125,
        },
    }  # fmt: skip
    assert [record.id for record in read(folder)] == ["a2", "a4"]
    assert [(record.id, record.foreground) for record in read(folder, "test")] == [("b", 25), ("no", 0)]


IN_PART = "given in part, else connected components"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (5, 5, "given"),
        (None, None, "connected components"),
        (0, 0, "connected components"),  # masks of classes, none of which numbers anything
        (5, None, IN_PART),
        (5, 0, IN_PART),
        (3, 3, IN_PART),  # one class has numbers, and the other has none
    ],
)
def test_the_metrics_of_a_split_say_whether_instances_are_given_at_all_pixels_of_classes(run, first, second, expected):
    def known(id, split, numbered, foreground=5):
        mask = mask_of(foreground)
        numbers = np.where(np.cumsum(mask).reshape(mask.shape) <= (numbered or 0), mask, 0).astype(np.uint16)
        return replace(sample(id, split, mask=mask), instances=lambda: None if numbered is None else numbers)

    samples = [known("a", "train", 5), known("b", "train", 5), known("c", "test", first), known("d", "test", second)]
    _, metrics = run([*samples, known("e", "train", None, foreground=0)])
    assert metrics["train"]["instances"] == "given" and metrics["test"]["instances"] == expected
    assert "instances" not in metrics["val"], "it has no records"


def test_validation_and_point_clouds_keep_no_empty_records(run, monkeypatch):
    samples = [sample(f"{split}{i}", split, mask=mask_of(9 * i)) for split in SPLITS for i in (0, 1)]
    folder, _ = run(samples, Dataset(score="tile"))
    assert [len(read(folder, split)) for split in SPLITS] == [1, 1, 2]
    assert records.open_split(folder / "test.parquet").metadata["score"] == "tile"
    monkeypatch.setattr(datasets, "modality", lambda *_: "point_cloud")
    assert [len(read(run(samples, Dataset())[0], split)) for split in SPLITS] == [1, 1, 1]


def test_what_cannot_be_prepared_is_named_and_leaves_what_was_there(run, tmp_path):
    full, empty = mask_of(5), mask_of(0)
    odd = replace(sample("odd/7", "train"), mask=lambda: full)
    lower = r"lower datasets\.fake\.min_foreground or give more data"
    nothing_left = rf"^fake: no record with ground truth is left for {{}}; {lower}"
    refusals = [
        (sample("a", "train", mask=empty), Dataset(), nothing_left.format("train")),
        (sample("a", "test", mask=empty), Dataset(), nothing_left.format("test")),
        (odd, WHOLE, "^the image of odd/7 is 32x24 and the mask of odd/7 is 10x10; they must be of one size$"),
        (odd, Dataset(classes=["other"]), "datasets.fake.classes: unknown class 'other'; known: background, thing"),
    ]
    for content in ([], ["out", "out.json"]):
        for bad, settings, message in refusals:
            other = {"train": "test", "test": "train"}[bad.split]
            with pytest.raises(UserError, match=message):
                run([bad, sample("b", other, mask=full)], settings)
            assert sorted(path.name for path in tmp_path.iterdir()) == content
        if not content:
            folder, _ = run([sample("a", "train"), sample("b", "test")])
            before = files.sha256(folder)
    assert files.sha256(folder) == before


@pytest.mark.parametrize("skip_invalid", [False, True])
def test_sizes_are_compared_before_any_filter(run, tmp_path, skip_invalid):
    """An empty mask of another size than its image, which the filter would drop."""
    image, photo = np.zeros((96, 128), np.uint8), tmp_path / "photo.png"
    photo.write_bytes(image_io.encode_png(image))
    large = replace(sample("large", "train", mask=np.zeros((900, 900), np.uint8)), image=lambda: image)
    from_file = replace(large, file=photo, sources=(photo, Path("mask.png")))
    in_stack = replace(large, size=lambda: (96, 128), sources=("a.tif, slice 3", "b.tif, slice 3"))
    settings = Dataset(skip_invalid=skip_invalid, val_fraction=0.0)
    for bad in (from_file, in_stack):
        samples = [bad, sample("a", "train"), sample("b", "test")]
        if skip_invalid:
            assert run(samples, settings)[1]["train"]["dropped_unreadable"] == 1
        else:
            with pytest.raises(UserError) as error:
                run(samples, settings)
            first, second = bad.sources
            assert str(error.value) == f"{first} is 128x96 and {second} is 900x900; they must be of one size"


@pytest.mark.parametrize("what", ["image", "mask"])
def test_an_unreadable_sample_ends_the_stage_or_is_counted(run, tmp_path, what):
    def fail():
        raise UserError("bad.png: truncated")

    bad = replace(sample("bad", "train"), **{what: fail})
    samples = [sample("a", "train"), bad, sample("c", "train"), sample("t", "test")]
    with pytest.raises(UserError, match="^bad.png: truncated"):
        run(samples)
    assert list(tmp_path.iterdir()) == []
    folder, metrics = run(samples, Dataset(min_foreground=None, skip_invalid=True, val_fraction=0.0))
    assert [record.id for record in read(folder)] == ["a", "c"]
    assert metrics["train"]["dropped_unreadable"] == 1 and metrics["train"]["records"] == 2
    assert metrics["train"]["images"] == 3 and metrics["train"]["images_kept"] == 2


def test_an_empty_record_that_cannot_be_read_is_not_counted_as_one(run):
    def fail():
        raise UserError("bad.png: truncated")

    samples = [sample(name, name, mask=mask_of(5)) for name in ("train", "test")]
    samples += [
        replace(sample(name, "test", mask=mask_of(0)), **more) for name, more in (("e", {}), ("f", {"image": fail}))
    ]
    _, metrics = run(samples, Dataset(skip_invalid=True, val_fraction=0.0))
    counts = [metrics["test"][key] for key in ("records", "records_empty", "dropped_unreadable")]
    assert counts == [2, 1, 1]


def test_words_and_whole_classes_that_contain_others(run):
    mask = np.array([[0, 1, 2, 3]], np.uint8)
    samples = [sample("a", "train", mask=mask), sample("b", "test", mask=mask)]
    inside = {"CLASSES": ("in_fection", "lung", "tv-set"), "CONTAINED_IN": {"in_fection": "lung"}}
    folder, _ = run(samples, Dataset(classes=["tv-set", "lung"]), WORDS={"tv-set": "television"}, **inside)
    split = records.open_split(folder / "test.parquet")
    assert split.metadata["words"] == ["television", "lung"] and records.mask(split[0]).tolist() == [[0, 2, 2, 1]]
    folder, _ = run(samples, Dataset(classes=["in_fection", "lung"]), **inside)
    split = records.open_split(folder / "test.parquet")
    assert split.metadata["words"] == ["in fection", "lung"] and records.mask(split[0]).tolist() == [[0, 1, 2, 0]]


def test_a_split_is_distributed_over_shards_of_about_one_size(run, monkeypatch):
    samples = [sample(f"p{i:02d}", "train", size=(20, 20)) for i in range(10)] + [sample("t", "test")]
    monkeypatch.setattr(prepare, "SHARD_PIXELS", 800)  # two samples
    folder, _ = run(samples, WITHOUT_VALIDATION)
    assert {split: len(list((folder / f"{split}.parquet").iterdir())) for split in SPLITS} == {
        "train": 5, "val": 1, "test": 1,
    }  # fmt: skip
    assert [record.id for record in read(folder)] == [f"p{i:02d}" for i in range(10)]


def test_several_processes_write_the_same_bytes_and_one_preview(root, tmp_path):
    """The stage under torchrun, in small shards."""
    (tmp_path / "params.yaml").write_text("models: {}\ndatasets: {em: {raw: raw, reader: em, tile: 16, overlap: 3}}\n")
    (tmp_path / "small_shards.py").write_text(
        "import runpy\nfrom dataclasses import replace\nfrom fake_samples import dataset_of, in_few_colors\n"
        "from promptseg import datasets\n"
        "from promptseg.preprocessing import independence, prepare\n"
        "prepare.SHARD_PIXELS, prepare.CHUNK, independence.CHUNK = 2500, 3, 2\n"
        "samples = [replace(in_few_colors(f'p{i}', i % 6), split='test' if i > 6 else 'train') for i in range(11)]\n"
        "datasets.load = lambda _: dataset_of(samples, duplicates=True)\n"
        f"runpy.run_path({str(root / 'stages' / 'preprocess.py')!r}, run_name='__main__')\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{root / 'stages'}:{Path(__file__).parent}"}

    def launch(out, *launcher):
        outputs = [tmp_path / name for name in (out, f"{out}.json", f"{out}.png")]
        command = [sys.executable, *launcher, "small_shards.py", "em", "raw", *map(str, outputs)]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return [files.sha256(path) for path in outputs]

    assert launch("one") == launch("two", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert len(list((tmp_path / "one" / "train.parquet").iterdir())) > 3
    assert json.loads((tmp_path / "one.json").read_text())["near_duplicates"] == 4
    (group,) = {record.group for record in read(tmp_path / "one") if record.source in ("p0", "p6")}
    assert group == "p0"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
