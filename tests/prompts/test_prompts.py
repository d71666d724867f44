"""Prompts from settings and ground truth: where they are, what they prompt for, and that they are reproducible."""

import json

import cv2
import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.data import masks
from promptseg.prompts import Prompt, PromptConfig, PromptSource, build_prompts, from_json, to_json
from promptseg.prompts.mask import Mask

NAMES = ["cat", "dog", "cow"]


@pytest.fixture
def mask():
    """Classes 1 and 2 with two components each, the second of class 1 joined at a corner; ignored pixels between."""
    mask = np.zeros((40, 60), np.uint8)
    mask[3:10, 5:18] = 1
    mask[20:24, 30:34] = 1
    mask[24:30, 34:37] = 1
    mask[2:8, 40:55] = 2
    mask[33:39, 2:4] = 2
    mask[10:20, 18:30] = 255
    mask[4:7, 8:12] = 255
    return mask


def build(config: PromptConfig, mask: np.ndarray, classes: list[str], seed: int = 0, id: str = "a", **source):
    """Prompts and the full masks of their regions."""
    prompts, regions = build_prompts(config, PromptSource(id, mask, classes, seed, **source))
    return prompts, [region.full() for region in regions]


def same(first, second):
    return to_json(first) == to_json(second)


def points_of(prompt) -> np.ndarray:
    return prompt.get("points").coordinates


RANDOM = [PromptConfig(points=3), PromptConfig(points=2, per="instance"), PromptConfig(box=True, jitter=0.1)]
FIXED = [PromptConfig(points=3, sampling="center"), PromptConfig(box=True), PromptConfig(text=["a", "b"])]


@pytest.mark.parametrize("config", RANDOM)
def test_seed_and_id_determine_random_prompts(config, mask):
    first, _ = build(config, mask, NAMES[:2], 0, "training/007")
    np.random.seed(99)
    again, _ = build(config, mask.copy(), NAMES[:2], 0, "training/007")
    assert same(first, again)
    assert not same(first, build(config, mask, NAMES[:2], 1, "training/007")[0])
    assert not same(first, build(config, mask, NAMES[:2], 0, "training/008")[0])


@pytest.mark.parametrize("config", FIXED)
def test_other_prompts_do_not_depend_on_the_seed(config, mask):
    assert same(build(config, mask, NAMES[:2], 0, "a")[0], build(config, mask, NAMES[:2], 1, "b")[0])


def inside(points, region):
    """Whether each point is the center of a pixel of the region."""
    pixels = points - 0.5
    assert (pixels == pixels.astype(int)).all()
    return region[pixels[:, 1].astype(int), pixels[:, 0].astype(int)]


@pytest.mark.parametrize("sampling", ["random", "center"])
@pytest.mark.parametrize("per", ["image", "instance"])
@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("seed", range(5))
def test_points_are_centers_of_different_pixels_of_their_region(mask, sampling, per, n, seed):
    prompts, regions = build(PromptConfig(points=n, sampling=sampling, per=per), mask, NAMES[:2], seed)
    assert len(prompts) == len(regions) == (2 if per == "image" else 4)
    for prompt, region in zip(prompts, regions, strict=True):
        points = points_of(prompt)
        assert points.shape == (n, 2)
        assert inside(points, region).all()
        assert len(np.unique(points, axis=0)) == n
        assert prompt.get("points").labels.tolist() == [1] * n
        assert (mask[region] == prompt.target).all()  # so never an ignored pixel
        assert list(prompt.parts) == ["points"]


def test_random_points_reach_every_pixel():
    mask = np.zeros((5, 5), np.uint8)
    mask[1:3, 1:4] = 1
    reached = {tuple(points_of(build(PromptConfig(points=1), mask, NAMES[:1], seed)[0][0])[0]) for seed in range(200)}
    assert reached == {(x + 0.5, y + 0.5) for x in (1, 2, 3) for y in (1, 2)}


@pytest.mark.parametrize("sampling", ["random", "center"])
def test_points_repeat_only_where_the_mask_has_too_few_pixels(sampling):
    mask = np.zeros((8, 8), np.uint8)
    mask[4, 2:5] = 1
    (prompt,), _ = build(PromptConfig(points=5, sampling=sampling), mask, NAMES[:1])
    assert len(points_of(prompt)) == 5 and inside(points_of(prompt), mask == 1).all()
    (prompt,), _ = build(PromptConfig(points=3, sampling=sampling), mask, NAMES[:1])
    assert len(np.unique(points_of(prompt), axis=0)) == 3


