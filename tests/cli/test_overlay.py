"""Overlays of `promptseg segment`."""

from unittest import mock

import numpy as np
import pytest
from promptseg.cli import overlay
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.prompts.text import Text
from promptseg.report import canvas


def test_an_overlay_shows_each_class_the_prompts_and_leaves_the_rest_gray():
    image = np.full((300, 400), 120, np.uint8)
    mask = np.zeros((300, 400), np.uint8)
    mask[50:150, 50:150], mask[200:280, 300:380] = 1, 2
    prompts = [
        Prompt.of(Box(np.array([40.0, 40, 160, 160]))),
        Prompt.of(Points(np.array([[340.0, 240]]), np.ones(1)), target=2),
    ]
    view = overlay.class_overlay(image, mask, ["cat", "dog"], prompts)
    assert view.shape[1] == overlay.SMALLEST and view.shape[0] > 480 and view.dtype == np.uint8
    scale = overlay.SMALLEST / 400
    for place, color in (((100, 100), 0), ((210, 315), 1)):
        y, x = (int(scale * value) for value in place)
        direction = canvas.class_colors(2)[color].astype(int) - 120
        assert (np.sign(view[y, x].astype(int) - 120) == np.sign(direction)).all()
    background = view[int(scale * 20), int(scale * 250)]
    assert (background == background[0]).all() and 60 < background[0] < 120
    without = overlay.class_overlay(image, mask, ["cat", "dog"], [])
    drawn = np.argwhere((view != without).any(axis=2)) / scale
    near_box = (np.abs(drawn - 40) < 6).any(axis=1) | (np.abs(drawn - 160) < 6).any(axis=1)
    near_point = (np.abs(drawn - [240, 340]) < 12).all(axis=1)
    assert (near_box | near_point).all() and near_box.any() and near_point.any()
    place = (int(scale * 40), int(scale * 100))  # on the upper side of the box, in the color of its class
    around = view[place[0] - 3 : place[0] + 4, place[1]].astype(int)
    assert np.abs(around - canvas.class_colors(2)[0]).sum(axis=1).min() < 40


def test_prompts_draw_themselves_in_pixels_of_the_image(monkeypatch):
    layer = mock.Mock()
    layer.return_value.finish.side_effect = lambda: layer.call_args.args[0]
    monkeypatch.setattr(overlay, "PromptLayer", layer)
    prompts = [
        Prompt.of(Text("a cat"), Box(np.array([1.0, 2, 3, 4]))),
        Prompt.of(Points(np.array([[5.0, 6], [7, 8]]), np.array([1, 0]))),
    ]
    overlay.class_overlay(np.zeros((320, 160, 3), np.uint8), np.ones((320, 160), np.uint8), ["cat"], prompts)
    assert tuple(layer.call_args.args[1]) == (2, 2)
    drawn = [(name, *(np.array(each).tolist() for each in args)) for name, args, _ in layer.return_value.method_calls]
    white = np.array(canvas.WHITE).tolist()
    assert drawn == [
        ("caption", "“a cat”"), ("box", [1, 2, 4, 5], white), ("point", [5, 6], True, white),
        ("point", [7, 8], False, white), ("finish",),
    ]  # fmt: skip


def test_masks_without_names_are_counted_in_the_legend():
    labels = np.zeros((64, 64), np.uint16)
    labels[8:24, 8:24], labels[40:56, 40:56] = 1, 300
    view = overlay.mask_overlay(np.full((64, 64, 3), 120, np.uint8), labels, 300)
    assert view.shape[1] == overlay.SMALLEST and view.shape[0] > overlay.SMALLEST
    colors = {tuple(view[place, place]) for place in (160, 320, 480)}  # mask 1, background, mask 300
    assert len(colors) == 3


@pytest.mark.parametrize("size", [(1, 1), (5, 900), (900, 5), (256, 256), (2000, 1700)])
def test_overlays_of_all_sizes(size):
    mask = np.ones(size, np.uint8)
    view = overlay.class_overlay(np.zeros((*size, 3), np.uint8), mask, ["all"], [])
    assert max(view.shape[:2]) <= overlay.LARGEST + canvas.LINE * 4 and view.shape[2] == 3
