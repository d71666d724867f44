"""`promptseg verify`: every error in the files of a dataset once, and nothing else; with readers of the test's own."""

import threading
import types

import numpy as np
import pytest
from promptseg import datasets
from promptseg.cli import main, verify
from promptseg.core import settings
from promptseg.core.errors import UserError
from promptseg.core.params import Dataset
from promptseg.data import image_io
from promptseg.datasets import Sample
from typer.testing import CliRunner

ENTRY = Dataset(raw="data/raw/fake", reader="fake")


class Options(settings.Settings):
    fold: int | None = None


def sample(id="a", split="train", group=None, size=(4, 6), image=None, mask=None, **more):
    """A gray image and a mask of ones; an exception in place of either is raised when it is decoded."""
    image = np.zeros(size, np.uint8) if image is None else image
    mask = np.ones(image.shape[:2] if isinstance(image, np.ndarray) else size, np.uint8) if mask is None else mask
    return Sample(id, split, group or id, lambda: value_or_raise(image), lambda: value_or_raise(mask), **more)


def value_or_raise(value):
    if isinstance(value, Exception):
        raise value
    return value


def reader(samples, verify=lambda folder: None, classes=("thing",), **more):
    return types.SimpleNamespace(CLASSES=classes, verify=verify, read=lambda folder: iter(samples), **more)


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


# --- files without errors


def test_without_errors_there_is_one_line(inspect):
    samples = [sample("a", "train"), sample("b", "test"), sample("c", "test")]
    assert inspect(samples) == (["fake: 3 samples in 2 splits, 6x4, gray 8-bit, nothing wrong"], 0)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([sample(split=None)], "1 sample without splits, 6x4, gray 8-bit"),
        ([sample("a"), sample("b", split=None)], "2 samples in 1 split, 6x4, gray 8-bit"),
        ([sample("a", size=(4, 9)), sample("b", size=(7, 6))], "2 samples in 1 split, 6..9x4..7, gray 8-bit"),
        ([sample(image=np.zeros((5, 3, 3), np.uint8))], "1 sample in 1 split, 3x5, color 8-bit"),
        ([sample("a", image=np.zeros((4, 6, 3), np.uint8)), sample("b")],
         "2 samples in 1 split, 6x4, gray and color 8-bit"),
        ([], "0 samples"),
    ],
)  # fmt: skip
def test_the_summary_describes_the_samples(inspect, samples, words):
    assert inspect(samples) == ([f"fake: {words}, nothing wrong"], 0)


def test_point_clouds_are_described_by_their_points(inspect):
    cloud, labels = np.zeros((2048, 2, 3), np.uint8), np.ones((2048, 2), np.uint8)
    module = reader([sample(image=cloud, mask=labels)], MODALITY="point_cloud")
    assert inspect(module) == (["fake: 1 sample in 1 split, clouds of 2048 points, nothing wrong"], 0)


def test_masks_without_foreground_are_a_note(inspect):
    empty, ignored = np.zeros((4, 6), np.uint8), np.full((4, 6), 255, np.uint8)
    lines, wrong = inspect([sample("a", mask=empty), sample("b", mask=ignored), sample("c")])
    assert lines[0] == "fake: note: masks without any foreground: 2"
    assert len(lines) == 2 and lines[1].endswith("nothing wrong") and wrong == 0


def test_groups_and_labels_that_are_right(inspect):
    mask = np.array([[0, 1, 2, 255]], np.uint8)
    samples = [sample("a", group="g", mask=mask, size=(1, 4)), sample("b", group="g", mask=mask, size=(1, 4))]
    assert inspect(reader(samples, classes=("x", "y")))[1] == 0


# --- files with errors


def test_every_file_that_cannot_be_read_is_a_line_in_order(inspect):
    samples = [
        sample(
            f"p{i}", image=UserError(f"{i}.jpg: truncated") if i % 2 else None, mask=UserError(f"{i}.png: no\n mask")
        )
        for i in range(40)
    ]
    lines, wrong = inspect(samples)
    expected = [[f"fake: {i}.jpg: truncated"] * (i % 2) + [f"fake: {i}.png: no mask"] for i in range(40)]
    assert lines[:-1] == sum(expected, []) and wrong == 60
    assert lines[-1] == "fake: 40 samples in 1 split, 6x4, gray 8-bit, 60 wrong"


