"""Prompts from a probability map: which components, and where their points, boxes and masks are."""

import numpy as np
import pytest
from promptseg.core.runs import CascadePrompt
from promptseg.inference import component_prompts as module
from promptseg.inference.component_prompts import component_prompts, peaks

SIDE = 64


def boxes_map(*boxes) -> np.ndarray:
    """A probability map of 0.98 in the boxes (x0, y0, x1, y1) and of 0.02 elsewhere."""
    out = np.full((SIDE, SIDE), 0.02, np.float32)
    for x0, y0, x1, y1 in boxes:
        out[y0:y1, x0:x1] = 0.98
    return out


def corners(prompts) -> list[list[float]]:
    return [prompt.get("box").corners.tolist() for prompt in prompts]


def test_components_come_largest_first():
    probability = boxes_map((0, 0, 8, 8), (32, 32, 64, 64), (0, 40, 10, 50))
    assert corners(component_prompts(probability, CascadePrompt(by="box"))) == [
        [32, 32, 64, 64], [0, 40, 10, 50], [0, 0, 8, 8],
    ]  # fmt: skip


def test_min_area_and_max_components_leave_out_the_smaller_ones():
    probability = boxes_map((0, 0, 2, 2), (10, 10, 20, 20), (40, 40, 60, 60))
    assert len(component_prompts(probability, CascadePrompt(by="box", min_area=4 / SIDE**2))) == 3
    assert len(component_prompts(probability, CascadePrompt(by="box", min_area=5 / SIDE**2))) == 2
    largest = component_prompts(probability, CascadePrompt(by="box", min_area=0.0, max_components=1))
    assert corners(largest) == [[40, 40, 60, 60]]


def test_no_component_gives_no_prompt():
    assert component_prompts(boxes_map(), CascadePrompt()) == []
    assert component_prompts(boxes_map((5, 5, 7, 7)), CascadePrompt(min_area=0.01)) == []


@pytest.mark.parametrize("threshold, right", [(0.5, 32), (0.25, 48)])
def test_the_threshold_decides_what_a_component_is(threshold, right):
    probability = boxes_map((16, 16, 32, 32))
    probability[16:32, 32:48] = 0.27
    prompts = component_prompts(probability, CascadePrompt(by="box", threshold=threshold))
    assert corners(prompts) == [[16, 16, right, 32]]


def test_pixels_that_touch_at_a_corner_are_one_component():
    assert len(component_prompts(boxes_map((0, 0, 8, 8), (8, 8, 16, 16)), CascadePrompt(by="box"))) == 1


@pytest.mark.parametrize("by", ["box", "points", "mask", "box + points", "box + mask"])
def test_prompts_have_the_parts_that_are_named_and_the_class(by):
    (prompt,) = component_prompts(boxes_map((16, 16, 32, 32)), CascadePrompt(by=by), target=3)
    assert set(prompt.parts) == set(by.split(" + ")) and prompt.target == 3


def test_a_mask_part_is_the_probability_within_the_component_alone():
    probability = boxes_map((0, 0, 8, 8), (30, 30, 60, 60))
    probability[40:50, 40:50] = 0.6
    first, second = component_prompts(probability, CascadePrompt(by="mask"))
    for prompt, box in ((first, (30, 30, 60, 60)), (second, (0, 0, 8, 8))):
        region, expected = prompt.get("mask").values, np.zeros((SIDE, SIDE), np.float32)
        x0, y0, x1, y1 = box
        expected[y0:y1, x0:x1] = probability[y0:y1, x0:x1]
        assert region.mask.shape == (y1 - y0, x1 - x0) and region.mask.dtype == np.float32, "cropped"
        np.testing.assert_array_equal(prompt.get("mask")._full(), expected)


def test_points_are_peaks_inside_and_lows_beside_the_component():
    y, x = np.mgrid[:SIDE, :SIDE]
    hill = np.exp(-((x - 20.0) ** 2 + (y - 40.0) ** 2) / 128).astype(np.float32)
    (prompt,) = component_prompts(hill, CascadePrompt(by="box + points", points=3))
    points, box = prompt.get("points"), prompt.get("box").corners
    assert points.labels.tolist() == [1, 1, 1, 0, 0, 0]
    assert np.abs(points.coordinates[0] - [20.5, 40.5]).max() <= 1
    values = hill[tuple((points.coordinates - 0.5).astype(int).T[::-1])]
    assert (values[:3] >= 0.5).all() and (values[3:] < 0.5).all()
    assert len(np.unique(points.coordinates, axis=0)) == 6
    margin = module.MARGIN * np.tile(box[2:] - box[:2], 2)
    assert (points.coordinates[3:] >= box[:2] - margin[:2]).all()
    assert (points.coordinates[3:] <= box[2:] + margin[2:]).all()


def test_negative_points_without_room_have_the_label_of_padding():
    (prompt,) = component_prompts(np.ones((8, 8), np.float32), CascadePrompt(by="points", points=2))
    assert prompt.get("points").labels.tolist() == [1, 1, -1, -1]


def test_a_component_of_one_pixel_repeats_its_only_peak():
    points = peaks(np.zeros((4, 4)), np.eye(4, dtype=bool) & (np.arange(4) == 2), 3)
    assert points.tolist() == [[2.5, 2.5]] * 3
    assert peaks(np.zeros((4, 4)), np.zeros((4, 4), bool), 3).shape == (0, 2)
