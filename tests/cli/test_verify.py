"""`promptseg verify`: every error in the files of a dataset once, and nothing else; with readers of the test's own."""

import threading
import types
from functools import partial

import numpy as np
import pytest
from made_reader import one_of, reader, sample, value_or_raise
from promptseg import datasets
from promptseg.cli import verify
from promptseg.core import settings
from promptseg.core.errors import UserError
from promptseg.core.params import Dataset
from promptseg.data import image_io
from promptseg.datasets import Sample
from refusing import refused

ENTRY = Dataset(raw="data/raw/fake", reader="fake")


class Options(settings.Settings):
    fold: int | None = None


@pytest.fixture
def inspect(monkeypatch, tmp_path):
    """Inspect samples as if they were a dataset; returns the lines and the number of errors."""

    def run(module, entry=ENTRY, official=False):
        if isinstance(module, list):
            module = reader(module)
        monkeypatch.setattr(datasets, "load", lambda _: module)
        lines, inspection = [], verify.inspect("fake", entry, tmp_path, official)
        while True:
            try:
                lines.append(next(inspection))
            except StopIteration as end:
                return lines, end.value

    return run


ZERO_SHOT_ONLY = "note: no images to train on: enough for zero-shot runs, too few for fine-tuning"
EMPTY, CLOUD = np.zeros((4, 6), np.uint8), np.zeros((2048, 2, 3), np.uint8)


@pytest.mark.parametrize(
    "samples, lines",
    [
        ([sample("a", "train"), sample("b", "test"), sample("c", "test")], ["3 samples in 2 splits, 6x4, gray 8-bit"]),
        ([sample(split=None)], [ZERO_SHOT_ONLY, "1 sample without splits, 6x4, gray 8-bit"]),
        ([sample("a", "test"), sample("b", "val")], [ZERO_SHOT_ONLY, "2 samples in 2 splits, 6x4, gray 8-bit"]),
        ([sample("a", mask=EMPTY + 1), sample("b"), sample("c")], ["3 samples in 1 split, 6x4, gray 8-bit"]),
        ([sample("a", mask=EMPTY + 1), sample("b", mask=EMPTY + 1), sample("c")],
         ["note: 68 % of all pixels are foreground; look at a mask: is it the background?",
          "3 samples in 1 split, 6x4, gray 8-bit"]),  # (24 + 24 + 1) / 72
        (reader([sample()], left_out=lambda folder: ["a.png", "masks/b.png"]),
         ["note: files left out, without counterpart: 2: a.png, masks/b.png", "1 sample in 1 split, 6x4, gray 8-bit"]),
        ([sample("a"), sample("b", split=None)], ["2 samples in 1 split, 6x4, gray 8-bit"]),
        ([sample("a", size=(4, 9)), sample("b", size=(7, 6))], ["2 samples in 1 split, 6..9x4..7, gray 8-bit"]),
        ([sample(image=np.zeros((5, 3, 3), np.uint8))], ["1 sample in 1 split, 3x5, color 8-bit"]),
        ([sample("a", image=np.zeros((4, 6, 3), np.uint8)), sample("b")],
         ["2 samples in 1 split, 6x4, gray and color 8-bit"]),
        ([], ["0 samples"]),
        (reader([sample(image=CLOUD, mask=CLOUD[..., 0] + 1)], MODALITY="point_cloud"),
         ["1 sample in 1 split, clouds of 2048 points"]),
        ([sample("a", mask=EMPTY), sample("b", mask=EMPTY + 255), sample("c")],
         ["note: masks without any foreground: 2", "3 samples in 1 split, 6x4, gray 8-bit"]),
        ([sample("a", mask=datasets.LeaveOut("a.jpg: it is 6x4, but was annotated as 6x5")), sample("b")],
         ["note: left out, as their official files do not fit: 1", "2 samples in 1 split, 6x4, gray 8-bit"]),
        (reader([sample(i, group="g", mask=np.array([[0, 1, 2, 255]], np.uint8), size=(1, 4)) for i in "ab"],
                classes=("x", "y")), ["2 samples in 1 split, 4x1, gray 8-bit"]),
    ],
)  # fmt: skip
def test_samples_without_errors_are_described(inspect, samples, lines):
    assert inspect(samples) == ([*(f"fake: {line}" for line in lines[:-1]), f"fake: {lines[-1]}, nothing wrong"], 0)