def test_the_central_point_is_the_most_interior_pixel(mask):
    prompts, regions = build(PromptConfig(points=1, sampling="center", per="instance"), mask, NAMES[:2])
    for prompt, region in zip(prompts, regions, strict=True):
        outside = np.argwhere(~np.pad(region, 1)) - 1
        inner = np.argwhere(region)
        depth = ((inner[:, None] - outside[None]) ** 2).sum(axis=2).min(axis=1)  # squared, to the nearest pixel outside
        chosen = (inner == (points_of(prompt)[0, ::-1] - 0.5)).all(axis=1)
        assert depth[chosen].tolist() == [depth.max()]


def test_each_component_has_its_own_prompt_and_region(mask):
    for config in (PromptConfig(points=1, per="instance"), PromptConfig(box=True, per="instance")):
        prompts, regions = build(config, mask, NAMES[:2])
        assert [prompt.target for prompt in prompts] == [1, 1, 2, 2]
        for target in (1, 2):
            of_class = [region for prompt, region in zip(prompts, regions, strict=True) if prompt.target == target]
            np.testing.assert_array_equal(np.sum(of_class, axis=0), mask == target)  # disjoint and complete
        # One component each, besides the background; pixels that touch at a corner belong together.
        assert all(cv2.connectedComponents(region.astype(np.uint8), connectivity=8)[0] == 2 for region in regions)


def test_regions_of_instances_are_cropped(mask):
    """Memory of many instances must not grow with the size of the image."""
    for config in (PromptConfig(points=1, per="instance"), PromptConfig(mask=True, per="instance")):
        prompts, regions = build_prompts(config, PromptSource("a", mask, NAMES[:2], 0))
        assert [region.mask.shape for region in regions] == [(7, 13), (10, 7), (6, 15), (6, 2)]
    assert [prompt.get("mask").values.mask.size for prompt in prompts] == [region.mask.size for region in regions]


def test_instances_are_prompted_in_scan_order(mask):
    """Literal values at one seed: in another order, random points would differ too."""
    points, _ = build(PromptConfig(points=2, per="instance"), mask, NAMES[:2], 3)
    boxes, _ = build(PromptConfig(box=True, per="instance"), mask, NAMES[:2], 3)
    assert [(prompt.target, *points_of(prompt).ravel()) for prompt in points] == [
        (1, 11.5, 8.5, 16.5, 6.5), (1, 30.5, 20.5, 34.5, 25.5), (2, 52.5, 6.5, 44.5, 6.5), (2, 2.5, 34.5, 3.5, 38.5),
    ]  # fmt: skip
    assert [(prompt.target, *prompt.get("box").corners) for prompt in boxes] == [
        (1, 5, 3, 18, 10), (1, 30, 20, 37, 30), (2, 40, 2, 55, 8), (2, 2, 33, 4, 39),
    ]  # fmt: skip


def test_per_image_there_is_one_prompt_for_each_class(mask):
    prompts, regions = build(PromptConfig(box=True), mask, NAMES[:2])
    assert [prompt.target for prompt in prompts] == [1, 2]
    for prompt, region in zip(prompts, regions, strict=True):
        np.testing.assert_array_equal(region, mask == prompt.target)
        assert region.dtype == bool


@pytest.mark.parametrize("per", ["image", "instance"])
def test_a_box_is_the_bounding_box_of_its_region(mask, per):
    for prompt, region in zip(*build(PromptConfig(box=True, per=per), mask, NAMES[:2]), strict=True):
        ys, xs = np.nonzero(region)
        assert prompt.get("box").corners.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert list(prompt.parts) == ["box"]


def test_a_box_and_points_are_parts_of_one_prompt(mask):
    prompts, regions = build(PromptConfig(box=True, points=2, per="instance"), mask, NAMES[:2])
    assert len(prompts) == 4
    for prompt, region in zip(prompts, regions, strict=True):
        ys, xs = np.nonzero(region)
        assert prompt.get("box").corners.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert inside(points_of(prompt), region).all() and prompt.get("points").labels.tolist() == [1, 1]
    moved = prompts[0].translate(10, 20)
    assert (points_of(moved) - points_of(prompts[0])).tolist() == [[10, 20]] * 2
    assert (moved.get("box").corners - prompts[0].get("box").corners).tolist() == [10, 20, 10, 20]
    assert same(from_json(to_json(prompts)), prompts)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
