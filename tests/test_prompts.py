"""Prompts from settings and the truth: where they lie, what answers them, and that they repeat."""

import json

import cv2
import numpy as np
import pytest
from promptseg import prompts
from promptseg.core.errors import UserError
from promptseg.core.params import Prompt
from promptseg.data import masks
from promptseg.prompts import ask, to_json

NAMES = ["cat", "dog", "cow"]


@pytest.fixture
def mask():
    """Classes 1 and 2, each in two pieces, the second of class 1 touching at a corner; ignored pixels between."""
    mask = np.zeros((40, 60), np.uint8)
    mask[3:10, 5:18] = 1
    mask[20:24, 30:34] = 1
    mask[24:30, 34:37] = 1
    mask[2:8, 40:55] = 2
    mask[33:39, 2:4] = 2
    mask[10:20, 18:30] = 255
    mask[4:7, 8:12] = 255
    return mask


def same(one, two):
    return to_json(one) == to_json(two)


RANDOM = [Prompt(points=3), Prompt(points=2, per="object"), Prompt(box=True, jitter=0.1)]


@pytest.mark.parametrize("settings", RANDOM)
def test_seed_and_id_decide_and_nothing_else(settings, mask):
    first, _ = ask(settings, mask, NAMES[:2], 0, "training/007")
    np.random.seed(99)
    again, _ = ask(settings, mask.copy(), NAMES[:2], 0, "training/007")
    assert same(first, again)
    assert not same(first, ask(settings, mask, NAMES[:2], 1, "training/007")[0])
    assert not same(first, ask(settings, mask, NAMES[:2], 0, "training/008")[0])


@pytest.mark.parametrize("settings", [Prompt(points=3, how="center"), Prompt(box=True), Prompt(text=["a", "b"])])
def test_what_is_not_drawn_does_not_depend_on_the_seed(settings, mask):
    assert same(ask(settings, mask, NAMES[:2], 0, "a")[0], ask(settings, mask, NAMES[:2], 1, "b")[0])


def inside(points, region):
    """Whether each point is the center of a pixel of the region."""
    places = points - 0.5
    assert (places == places.astype(int)).all()
    return region[places[:, 1].astype(int), places[:, 0].astype(int)]


@pytest.mark.parametrize("how", ["random", "center"])
@pytest.mark.parametrize("per", ["picture", "object"])
@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("seed", range(5))
def test_points_are_centers_of_different_pixels_of_their_answer(mask, how, per, n, seed):
    asked, answers = ask(Prompt(points=n, how=how, per=per), mask, NAMES[:2], seed, "a")
    assert len(asked) == len(answers) == (2 if per == "picture" else 4)
    for prompt, answer in zip(asked, answers, strict=True):
        assert prompt.points.shape == (n, 2)
        assert inside(prompt.points, answer).all()
        assert len(np.unique(prompt.points, axis=0)) == n
        assert prompt.labels.tolist() == [1] * n
        assert (mask[answer] == prompt.target).all()  # so no ignored pixel is ever asked about
        assert prompt.box is None and prompt.text is None


def test_random_points_reach_every_pixel():
    mask = np.zeros((5, 5), np.uint8)
    mask[1:3, 1:4] = 1
    found = {tuple(ask(Prompt(points=1), mask, NAMES[:1], seed, "a")[0][0].points[0]) for seed in range(200)}
    assert found == {(x + 0.5, y + 0.5) for x in (1, 2, 3) for y in (1, 2)}


@pytest.mark.parametrize("how", ["random", "center"])
def test_points_repeat_only_where_the_mask_has_too_few_pixels(how):
    mask = np.zeros((8, 8), np.uint8)
    mask[4, 2:5] = 1
    (prompt,), _ = ask(Prompt(points=5, how=how), mask, NAMES[:1], 0, "a")
    assert len(prompt.points) == 5 and inside(prompt.points, mask == 1).all()
    (prompt,), _ = ask(Prompt(points=3, how=how), mask, NAMES[:1], 0, "a")
    assert len(np.unique(prompt.points, axis=0)) == 3


def test_the_central_point_is_the_deepest(mask):
    asked, answers = ask(Prompt(points=1, how="center", per="object"), mask, NAMES[:2], 0, "a")
    for prompt, answer in zip(asked, answers, strict=True):
        outside = np.argwhere(~np.pad(answer, 1)) - 1
        inner = np.argwhere(answer)
        depth = ((inner[:, None] - outside[None]) ** 2).sum(axis=2).min(axis=1)  # squared, to the nearest pixel outside
        chosen = (inner == (prompt.points[0, ::-1] - 0.5)).all(axis=1)
        assert depth[chosen].tolist() == [depth.max()]


