"""Prompts from settings and ground truth: where they are, what they prompt for, and that they are reproducible."""

import itertools
import json

import numpy as np
import pytest
import torch
from built_prompts import NAMES, build, mask, points_of
from promptseg.data import masks
from promptseg.nn.image_transform import ImageTransform
from promptseg.prompts import Prompt, PromptConfig, PromptSource, build_prompts, from_json, to_json
from promptseg.prompts.mask import Mask
from refusing import refused
from segment_anything.utils.amg import batched_mask_to_box

__all__ = ["mask"]  # a fixture

REGIONS = {  # classes and extents of the mask's regions, those of instances in scan order within each class
    "image": [(1, [5, 3, 37, 30]), (2, [2, 2, 55, 39])],
    "instance": [(1, [5, 3, 18, 10]), (1, [30, 20, 37, 30]), (2, [40, 2, 55, 8]), (2, [2, 33, 4, 39])],
}
PER = pytest.mark.parametrize("per", REGIONS)
SAMPLING = pytest.mark.parametrize("sampling", ["random", "center"])


def inside(points, region):
    """Whether each point is the center of a pixel of the region."""
    pixels = points - 0.5
    assert (pixels == pixels.astype(int)).all()
    return region[pixels[:, 1].astype(int), pixels[:, 0].astype(int)]


RANDOM = [PromptConfig(points=3), PromptConfig(points=2, per="instance"), PromptConfig(box=True, jitter=0.1)]
FIXED = [PromptConfig(points=3, sampling="center"), PromptConfig(box=True), PromptConfig(text=["a", "b"])]


@pytest.mark.parametrize("config", [*RANDOM, *FIXED])
def test_seed_and_id_determine_random_prompts_and_no_others(config, mask):
    sources = ((0, "train/007"), (0, "train/007"), (1, "train/007"), (0, "train/008"))
    first, again, *others = (to_json(build(config, mask.copy(), NAMES[:2], *source)[0]) for source in sources)
    assert first == again
    assert [first != other for other in others] == [config in RANDOM] * 2


@pytest.mark.parametrize("kinds", ["points", "box", "mask", "box + points"])
@PER
def test_each_class_or_component_has_its_own_prompt_and_region(mask, per, kinds):
    settings = {"points": 2, "box": True, "mask": True}
    config = PromptConfig(**{kind: settings[kind] for kind in kinds.split(" + ")}, per=per)
    prompts, regions = build_prompts(config, PromptSource("a", mask, NAMES, 0))  # there is no cow in the mask
    for prompt, region, (target, box) in zip(prompts, regions, REGIONS[per], strict=True):
        assert prompt.target == target and list(prompt.parts) == kinds.split(" + ")
        # Cropped: memory of many instances must not grow with the size of the image.
        assert region.mask.shape == (box[3] - box[1], box[2] - box[0]) and region.full().dtype == bool
        if "points" in kinds:
            assert inside(points_of(prompt), region.full()).all() and prompt.get("points").labels.tolist() == [1, 1]
        if "box" in kinds:
            assert prompt.get("box").corners.tolist() == [box[0], box[1], box[2] - 1, box[3] - 1]
        if "mask" in kinds:
            assert prompt.get("mask").values.mask.size == region.mask.size
            np.testing.assert_array_equal(prompt.get("mask").values.full(), region.full())
    for target in (1, 2):  # regions are disjoint and complete
        of_class = [region.full() for prompt, region in zip(prompts, regions) if prompt.target == target]
        np.testing.assert_array_equal(np.sum(of_class, axis=0), mask == target)


