"""The contract of a dataset, tested for all of them: a new folder in datasets/ is included automatically."""

import builtins
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from imports import PACKAGE, STAGES, reached
from promptseg import datasets
from promptseg.cli import verify
from promptseg.core import files, params, study
from promptseg.core.errors import UserError
from promptseg.data import image_io, records, tiff_stack
from promptseg.data.image_io import IGNORED
from promptseg.datasets import Sample
from promptseg.preprocessing import prepare, split_assignment

SETTINGS = study.load(STAGES.parent / "params.yaml")
SPLITS = {"train", "val", "test"}
SMALL = 20  # up to so many classes, the stand-in contains all; of more, those that params.yaml selects
MAX_BYTES = 8 << 20  # of a stand-in
FEW = 4  # files that suffice to see that two stand-ins differ


class Case(NamedTuple):
    """A reader without options, or with those of an entry in params.yaml."""

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


class Decoded(NamedTuple):
    """A decoded sample: shape, type and digest of its image and its mask, and the labels of the mask."""

    sample: Sample
    image: tuple
    mask: tuple
    labels: frozenset[int]


def digest(array: np.ndarray) -> tuple:
    """Return shape, type and SHA-256 of an array."""
    return array.shape, str(array.dtype), hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def decode(sample: Sample) -> Decoded:
    mask = sample.mask()
    return Decoded(sample, digest(sample.image()), digest(mask), labels(mask))


def labels(mask: np.ndarray) -> frozenset[int]:
    return frozenset(np.unique(mask).tolist())


def metadata(sample: Sample) -> tuple:
    return sample.id, sample.split, sample.group, sample.text


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def error_of(folder: Path, act: Callable[[], object]) -> str:
    """Return the message of the UserError that `act` raises: one line that names the folder."""
    with pytest.raises(UserError) as raised:
        act()
    message = str(raised.value)
    assert len(message.splitlines()) == 1 and message.isprintable() and str(folder) in message, message
    return message


def read_all(case: Case, folder: Path) -> None:
    """Verify, read and decode, as a stage does."""
    case.verify(folder)
    for sample in case.read(folder):
        image_io.check_same_size(sample.image(), sample.mask(), sample.id)


@pytest.fixture(scope="session")
def stand_in(written_sample) -> Callable[[str], Path]:
    return written_sample


@pytest.fixture(scope="session")
def decoded(stand_in) -> Callable[[Case], list[Decoded]]:
    """Return all samples of a stand-in, each decoded once."""
    cached = {}

    def of_case(case: Case) -> list[Decoded]:
        if case.name not in cached:
            cached[case.name] = [decode(sample) for sample in case.read(stand_in(case.reader))]
        return cached[case.name]

    return of_case


