"""Boxes with jitter and points with an offset."""

import numpy as np
import pytest
from built_prompts import NAMES, build, mask, points_of
from promptseg.prompts import PromptConfig

__all__ = ["mask"]  # a fixture


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
def test_jitter_moves_each_side_outward_by_at_most_its_share_of_the_longer_side(shape):
    mask = np.zeros(shape, np.uint8)
    mask[18:22, 18:24] = 1
    config = PromptConfig(box=True, jitter=0.2)
    boxes = np.array([build(config, mask, NAMES[:1], seed)[0][0].get("box").corners for seed in range(200)])
    moved = (boxes - [18, 18, 23, 21]) * [-1, -1, 1, 1]
    assert moved.min() >= 0 and moved.max() <= 0.2 * 60
    assert (moved.max(axis=0) > 0.19 * 60).all() and (moved.min(axis=0) < 0.01 * 60).all()  # each side independently
    assert np.abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.3


@pytest.mark.parametrize("offset", [0.1, 0.5])
def test_a_click_misses_its_place_by_a_share_of_the_objects_longer_side_and_nothing_else_changes(mask, offset):
    settings = {"points": 2, "per": "instance"}
    exact, _ = build(PromptConfig(**settings), mask, NAMES)
    moved, regions = build(PromptConfig(**settings, offset=offset), mask, NAMES)
    within = []
    for prompt, other, region in zip(exact, moved, regions, strict=True):
        rows, columns = np.nonzero(region)
        expected = offset * (max(np.ptp(rows), np.ptp(columns)) + 1)
        distances = np.hypot(*(points_of(other) - points_of(prompt)).T)
        inside_image = ((points_of(other) > 0.5) & (points_of(other) < [59.5, 39.5])).all(axis=1)
        np.testing.assert_allclose(distances[inside_image], expected)
        assert (distances <= expected + 1e-9).all()
        within += inside_image.tolist()
    assert any(within)


def test_jitter_stays_within_the_image(mask):
    config = PromptConfig(box=True, jitter=0.9, per="instance")
    boxes = np.array(
        [prompt.get("box").corners for seed in range(20) for prompt in build(config, mask, NAMES, seed)[0]]
    )
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert boxes.min(axis=0).tolist()[:2] == [0, 0] and boxes.max(axis=0).tolist()[2:] == [59, 39]
