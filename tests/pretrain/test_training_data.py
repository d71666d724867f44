"""What the tiny checkpoints are trained on: prompted images, and groups of images with phrases."""

import numpy as np
import phrase_groups
import prompted_images
import pytest
import settings
from prompted_images import PromptedSplit, sample_prompted_image
from promptseg.data import masks
from promptseg.models.sam import Sam
from synthetic_scenes import INDICES, clip_training, sam_training
from world import rendering
from world.attributes import SLOTS
from world.phrases import MIN_SUPPORT_AREA, is_held_out
from world.scene import KINDS

PROMPTS = settings.Prompts(kinds={"general": 1.0}, boxes=4, points=4, jitter=0.1)


@pytest.fixture
def split():
    return PromptedSplit("train", 3, Sam.create("tiny", 0), sam_training(), 0)


def test_boxes_come_before_points_and_both_fit_their_targets():
    sample, again = (sample_prompted_image(0, "train", 3, PROMPTS) for _ in range(2))
    tight = sample_prompted_image(0, "train", 3, PROMPTS.model_copy(update={"jitter": 0.0}))
    assert (sample.image == again.image).all() and len(sample.prompts) == len(sample.targets) == 8
    kinds = [list(prompt.parts) for prompt in sample.prompts]
    assert kinds == 4 * [["box"]] + 4 * [["points"]]
    for prompt, same, target in zip(sample.prompts, tight.prompts, sample.targets, strict=True):
        if points := prompt.get("points"):
            assert target[int(points.coordinates[0, 1]), int(points.coordinates[0, 0])] and points.labels == [1]
            assert (points.coordinates == same.get("points").coordinates).all(), "without jitter all else is equal"
        else:
            corners, box = prompt.get("box").corners, np.array(masks.bounding_box(target))
            assert (np.abs(corners - box) <= 20).all() and (corners[2:] > corners[:2]).all()
            assert (same.get("box").corners == box).all() and (corners != box).any()


def test_each_epoch_has_its_own_images_and_validation_always_the_same(split):
    after_curriculum = (3, 4, 0, 0)
    first, second, validated, again = (split.take(1, epoch).targets(256)[0] for epoch in after_curriculum)
    assert not np.array_equal(first, second)
    assert np.array_equal(validated, again)


def test_curriculum_sets_the_kinds_of_the_first_epochs_and_not_of_validation(split, monkeypatch):
    kinds, real = [], prompted_images.sample_prompted_image

    def sample(seed, name, index, config):
        kinds.append(list(config.kinds))
        return real(seed, name, index, config)

    monkeypatch.setattr(prompted_images, "sample_prompted_image", sample)
    for epoch in (1, 2, 3, 0):
        split.take(1, epoch)
    assert kinds == [["flat"], ["plain"], ["general"], ["general"]]


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_large_enough_and_visible(kind):
    count = 0
    for index in INDICES:
        scene = rendering.render(0, "val", index, kind)
        targets = prompted_images.sample_targets(np.random.default_rng(index), scene, 6)
        assert len(targets) in (0, 6)
        count += len(targets) > 0
        for mask in targets:
            assert mask.dtype == bool and mask.sum() >= prompted_images.MIN_PIXELS
            assert prompted_images.is_visible(scene.image, mask)
    assert count > 0.6 * len(INDICES)


def test_no_object_is_visible_in_a_flat_image():
    mask, flat = np.zeros((60, 60), bool), np.full((60, 60, 3), 90, np.uint8)
    mask[20:40, 20:40] = True
    assert not prompted_images.is_visible(flat, mask)
    flat[mask] = 110
    assert prompted_images.is_visible(flat, mask)


@pytest.fixture(scope="module")
def groups():
    return [phrase_groups.sample_group(0, "train", index, clip_training()) for index in range(3)]


def test_groups_depend_on_their_index_alone(groups):
    again = phrase_groups.sample_group(0, "train", 1, clip_training())
    for image, other, elsewhere in zip(again.images, groups[1].images, groups[0].images, strict=True):
        pixels, same, different = (each.scene.image.tobytes() for each in (image, other, elsewhere))
        assert pixels == same != different
    texts, other_texts = ([[phrase.text for phrase in row] for row in group.phrases] for group in (again, groups[1]))
    assert texts == other_texts and (again.index, again.seed) == (1, groups[1].seed) != (1, groups[0].seed)


def test_phrases_match_where_they_are_positive_and_none_is_held_out(groups):
    rows = [row for group in groups for row in zip(group.images, group.phrases, strict=True)]
    matches = {(image.matches(each.words), bool(each.objects)) for image, phrases in rows for each in phrases}
    assert matches == {(True, True), (False, False)}
    assert not any(is_held_out(phrase.words) for _, phrases in rows for phrase in phrases)


def test_crops_have_no_relative_attributes(groups):
    crops = [crop for group in groups for crop in group.crops]
    assert crops
    for crop in crops:
        (own,) = crop.attributes
        assert crop.mask.sum() == own.pixels and own.certain and not own.certain & phrase_groups.RELATIVE
        word = sorted(own.certain)[0]
        assert crop.matches((word,)) is True and crop.matches((word, "left")) is None
        slot = next(words for words in SLOTS.values() if word in words)
        impossible = [other for other in slot if other not in own.possible]
        assert not impossible or crop.matches((impossible[0],)) is False


def test_support_image_is_another_image_that_certainly_matches(groups):
    count = 0
    for group in groups:
        for position, phrases in enumerate(group.phrases):
            for phrase, support in [(phrase, group.support(phrase, position)) for phrase in phrases]:
                if support:
                    pixels, mask = support
                    (other,) = [image for image in group.images if image.scene.image is pixels]
                    assert other is not group.images[position] and other.matches(phrase.words)
                    assert mask.mean() >= MIN_SUPPORT_AREA and set(np.unique(mask)) == {0, 1}
                    count += 1
    assert count