def test_sizes_that_differ(inspect):
    lines, wrong = inspect([sample("odd/7", mask=np.ones((5, 5), np.uint8)), sample("b")])
    assert wrong == 1 and lines[0].startswith("fake: odd/7: the image is 6x4 and its mask 5x5")


def test_labels_beyond_the_classes(inspect):
    mask = np.array([[0, 1, 2, 255], [9, 9, 2, 254]], np.uint8)
    lines, wrong = inspect([sample("a", mask=mask, size=(2, 4)), sample("b")])
    assert wrong == 1
    assert lines[0] == "fake: a: the mask holds 2, 9, 254 at 5 pixels; classes are 1 to 1, 255 is ignored"


def test_support_images_are_checked_as_well(inspect):
    image, mask = np.zeros((4, 6), np.uint8), np.full((4, 6), 7, np.uint8)
    supports = [(image, mask), (image, mask[:2] * 0), UserError("s.png: gone"), (image, mask * 0)]
    samples = [
        sample(f"p{i}", support=lambda support=support: value_or_raise(support)) for i, support in enumerate(supports)
    ]
    lines, wrong = inspect(samples)
    assert wrong == 3
    assert lines[0].startswith("fake: p0, its support image: the mask holds 7 at 24 pixels")
    assert lines[1].startswith("fake: p1, its support image: the image is 6x4 and its mask 6x2")
    assert lines[2] == "fake: s.png: gone"


def test_an_id_of_several_samples(inspect):
    lines, wrong = inspect([sample("a"), sample("b"), sample("a"), sample("a")])
    assert (lines[0], wrong) == ("fake: a: more than one sample has this id", 1)


def test_a_group_in_two_splits(inspect):
    splits = ["train", "train", "test", "test", None]
    lines, wrong = inspect([sample(str(i), split, group="patient 3") for i, split in enumerate(splits)])
    assert wrong == 2
    assert lines[0].startswith("fake: patient 3: this group is in train and in test")
    assert lines[1].startswith("fake: patient 3: this group is in train and in no split")


def test_the_error_of_a_shared_file_is_reported_once(inspect):
    lines, wrong = inspect([sample(str(i), image=UserError("photo.jpg: truncated")) for i in range(5)])
    assert wrong == 1 and lines == ["fake: photo.jpg: truncated", "fake: 5 samples in 1 split, 1 wrong"]


def test_an_error_of_verify_is_a_line_and_the_samples_are_read_all_the_same(inspect):
    def verify(folder):
        raise UserError(f"{folder.name}: no list")

    lines, wrong = inspect(reader([sample(mask=UserError("a.png: gone"))], verify))
    assert wrong == 2 and lines[0].endswith(": no list") and lines[1] == "fake: a.png: gone"


def test_the_error_that_ends_a_reader_is_last_and_numbers_are_not_compared(inspect):
    def read(folder):
        yield sample("a", mask=UserError("a.png: gone"))
        raise UserError("list.txt: line 2 is damaged")

    module = types.SimpleNamespace(
        CLASSES=("thing",), SPLIT_SIZES={"train": 5}, verify=lambda folder: next(read(folder)), read=read
    )
    lines, wrong = inspect(module, official=True)
    assert lines[:2] == ["fake: a.png: gone", "fake: list.txt: line 2 is damaged"] and wrong == 2


def test_the_same_error_of_verify_and_read_is_reported_once(inspect):
    def refuse(folder):
        raise UserError("images: not found")

    lines, wrong = inspect(types.SimpleNamespace(CLASSES=("thing",), verify=refuse, read=refuse))
    assert (lines, wrong) == (["fake: images: not found", "fake: 0 samples, 1 wrong"], 1)


