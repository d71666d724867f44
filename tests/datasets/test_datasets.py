"""The contract of a dataset, tested for all of them: a new folder in datasets/ is included automatically."""

import builtins
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from dataset_cases import DATASETS, READS, SETTINGS, Case, contents, decode, decoded, digest, labels, metadata
from imports import PACKAGE, reached
from promptseg import datasets
from promptseg.core import files, params
from promptseg.core.errors import UserError
from promptseg.data import image_io, tiff_stack
from promptseg.data.image_io import IGNORED
from promptseg.preprocessing import split_assignment
from promptseg.preprocessing.split_assignment import GAP

SPLITS = {"train", "val", "test"}
TAKEN = {("train", "val"), ("train", GAP)}  # from an official split


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
        image_io.check_same_size(sample.image().shape, sample.mask().shape, *sample.names)


def linked(source: Path, folder: Path) -> Path:
    """Link the files of a folder in another one, in the reverse order of their names."""
    for path in sorted((path for path in source.rglob("*") if path.is_file()), reverse=True):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target)
    return folder


def opened(folder: Path, act: Callable[[], object], monkeypatch) -> set[str]:
    """Return the files below a folder that `act` opens."""
    paths, real = set(), builtins.open

    def spy(file, *args, **kwargs):
        if isinstance(file, (str, os.PathLike)) and Path(file).is_relative_to(folder):
            paths.add(Path(file).relative_to(folder).as_posix())
        return real(file, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", spy)
        act()
    return paths


@DATASETS
def test_reader_has_the_required_attributes_and_imports_no_drawing_code(name):
    module = datasets.load(name)
    for text in (module.TITLE, module.LICENCE, module.CITATION):
        assert isinstance(text, str) and text == text.strip() and len(text) > 4 and text.isprintable()
    assert re.search(r"\blayout\b", module.__doc__, re.IGNORECASE), "its docstring shows no layout"
    for function in (module.download, module.read, datasets.load_sample(name).write):
        assert function.__doc__
    assert module.ACCESS in ("automatic", "login", "by hand")
    assert getattr(module, "MODALITY", "image") in ("image", "point_cloud")
    assert hasattr(module, "missing_login") == (module.ACCESS == "login")
    counts = getattr(module, "SPLIT_SIZES", {})
    assert counts.keys() <= SPLITS and all(count > 0 for count in counts.values())
    assert Case(name, name).entries(), "a reader without an entry in params.yaml is never run"
    modules = reached(PACKAGE / "datasets" / name / "reader.py")
    assert not [path for path in modules if path.name == "sample.py" or PACKAGE / "synthetic" in path.parents]
    # What only the sample needs draws, apart from its own file.
    drawing = reached(PACKAGE / "datasets" / name / "sample.py") - modules
    assert {path.name for path in drawing} > {"sample.py"}, "reader.py imports all that sample.py draws with"


@READS
def test_class_names_are_unique(case):
    assert isinstance(case.classes, tuple) and 1 <= len(case.classes) <= 254
    assert all(isinstance(name, str) and name.strip() == name and name and name.isprintable() for name in case.classes)
    assert len(set(case.classes)) == len(case.classes)


@pytest.mark.parametrize("load", [datasets.load, datasets.load_sample])
def test_an_unknown_dataset_is_an_error_that_lists_the_known_names(load):
    with pytest.raises(UserError, match="^params.yaml: unknown dataset 'unknown'; known: .*coco_stuff, .*voc$"):
        load("unknown")


@READS
def test_what_is_said_of_classes_and_groups_fits(case):
    inside, known = datasets.contained_in(case.module, *case.options), set(case.classes)
    assert {*inside, *inside.values()} <= known and not [inner for inner, outer in inside.items() if inner == outer]
    assert set(getattr(case.module, "WORDS", {})) <= {*known, *getattr(case.module, "CLASSES", ())}
    words = datasets.words(case.module, case.classes)
    assert len(words) == len(known) and not [text for text in words if re.search("[-_]|^$", text)]
    unit = datasets.group_unit(case.module, *case.options)
    assert isinstance(unit, str) and unit.strip() == unit and unit.isprintable() and 4 <= len(unit) < 60
    assert 0.7 < getattr(case.module, "CLIP_CORRELATION", 0.99) < 1


@pytest.mark.parametrize(
    "reader, name, words",
    [
        ("voc", "tvmonitor", "tv monitor"), ("voc", "diningtable", "dining table"), ("voc", "aeroplane", "aeroplane"),
        ("coco_stuff", "sky-other", "sky"), ("coco_stuff", "wall-brick", "brick wall"),
        ("coco_stuff", "wall-other", "wall"), ("coco_stuff", "door-stuff", "door"),
        ("coco_stuff", "window-blind", "window blind"), ("coco_stuff", "playingfield", "playing field"),
        ("coco_stuff", "traffic light", "traffic light"), ("modelnet40", "night stand", "night stand"),
        ("shapenet_part", "lamp canopy", "lamp canopy"), ("cityscapes", "traffic sign", "traffic sign"),
        ("folder", "brown_spot", "brown spot"), ("covid", "a class of the study's own", "a class of the study's own"),
    ],
)  # fmt: skip
def test_names_as_words(reader, name, words):
    assert datasets.words(datasets.load(reader), [name]) == [words]


@READS
def test_reading_changes_nothing_and_does_not_depend_on_the_folder(case, written_sample, tmp_path):
    source = written_sample(case.reader)
    before = files.sha256(source)
    case.verify(source)
    again = case.read(source)
    first = [metadata(item.sample) for item in decoded(case, written_sample(case.reader))]
    for item, sample in zip(decoded(case, written_sample(case.reader)), again, strict=True):
        assert metadata(sample) == metadata(item.sample) and sample.file == item.sample.file
        assert decode(sample)[1:] == item[1:]
    assert files.sha256(source) == before
    assert [metadata(sample) for sample in case.read(linked(source, tmp_path / "elsewhere"))] == first


@READS
def test_an_empty_or_missing_folder_is_an_error_of_one_line(case, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        error_of(folder, partial(case.verify, folder))
        error_of(folder, partial(case.read, folder))
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@DATASETS
def test_read_decodes_nothing(name, written_sample, monkeypatch):
    """Without options: a fold of VOC has to decode the masks."""

    def never(*_, **__):
        raise AssertionError("read decodes pixels")

    for function in ("read_image", "read_mask", "read_gray", "decode_image", "_open"):
        monkeypatch.setattr(image_io, function, never)
    monkeypatch.setattr(tiff_stack.Stack, "__getitem__", never)
    assert Case(name, name).read(written_sample(name))


@READS
def test_samples_have_unique_ids_and_masks_of_the_size_of_their_image(case, written_sample):
    allowed = {*range(len(case.classes) + 1), IGNORED}
    for sample, image, (size, mask_dtype, _), found in decoded(case, written_sample(case.reader)):
        for word in (sample.id, sample.group):
            assert word and word == word.strip() and word.isprintable() and not word.startswith("/")
        assert ".." not in sample.id.split("/") and sample.split in (*SPLITS, None)
        assert sample.text == " ".join(sample.text.split()) and sample.text.isprintable()
        assert (image[1], mask_dtype) == ("uint8", "uint8"), sample.id
        assert len(size) == 2 and image[0] in (size, (*size, 3)) and min(size) > 0, sample.id
        assert found <= allowed, sample.id
        if sample.file is not None:
            assert sample.file.is_relative_to(written_sample(case.reader))
            assert digest(image_io.read_image(sample.file)) == image, sample.id
            assert image_io.image_size(sample.file) == size, sample.id
    samples = [item.sample for item in decoded(case, written_sample(case.reader))]
    assert len({sample.id for sample in samples}) == len(samples) > 0
    assert len({bool(sample.text) for sample in samples}) == 1


@READS
def test_splits_are_official_and_no_group_is_in_two(case, written_sample):
    samples = [item.sample for item in decoded(case, written_sample(case.reader))]
    given = {sample.split for sample in samples}
    assert given == {None} or given >= set(getattr(case.module, "SPLIT_SIZES", given))
    assert len({(sample.group, sample.split) for sample in samples}) == len({sample.group for sample in samples})
    entries = [SETTINGS.datasets[case.name]] if case.options else [params.Dataset(raw="data/raw", reader=case.reader)]
    for entry in entries + case.entries():
        for seed in range(2):
            splits = split_assignment.assign(samples, entry, seed, datasets.ordered(case.module, *case.options))
            homes = {}
            for sample, split in zip(samples, splits, strict=True):
                assert homes.setdefault(sample.group, split) == split, (sample.id, seed)
                assert sample.split in (split, None) or (sample.split, split) in TAKEN, (sample.id, seed)
            assert {"train", "test"} <= set(splits) <= {*SPLITS, *[GAP] * datasets.ordered(case.module, *case.options)}


@READS
def test_the_support_image_is_another_image_of_the_class(case, written_sample):
    """Identified by its pixels; only one-shot data has support images."""
    same_class = {}
    for item in decoded(case, written_sample(case.reader)):
        same_class.setdefault((item.sample.split, item.sample.text), set()).add((item.image, item.mask))
    for item in decoded(case, written_sample(case.reader)):
        if item.sample.support is not None:
            image, mask = item.sample.support()
            assert item.sample.text, f"{item.sample.id} has no text for the class of its support image"
            assert labels(mask) - {0, IGNORED}, f"the support image of {item.sample.id} has an empty mask"
            assert digest(image) != item.image, f"{item.sample.id} is its own support image"
            assert (digest(image), digest(mask)) in same_class[item.sample.split, item.sample.text], item.sample.id
            assert [digest(again) for again in item.sample.support()] == [digest(image), digest(mask)]


@READS
def test_an_error_names_a_missing_or_damaged_file(case, written_sample, tmp_path, monkeypatch):
    """For each file of a sample; a damaged one at the latest when it is decoded."""
    source = written_sample(case.reader)
    samples = case.read(source)
    sample = samples[len(samples) // 2]
    image, mask = (opened(source, act, monkeypatch) for act in (sample.image, sample.mask))
    if image != mask and mask:  # two files, whose sizes can differ: the message names both
        assert all(name.relative_to(source).as_posix() in of for name, of in zip(sample.names, (image, mask)))
    folder = linked(source, tmp_path / "copy")
    # Where decoding opens no file, they are stacks, which read opens; all of them are needed.
    for file in sorted(image | mask) or sorted(contents(source)):
        data = (folder / file).read_bytes()
        (folder / file).unlink()  # a link: the stand-in is not to change
        if sample.file is None and image == mask != set():  # in one file, which is just left out
            case.verify(folder)
            assert [left.id for left in case.read(folder)] == [left.id for left in samples if left.id != sample.id]
        else:
            assert Path(file).stem in error_of(folder, partial(case.verify, folder))
            assert Path(file).stem in error_of(folder, partial(case.read, folder))
        for damaged in (data[: len(data) // 2], b""):
            (folder / file).write_bytes(damaged)
            assert str(folder / file) in error_of(folder, partial(read_all, case, folder))
        shutil.copy(source / file, folder / file)
