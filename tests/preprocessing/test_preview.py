"""Preview of a prepared dataset: the right records, ground truth, captions and support images, in a small file."""

from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image
from promptseg.data import image_io, record_files, records
from promptseg.data.records import Record, RecordReader
from promptseg.preprocessing import preview
from promptseg.report import canvas

SIZE = (48, 64)


def record(id="a", values=(1,), size=SIZE, image=None, **more):
    """A gray image, its mask a column of equal width for each value."""
    mask = np.resize(np.repeat(values, -(-size[1] // len(values))), size[1]).astype(np.uint8)[None].repeat(size[0], 0)
    png = [image_io.encode_png(np.full(size, 100, np.uint8) if image is None else image), image_io.encode_png(mask)]
    foreground = int(((mask > 0) & (mask < 255)).sum())
    return Record(id, "g", *png, *size, id, 0, 0, *size, foreground=foreground, **more)


@pytest.fixture
def page(tmp_path):
    """Make a page of records by split; returns it as (h, w, 3) uint8."""

    def make(classes=("disc",), name="page", **splits):
        paths = {split: tmp_path / f"{name}-{split}.parquet" for split in splits}
        for split, rows in splits.items():
            with records.RecordWriter(paths[split], Record, {"classes": list(classes)}) as out:
                for row in rows:
                    out.add(row)
        preview.preview(paths, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as file:
            return np.asarray(file.convert("RGB"))

    return make


def shown(found, color):
    return (found == np.array(color, np.uint8)).all(axis=-1)


def swatches(found, colors):
    """Indexes of the colors in the legend, which are squares of 11 pixels at the bottom of the page."""
    sums = [cv2.boxFilter(np.float32(shown(found[-80:], color)), -1, (11, 11), normalize=False) for color in colors]
    return [i for i, each in enumerate(sums) if each.round().max() == 121]


@pytest.mark.parametrize(
    ("count", "picked"), [(1, [0]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (8, [1, 3, 5, 7]), (100, [12, 37, 62, 87])]
)
def test_records_are_evenly_spaced_and_no_other_is_read(page, monkeypatch, count, picked):
    monkeypatch.setattr(record_files, "GROUP_BYTES", 1)
    read, groups = Counter(), Counter()
    row, group = RecordReader.__getitem__, RecordReader._rows
    monkeypatch.setattr(RecordReader, "__getitem__", lambda self, i: (read.update([i]), row(self, i))[1])
    monkeypatch.setattr(RecordReader, "_rows", lambda self, i: (groups.update([i]), group(self, i))[1])
    page(train=[record(f"p{i}") for i in range(count)])
    assert sorted(read) == sorted(groups) == picked


def test_panels_are_side_by_side_and_empty_splits_are_left_out(page):
    rows = [record(f"p{i}", size=(64, 64)) for i in range(4)]
    one, two, four = (page(train=rows[:count], val=[]) for count in (1, 2, 4))
    assert one.shape == two.shape and one.shape[1] < 700
    assert four.shape[0] == pytest.approx(one.shape[0] + preview.SIDE, abs=30)
    assert page(train=rows, val=rows, test=rows).shape[0] > 2.5 * four.shape[0]


def test_a_split_says_how_many_records_are_empty(page, monkeypatch):
    words, line = [], preview.panels.line
    monkeypatch.setattr(
        preview.panels, "line", lambda text, *rest, **more: words.append(text) or line(text, *rest, **more)
    )
    rows = [record(f"p{i}", values=(0, 255) if i < 2 else (0, 1)) for i in range(5)]
    page(train=rows[2:], test=rows)
    assert [text for text in words if "record" in text] == [
        "train · 3 records", "test · 5 records, of which 2 without ground truth",
    ]  # fmt: skip


def test_the_image_is_left_and_its_ground_truth_right(page):
    image = np.full((156, 156, 3), (200, 60, 20), np.uint8)
    found = page(train=[record(image=image, size=(156, 156), values=(0, 1))])
    rows, columns = np.nonzero((np.abs(found.astype(int) - (200, 60, 20)) < 8).all(axis=-1))
    assert len(rows) == 156 * 156 and np.ptp(rows) == np.ptp(columns) == 155
    target = found[rows.min() : rows.max() + 1, columns.max() + 5 : columns.max() + 5 + 156]
    assert (target[:, :78] == target[:, :78, :1]).all()  # gray on the background
    green = target[:, 78:].astype(int)
    assert (green[..., 1] > green[..., 0] + 30).all()
    assert shown(target, canvas.GREEN).sum() == 2 * (156 + 78) - 4


def test_ignored_pixels_are_hatched_and_named_only_where_there_are_any(page):
    plain, some = page(train=[record()]), page(train=[record(values=(1, 255))])
    assert swatches(plain, [canvas.GRAY]) == [] and shown(plain, canvas.GRAY).sum() < 100  # rims of letters
    assert swatches(some, [canvas.GRAY]) == [0] and shown(some, canvas.GRAY).sum() > 1000


def test_the_legend_names_all_classes_if_they_are_few_else_those_that_cover_most_of_the_page(page):
    few, many = ([f"class {i}" for i in range(count)] for count in (12, 182))
    colors = canvas.class_colors(182)
    assert swatches(page(few, train=[record(values=(1, 2))]), colors) == list(range(12))
    assert swatches(page(train=[record()]), colors[:1]) == []
    found = page(many, train=[record(values=(3, 90))], test=[record(values=(90, 182, 255))])
    assert swatches(found, colors) == [2, 89, 181]
    rows = [record(values=tuple(range(start, start + 4)) * 2) for start in (1, 5, 9, 13)]
    found = page(many, train=rows, val=[record(values=(0,) * 7 + (17, 18, 19), size=(480, 640))])  # which cover less
    assert swatches(found, colors) == list(range(16))


def test_text_is_above_a_panel(page):
    without, some = (page(train=[record(text=text), record()]) for text in ("", "a man <on> the left " * 9))
    assert some.shape[0] == without.shape[0] + canvas.LINE and some.shape[1] == without.shape[1]


def test_a_support_image_is_a_third_view_with_its_mask_outlined(page):
    mask = np.zeros((60, 60), np.uint8)
    mask[20:40, 20:40], mask[:4] = 1, 255
    png = [image_io.encode_png(array) for array in (np.full((60, 60, 3), (20, 60, 200), np.uint8), mask)]
    found = page(train=[record("a", support_image=png[0], support_mask=png[1]), record("b")])
    assert 900 < found.shape[1] < 1000
    blue = np.abs(found.astype(int) - (20, 60, 200)).max(axis=-1) < 8
    rows, columns = np.nonzero(blue)
    view = found[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert view.shape[:2] == (156, 156)
    white = shown(view, canvas.WHITE)
    assert 190 < white.sum() < 220 and white[52, 60:90].all() and not white[:50].any()
    assert not blue[:, found.shape[1] // 2 :].any()  # the other record has none


def test_any_size_and_gray_or_color(page):
    sizes = [(1, 300), (300, 1), (7, 3), (900, 400)]
    found = page(train=[record(f"p{i}", size=size) for i, size in enumerate(sizes)])
    assert found.shape[1] == 664
    assert page(train=[record(image=np.zeros((*SIZE, 3), np.uint8)), record()]).shape[1] == 664


def test_the_same_records_give_the_same_small_file(page, tmp_path):
    rng = np.random.default_rng(0)
    noise = [cv2.GaussianBlur(rng.integers(0, 256, (200, 200), np.uint8), (0, 0), 1) for _ in range(4)]  # like EM
    rows = [record(f"p{i}", size=(200, 200), image=image) for i, image in enumerate(noise)]
    for name in ("one", "two"):
        page(name=name, train=rows)
    content = (tmp_path / "one.png").read_bytes()
    assert content == (tmp_path / "two.png").read_bytes() and len(content) < 100_000
