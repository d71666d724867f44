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


def drawn(point=None, box=None, captions=(), positive=True, scale=(1, 1), size=None, **style) -> np.ndarray:
    layer = PromptLayer(GRAY, scale, size, Style(**style))
    if point:
        layer.point(point, positive, RED)
    if box:
        layer.box(box, RED)
    for text in captions:
        layer.caption(text)
    assert (GRAY == 100).all(), "the given view is not changed"
    return layer.finish()


def changed(view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero((view != GRAY).any(axis=-1))


def test_the_scale_places_a_point_and_one_outside_is_moved_to_the_border_of_the_image():
    rows, columns = changed(drawn((30.5, 60.5), scale=(2, 0.5)))
    assert (columns.mean(), rows.mean()) == pytest.approx((61 - 0.5, 30.25 - 0.5), abs=0.1)
    rows, columns = changed(drawn((500, 30.5), positive=False, size=(100, 60)))
    assert (columns.min(), columns.max(), rows.mean()) == pytest.approx((93, 105, 30), abs=2.0)


def test_sizes_come_from_the_style():
    def extent(radius: int) -> int:
        return np.ptp(changed(drawn((70, 50), radius=radius))[0])

    def width(**style) -> int:
        return (drawn(box=(20, 20, 120, 80), **style)[50, :70] != 100).any(axis=-1).sum()

    def top(font_size: int) -> int:
        return changed(drawn(captions=["fire"], font_size=font_size))[0].min()

    assert extent(12) - extent(4) == 16
    assert width(box_width=5) > width(box_width=1) and width(rim=4) > width(rim=1)
    assert top(22) < top(11)


def test_lines_have_the_color_and_a_black_rim():
    line = drawn(box=(20, 20, 120, 80), box_width=3)[50, 15:26]
    assert (line == RED).all(axis=-1).any() and (line < 35).all(axis=-1).sum() == 2


def test_captions_are_below_the_image_where_there_is_room_and_each_phrase_is_written_once():
    below, inside = drawn(captions=["fire"], size=(140, 60)), drawn(captions=["fire"])
    assert 60 <= changed(below)[0].min() and (below[60:] == canvas.INK).all(axis=-1).any()
    rows, columns = changed(inside)
    assert rows.min() >= 100 - canvas.LINE - 1 and np.ptp(columns) == 139  # on a dark strip
    assert changed(drawn(captions=["smoke and fire " * 30]))[0].min() >= 100 - 2 * canvas.LINE  # two lines at most
    assert np.array_equal(drawn(captions=["fire", "smoke"]), drawn(captions=["fire", "smoke"] * 2))


def test_every_kind_of_prompt_draws_itself():
    layer = PromptLayer(GRAY, (1, 1))
    points = Points(np.array([[30.0, 30.0], [60.0, 30.0]]), np.array([1, 0]))
    Prompt.of(points, Box(np.array([10.5, 10.5, 90.5, 50.5])), Text("fire")).draw(layer, RED)
    view = layer.finish()
    assert (view[30, 60] == RED).all() and (view[30, 30] <= 100).all(), "the centers of a cross and of a ring"
    assert np.abs(view[10, 40].astype(int) - RED).max() < 20 and (view[-12:, 4:40] == 255).all(axis=-1).any()
