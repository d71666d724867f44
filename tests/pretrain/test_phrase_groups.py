"""Groups of images with phrases, crops and support images: the training data of the tiny CLIP and CLIPSeg."""

import numpy as np
import phrase_groups
import pytest
from synthetic_scenes import clip_training
from world.attributes import SLOTS
from world.phrases import MIN_SUPPORT_AREA, is_held_out


@pytest.fixture(scope="module")
def groups():
    return [phrase_groups.sample_group(0, "train", index, clip_training()) for index in range(3)]


def test_groups_depend_on_their_index_alone(groups):
    again = phrase_groups.sample_group(0, "train", 1, clip_training())
    pixels, other_pixels = ([image.scene.image.tobytes() for image in group.images] for group in (again, groups[1]))
    assert pixels == other_pixels
    texts, other_texts = ([[phrase.text for phrase in row] for row in group.phrases] for group in (again, groups[1]))
    assert texts == other_texts
    assert groups[0].images[0].scene.image.tobytes() != groups[1].images[0].scene.image.tobytes()


def test_phrases_match_where_they_are_positive_and_none_is_held_out(groups):
    matches = []
    for group in groups:
        for image, phrases in zip(group.images, group.phrases, strict=True):
            for phrase in phrases:
                assert not is_held_out(phrase.words)
                matches.append(image.matches(phrase.words))
                assert matches[-1] is bool(phrase.objects)
    assert {True, False} == set(matches)


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
            for phrase in phrases:
                if support := group.support(phrase, position):
                    pixels, mask = support
                    (other,) = [image for image in group.images if image.scene.image is pixels]
                    assert other is not group.images[position] and other.matches(phrase.words)
                    assert mask.mean() >= MIN_SUPPORT_AREA and set(np.unique(mask)) == {0, 1}
                    count += 1
    assert count
