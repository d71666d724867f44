"""One contract test for all datasets: a new file in datasets/ is tested without a line being added here."""

import builtins
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from filelock import FileLock
from imports import STAGES
from promptseg import datasets
from promptseg.cli import verify
from promptseg.core import files, params
from promptseg.core.errors import UserError
from promptseg.data import image_io, records, tiff_stack
from promptseg.data.image_io import IGNORED
from promptseg.datasets import Sample
from promptseg.preprocessing import prepare, split_assignment

SETTINGS = params.load(STAGES.parent / "params.yaml")
SPLITS = {"train", "val", "test"}
SMALL = 20  # classes, of which a sample shows every one; of more, those that params.yaml asks for
SAMPLE_BYTES = 8 << 20  # noise does not compress; DVC keeps it, git does not
FEW = 4  # files after which a draw that is only to differ may stop


class Case(NamedTuple):
    """A reader as it is called: `name` alone, or with the options of an entry in params.yaml."""

    name: str
    reader: str
    options: tuple = ()

    @property
    def module(self):
        return datasets.load(self.reader)

    @property
    def classes(self) -> tuple[str, ...]:
        return datasets.classes(self.module, *self.options)

    @property
    def ordered(self) -> bool:
        return datasets.ordered(self.module, *self.options)

    def verify(self, folder: Path) -> None:
        self.module.verify(folder, *self.options)

    def read(self, folder: Path) -> list[Sample]:
        return list(self.module.read(folder, *self.options))


CASES = [Case(name, name) for name in datasets.names()]
CASES += [
    Case(name, entry.reader, datasets.options(name, entry))
    for name, entry in SETTINGS.datasets.items()
    if entry.options
]
DATASETS = pytest.mark.parametrize("name", datasets.names())
READS = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
ENTRIES = pytest.mark.parametrize("entry", SETTINGS.datasets)


class Looked(NamedTuple):
    """What one decoding of a pair showed: shape, kind of values and a digest of each, and the labels of the mask."""

    picture: Sample
    image: tuple
    mask: tuple
    labels: frozenset[int]


def facts(array: np.ndarray) -> tuple:
    return array.shape, str(array.dtype), hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def look(picture: Sample) -> Looked:
    mask = picture.mask()
    return Looked(picture, facts(picture.image()), facts(mask), labels(mask))


def labels(mask: np.ndarray) -> frozenset[int]:
    return frozenset(np.unique(mask).tolist())


def told(picture: Sample) -> tuple:
    """What is said of a pair before it is decoded."""
    return picture.id, picture.split, picture.group, picture.text


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def problem(folder: Path, act: Callable[[], object]) -> str:
    """The message of the UserError that `act` raises: one line, which says where."""
    with pytest.raises(UserError) as raised:
        act()
    message = str(raised.value)
    assert len(message.splitlines()) == 1 and message.isprintable() and str(folder) in message, message
    return message


def everything(case: Case, folder: Path) -> None:
    """What a stage does with a folder: verify, read, decode."""
    case.verify(folder)
    for picture in case.read(folder):
        image_io.check_pair(picture.image(), picture.mask(), picture.id)


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Callable[[str], Path]:
    """The sample of a dataset, drawn once, and once for all workers of pytest-xdist. Tests leave it as it is."""
    home = tmp_path_factory.getbasetemp()
    home = (home.parent if "PYTEST_XDIST_WORKER" in os.environ else home) / "samples"
    home.mkdir(exist_ok=True)

    def drawn(name: str) -> Path:
        folder = home / name
        with FileLock(home / f"{name}.lock"):
            if not folder.is_dir():
                with files.replacing(folder) as aside:
                    aside.mkdir()
                    datasets.load(name).sample(aside, 0)
        return folder

    return drawn


@pytest.fixture(scope="session")
def looked(sample) -> Callable[[Case], list[Looked]]:
    """All pairs of a sample, each decoded once."""
    seen = {}

    def pairs(case: Case) -> list[Looked]:
        if case.name not in seen:
            seen[case.name] = [look(picture) for picture in case.read(sample(case.reader))]
        return seen[case.name]

    return pairs