DAMAGED = np.array([[0, 1, 2, 255], [9, 9, 2, 254]], np.uint8)
SUPPORTS = [(EMPTY, EMPTY + 7), (EMPTY, EMPTY[:2]), UserError("s.png: gone"), (EMPTY, EMPTY)]


def fails(folder):
    raise UserError("list.txt: no\n list")


def read_and_end(folder):
    yield sample("a", mask=UserError("a.png: gone"))
    raise UserError("list.txt: line 2 is damaged")


UNREADABLE = [  # in order, of every other sample the image and of all the mask
    sample(f"p{i}", image=UserError(f"{i}.jpg: cut") if i % 2 else None, mask=UserError(f"{i}.png: no\n mask"))
    for i in range(20)
]


@pytest.mark.parametrize(
    "module, errors, summary",
    [
        (UNREADABLE, [line for i in range(20) for line in [f"{i}.jpg: cut"] * (i % 2) + [f"{i}.png: no mask"]],
         "20 samples in 1 split, 6x4, gray 8-bit"),
        # of a file that samples share once
        ([sample(str(i), image=UserError("photo.jpg: truncated")) for i in range(5)], ["photo.jpg: truncated"],
         "5 samples in 1 split"),
        ([sample("odd/7", mask=one_of((5, 5))), sample("b")],
         ["the image of odd/7 is 6x4 and the mask of odd/7 is 5x5; they"], "2 samples in 1 split, 6x4, gray 8-bit"),
        ([sample("a", mask=DAMAGED, size=(2, 4)), sample("b", size=(2, 4))],
         ["a: the mask holds 2, 9, 254 at 5 pixels; classes are 1 to 1, 255 is ignored"],
         "2 samples in 1 split, 4x2, gray 8-bit"),
        ([sample(f"p{i}", support=partial(value_or_raise, support)) for i, support in enumerate(SUPPORTS)],
         ["p0, its support image: the mask holds 7 at 24 pixels; classes are 1 to 1, 255 is ignored",
          "p1, its support image is 6x4 and its mask is 6x2", "s.png: gone"],
         "4 samples in 1 split, 6x4, gray 8-bit"),
        ([sample(id) for id in "abaa"], ["a: more than one sample has this id"],
         "4 samples in 1 split, 6x4, gray 8-bit"),
        ([sample(str(i), split, group="patient 3") for i, split in enumerate(("train", "train", "test", "test", None))],
         ["patient 3: this group is in train and in test; ", "patient 3: this group is in train and in no split; "],
         "5 samples in 2 splits, 6x4, gray 8-bit"),
        # samples are read although verify fails, and an error of both is one
        (reader([sample(mask=UserError("a.png: gone"))], fails), ["list.txt: no list", "a.png: gone"],
         "1 sample in 1 split, 6x4, gray 8-bit"),
        (types.SimpleNamespace(CLASSES=("thing",), verify=fails, read=fails), ["list.txt: no list"], "0 samples"),
        # numbers are not compared where the reader ends early
        (types.SimpleNamespace(CLASSES=("thing",), SPLIT_SIZES={"train": 5}, verify=lambda folder: None,
                               read=read_and_end), ["a.png: gone", "list.txt: line 2 is damaged"],
         "1 sample in 1 split, 6x4, gray 8-bit"),
    ],
)  # fmt: skip
def test_every_error_is_one_line_and_counted_in_the_summary(inspect, module, errors, summary):
    lines, wrong = inspect(module, official=True)
    assert wrong == len(errors) and lines[-1] == f"fake: {summary}, {wrong} wrong"
    assert all(line.startswith(f"fake: {error}") for line, error in zip(lines[:-1], errors, strict=True))