@pytest.mark.parametrize(
    ("counts", "official", "wrong"),
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


def test_numbers_are_not_compared_where_nothing_states_a_split(inspect):
    assert inspect(reader([sample(split=None)], SPLIT_SIZES={"train": 9}), official=True)[1] == 0


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
    with pytest.raises(UserError, match=r"datasets\.fake\.options\.color"):
        inspect(module, Dataset(raw="data/raw/fake", reader="fake", options={"color": 1}))


def test_few_samples_are_in_memory_at_a_time(inspect, monkeypatch):
    monkeypatch.setattr(verify, "Ranks", lambda: types.SimpleNamespace(cores=3))
    lock, held, most = threading.Lock(), 0, 0

    def read(folder):
        nonlocal held, most
        for i in range(50):
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


def test_a_bug_of_a_reader_keeps_its_traceback(inspect):
    with pytest.raises(ZeroDivisionError):
        inspect([sample(), sample("b", image=ZeroDivisionError())])


# --- the command


@pytest.fixture
def project(monkeypatch, tmp_path):
    """Run the command in a project; returns its lines and its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load", lambda name: reader([sample()] if name == "good" else [sample()] * 2))

    def run(*arguments, present=("one", "two"), data="sample"):
        (tmp_path / "params.yaml").write_text(
            f"scale: {{data: {data}}}\nmodels: {{}}\n"
            "download: {one: {reader: good}, two: {reader: twice}, three: {reader: good}}\n"
            "datasets: {one: {raw: data/raw/one, reader: good}, two: {raw: data/raw/two, reader: twice},"
            " three: {raw: data/raw/three, reader: good}, own: {raw: mine, reader: good}}\n"
        )
        for name in present:
            (tmp_path / "data" / "raw" / name).mkdir(parents=True, exist_ok=True)
        result = CliRunner().invoke(main.app, ["verify", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout.splitlines(), result.exit_code

    return run


def test_the_command_verifies_all_datasets_that_are_here(project):
    lines, code = project()
    assert [line.partition(":")[0] for line in lines] == ["one", "two", "two"] and code == 1
    assert project("one") == (["one: 1 sample in 1 split, 6x4, gray 8-bit, nothing wrong"], 0)
    assert project("two")[1] == 1


def test_the_command_takes_a_folder(project, tmp_path):
    (tmp_path / "mine").mkdir()
    assert project("three", "mine")[1] == 0


def test_a_folder_of_the_user_is_the_raw_of_its_dataset(project, tmp_path):
    (tmp_path / "mine").mkdir()
    assert project(present=()) == (["own: 1 sample in 1 split, 6x4, gray 8-bit, nothing wrong"], 0)
    assert project("own", present=())[1] == 0


@pytest.mark.parametrize(
    ("arguments", "present", "words"),
    [
        (["four"], ["one"], "unknown dataset 'four'; known: one, two, three, own"),
        (["three"], ["one"], "data/raw/three: no such folder; `dvc repro preprocess@three`"),
        (["one", "nowhere"], ["one"], "nowhere: no such folder"),
        ([], [], "no dataset is here yet"),
    ],
)
def test_missing_files_are_refused(project, arguments, present, words):
    with pytest.raises(UserError, match=words):
        project(*arguments, present=present)


def test_numbers_are_compared_as_params_or_the_flag_say(project, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "load", lambda name: reader([sample()], SPLIT_SIZES={"train": 7}))
    (tmp_path / "mine").mkdir()
    assert project("one")[1] == 0
    assert project("one", "--official")[1] == 1
    assert project("one", data="official")[1] == 1
    assert project("one", "mine", data="official")[1] == 0
    assert project("own", data="official")[1] == 0


def test_damaged_files(inspect, tmp_path):
    """With the functions that readers use: each of their errors is a line."""
    (tmp_path / "a.png").write_bytes(image_io.encode_png(np.zeros((4, 6), np.uint8))[:45])
    (tmp_path / "b.png").write_bytes(image_io.encode_png(np.full((4, 6), 3, np.uint8)))
    one = Sample("one", "train", "one", lambda: image_io.read_image(tmp_path / "a.png"),
                  lambda: image_io.read_mask(tmp_path / "b.png", {0: 0, 255: 1}))  # fmt: skip
    lines, wrong = inspect([one])
    assert wrong == 2 and "a.png: truncated" in lines[0] and "b.png: the mask holds 3 at 24 pixels" in lines[1]