@pytest.fixture
def spoiled(sample, tmp_path) -> Callable[[Case, str, str], Path]:
    """A copy of a sample in which one file is gone, cut in half, or empty."""

    def make(case: Case, file: str, how: str) -> Path:
        folder = tmp_path / f"{how}{len(list(tmp_path.iterdir()))}"
        shutil.copytree(sample(case.reader), folder)
        if how == "gone":
            (folder / file).unlink()
        else:
            data = (folder / file).read_bytes()
            (folder / file).write_bytes(data[: len(data) // 2] if how == "cut" else b"")
        return folder

    return make


@pytest.fixture
def behind(sample, monkeypatch) -> Callable[[Case], tuple[Sample, set[str], set[str]]]:
    """A picture in the middle of a sample, and the files that its image() and its mask() open."""

    def opened(folder: Path, act: Callable[[], object]) -> set[str]:
        seen, real = set(), builtins.open

        def spy(file, *rest, **more):
            if isinstance(file, (str, os.PathLike)) and Path(file).is_relative_to(folder):
                seen.add(Path(file).relative_to(folder).as_posix())
            return real(file, *rest, **more)

        with monkeypatch.context() as patch:
            patch.setattr(builtins, "open", spy)
            act()
        return seen

    def find(case: Case) -> tuple[Sample, set[str], set[str]]:
        folder = sample(case.reader)
        pictures = case.read(folder)
        picture = pictures[len(pictures) // 2]
        return picture, opened(folder, picture.image), opened(folder, picture.mask)

    return find


# --- what the module says


@DATASETS
def test_it_says_what_it_is_and_whose(name):
    module = datasets.load(name)
    for text in (module.TITLE, module.LICENCE, module.CITATION):
        assert isinstance(text, str) and text == text.strip() and len(text) > 4 and text.isprintable()
    assert re.search(r"\blayout\b", module.__doc__, re.IGNORECASE), "its docstring shows no layout"
    for function in (module.download, module.verify, module.read, module.sample):
        assert function.__doc__
    assert module.ACCESS in ("automatic", "login", "by hand")
    assert hasattr(module, "missing_login") == (module.ACCESS == "login")
    counts = getattr(module, "SPLIT_SIZES", {})
    assert counts.keys() <= SPLITS and all(count > 0 for count in counts.values())


@READS
def test_classes_have_names_of_their_own(case):
    assert isinstance(case.classes, tuple) and 1 <= len(case.classes) <= 254
    assert all(isinstance(name, str) and name.strip() == name and name and name.isprintable() for name in case.classes)
    assert len(set(case.classes)) == len(case.classes)


@DATASETS
def test_params_have_an_entry_for_it(name):
    entries = [entry for entry in SETTINGS.datasets.values() if entry.reader == name]
    assert entries, "a reader without an entry is never run"
    for entry in entries:
        assert importlib.util.find_spec(f"promptseg.parts.{entry.parts}")


# --- the sample


@DATASETS
def test_the_sample_is_small_and_lies_as_the_docstring_says(name, sample):
    found = contents(sample(name))
    assert not [path for path in found if any(part.startswith(".") for part in path.split("/"))]
    tops = {path.split("/")[0] for path in found}
    assert [top for top in tops if top not in datasets.load(name).__doc__] == [], "its docstring does not name these"
    sizes = [len(data) for data in found.values()]
    assert min(sizes) > 0 and sum(sizes) < SAMPLE_BYTES


@DATASETS
def test_the_seed_decides_every_byte_of_the_sample_in_any_process(name, sample, tmp_path):
    """In a process of its own, where sets of words have another order."""
    code = "import sys; from pathlib import Path; from promptseg import datasets\n"
    code += "datasets.load(sys.argv[1]).sample(Path('.'), 0)"
    env = {**os.environ, "PYTHONPATH": str(STAGES), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code, name], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first, again = contents(sample(name)), contents(tmp_path)
    assert sorted(first) == sorted(again)
    assert [path for path in first if first[path] != again[path]] == []


@DATASETS
def test_another_seed_draws_another_sample(name, sample, tmp_path, monkeypatch):
    """A draw that writes file by file is stopped after a few, which are enough to tell."""

    class Enough(BaseException):
        pass

    written, write = [], Path.write_bytes

    def count(path, data):
        write(path, data)
        written.append(path)
        if len(written) == FEW:
            raise Enough

    monkeypatch.setattr(Path, "write_bytes", count)
    try:
        datasets.load(name).sample(tmp_path, 1)
    except Enough:
        pass
    first, other = contents(sample(name)), contents(tmp_path)
    assert other and any(first.get(path) != data for path, data in other.items())


# --- verify and read


@READS
def test_verify_accepts_the_sample_and_leaves_it_as_it_is(case, sample):
    before = files.sha256(sample(case.reader))
    case.verify(sample(case.reader))
    case.read(sample(case.reader))
    assert files.sha256(sample(case.reader)) == before


@READS
def test_a_folder_that_holds_nothing_or_is_not_there_is_refused_in_one_line(case, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        problem(folder, lambda: case.verify(folder))
        problem(folder, lambda: case.read(folder))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


@DATASETS
def test_read_decodes_nothing(name, sample, monkeypatch):
    """Of its own accord, that is: options may need to know the masks (a fold of VOC)."""

    def never(*_, **__):
        raise AssertionError("read decodes pixels")

    for function in ("read_image", "read_mask", "read_gray", "decode"):
        monkeypatch.setattr(image_io, function, never)
    monkeypatch.setattr(tiff_stack.Stack, "__getitem__", never)
    assert Case(name, name).read(sample(name))


@READS
def test_ids_are_unique_and_the_same_wherever_the_files_lie(case, sample, looked, tmp_path):
    first = [told(one.picture) for one in looked(case)]
    ids = [id for id, *_ in first]
    assert len(set(ids)) == len(ids) > 0
    for id, split, group, text in first:
        for word in (id, group):
            assert word and word == word.strip() and word.isprintable() and not word.startswith("/")
        assert ".." not in id.split("/") and split in (*SPLITS, None)
        assert text == " ".join(text.split()) and text.isprintable()
    # In another folder, whose entries were made in another order.
    source, folder = sample(case.reader), tmp_path / "elsewhere"
    for path in sorted((path for path in source.rglob("*") if path.is_file()), reverse=True):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target)
    assert [told(picture) for picture in case.read(folder)] == first


@READS
def test_two_reads_give_the_same(case, sample, looked):
    again = case.read(sample(case.reader))
    for one, picture in zip(looked(case), again, strict=True):
        assert told(picture) == told(one.picture) and picture.file == one.picture.file
        assert look(picture)[1:] == one[1:]


@READS
def test_pictures_and_masks_are_of_one_size_and_8_bits(case, looked):
    allowed = {*range(len(case.classes) + 1), IGNORED}
    for picture, (shape, kind, _), (size, mask_kind, _), found in looked(case):
        assert (kind, mask_kind) == ("uint8", "uint8"), picture.id
        assert len(size) == 2 and shape in (size, (*size, 3)) and min(size) > 0, picture.id
        assert found <= allowed, picture.id


@READS
def test_the_sample_shows_every_class_in_pictures_that_differ(case, looked):
    seen = Counter(label for one in looked(case) for label in one.labels)
    wanted = set(range(1, len(case.classes) + 1))
    if len(wanted) > SMALL:
        entries = [entry for entry in SETTINGS.datasets.values() if entry.reader == case.reader and entry.classes]
        asked = {name for entry in entries for name in asked_of(entry)}
        wanted = {number for number, name in enumerate(case.classes, 1) if name in asked}
        assert wanted or len(seen) >= SMALL  # of clouds no classes are selected
    assert [case.classes[label - 1] for label in sorted(wanted - set(seen))] == []
    assert len({one.image for one in looked(case)}) > 5, "its pictures are all the same"
    whole = getattr(case.module, "IS_CLASSIFICATION", False)
    assert whole or any(len(one.labels) > 1 for one in looked(case)), "nothing to tell apart"


def asked_of(entry: params.Dataset) -> Iterator[str]:
    if isinstance(entry.classes, dict):
        for merged in entry.classes.values():
            yield from merged
    else:
        yield from entry.classes


@READS
def test_no_group_stands_in_two_splits(case, looked):
    pictures = [one.picture for one in looked(case)]
    homes = {}
    for picture in pictures:
        assert homes.setdefault(picture.group, picture.split) == picture.split, picture.id
    entries = [SETTINGS.datasets[case.name]] if case.options else [params.Dataset(reader=case.reader)]
    entries += [entry for entry in SETTINGS.datasets.values() if entry.reader == case.reader]
    for entry in entries:
        for seed in range(5):
            splits = split_assignment.assign(pictures, entry, seed, case.ordered)
            homes = {}
            for picture, split in zip(pictures, splits, strict=True):
                assert homes.setdefault(picture.group, split) == split, (picture.id, seed)
                assert picture.split in (split, None) or (picture.split, split) == ("train", "val"), (picture.id, seed)
            assert {"train", "test"} <= set(splits) <= SPLITS


@READS
def test_what_the_sample_calls_a_split_is_one_of_those_with_official_numbers(case, looked):
    given = {one.picture.split for one in looked(case)}
    assert given == {None} or given >= set(getattr(case.module, "SPLIT_SIZES", given))


@READS
def test_support_is_another_picture_of_the_same_class(case, looked):
    """Known again by its pixels; readers without one-shot data give none."""
    supported = [one for one in looked(case) if one.picture.support is not None]
    if not supported:
        return
    kin = {}
    for one in looked(case):
        kin.setdefault((one.picture.split, one.picture.text), set()).add((one.image, one.mask))
    for one in supported:
        image, mask = one.picture.support()
        assert one.picture.text, f"{one.picture.id} does not say of which class its support is"
        assert labels(mask) - {0, IGNORED}, f"the support of {one.picture.id} shows nothing"
        assert facts(image) != one.image, f"{one.picture.id} supports itself"
        assert (facts(image), facts(mask)) in kin[one.picture.split, one.picture.text], one.picture.id
        again = one.picture.support()
        assert facts(again[0]) == facts(image) and facts(again[1]) == facts(mask)


@READS
def test_text_is_there_for_all_or_for_none(case, looked):
    texts = [one.picture.text for one in looked(case)]
    assert all(texts) or not any(texts)


@READS
def test_the_file_of_a_picture_is_what_image_decodes(case, sample, looked):
    for one in looked(case):
        if one.picture.file is not None:
            assert one.picture.file.is_relative_to(sample(case.reader))
            assert facts(image_io.read_image(one.picture.file)) == one.image, one.picture.id


# --- files that are missing or damaged


@READS
def test_a_missing_file_is_named(case, behind, spoiled, sample):
    """Each file that a pair is made of. Without the only file of a pair, nobody can know that there was one."""
    picture, image, mask = behind(case)
    # Where decoding opens none, they are stacks, which read opens, and all of them are needed.
    for file in sorted(image | mask) or sorted(contents(sample(case.reader))):
        folder = spoiled(case, file, "gone")
        if image == mask != set():
            case.verify(folder)
            ids = [found.id for found in case.read(sample(case.reader))]
            assert [found.id for found in case.read(folder)] == [id for id in ids if id != picture.id]
        else:
            assert Path(file).stem in problem(folder, lambda: case.verify(folder))
            assert Path(file).stem in problem(folder, lambda: case.read(folder))


@READS
@pytest.mark.parametrize("how", ["cut", "empty"])
def test_a_damaged_file_is_named(case, how, behind, spoiled, sample):
    """At the latest when it is decoded; of stacks, when they are opened."""
    _, image, mask = behind(case)
    for file in sorted(image | mask) or sorted(contents(sample(case.reader))):
        folder = spoiled(case, file, how)
        message = problem(folder, lambda: everything(case, folder))
        assert str(folder / file) in message, message


# --- the stages


@ENTRIES
def test_inspect_finds_nothing_wrong(entry, sample):
    settings = SETTINGS.datasets[entry]
    lines = list(verify.inspect(entry, settings, sample(settings.reader), official=False))
    assert [line for line in lines[:-1] if f"{entry}: note: " not in line] == []
    assert lines[-1].endswith(", nothing wrong")


@ENTRIES
def test_prepare_makes_rows_to_train_and_to_test_on(entry, sample, looked, tmp_path):
    settings = SETTINGS.datasets[entry]
    case = next(case for case in CASES if case.name == (entry if settings.options else settings.reader))
    raw = sample(settings.reader)
    prepare.prepare(entry, settings, None, SETTINGS.seed, raw, tmp_path / "out", tmp_path / "out.json")
    known = {one.picture.id: one for one in looked(case)}
    ids, homes = Counter(), {}
    for split in split_assignment.SPLITS:
        rows = records.pairs(tmp_path / "out" / f"{split}.parquet")
        assert len(rows) or split == "val", split
        assert rows.about["dataset"] == entry and rows.about["title"] == case.module.TITLE
        allowed = {*range(len(rows.about["classes"]) + 1), IGNORED}
        for row in rows:
            one = known[row.source]
            ids[row.id] += 1
            assert homes.setdefault(row.group, split) == split and row.group == one.picture.group
            assert row.text == one.picture.text and bool(row.support_mask) is (one.picture.support is not None)
            assert one.picture.split in (None, split) or (one.picture.split, split) == ("train", "val")
            mask = records.mask(row)
            assert mask.shape == (row.height, row.width) and labels(mask) <= allowed
            whole = (row.height, row.width) == (row.whole_height, row.whole_width) == one.mask[0]
            if whole and settings.resize is None:
                assert row.id.startswith(row.source) and facts(image_io.decode(row.image)) == one.image
                file = one.picture.file
                if settings.tile is None and file and file.suffix in (".jpg", ".jpeg"):
                    assert row.image == file.read_bytes(), "a JPEG that stays whole is not encoded again"
    assert set(ids.values()) == {1}
