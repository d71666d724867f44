"""Prompts over an image: in pixels of the image, inside it, and of the sizes of a style."""

import numpy as np
import pytest
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.prompts.text import Text
from promptseg.report import canvas
from promptseg.report.prompt_layer import PromptLayer, Style

GRAY = np.full((100, 140, 3), 100, np.uint8)
RED = (200, 30, 40)


def changed(view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero((view != GRAY).any(axis=-1))


def test_the_given_view_is_not_changed():
    layer = PromptLayer(GRAY, (1, 1))
    layer.box([10, 10, 50, 50], RED)
    layer.caption("fire")
    assert (GRAY == 100).all() and (layer.finish() != GRAY).any()


def test_the_scale_places_a_point():
    layer = PromptLayer(GRAY, (2, 0.5))
    layer.point((30.5, 60.5), True, RED)
    rows, columns = changed(layer.finish())
    assert (columns.mean(), rows.mean()) == pytest.approx((61 - 0.5, 30.25 - 0.5), abs=0.5)


def test_a_point_outside_is_moved_to_the_border_of_the_image():
    layer = PromptLayer(GRAY, (1, 1), size=(100, 60))
    layer.point((500, 30.5), False, RED)
    rows, columns = changed(layer.finish())
    assert (columns.min(), columns.max(), rows.mean()) == pytest.approx((93, 105, 30), abs=2.0)


def test_sizes_come_from_the_style():
    def extent(style: Style) -> int:
        layer = PromptLayer(GRAY, (1, 1), style=style)
        layer.point((70, 50), True, RED)
        return np.ptp(changed(layer.finish())[0])

    def width(style: Style) -> int:
        layer = PromptLayer(GRAY, (1, 1), style=style)
        layer.box((20, 20, 120, 80), RED)
        return (layer.finish()[50, :70] != 100).any(axis=-1).sum()

    assert extent(Style(radius=12)) - extent(Style(radius=4)) == 16
    assert width(Style(box_width=5)) > width(Style(box_width=1))
    assert width(Style(rim=4)) > width(Style(rim=1))


def test_lines_have_the_color_and_a_black_rim():
    layer = PromptLayer(GRAY, (1, 1), style=Style(box_width=3))
    layer.box((20, 20, 120, 80), RED)
    line = layer.finish()[50, 15:26]
    assert (line == RED).all(axis=-1).any() and (line < 35).all(axis=-1).sum() == 2


def test_each_phrase_is_written_once():
    once, twice = PromptLayer(GRAY, (1, 1)), PromptLayer(GRAY, (1, 1))
    for text in ("fire", "smoke"):
        once.caption(text)
    for text in ("fire", "smoke", "fire", "smoke"):
        twice.caption(text)
    assert np.array_equal(once.finish(), twice.finish())


def test_captions_are_below_the_image_where_there_is_room():
    below, inside = PromptLayer(GRAY, (1, 1), size=(140, 60)), PromptLayer(GRAY, (1, 1))
    for layer in (below, inside):
        layer.caption("fire")
    rows, _ = changed(below.finish())
    assert 60 <= rows.min() and (below.finish()[60:] == canvas.INK).all(axis=-1).any()
    rows, columns = changed(inside.finish())
    assert rows.min() >= 100 - canvas.LINE - 1 and np.ptp(columns) == 139  # on a dark strip


def test_larger_captions_take_more_room():
    def top(size: int) -> int:
        layer = PromptLayer(GRAY, (1, 1), style=Style(font_size=size))
        layer.caption("fire")
        return changed(layer.finish())[0].min()

    assert top(22) < top(11)


def test_every_kind_of_prompt_draws_itself():
    layer = PromptLayer(GRAY, (1, 1))
    points = Points(np.array([[30.0, 30.0], [60.0, 30.0]]), np.array([1, 0]))
    Prompt.of(points, Box(np.array([10.5, 10.5, 90.5, 50.5])), Text("fire")).draw(layer, RED)
    view = layer.finish()
    assert (view[30, 60] == RED).all(), "the center of a cross"
    assert np.abs(view[10, 40].astype(int) - RED).max() < 20 and (view[-12:, 4:40] == 255).all(axis=-1).any()
