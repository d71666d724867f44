"""Masks with a palette: by gray value, by color, by index, or refused."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.folder.labels import parse_labels
from promptseg.datasets.folder.mask_reader import MaskReader
from refusing import refused

BLACK, WHITE, RED, GREEN, BLUE = (0, 0, 0), (255, 255, 255), (200, 0, 0), (0, 128, 0), (0, 0, 250)
LABELS = np.array([[0, 0, 1, 2], [0, 1, 2, 2]], np.uint8)
TWO = {"classes": ["a", "b"]}


def gray(*levels):
    return [(level,) * 3 for level in levels]


def save(path: Path, indices, palette) -> Path:
    image = Image.fromarray(np.asarray(indices, np.uint8))
    image.putpalette(np.ravel(palette).tolist())
    image.save(path)
    return path


def read(*paths: Path, **options) -> list:
    """The labels of the last mask of a dataset."""
    reader = MaskReader(parse_labels(**{"classes": None, **options}))
    return [reader.add_file(path) for path in paths][-1]().tolist()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 1, 0), (1, 0, 2)])
def test_a_palette_of_grays_is_read_by_gray_value(tmp_path, order, suffix):
    indices = np.argsort(order)[LABELS]
    assert read(save(tmp_path / f"a.{suffix}", indices, gray(*order)), **TWO) == LABELS.tolist()


def test_as_quantize_and_convert_write_them(tmp_path):
    Image.fromarray(LABELS).convert("RGB").quantize(3).save(tmp_path / "a.png")
    Image.fromarray(LABELS).convert("P").save(tmp_path / "b.png")
    levels = Image.fromarray((LABELS * 100).astype(np.uint8)).convert("RGB")
    levels.quantize(3).save(tmp_path / "c.png")
    assert read(tmp_path / "a.png", **TWO) == read(tmp_path / "b.png", **TWO) == LABELS.tolist()
    assert read(tmp_path / "c.png", classes={"a": 100, "b": 200}) == LABELS.tolist()
    refused(partial(read, tmp_path / "c.png", **TWO), "100")


def test_black_and_white_of_any_palette_are_background_and_the_class(tmp_path):
    mask = LABELS % 2
    assert read(save(tmp_path / "a.png", mask, [BLACK, WHITE])) == mask.tolist()
    assert read(save(tmp_path / "b.png", mask, [WHITE, BLACK])) == (1 - mask).tolist()
    assert read(save(tmp_path / "c.png", mask, [BLACK, WHITE, RED])) == mask.tolist()
    assert read(save(tmp_path / "d.png", mask * 3, [BLACK, RED, GREEN, WHITE])) == mask.tolist()
    doubtful = save(tmp_path / "e.png", mask, [WHITE, BLACK, RED])
    refused(partial(read, doubtful), "e.png: its indices and the grays of its palette say different things")


def test_colors_are_read_by_color_whatever_the_indices(tmp_path):
    by_color = {"classes": {"a": "#c80000", "b": "#008000"}}
    assert read(save(tmp_path / "a.png", [[0, 1, 2]], [GREEN, BLACK, RED]), **by_color) == [[2, 0, 1]]


def test_the_indices_of_colors_are_ids_where_nothing_speaks_against_it(tmp_path):
    voc = [BLACK, RED, GREEN, (128, 128, 128)]
    assert read(save(tmp_path / "a.png", LABELS, voc), **TWO) == LABELS.tolist()
    # A car alone: index 3 is listed, its gray 128 is not.
    assert read(save(tmp_path / "b.png", [[0, 3]], voc), classes={"car": 3}) == [[0, 1]]
    assert read(save(tmp_path / "c.png", [[0, 3]], voc), classes={"car": 128}) == [[0, 1]]
    refused(partial(read, tmp_path / "c.png", classes={"car": 128, "bus": 3}), "c.png: its indices and the grays")
    assert read(save(tmp_path / "d.png", LABELS, [WHITE, RED, GREEN]), **TWO) == LABELS.tolist()
    ignored = save(tmp_path / "e.png", [[0, 1, 3]], [RED, GREEN, BLUE, BLACK])  # as Cityscapes' training ids
    assert read(ignored, classes={"road": 0, "car": 1}, ignore=3, background=2) == [[1, 2, 255]]


@pytest.mark.parametrize("palette", [(RED, BLACK, GREEN), (RED, GREEN, BLACK), (RED, WHITE, GREEN)])
def test_a_background_color_elsewhere_is_refused(tmp_path, palette):
    path = save(tmp_path / "a.png", LABELS, palette)
    refused(
        partial(read, path, **TWO), "a.png: its palette has #", "the usual background", "options.classes: {name: '#"
    )
    refused(partial(read, path), "a.png: its palette has #")


def test_an_index_of_two_colors_is_refused(tmp_path):
    first = save(tmp_path / "a.png", [[0, 1]], [BLACK, RED])
    same = save(tmp_path / "b.png", LABELS, [BLACK, RED, GREEN])
    other = save(tmp_path / "c.png", LABELS, [BLACK, GREEN, RED])
    assert read(first, same, **TWO) == LABELS.tolist()
    refused(
        partial(read, first, same, other, **TWO), "c.png: its palette has #008000 at 1, that of ", "a.png has #c80000"
    )
    unused = save(tmp_path / "d.png", [[0, 2]], [BLACK, BLUE, GREEN])
    assert read(first, unused, **TWO) == [[0, 2]]


def test_grays_that_are_no_labels_are_refused(tmp_path):
    path = save(tmp_path / "a.png", [[0, 1, 2]], gray(9, 9, 9))
    refused(partial(read, path, **TWO), "a.png: value 9: 9 (3 pixels) is unknown")