def test_jitter_moves_each_side_outward_by_at_most_its_share_of_the_longer_side(shape):
    mask = np.zeros(shape, np.uint8)
    mask[18:22, 18:24] = 1
    tight = np.array([18, 18, 24, 22])
    config = PromptConfig(box=True, jitter=0.2)
    boxes = np.array([build(config, mask, NAMES[:1], seed)[0][0].get("box").corners for seed in range(200)])
    moved = (boxes - tight) * [-1, -1, 1, 1]
    assert moved.min() >= 0 and moved.max() <= 0.2 * 60
    assert (moved.max(axis=0) > 0.19 * 60).all() and (moved.min(axis=0) < 0.01 * 60).all()  # each side independently
    assert np.abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.3


def test_jitter_stays_within_the_image(mask):
    height, width = mask.shape
    touched = set()
    for seed in range(50):
        for prompt in build(PromptConfig(box=True, jitter=0.9, per="instance"), mask, NAMES[:2], seed)[0]:
            x0, y0, x1, y1 = prompt.get("box").corners
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
            touched |= {name for name, hit in (("x0", x0 == 0), ("x1", x1 == width), ("y1", y1 == height)) if hit}
    assert touched == {"x0", "x1", "y1"}


@pytest.mark.parametrize(
    "config",
    [PromptConfig(points=1), PromptConfig(box=True), PromptConfig(points=2, sampling="center", per="instance")],
)
def test_absent_classes_get_no_oracle_prompt(config, mask):
    mask[mask == 1] = 255
    prompts, regions = build(config, mask, NAMES[:3])
    assert {prompt.target for prompt in prompts} == {2} and len(prompts) == len(regions)
    assert build(config, np.zeros_like(mask), NAMES[:3]) == ([], [])
    assert build(config, np.full_like(mask, 255), NAMES[:3]) == ([], [])


def test_text_prompts_for_every_class_present_or_not(mask):
    prompts, regions = build(PromptConfig(text=["cat", "dog", "é"]), mask, NAMES[:3])
    assert [(prompt.target, prompt.get("text").phrase) for prompt in prompts] == [(1, "cat"), (2, "dog"), (3, "é")]
    for prompt, region in zip(prompts, regions, strict=True):
        np.testing.assert_array_equal(region, mask == prompt.target)
        assert list(prompt.parts) == ["text"]
    assert not regions[2].any()


def test_requested_classes_and_classification(mask):
    config = PromptConfig(text="class")
    prompts, regions = build(config, mask, NAMES[:3], requested=[1, 3], is_classification=True)
    assert [(prompt.target, prompt.get("text").phrase, prompt.is_classification) for prompt in prompts] == [
        (1, NAMES[0], True),
        (3, NAMES[2], True),
    ]
    np.testing.assert_array_equal(regions[1], mask == 3)
    again, _ = build(config, mask, NAMES[:3])
    assert [prompt.target for prompt in again] == [1, 2, 3] and not any(prompt.is_classification for prompt in again)


def test_models_without_prompts_get_an_empty_prompt_for_every_class(mask):
    prompts, regions = build(PromptConfig(), mask, NAMES[:2])
    assert [prompt.target for prompt in prompts] == [1, 2]
    assert all(not prompt.parts for prompt in prompts)
    np.testing.assert_array_equal(regions[1], mask == 2)


@pytest.mark.parametrize("phrases, classes", [(["a"], 2), (["a", "b"], 1)])
def test_there_must_be_a_phrase_for_each_class(mask, phrases, classes):
    with pytest.raises(UserError, match=rf"^params.yaml: a: {len(phrases)} phrase.*{classes} classes$"):
        build(PromptConfig(text=phrases), mask, NAMES[:classes])


def test_json_has_the_prompts_and_nothing_else(mask):
    prompts, _ = build(PromptConfig(points=2, sampling="center"), mask, NAMES[:2])
    points = [masks.interior_points(mask == target, 2).tolist() for target in (1, 2)]
    assert json.loads(to_json(prompts)) == [
        {"target": 1, "points": points[0], "labels": [1, 1]},
        {"target": 2, "points": points[1], "labels": [1, 1]},
    ]
    prompts, _ = build(PromptConfig(text=["é", '"b"']), mask, NAMES[:2])
    assert to_json(prompts) == '[{"target": 1, "text": "é"}, {"target": 2, "text": "\\"b\\""}]'
    assert to_json([]) == "[]" and to_json([Prompt()]) == '[{"target": 1}]'


