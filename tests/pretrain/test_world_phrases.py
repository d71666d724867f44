"""Phrases about synthetic images: positive ones hold for all their referents, negative ones for no object."""

import re

import cv2
import numpy as np
from promptseg.synthetic import colors
from synthetic_scenes import described
from world import phrases
from world.attributes import SHAPES, SLOTS, describe
from world.phrases import HELD_OUT
from world.scene import BACKGROUND


def sampled(sample, draws, key=(), held_out=False):
    """Scenes with their attributes, and phrases about them."""
    for number, image in enumerate(described()):
        for draw in range(draws):
            phrase = sample(np.random.default_rng((*key, number, draw)), image, held_out)
            if phrase is not None:
                yield image.scene, image.attributes, phrase


def test_every_word_of_a_positive_phrase_holds_for_its_referents():
    """Checked on the pixels, word by word, without the attributes that the phrase was made of."""
    checked = {slot: 0 for slot in SLOTS}
    for scene, _, phrase in sampled(phrases.sample_positive, 12):
        for word in phrase.words:
            for index in phrase.objects:
                check_word(scene, scene.objects[index], word)
                checked[phrases.SLOT_OF[word]] += 1
    assert all(count > 5 for count in checked.values()), checked


def check_word(scene, referent, word):
    """Check an attribute of an object by its pixels and its outline."""
    mask, image = scene.mask(referent.ids), scene.image / 255
    height, width = mask.shape
    y, x = np.nonzero(mask)
    slot = phrases.SLOT_OF[word]
    if slot == "place":
        holds = {"left": x.mean() < 0.4 * width, "right": x.mean() > 0.6 * width, "top": y.mean() < 0.4 * height,
                 "bottom": y.mean() > 0.6 * height,
                 "middle": abs(x.mean() / width - 0.5) < 0.15 and abs(y.mean() / height - 0.5) < 0.15}  # fmt: skip
        assert holds[word]
    elif slot == "tone":
        inside, overall = cv2.cvtColor(np.float32(image), cv2.COLOR_RGB2GRAY)[mask].mean(), image.mean()
        assert inside < overall if word == "dark" else inside > overall
    elif slot == "size":
        assert mask.mean() < 0.015 if word == "small" else mask.mean() > 0.06
    elif slot == "color":
        red, green, blue = image[mask].mean(axis=0)
        chroma = max(red, green, blue) - min(red, green, blue)
        assert {
            "red": red > max(green, blue) + 0.1, "orange": red > green > blue, "brown": 0.6 > red > green > blue,
            "yellow": min(red, green) > blue + 0.1, "green": green > max(red, blue) + 0.05,
            "cyan": min(green, blue) > red + 0.1, "blue": blue > max(red, green) + 0.05,
            "purple": blue > red > green, "pink": red > blue > green, "black": max(red, green, blue) < 0.3,
            "white": min(red, green, blue) > 0.7, "gray": chroma < 0.1 and 0.2 < green < 0.8,
        }[word]  # fmt: skip
    elif slot == "texture":
        assert referent.texture == word and image[mask].std(axis=0).max() > 0.04
    elif slot in ("width", "bend"):
        assert referent.shape == {"straight": "line", "curved": "curve"}.get(word, referent.shape)
        assert {"thin": 2 <= referent.stroke <= 4, "thick": referent.stroke >= 4}.get(word, referent.stroke >= 2)
    else:
        shapes = {"spot": ("circle", "oval", "blob"), "line": ("line", "curve")}
        assert referent.shape in shapes.get(word, (word,)) and (word != "spot" or mask.mean() < 0.015)


def test_phrases_refer_to_every_object_with_their_attributes():
    plurals = 0
    for scene, attributes_, phrase in sampled(phrases.sample_positive, 8, key=(1,)):
        for i, (each, own) in enumerate(zip(scene.objects, attributes_, strict=True)):
            same_noun = (each.shape == BACKGROUND) == ("area" in phrase.words) and own.pixels
            assert (i in phrase.objects) == bool(same_noun and set(phrase.words) <= own.certain)
            possible = bool(same_noun and set(phrase.words) <= own.possible)
            assert (i in phrase.objects or i in phrase.uncertain) == possible
        mask = phrase.mask(scene)
        assert set(np.unique(mask)) <= {0, 1, 255} and (mask == 1).sum() > (mask == 255).sum()
        plurals += len(phrase.objects) > 1
        noun = re.split(" on the | at the | in the ", phrase.text)[0].split()[-1]
        assert (len(phrase.objects) > 1) == (noun.endswith("s") and noun != "cross")
    assert plurals > 10


def test_every_object_lacks_an_attribute_of_each_negative_phrase():
    count = 0
    for scene, attributes_, phrase in sampled(phrases.sample_negative, 8, key=(2,)):
        count += 1
        assert phrase.objects == ()
        for each, own in zip(scene.objects, attributes_, strict=True):
            if own.pixels and (each.shape == BACKGROUND) == ("area" in phrase.words):
                assert any(word not in own.possible for word in phrase.words)
    assert count > 100


def test_held_out_pairs_occur_in_all_test_phrases_and_in_no_others():
    held_out_pairs = {frozenset(pair) for pair in HELD_OUT}
    count = 0
    for sample in (phrases.sample_positive, phrases.sample_negative):
        for held_out in (False, True):
            for _, _, phrase in sampled(sample, 10, key=(3,), held_out=held_out):
                pairs = {frozenset((a, b)) for a in phrase.words for b in phrase.words}
                assert bool(pairs & held_out_pairs) == held_out
                count += held_out
    assert count > 20
    words = {word for pair in HELD_OUT for word in pair}
    assert {*colors.NAMES, *SLOTS["texture"], *SHAPES} == words


def test_every_word_occurs_in_some_phrase():
    expected, found = {word for words in SLOTS.values() for word in words}, set()
    for index in range(400):
        image = describe(1, "train", index, "general")
        for draw in range(6):
            phrase = phrases.sample_positive(np.random.default_rng((4, index, draw)), image, held_out=False)
            found |= set(phrase.words) if phrase else set()
        if found == expected:
            break
    assert expected - found == set()