@pytest.mark.parametrize(
    "counts, official, wrong",
    [
        ({"train": 2, "test": 1}, True, []),
        ({"train": 3, "test": 1}, True, ["2 samples in train, where 3 are official"]),
        ({"train": 2, "val": 1_000}, True, ["0 samples in val, where 1,000 are official"]),
        ({"train": 3}, False, []),
    ],
)
def test_numbers_are_compared_where_the_files_are_the_official_ones(inspect, tmp_path, counts, official, wrong):
    samples = [sample("a"), sample("b"), sample("c", "test")]
    lines, _ = inspect(reader(samples, SPLIT_SIZES=counts), official=official)
    assert lines[:-1] == [f"fake: {tmp_path}: {line}" for line in wrong]
    assert inspect(reader([sample(split=None)], SPLIT_SIZES=counts), official=official)[1] == 0  # no split is stated


def test_options_reach_the_reader_and_other_options_have_other_numbers(inspect):
    def read(folder, options):
        yield sample(f"fold {options.fold}", mask=np.full((4, 6), 2, np.uint8))

    module = types.SimpleNamespace(
        Options=Options, SPLIT_SIZES={"train": 9}, verify=lambda folder, options: None, read=read,
        classes=lambda options: ("x",) * (options.fold or 1),
    )  # fmt: skip
    lines, wrong = inspect(module, official=True)
    assert wrong == 2 and lines[0].startswith("fake: fold None: the mask holds 2")
    entry = Dataset(raw="data/raw/fake", reader="fake", options={"fold": 2})
    assert inspect(module, entry, official=True)[1] == 0
    wrong_entry = Dataset(raw="data/raw/fake", reader="fake", options={"color": 1})
    refused(lambda: inspect(module, wrong_entry), "datasets.fake.options.color")


def test_few_samples_are_in_memory_at_a_time(inspect, monkeypatch):
    monkeypatch.setattr(verify, "Ranks", lambda: types.SimpleNamespace(cores=3))
    lock, held, most = threading.Lock(), 0, 0

    def read(folder):
        nonlocal held, most
        for i in range(20):
            with lock:
                held, most = held + 1, max(most, held + 1)

            def image():
                nonlocal held
                with lock:
                    held -= 1
                return np.zeros((4, 6), np.uint8)

            yield Sample(str(i), None, str(i), image, lambda: np.ones((4, 6), np.uint8))

    inspect(types.SimpleNamespace(CLASSES=("thing",), verify=lambda folder: None, read=read))
    assert held == 0 and most <= 6


def test_a_damaged_file_that_names_the_classes_is_one_line(inspect):
    lines, errors = inspect(reader([], fails, classes_in=fails))
    assert errors == 1 and lines == ["fake: list.txt: no list", "fake: 0 samples, 1 wrong"]


def test_a_bug_of_a_reader_keeps_its_traceback(inspect):
    with pytest.raises(ZeroDivisionError):
        inspect([sample(), sample("b", image=ZeroDivisionError())])


def test_errors_of_the_functions_that_readers_use_are_lines(inspect, tmp_path):
    (tmp_path / "a.png").write_bytes(image_io.encode_png(np.zeros((4, 6), np.uint8))[:45])
    (tmp_path / "b.png").write_bytes(image_io.encode_png(np.full((4, 6), 3, np.uint8)))
    image, mask = (partial(read, tmp_path / name, *more) for read, name, *more in (
        (image_io.read_image, "a.png"), (image_io.read_mask, "b.png", {0: 0, 255: 1})
    ))  # fmt: skip
    lines, wrong = inspect([Sample("one", "train", "one", image, mask)])
    assert wrong == 2 and "a.png: truncated" in lines[0] and "b.png: the mask holds 3 at 24 pixels" in lines[1]