def test_each_component_has_a_prompt_and_an_answer_of_its_own(mask):
    for settings in (Prompt(points=1, per="object"), Prompt(box=True, per="object")):
        asked, answers = ask(settings, mask, NAMES[:2], 0, "a")
        assert [prompt.target for prompt in asked] == [1, 1, 2, 2]
        for target in (1, 2):
            mine = [answer for prompt, answer in zip(asked, answers, strict=True) if prompt.target == target]
            np.testing.assert_array_equal(np.sum(mine, axis=0), mask == target)  # they overlap nowhere and miss nothing
            # One component each, besides the ground; pixels that touch at a corner belong together.
        assert all(cv2.connectedComponents(answer.astype(np.uint8), connectivity=8)[0] == 2 for answer in mine)


def test_instances_are_prompted_in_the_order_of_a_scan(mask):
    """Literally, at one seed: in another order they would also draw other points."""
    points, _ = ask(Prompt(points=2, per="object"), mask, NAMES[:2], 3, "a")
    boxes, _ = ask(Prompt(box=True, per="object"), mask, NAMES[:2], 3, "a")
    assert [(prompt.target, *prompt.points.ravel()) for prompt in points] == [
        (1, 11.5, 8.5, 16.5, 6.5), (1, 30.5, 20.5, 34.5, 25.5), (2, 52.5, 6.5, 44.5, 6.5), (2, 2.5, 34.5, 3.5, 38.5),
    ]  # fmt: skip
    assert [(prompt.target, *prompt.box) for prompt in boxes] == [
        (1, 5, 3, 18, 10), (1, 30, 20, 37, 30), (2, 40, 2, 55, 8), (2, 2, 33, 4, 39),
    ]  # fmt: skip


def test_the_whole_mask_has_one_prompt_for_each_class(mask):
    asked, answers = ask(Prompt(box=True), mask, NAMES[:2], 0, "a")
    assert [prompt.target for prompt in asked] == [1, 2]
    for prompt, answer in zip(asked, answers, strict=True):
        np.testing.assert_array_equal(answer, mask == prompt.target)
        assert answer.dtype == bool


@pytest.mark.parametrize("per", ["picture", "object"])
def test_a_box_encloses_its_answer_exactly(mask, per):
    for prompt, answer in zip(*ask(Prompt(box=True, per=per), mask, NAMES[:2], 0, "a"), strict=True):
        ys, xs = np.nonzero(answer)
        assert prompt.box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert prompt.points is None and prompt.labels is None and prompt.text is None


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
def test_jitter_moves_each_side_outward_by_at_most_its_share_of_the_longer_side(shape):
    mask = np.zeros(shape, np.uint8)
    mask[18:22, 18:24] = 1
    tight = np.array([18, 18, 24, 22])
    boxes = np.array([ask(Prompt(box=True, jitter=0.2), mask, NAMES[:1], seed, "a")[0][0].box for seed in range(200)])
    moved = (boxes - tight) * [-1, -1, 1, 1]
    assert moved.min() >= 0 and moved.max() <= 0.2 * 60
    assert (moved.max(axis=0) > 0.19 * 60).all() and (moved.min(axis=0) < 0.01 * 60).all()  # each side by itself
    assert np.abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.3


def test_jitter_stays_in_the_picture(mask):
    height, width = mask.shape
    met = set()
    for seed in range(50):
        for prompt in ask(Prompt(box=True, jitter=0.9, per="object"), mask, NAMES[:2], seed, "a")[0]:
            x0, y0, x1, y1 = prompt.box
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
            met |= {name for name, hit in (("x0", x0 == 0), ("x1", x1 == width), ("y1", y1 == height)) if hit}
    assert met == {"x0", "x1", "y1"}


@pytest.mark.parametrize("settings", [Prompt(points=1), Prompt(box=True), Prompt(points=2, how="center", per="object")])
def test_a_class_that_is_not_there_gets_no_prompt_from_the_truth(settings, mask):
    mask[mask == 1] = 255
    asked, answers = ask(settings, mask, NAMES[:3], 0, "a")
    assert {prompt.target for prompt in asked} == {2} and len(asked) == len(answers)
    assert ask(settings, np.zeros_like(mask), NAMES[:3], 0, "a") == ([], [])
    assert ask(settings, np.full_like(mask, 255), NAMES[:3], 0, "a") == ([], [])