def test_each_instance_of_the_source_has_its_own_prompt(mask):
    instances = np.where(mask > 0, np.arange(1, 61, dtype=np.uint16) // 10 + 1, 0).astype(np.uint16)  # stripes
    source = PromptSource("a", mask, NAMES[:2], 0, instances=instances)
    prompts, regions = build_prompts(PromptConfig(box=True, per="instance"), source)
    numbers = [[instances[region.full()].max() for p, region in zip(prompts, regions) if p.target == t] for t in (1, 2)]
    assert numbers == [[1, 2, 4], [5, 6, 1]]
    for prompt, region in zip(prompts, regions, strict=True):
        found = region.full()
        assert (mask[found] == prompt.target).all() and len(np.unique(instances[found])) == 1
    (one, two), _ = build(PromptConfig(box=True), mask, NAMES[:2], instances=instances)
    assert (one.target, two.target) == (1, 2)
    (one, two), whole = build(
        PromptConfig(points=2, per="instance", together=True), mask, NAMES[:2], instances=instances
    )
    assert len(points_of(one)) == len(points_of(two)) == 6 and inside(points_of(one), whole[0]).all()
    np.testing.assert_array_equal(whole, [mask == 1, mask == 2])


def test_random_points_of_instances_at_one_seed(mask):
    """Literal values: with the instances in another order, points would differ too."""
    points, _ = build(PromptConfig(points=2, per="instance"), mask, NAMES[:2], 3)
    assert [(prompt.target, *points_of(prompt).ravel()) for prompt in points] == [
        (1, 11.5, 8.5, 16.5, 6.5), (1, 30.5, 20.5, 34.5, 25.5), (2, 52.5, 6.5, 44.5, 6.5), (2, 2.5, 34.5, 3.5, 38.5),
    ]  # fmt: skip


@SAMPLING
@pytest.mark.parametrize("n", [1, 2])
def test_points_of_all_instances_together_are_those_of_each_one_in_one_prompt(mask, n, sampling):
    settings = {"points": n, "sampling": sampling, "per": "instance"}
    each, _ = build(PromptConfig(**settings), mask, NAMES[:2], 3)
    together, regions = build(PromptConfig(**settings, together=True), mask, NAMES[:2], 3)
    assert [prompt.target for prompt in together] == [1, 2]
    for prompt, region in zip(together, regions, strict=True):
        own = [points_of(other) for other in each if other.target == prompt.target]
        np.testing.assert_array_equal(points_of(prompt), np.concatenate(own))
        assert prompt.get("points").labels.tolist() == [1] * 2 * n
        np.testing.assert_array_equal(region, mask == prompt.target)


@SAMPLING
@PER
def test_points_are_centers_of_different_pixels_of_their_region(mask, sampling, per):
    for n, seed in itertools.product((1, 2, 9), range(3)):
        config = PromptConfig(points=n, sampling=sampling, per=per)
        for prompt, region in zip(*build(config, mask, NAMES[:2], seed), strict=True):
            points = points_of(prompt)
            assert points.shape == np.unique(points, axis=0).shape == (n, 2) and inside(points, region).all()
            assert prompt.get("points").labels.tolist() == [1] * n


@SAMPLING
def test_points_repeat_only_where_the_mask_has_too_few_pixels(sampling):
    mask = np.zeros((8, 8), np.uint8)
    mask[4, 2:5] = 1
    for n, seed in itertools.product((3, 5), range(4)):
        (prompt,), _ = build(PromptConfig(points=n, sampling=sampling), mask, NAMES[:1], seed)
        assert len(points_of(prompt)) == n and inside(points_of(prompt), mask == 1).all()
        assert n > 3 or len(np.unique(points_of(prompt), axis=0)) == 3


def test_random_points_reach_every_pixel():
    mask = np.zeros((5, 5), np.uint8)
    mask[1:3, 1:4] = 1
    reached = {tuple(points_of(build(PromptConfig(points=1), mask, NAMES[:1], seed)[0][0])[0]) for seed in range(60)}
    assert reached == set(itertools.product((1.5, 2.5, 3.5), (1.5, 2.5)))


def test_the_central_point_is_the_most_interior_pixel(mask):
    prompts, regions = build(PromptConfig(points=1, sampling="center", per="instance"), mask, NAMES[:2])
    for prompt, region in zip(prompts, regions, strict=True):
        outside = np.argwhere(~np.pad(region, 1)) - 1
        inner = np.argwhere(region)
        depth = ((inner[:, None] - outside[None]) ** 2).sum(axis=2).min(axis=1)  # squared, to the nearest pixel outside
        chosen = (inner == (points_of(prompt)[0, ::-1] - 0.5)).all(axis=1)
        assert depth[chosen].tolist() == [depth.max()]


@pytest.mark.parametrize("per", ["image", "instance"])
def test_boxes_end_with_the_last_pixel_as_those_of_segment_anything(per):
    mask = np.random.default_rng(0).random((30, 50)) < 0.04
    mask[3, 7] = mask[20:22, 40:50] = True
    prompts, regions = build(PromptConfig(box=True, per=per), mask.astype(np.uint8), NAMES[:1])
    expected = batched_mask_to_box(torch.from_numpy(np.stack(regions)))
    np.testing.assert_array_equal([prompt.get("box").corners for prompt in prompts], expected)
    if per == "instance":  # among them objects of one pixel, whose box has no width
        assert (expected[:, :2] == expected[:, 2:]).all(dim=1).any() and len(prompts) > 20


@pytest.mark.parametrize("settings", [{"points": 1}, {"box": True}, {"points": 2, "sampling": "center"}])
@PER
def test_absent_classes_get_no_oracle_prompt(settings, per, mask):
    mask[mask == 1] = 255
    config = PromptConfig(**settings, per=per)
    assert {prompt.target for prompt in build(config, mask, NAMES)[0]} == {2}
    for empty in (np.zeros_like(mask), np.full_like(mask, 255)):
        assert build(config, empty, NAMES) == ([], [])


@pytest.mark.parametrize(
    "text, classes, source, expected",
    [
        (["cat", "dog", "é"], 3, {}, [(1, "cat"), (2, "dog"), (3, "é")]),
        ("class", 3, {}, [(1, "cat"), (2, "dog"), (3, "cow")]),
        ("class", 3, {"requested": [1, 3], "is_classification": True}, [(1, "cat"), (3, "cow")]),
        ("class", 2, {"words": ["a cat", "dogs"]}, [(1, "a cat"), (2, "dogs")]),
        ("caption", 1, {"text": "the red ball", "words": ["x"]}, [(1, "the red ball")]),
        ("caption", 1, {"text": "the red ball"}, [(1, "the red ball")]),
        (None, 3, {}, [(1, None), (2, None), (3, None)]),
    ],
)
def test_every_requested_class_is_prompted_for_by_text_or_without_a_prompt(mask, text, classes, source, expected):
    prompts, regions = build(PromptConfig(text=text), mask, NAMES[:classes], **source)
    for prompt, region, (target, phrase) in zip(prompts, regions, expected, strict=True):
        assert prompt.target == target and prompt.is_classification is source.get("is_classification", False)
        assert {kind: part.phrase for kind, part in prompt.parts.items()} == ({"text": phrase} if phrase else {})
        np.testing.assert_array_equal(region, mask == target)


def test_background_as_a_class_has_no_class_name_to_prompt_with(mask):
    classes = ["background", "cat"]
    assert to_json(build(PromptConfig(text="class"), mask, classes)[0]) == '[{"target": 2, "text": "cat"}]'
    given = json.loads(to_json(build(PromptConfig(text=["the wall", "a cat"]), mask, classes)[0]))
    assert [prompt["text"] for prompt in given] == ["the wall", "a cat"]


@pytest.mark.parametrize(
    "text, classes, message",
    [
        (["a"], 2, "params.yaml: a: 1 phrase, but there are 2 classes"),
        (["a", "b"], 1, "params.yaml: a: 2 phrases, but there are 1 classes"),
        ("caption", 2, "params.yaml: a: 1 phrase, but there are 2 classes"),
        ("caption", 1, "a: the dataset has no caption for it"),
    ],
)
def test_each_class_needs_a_phrase(mask, text, classes, message):
    config = PromptConfig(text=text)
    refused(lambda: build(config, mask, NAMES[:classes]), message)
    if "classes" in message:  # as is known before there is a record
        refused(lambda: config.check(NAMES[:classes], "a"), message)
    PromptConfig(text="class").check(NAMES[:classes], "a")


def test_json_has_the_prompts_and_nothing_else(mask):
    prompts, _ = build(PromptConfig(points=2, sampling="center"), mask, NAMES[:2])
    points = [masks.interior_points(mask == target, 2).tolist() for target in (1, 2)]
    assert json.loads(to_json(prompts)) == [
        {"target": 1, "points": points[0], "labels": [1, 1]},
        {"target": 2, "points": points[1], "labels": [1, 1]},
    ]
    prompts, _ = build(PromptConfig(text=["é", '"b"']), mask, NAMES[:2])
    assert to_json(prompts) == '[{"target": 1, "text": "é"}, {"target": 2, "text": "\\"b\\""}]'
    prompts, _ = build(PromptConfig(mask=True), mask, NAMES[:1])
    assert to_json(prompts) == to_json([Prompt()]) == '[{"target": 1}]' and to_json([]) == "[]"
    prompts, _ = build(PromptConfig(box=True, jitter=0.05, per="instance"), mask, NAMES[:2])
    for prompt, entry in zip(prompts, json.loads(to_json(prompts)), strict=True):  # to a hundredth of a pixel
        assert entry == {"target": prompt.target, "box": prompt.get("box").corners.round(2).tolist()}


@pytest.mark.parametrize("config", [*RANDOM, *FIXED, PromptConfig(box=True, points=2)])
def test_json_is_read_as_it_was_written(mask, config):
    prompts, _ = build(config, mask, NAMES[:2])
    again = from_json(to_json(prompts))
    assert to_json(again) == to_json(prompts)
    assert [list(prompt.parts) for prompt in again] == [list(prompt.parts) for prompt in prompts]


def test_a_cropped_mask_prompt_equals_the_full_one():
    transform = ImageTransform(64, True, (0, 0, 0), (1, 1, 1))
    full = np.zeros((40, 60), np.float32)
    full[5:20, 30:50] = np.random.default_rng(0).uniform(0, 1, (15, 20))
    for values in (full, full > 0.5):
        cropped = masks.Region(5, 30, values[5:20, 30:50], 40, 60)
        expected, converted = (Mask(each).to_model(transform, 40, 60).values for each in (values, cropped))
        np.testing.assert_array_equal(converted, expected)


def test_translating_moves_all_parts_of_a_prompt():
    (prompt,) = from_json('[{"target": 1, "points": [[1, 2]], "labels": [1], "box": [1, 2, 3, 4]}]')
    moved = prompt.translate(10, 20)
    assert points_of(moved).tolist() == [[11, 22]] and moved.get("box").corners.tolist() == [11, 22, 13, 24]
