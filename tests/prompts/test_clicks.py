"""Clicks that correct: where the next one goes, against its definition computed pixel by pixel."""

import numpy as np
import pytest
from promptseg.data import masks
from promptseg.prompts import PromptConfig, PromptSource, build_prompts
from promptseg.prompts.clicks import add_click, next_click
from reference_clicks import reference_click

NOWHERE = np.empty((0, 2))


def block(*bounds: int) -> np.ndarray:
    """(12, 16) bool, True from row to row and from column to column."""
    mask = np.zeros((12, 16), bool)
    mask[bounds[0] : bounds[1], bounds[2] : bounds[3]] = True
    return mask


TARGET = block(2, 9, 2, 9)
EVERYWHERE = np.ones_like(TARGET)


@pytest.mark.parametrize(
    "prediction, valid, clicked, expected",
    [
        (block(0, 0, 0, 0), EVERYWHERE, NOWHERE, (5.5, 5.5, 1)),  # nothing is found: the center of the object
        (TARGET | block(1, 11, 9, 16), EVERYWHERE, NOWHERE, (12.5, 4.5, 0)),  # too much: the center of what is
        (TARGET, EVERYWHERE, NOWHERE, None),
        (block(0, 0, 0, 0), ~block(0, 12, 5, 9), NOWHERE, (3.5, 3.5, 1)),  # where the rest is ignored
        (TARGET & ~block(5, 6, 5, 6), EVERYWHERE, np.array([[5.5, 5.5]]), None),  # it was clicked, in vain
        (TARGET & ~block(5, 6, 5, 6) | block(11, 12, 15, 16), EVERYWHERE, NOWHERE, (15.5, 11.5, 0)),  # equal: negative
    ],
)
def test_the_next_click_is_the_most_interior_pixel_of_the_errors(prediction, valid, clicked, expected):
    found = next_click(TARGET, prediction, valid, clicked)
    assert (None if found is None else (*found.coordinates[0], *found.labels)) == expected


def test_random_errors_are_clicked_as_the_definition_says():
    rng = np.random.default_rng(0)
    for _ in range(100):
        target, prediction = (masks.depth(rng.random((24, 30)) < 0.85) > 1.2 for _ in range(2))
        valid = rng.random(target.shape) < 0.95
        found = next_click(target, prediction, valid, NOWHERE)
        assert (*found.coordinates[0], *found.labels) == reference_click(target, prediction, valid, [])


@pytest.mark.parametrize("start, kinds", [("point", ["points"]), ("box", ["box"])])
def test_clicks_start_with_the_central_point_or_with_the_box(start, kinds):
    mask = TARGET.astype(np.uint8)
    (prompt,), (region,) = build_prompts(PromptConfig(clicks=3, start=start), PromptSource("a", mask, ["cell"], 0))
    assert list(prompt.parts) == kinds and np.array_equal(region.full(), TARGET)
    if start == "point":
        assert prompt.get("points").coordinates.tolist() == [[5.5, 5.5]]
    else:
        assert prompt.get("box").corners.tolist() == [2, 2, 8, 8]
    clicked = add_click(prompt, next_click(TARGET, block(0, 12, 0, 16), EVERYWHERE, NOWHERE))
    assert list(clicked.parts) == [*kinds, *(["points"] if start == "box" else [])]
    assert clicked.get("points").labels.tolist() == ([1, 0] if start == "point" else [0])
    assert clicked.effort == 2 and clicked.target == prompt.target