@pytest.fixture
def damaged(stand_in, tmp_path) -> Callable[[Case, str, str], Path]:
    """Copy a stand-in and remove, truncate or empty one file."""

    def make(case: Case, file: str, damage: str) -> Path:
        folder = tmp_path / f"{damage}{len(list(tmp_path.iterdir()))}"
        shutil.copytree(stand_in(case.reader), folder)
        if damage == "removed":
            (folder / file).unlink()
        else:
            data = (folder / file).read_bytes()
            (folder / file).write_bytes(data[: len(data) // 2] if damage == "truncated" else b"")
        return folder

    return make


@pytest.fixture
def files_of(stand_in, monkeypatch) -> Callable[[Case], tuple[Sample, set[str], set[str]]]:
    """Return the middle sample of a stand-in, and the files that its image() and its mask() open."""

    def opened(folder: Path, act: Callable[[], object]) -> set[str]:
        paths, real = set(), builtins.open

        def spy(file, *args, **kwargs):
            if isinstance(file, (str, os.PathLike)) and Path(file).is_relative_to(folder):
                paths.add(Path(file).relative_to(folder).as_posix())
            return real(file, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(builtins, "open", spy)
            act()
        return paths

    def find(case: Case) -> tuple[Sample, set[str], set[str]]:
        folder = stand_in(case.reader)
        samples = case.read(folder)
        sample = samples[len(samples) // 2]
        return sample, opened(folder, sample.image), opened(folder, sample.mask)

    return find


# --- modules


@DATASETS
def test_reader_has_the_required_attributes(name):
    module = datasets.load(name)
    for text in (module.TITLE, module.LICENCE, module.CITATION):
        assert isinstance(text, str) and text == text.strip() and len(text) > 4 and text.isprintable()
    assert re.search(r"\blayout\b", module.__doc__, re.IGNORECASE), "its docstring shows no layout"
    for function in (module.download, module.verify, module.read, datasets.load_sample(name).write):
        assert function.__doc__
    assert module.ACCESS in ("automatic", "login", "by hand")
    assert getattr(module, "MODALITY", "image") in ("image", "point_cloud")
    assert hasattr(module, "missing_login") == (module.ACCESS == "login")
    counts = getattr(module, "SPLIT_SIZES", {})
    assert counts.keys() <= SPLITS and all(count > 0 for count in counts.values())


@READS
def test_class_names_are_unique(case):
    assert isinstance(case.classes, tuple) and 1 <= len(case.classes) <= 254
    assert all(isinstance(name, str) and name.strip() == name and name and name.isprintable() for name in case.classes)
    assert len(set(case.classes)) == len(case.classes)


@DATASETS
def test_params_have_an_entry_for_it(name):
    entries = [entry for entry in SETTINGS.datasets.values() if entry.reader == name]
    assert entries, "a reader without an entry is never run"


@DATASETS
def test_reader_imports_no_drawing_code(name):
    modules = reached(PACKAGE / "datasets" / name / "reader.py")
    assert not [path for path in modules if path.name == "sample.py" or PACKAGE / "synthetic" in path.parents]
    # What only the sample needs draws, apart from its own file.
    drawing = reached(PACKAGE / "datasets" / name / "sample.py") - modules
    assert {path.name for path in drawing} > {"sample.py"}, "reader.py imports all that sample.py draws with"


@pytest.mark.parametrize("load", [datasets.load, datasets.load_sample])
def test_an_unknown_dataset_is_an_error_that_lists_the_known_names(load):
    with pytest.raises(UserError, match="^params.yaml: unknown dataset 'unknown'; known: .*coco_stuff, .*voc$"):
        load("unknown")


# --- stand-in


@DATASETS
def test_stand_in_is_small_and_has_the_layout_in_the_docstring(name, stand_in):
    found = contents(stand_in(name))
    assert not [path for path in found if any(part.startswith(".") for part in path.split("/"))]
    tops = {path.split("/")[0] for path in found}
    assert [top for top in tops if top not in datasets.load(name).__doc__] == [], "its docstring does not name these"
    sizes = [len(data) for data in found.values()]
    assert min(sizes) > 0 and sum(sizes) < MAX_BYTES


@DATASETS
def test_the_seed_determines_every_byte_in_any_process(name, stand_in, tmp_path):
    """In another process, where sets of strings have another order."""
    code = "import sys; from pathlib import Path; from promptseg import datasets\n"
    code += "datasets.load_sample(sys.argv[1]).write(Path('.'), 0)"
    env = {**os.environ, "PYTHONPATH": str(STAGES), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code, name], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first, again = contents(stand_in(name)), contents(tmp_path)
    assert sorted(first) == sorted(again)
    assert [path for path in first if first[path] != again[path]] == []


@DATASETS
def test_another_seed_gives_another_stand_in(name, stand_in, tmp_path, monkeypatch):
    """Writing is stopped after a few files where they are written one by one."""

    class Enough(BaseException):
        pass

    written, write = [], Path.write_bytes

    def count(path, data):
        write(path, data)
        written.append(path)
        if len(written) == FEW:
            raise Enough

    monkeypatch.setattr(Path, "write_bytes", count)
    with contextlib.suppress(Enough):
        datasets.load_sample(name).write(tmp_path, 1)
    first, other = contents(stand_in(name)), contents(tmp_path)
    assert other and any(first.get(path) != data for path, data in other.items())


# --- verify and read


@READS
def test_verify_and_read_accept_the_stand_in_and_change_nothing(case, stand_in):
    before = files.sha256(stand_in(case.reader))
    case.verify(stand_in(case.reader))
    case.read(stand_in(case.reader))
    assert files.sha256(stand_in(case.reader)) == before


@READS
def test_an_empty_or_missing_folder_is_an_error_of_one_line(case, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        error_of(folder, partial(case.verify, folder))
        error_of(folder, partial(case.read, folder))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


@DATASETS
def test_read_decodes_nothing(name, stand_in, monkeypatch):
    """Without options: a fold of VOC has to decode the masks."""

    def never(*_, **__):
        raise AssertionError("read decodes pixels")

    for function in ("read_image", "read_mask", "read_gray", "decode_image", "_open"):
        monkeypatch.setattr(image_io, function, never)
    monkeypatch.setattr(tiff_stack.Stack, "__getitem__", never)
    assert Case(name, name).read(stand_in(name))


@READS
def test_ids_are_unique_and_independent_of_the_folder(case, stand_in, decoded, tmp_path):
    first = [metadata(item.sample) for item in decoded(case)]
    ids = [id for id, *_ in first]
    assert len(set(ids)) == len(ids) > 0
    for id, split, group, text in first:
        for word in (id, group):
            assert word and word == word.strip() and word.isprintable() and not word.startswith("/")
        assert ".." not in id.split("/") and split in (*SPLITS, None)
        assert text == " ".join(text.split()) and text.isprintable()
    # In another folder, whose files are created in another order.
    source, folder = stand_in(case.reader), tmp_path / "elsewhere"
    for path in sorted((path for path in source.rglob("*") if path.is_file()), reverse=True):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target)
    assert [metadata(sample) for sample in case.read(folder)] == first


@READS
def test_reading_twice_gives_the_same(case, stand_in, decoded):
    again = case.read(stand_in(case.reader))
    for item, sample in zip(decoded(case), again, strict=True):
        assert metadata(sample) == metadata(item.sample) and sample.file == item.sample.file
        assert decode(sample)[1:] == item[1:]


@READS
def test_images_and_masks_have_one_size_and_8_bits(case, decoded):
    allowed = {*range(len(case.classes) + 1), IGNORED}
    for sample, (shape, dtype, _), (size, mask_dtype, _), found in decoded(case):
        assert (dtype, mask_dtype) == ("uint8", "uint8"), sample.id
        assert len(size) == 2 and shape in (size, (*size, 3)) and min(size) > 0, sample.id
        assert found <= allowed, sample.id


@READS
def test_stand_in_contains_every_class_in_different_images(case, decoded):
    counts = Counter(label for item in decoded(case) for label in item.labels)
    wanted = set(range(1, len(case.classes) + 1))
    if len(wanted) > SMALL:
        entries = [entry for entry in SETTINGS.datasets.values() if entry.reader == case.reader and entry.classes]
        selected = {name for entry in entries for name in selected_classes(entry)}
        wanted = {number for number, name in enumerate(case.classes, 1) if name in selected}
        assert wanted or len(counts) >= SMALL  # classes of point clouds cannot be selected
    assert [case.classes[label - 1] for label in sorted(wanted - set(counts))] == []
    assert len({item.image for item in decoded(case)}) > 5, "its images are all the same"
    is_classification = getattr(case.module, "IS_CLASSIFICATION", False)
    assert is_classification or any(len(item.labels) > 1 for item in decoded(case)), "no mask has two labels"


def selected_classes(entry: params.Dataset) -> Iterator[str]:
    if isinstance(entry.classes, dict):
        for merged in entry.classes.values():
            yield from merged
    else:
        yield from entry.classes


@READS
def test_no_group_is_in_two_splits(case, decoded):
    samples = [item.sample for item in decoded(case)]
    homes = {}
    for sample in samples:
        assert homes.setdefault(sample.group, sample.split) == sample.split, sample.id
    entries = [SETTINGS.datasets[case.name]] if case.options else [params.Dataset(raw="data/raw", reader=case.reader)]
    entries += [entry for entry in SETTINGS.datasets.values() if entry.reader == case.reader]
    for entry in entries:
        for seed in range(5):
            splits = split_assignment.assign(samples, entry, seed, case.ordered)
            homes = {}
            for sample, split in zip(samples, splits, strict=True):
                assert homes.setdefault(sample.group, split) == split, (sample.id, seed)
                assert sample.split in (split, None) or (sample.split, split) == ("train", "val"), (sample.id, seed)
            assert {"train", "test"} <= set(splits) <= SPLITS


@READS
def test_stand_in_has_the_official_splits(case, decoded):
    given = {item.sample.split for item in decoded(case)}
    assert given == {None} or given >= set(getattr(case.module, "SPLIT_SIZES", given))


@READS
def test_the_support_image_is_another_image_of_the_class(case, decoded):
    """Identified by its pixels; only one-shot data has support images."""
    supported = [item for item in decoded(case) if item.sample.support is not None]
    if not supported:
        return
    same_class = {}
    for item in decoded(case):
        same_class.setdefault((item.sample.split, item.sample.text), set()).add((item.image, item.mask))
    for item in supported:
        image, mask = item.sample.support()
        assert item.sample.text, f"{item.sample.id} has no text for the class of its support image"
        assert labels(mask) - {0, IGNORED}, f"the support image of {item.sample.id} has an empty mask"
        assert digest(image) != item.image, f"{item.sample.id} is its own support image"
        assert (digest(image), digest(mask)) in same_class[item.sample.split, item.sample.text], item.sample.id
        again = item.sample.support()
        assert digest(again[0]) == digest(image) and digest(again[1]) == digest(mask)


@READS
def test_all_samples_have_text_or_none_has(case, decoded):
    texts = [item.sample.text for item in decoded(case)]
    assert all(texts) or not any(texts)


@READS
def test_image_decodes_the_file_of_the_sample(case, stand_in, decoded):
    for item in decoded(case):
        if item.sample.file is not None:
            assert item.sample.file.is_relative_to(stand_in(case.reader))
            assert digest(image_io.read_image(item.sample.file)) == item.image, item.sample.id


# --- files that are missing or damaged


@READS
def test_an_error_names_a_missing_file(case, files_of, damaged, stand_in):
    """For each file of a sample. If image and mask are in one file, it is just left out."""
    sample, image, mask = files_of(case)
    # Where decoding opens no file, they are stacks, which read opens; all of them are needed.
    for file in sorted(image | mask) or sorted(contents(stand_in(case.reader))):
        folder = damaged(case, file, "removed")
        if image == mask != set():
            case.verify(folder)
            ids = [found.id for found in case.read(stand_in(case.reader))]
            assert [remaining.id for remaining in case.read(folder)] == [id for id in ids if id != sample.id]
        else:
            assert Path(file).stem in error_of(folder, partial(case.verify, folder))
            assert Path(file).stem in error_of(folder, partial(case.read, folder))


@READS
@pytest.mark.parametrize("damage", ["truncated", "empty"])
def test_an_error_names_a_damaged_file(case, damage, files_of, damaged, stand_in):
    """At the latest when it is decoded; for stacks, when they are opened."""
    _, image, mask = files_of(case)
    for file in sorted(image | mask) or sorted(contents(stand_in(case.reader))):
        folder = damaged(case, file, damage)
        message = error_of(folder, partial(read_all, case, folder))
        assert str(folder / file) in message, message


# --- the stages


@ENTRIES
def test_verify_command_finds_nothing_wrong(entry, stand_in):
    settings = SETTINGS.datasets[entry]
    lines = list(verify.inspect(entry, settings, stand_in(settings.reader), official=False))
    assert [line for line in lines[:-1] if f"{entry}: note: " not in line] == []
    assert lines[-1].endswith(", nothing wrong")


@ENTRIES
def test_prepare_writes_training_and_test_records(entry, stand_in, decoded, tmp_path):
    settings = SETTINGS.datasets[entry]
    case = next(case for case in CASES if case.name == (entry if settings.options else settings.reader))
    raw = stand_in(settings.reader)
    prepare.prepare(entry, settings, None, SETTINGS.seed, prepare.Paths(raw, tmp_path / "out", tmp_path / "out.json"))
    known = {item.sample.id: item for item in decoded(case)}
    ids, homes = Counter(), {}
    for split in split_assignment.SPLITS:
        stored = records.open_split(tmp_path / "out" / f"{split}.parquet")
        assert len(stored) or split == "val", split
        assert stored.metadata["dataset"] == entry and stored.metadata["title"] == case.module.TITLE
        allowed = {*range(len(stored.metadata["classes"]) + 1), IGNORED}
        for record in stored:
            item = known[record.source]
            ids[record.id] += 1
            assert homes.setdefault(record.group, split) == split and record.group == item.sample.group
            assert record.text == item.sample.text and bool(record.support_mask) is (item.sample.support is not None)
            assert item.sample.split in (None, split) or (item.sample.split, split) == ("train", "val")
            mask = records.mask(record)
            assert mask.shape == (record.height, record.width) and labels(mask) <= allowed
            whole = (record.height, record.width) == (record.source_height, record.source_width) == item.mask[0]
            if whole and settings.resize is None:
                assert record.id.startswith(record.source) and digest(image_io.decode_image(record.image)) == item.image
                file = item.sample.file
                if settings.tile is None and file and file.suffix in (".jpg", ".jpeg"):
                    assert record.image == file.read_bytes(), "a JPEG that is not tiled is not encoded again"
    assert set(ids.values()) == {1}