def test_text_asks_for_every_class_there_or_not(mask):
    asked, answers = ask(Prompt(text=["cat", "dog", "é"]), mask, NAMES[:3], 0, "a")
    assert [(prompt.target, prompt.text) for prompt in asked] == [(1, "cat"), (2, "dog"), (3, "é")]
    for prompt, answer in zip(asked, answers, strict=True):
        np.testing.assert_array_equal(answer, mask == prompt.target)
        assert prompt.points is None and prompt.labels is None and prompt.box is None
    assert not answers[2].any()


def test_a_picture_can_be_asked_for_some_classes_and_as_a_whole(mask):
    asked, answers = ask(Prompt(text="class"), mask, NAMES[:3], 0, "a", among=[1, 3], whole=True)
    assert [(prompt.target, prompt.text, prompt.whole) for prompt in asked] == [
        (1, NAMES[0], True),
        (3, NAMES[2], True),
    ]
    np.testing.assert_array_equal(answers[1], mask == 3)
    again, _ = ask(Prompt(text="class"), mask, NAMES[:3], 0, "a")
    assert [prompt.target for prompt in again] == [1, 2, 3] and not any(prompt.whole for prompt in again)


def test_no_prompt_asks_for_every_class_without_words(mask):
    asked, answers = ask(Prompt(), mask, NAMES[:2], 0, "a")
    assert [prompt.target for prompt in asked] == [1, 2]
    assert all(
        value is None for prompt in asked for name, value in vars(prompt).items() if name not in ("target", "whole")
    )
    np.testing.assert_array_equal(answers[1], mask == 2)


@pytest.mark.parametrize("phrases, classes", [(["a"], 2), (["a", "b"], 1)])
def test_phrases_are_one_for_each_class(mask, phrases, classes):
    with pytest.raises(UserError, match=rf"^params.yaml: a: {len(phrases)} phrase.*{classes} classes$"):
        ask(Prompt(text=phrases), mask, NAMES[:classes], 0, "a")


def test_json_holds_what_is_asked_and_nothing_else(mask):
    asked, _ = ask(Prompt(points=2, how="center"), mask, NAMES[:2], 0, "a")
    points = [masks.interior_points(mask == target, 2).tolist() for target in (1, 2)]
    assert json.loads(to_json(asked)) == [
        {"target": 1, "points": points[0], "labels": [1, 1]},
        {"target": 2, "points": points[1], "labels": [1, 1]},
    ]
    asked, _ = ask(Prompt(text=["é", '"b"']), mask, NAMES[:2], 0, "a")
    assert to_json(asked) == '[{"target": 1, "text": "é"}, {"target": 2, "text": "\\"b\\""}]'
    assert to_json([]) == "[]" and to_json([prompts.Prompt()]) == '[{"target": 1}]'


def test_a_class_may_be_asked_for_by_its_name(mask):
    asked, _ = ask(Prompt(text="class"), mask, NAMES[:2], 0, "a")
    assert [(prompt.target, prompt.text) for prompt in asked] == [(1, "cat"), (2, "dog")]


def test_a_picture_may_be_asked_for_by_its_own_phrase(mask):
    (prompt,), (answer,) = ask(Prompt(text="own"), mask, ["referred"], 0, "a", "the red ball")
    assert prompt.text == "the red ball"
    np.testing.assert_array_equal(answer, mask == 1)
    with pytest.raises(UserError, match="^a: the dataset says nothing of this picture in words"):
        ask(Prompt(text="own"), mask, ["referred"], 0, "a")
    with pytest.raises(UserError, match="1 phrase, but there are 2 classes"):
        ask(Prompt(text="own"), mask, NAMES[:2], 0, "a", "the red ball")


def test_json_keeps_boxes_to_a_hundredth_of_a_pixel(mask):
    asked, _ = ask(Prompt(box=True, jitter=0.05, per="object"), mask, NAMES[:2], 0, "a")
    for prompt, entry in zip(asked, json.loads(to_json(asked)), strict=True):
        assert set(entry) == {"target", "box"}
        np.testing.assert_allclose(entry["box"], prompt.box, atol=0.005001)


@pytest.mark.parametrize("per", ["picture", "object"])
def test_a_mask_prompt_is_its_own_answer(mask, per):
    asked, answers = ask(Prompt(mask=True, per=per), mask, NAMES[:3], 0, "a")
    assert [prompt.target for prompt in asked] == ([1, 2] if per == "picture" else [1, 1, 2, 2])  # there is no cow
    for prompt, answer in zip(asked, answers, strict=True):
        np.testing.assert_array_equal(prompt.mask, answer)
        assert prompt.points is None and prompt.box is None and prompt.text is None
    assert json.loads(to_json(asked))[0] == {"target": 1}
