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


def corners_of(prompt) -> tuple[int, ...]:
    """The box of a prompt, which ends with its last pixel, as x0, y0, x1, y1 of `boxes_map`."""
    return tuple((prompt.get("box").corners + [0, 0, 1, 1]).tolist())


SMALL, LARGE = (0, 0, 2, 2), (40, 40, 60, 60)


@pytest.mark.parametrize(
    "boxes, settings, expected",
    [
        ([], {}, []),
        ([SMALL, (32, 0, 64, 32), (0, 40, 10, 50)], {"min_area": 0}, [(32, 0, 64, 32), (0, 40, 10, 50), SMALL]),
        ([SMALL, LARGE], {"min_area": 4 / SIDE**2}, [LARGE, SMALL]),
        ([SMALL, LARGE], {"min_area": 5 / SIDE**2}, [LARGE]),
        ([SMALL, LARGE], {"min_area": 0, "max_components": 1}, [LARGE]),
        ([SMALL], {"min_area": 0.01}, []),
        ([(0, 0, 8, 8), (8, 8, 16, 16)], {}, [(0, 0, 16, 16)]),  # they touch at a corner
    ],
)
def test_components_come_largest_first_as_far_as_they_are_wanted(boxes, settings, expected):
    prompts = component_prompts(boxes_map(*boxes), CascadePrompt(by="box", **settings))
    assert [corners_of(prompt) for prompt in prompts] == expected


@pytest.mark.parametrize("threshold, right", [(0.5, 32), (0.25, 48)])
def test_the_threshold_decides_what_a_component_is(threshold, right):
    probability = boxes_map((16, 16, 32, 32))
    probability[16:32, 32:48] = 0.27
    (prompt,) = component_prompts(probability, CascadePrompt(by="box", threshold=threshold))
    assert corners_of(prompt) == (16, 16, right, 32)
    assert prompt.get("box").corners.tolist() == [16, 16, right - 1, 31]


@pytest.mark.parametrize("by", ["box", "points", "mask", "box + points", "box + mask"])
def test_prompts_have_the_parts_that_are_named_and_the_class(by):
    (prompt,) = component_prompts(boxes_map((16, 16, 32, 32)), CascadePrompt(by=by), target=3)
    assert set(prompt.parts) == set(by.split(" + ")) and prompt.target == 3


def test_a_mask_part_is_the_probability_within_the_component_alone():
    probability = boxes_map((0, 0, 8, 8), (30, 30, 60, 60))
    probability[40:50, 40:50] = 0.6
    probability[30:35, 30:35] = 0.3  # in the component's box, but not of it
    first, second = component_prompts(probability, CascadePrompt(by="mask"))
    for prompt, box in ((first, (30, 30, 60, 60)), (second, (0, 0, 8, 8))):
        region, expected = prompt.get("mask").values, np.zeros((SIDE, SIDE), np.float32)
        x0, y0, x1, y1 = box
        expected[y0:y1, x0:x1] = probability[y0:y1, x0:x1] * (probability[y0:y1, x0:x1] >= 0.5)
        assert region.mask.shape == (y1 - y0, x1 - x0) and region.mask.dtype == np.float32, "cropped"
        np.testing.assert_array_equal(prompt.get("mask")._full(), expected)


def test_points_are_peaks_inside_and_lows_beside_the_component():
    y, x = np.mgrid[:SIDE, :SIDE]
    hill = np.exp(-((x - 20.0) ** 2 + (y - 40.0) ** 2) / 128).astype(np.float32)
    (prompt,) = component_prompts(hill, CascadePrompt(by="box + points", points=3))
    points, box = prompt.get("points"), np.array(corners_of(prompt))
    assert points.labels.tolist() == [1, 1, 1, 0, 0, 0]
    assert np.abs(points.coordinates[0] - [20.5, 40.5]).max() <= 1
    values = hill[tuple((points.coordinates - 0.5).astype(int).T[::-1])]
    assert (values[:3] >= 0.5).all() and (values[3:] < 0.5).all()
    assert len(np.unique(points.coordinates, axis=0)) == 6
    margin = module.MARGIN * np.tile(box[2:] - box[:2], 2)
    assert (points.coordinates[3:] >= box[:2] - margin[:2]).all()
    assert (points.coordinates[3:] <= box[2:] + margin[2:]).all()


def test_without_room_points_are_padding_or_repeat():
    (prompt,) = component_prompts(np.ones((8, 8), np.float32), CascadePrompt(by="points", points=2))
    assert prompt.get("points").labels.tolist() == [1, 1, -1, -1]
    pixel = np.zeros((4, 4), bool)
    assert peaks(np.zeros((4, 4)), pixel, 3).shape == (0, 2)
    pixel[2, 1] = True
    assert peaks(np.zeros((4, 4)), pixel, 3).tolist() == [[1.5, 2.5]] * 3