@pytest.mark.parametrize("config", [*RANDOM, *FIXED])
def test_json_is_read_as_it_was_written(mask, config):
    prompts, _ = build(config, mask, NAMES[:2])
    again = from_json(to_json(prompts))
    assert to_json(again) == to_json(prompts)
    assert [list(prompt.parts) for prompt in again] == [list(prompt.parts) for prompt in prompts]


def test_class_names_as_phrases(mask):
    prompts, _ = build(PromptConfig(text="class"), mask, NAMES[:2])
    assert [(prompt.target, prompt.get("text").phrase) for prompt in prompts] == [(1, "cat"), (2, "dog")]


def test_the_caption_of_a_record_as_phrase(mask):
    config = PromptConfig(text="caption")
    (prompt,), (region,) = build(config, mask, ["referred"], text="the red ball")
    assert prompt.get("text").phrase == "the red ball"
    np.testing.assert_array_equal(region, mask == 1)
    with pytest.raises(UserError, match="^a: the dataset has no caption for it"):
        build(config, mask, ["referred"])
    with pytest.raises(UserError, match="1 phrase, but there are 2 classes"):
        build(config, mask, NAMES[:2], text="the red ball")


def test_json_has_boxes_to_a_hundredth_of_a_pixel(mask):
    prompts, _ = build(PromptConfig(box=True, jitter=0.05, per="instance"), mask, NAMES[:2])
    for prompt, entry in zip(prompts, json.loads(to_json(prompts)), strict=True):
        assert set(entry) == {"target", "box"}
        np.testing.assert_allclose(entry["box"], prompt.get("box").corners, atol=0.005001)


@pytest.mark.parametrize("per", ["image", "instance"])
def test_a_mask_prompt_is_its_own_region(mask, per):
    prompts, regions = build(PromptConfig(mask=True, per=per), mask, NAMES[:3])
    assert [prompt.target for prompt in prompts] == ([1, 2] if per == "image" else [1, 1, 2, 2])  # no cow in the mask
    for prompt, region in zip(prompts, regions, strict=True):
        np.testing.assert_array_equal(prompt.get("mask").values.full(), region)
        assert list(prompt.parts) == ["mask"]
    assert json.loads(to_json(prompts))[0] == {"target": 1}


def test_a_cropped_mask_prompt_equals_the_full_one():
    from promptseg.nn.image_transform import ImageTransform

    transform = ImageTransform(64, True, (0, 0, 0), (1, 1, 1))
    full = np.zeros((40, 60), np.float32)
    full[5:20, 30:50] = np.random.default_rng(0).uniform(0, 1, (15, 20))
    for values in (full, full > 0.5):
        cropped = masks.Region(5, 30, values[5:20, 30:50], 40, 60)
        expected, converted = (Mask(each).to_model(transform, 40, 60).values for each in (values, cropped))
        np.testing.assert_array_equal(converted, expected)


def test_translating_moves_points_and_boxes():
    prompts = from_json('[{"target": 1, "points": [[1, 2]], "labels": [1]}, {"target": 1, "box": [1, 2, 3, 4]}]')
    points, box = (prompt.translate(10, 20) for prompt in prompts)
    assert points_of(points).tolist() == [[11, 22]] and box.get("box").corners.tolist() == [11, 22, 13, 24]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"points": 1, "mask": True}, "do not go together"),
        ({"text": "class", "points": 1}, "do not go together"),
        ({"text": "class", "sampling": "center"}, "sampling belongs to points"),
        ({"points": 1, "jitter": 0.1}, "jitter belongs to box"),
        ({"text": "class", "image_weight": 0.5}, "image_weight belongs to support"),
        ({"text": []}, "a phrase for each class is expected"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PromptConfig(**settings)


@pytest.mark.parametrize(
    "settings, kind, oracle",
    [
        ({"points": 2}, "points", True),
        ({"box": True}, "box", True),
        ({"points": 1, "box": True}, "box + points", True),
        ({"mask": True}, "mask", True),
        ({"text": "class"}, "text", False),
        ({"support": True}, "support", False),
        ({"support": True, "text": ["a"]}, "text + support", False),
        ({"automatic": True}, "automatic", False),
        ({}, "none", False),
    ],
)
def test_kind_and_oracle_flag_of_settings(settings, kind, oracle):
    config = PromptConfig(**settings)
    assert (config.kind, config.oracle) == (kind, oracle)
