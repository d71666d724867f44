"""The world of stages/pretrain: the same everywhere, and all that is said of it holds in what was drawn."""

import ast
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from world import colors, looks, phrases, scene, splits, targets
from world.kinds import KINDS
from world.outlines import OUTLINES, STRANDS, Outline, raster
from world.pictures import AREA

PRETRAIN = Path(__file__).parent.parent / "stages/pretrain"
NUMBERS = range(40)


@pytest.fixture(scope="module")
def pictures():
    return [scene.draw(0, "train", number, "general") for number in NUMBERS]


@pytest.fixture(scope="module")
def seen(pictures):
    return [looks.looks(picture) for picture in pictures]


def digest(number: int, kind: str) -> str:
    picture = scene.draw(0, "test", number, kind)
    return hashlib.sha256(
        picture.image.tobytes() + picture.labels.tobytes() + repr(picture.things).encode()
    ).hexdigest()


def test_a_picture_is_the_same_in_any_process_and_order():
    here = [digest(number, kind) for kind in KINDS for number in (5, 2)]
    code = "import sys, test_world as t; print([t.digest(n, k) for k in reversed(t.KINDS) for n in (2, 5)][::-1])"
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PRETRAIN), str(Path(__file__).parent)]),
        "PYTHONHASHSEED": "7",
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == here


def test_seeds_splits_numbers_and_kinds_have_pictures_of_their_own():
    first = (0, "train", 1, "general")
    places = [(0, 1), (1, "val"), (1, "test"), (2, 2), (3, "faint"), (3, "fine")]
    drawn = [first, *((*first[:place], other, *first[place + 1 :]) for place, other in places)]
    assert len({scene.draw(*which).image.tobytes() for which in drawn}) == len(drawn)


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_has_its_own_pixels_and_the_grounds_have_the_rest(kind):
    for number in NUMBERS:
        picture = scene.draw(0, "val", number, kind)
        assert picture.image.dtype == np.uint8 and picture.image.shape == (*picture.labels.shape, 3)
        assert all(scene.SIDES[0] <= side <= scene.SIDES[1] for side in picture.labels.shape)
        ids = [id for thing in picture.things for id in thing.ids]
        assert ids == list(range(len(ids))) and set(np.unique(picture.labels)) <= set(ids)
        together = sum(picture.mask(thing.ids).astype(int) for thing in picture.things)
        assert (together == 1).all()


def test_the_masks_are_what_is_drawn(monkeypatch):
    """Without light, blur and noise: a picture drawn with one thing less differs there and nowhere else."""
    monkeypatch.setattr(scene, "_seen", lambda rng, image, how: np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8))
    whole = scene.Canvas.put
    compared = 0
    for number in range(30):
        last = {}

        def put(self, *args, last=last):
            last["before"] = self.image.copy(), self.labels.copy()
            whole(self, *args[:6], 0.0, 1.0)
            last["after"] = self.image.copy(), self.labels.copy(), self.things[-1]

        monkeypatch.setattr(scene.Canvas, "put", put)
        scene.draw(0, "test", number, "general")
        if last:
            (image, labels), (after, now, thing) = last["before"], last["after"]
            changed = (image != after).any(axis=-1)
            mask = np.isin(now, thing.ids)
            assert not (changed & ~mask).any() and (labels == now)[~mask].all()
            compared += mask.sum() > 0 and changed[mask].mean() > 0.9
    assert compared >= 10


@pytest.mark.parametrize("shape", OUTLINES)
def test_an_outline_lies_where_it_is_put_and_has_hard_edges(shape):
    for seed in range(5):
        outline = OUTLINES[shape](np.random.default_rng(seed))
        mask, left, top = raster(outline, 40, 100.5, 60.5)
        assert set(np.unique(mask)) == {0, 1}
        y, x = np.nonzero(mask)
        assert np.hypot(x + left + 0.5 - 100.5, y + top + 0.5 - 60.5).max() < 40 * 2.2


def test_outlines_are_what_their_names_say():
    """By their rasters alone: how much they fill of what goes round them, and whether they have a hole."""

    def share(mask, shape):
        (contour, *_), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        around = {
            "circle": lambda: np.pi * cv2.minEnclosingCircle(contour)[1] ** 2,
            "oval": lambda: np.pi / 4 * np.prod(cv2.minAreaRect(contour)[1]),
            "triangle": lambda: cv2.minEnclosingTriangle(contour)[0],
            "hull": lambda: cv2.contourArea(cv2.convexHull(contour)),
        }
        sides = cv2.minAreaRect(contour)[1]
        return mask.sum() / around.get(shape, lambda: np.prod(sides))(), sides

    for seed in range(8):
        drawn = {shape: raster(OUTLINES[shape](np.random.default_rng(seed)), 50, 80, 80)[0] for shape in OUTLINES}
        for shape in ("circle", "oval", "triangle", "square", "rectangle"):
            filled, (one, other) = share(drawn[shape], shape)
            assert filled > 0.9, shape
            longer = max(one, other) / min(one, other)
            assert (longer > 1.4) == (shape in ("oval", "rectangle")) or shape == "triangle", shape
        for shape in ("star", "cross", "crescent"):
            assert share(drawn[shape], "hull")[0] < 0.85, shape
        for shape, holes in (("ring", 1), ("grid", 4)):
            _, tree = cv2.findContours(drawn[shape], cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            assert (tree[0, :, 3] >= 0).sum() >= holes, shape
        for shape in STRANDS:
            assert share(drawn[shape], "rectangle")[0] < 0.75 or shape == "line", shape


def test_a_square_covers_the_pixels_that_it_should():
    square = Outline((np.array([(-1.0, -1), (1, -1), (1, 1), (-1, 1)]),))
    mask, left, top = raster(square, 10, 30, 20)
    y, x = np.nonzero(mask)
    assert abs(x.min() + left - 20) <= 1 and abs(x.max() + left - 39) <= 1
    assert abs(y.min() + top - 10) <= 1 and abs(y.max() + top - 29) <= 1


def test_every_true_phrase_is_true(pictures, seen):
    """Checked on the picture's pixels, word by word, without the looks that the phrase was made of."""
    checked = {slot: 0 for slot in looks.SLOTS}
    for number, (picture, look) in enumerate(zip(pictures, seen)):
        for draw in range(12):
            phrase = phrases.true(np.random.default_rng((number, draw)), picture, look, held=False)
            for word in phrase.words if phrase else ():
                for thing in phrase.things:
                    checked[phrases.SLOT[word]] += holds(picture, picture.things[thing], word)
    assert all(count > 5 for count in checked.values()), checked


def holds(picture, thing, word):
    """Whether a thing has a word, by its pixels and its outline; fails where it has not."""
    mask, image = picture.mask(thing.ids), picture.image / 255
    height, width = mask.shape
    y, x = np.nonzero(mask)
    slot = phrases.SLOT[word]
    if slot == "place":
        at = {"left": x.mean() < 0.4 * width, "right": x.mean() > 0.6 * width, "top": y.mean() < 0.4 * height,
              "bottom": y.mean() > 0.6 * height,
              "middle": abs(x.mean() / width - 0.5) < 0.15 and abs(y.mean() / height - 0.5) < 0.15}  # fmt: skip
        assert at[word]
    elif slot == "tone":
        inside, everywhere = cv2.cvtColor(np.float32(image), cv2.COLOR_RGB2GRAY)[mask].mean(), image.mean()
        assert inside < everywhere if word == "dark" else inside > everywhere
    elif slot == "size":
        assert mask.mean() < 0.015 if word == "small" else mask.mean() > 0.06
    elif slot == "color":
        red, green, blue = image[mask].mean(axis=0)
        spread = max(red, green, blue) - min(red, green, blue)
        assert {
            "red": red > max(green, blue) + 0.1, "orange": red > green > blue, "brown": 0.6 > red > green > blue,
            "yellow": min(red, green) > blue + 0.1, "green": green > max(red, blue) + 0.05,
            "cyan": min(green, blue) > red + 0.1, "blue": blue > max(red, green) + 0.05,
            "purple": blue > red > green, "pink": red > blue > green, "black": max(red, green, blue) < 0.3,
            "white": min(red, green, blue) > 0.7, "gray": spread < 0.1 and 0.2 < green < 0.8,
        }[word]  # fmt: skip
    elif slot == "texture":
        assert thing.texture == word and image[mask].std(axis=0).max() > 0.04
    elif slot in ("width", "bend"):
        assert thing.shape == {"straight": "line", "curved": "curve"}.get(word, thing.shape) and thing.stroke >= 2
        assert word != "thin" or thing.stroke <= 4
        assert word != "thick" or thing.stroke >= 4
    elif word == "spot":
        assert thing.shape in ("circle", "oval", "blob") and mask.mean() < 0.015
    else:
        assert thing.shape == {"line": thing.shape if thing.shape == "curve" else "line"}.get(word, word)
    return True


def test_a_phrase_means_every_thing_that_it_is_true_of(pictures, seen):
    plurals = 0
    for number, (picture, look) in enumerate(zip(pictures, seen)):
        for draw in range(8):
            phrase = phrases.true(np.random.default_rng((1, number, draw)), picture, look, held=False)
            if phrase is None:
                continue
            for i, (thing, one) in enumerate(zip(picture.things, look)):
                same_sort = (thing.shape == AREA) == ("area" in phrase.words) and one.pixels
                assert (i in phrase.things) == bool(same_sort and set(phrase.words) <= one.sure)
                might = bool(same_sort and set(phrase.words) <= one.maybe)
                assert (i in phrase.things or i in phrase.doubtful) == might
            mask = phrase.mask(picture)
            assert set(np.unique(mask)) <= {0, 1, 255} and (mask == 1).sum() > (mask == 255).sum()
            plurals += len(phrase.things) > 1
            noun = re.split(" on the | at the | in the ", phrase.text)[0].split()[-1]
            assert (len(phrase.things) > 1) == (noun.endswith("s") and noun != "cross")
    assert plurals > 10


def test_every_false_phrase_is_false(pictures, seen):
    """For each thing there is a word of it that nobody could say of that thing."""
    found = 0
    for number, (picture, look) in enumerate(zip(pictures, seen)):
        for draw in range(8):
            phrase = phrases.false(np.random.default_rng((2, number, draw)), picture, look, held=False)
            if phrase is None:
                continue
            found += 1
            assert phrase.things == ()
            for thing, one in zip(picture.things, look):
                if one.pixels and (thing.shape == AREA) == ("area" in phrase.words):
                    assert any(word not in one.maybe for word in phrase.words)
    assert found > 100


def test_what_is_held_out_is_never_said_in_training_and_always_in_its_test(pictures, seen):
    kept = {frozenset(pair) for pair in splits.HELD_OUT}
    held = 0
    for number, (picture, look) in enumerate(zip(pictures, seen)):
        for draw in range(10):
            for make in (phrases.true, phrases.false):
                for apart in (False, True):
                    phrase = make(np.random.default_rng((3, number, draw)), picture, look, held=apart)
                    if phrase is not None:
                        pairs = {frozenset((a, b)) for a in phrase.words for b in phrase.words}
                        assert bool(pairs & kept) == apart
                        held += apart
    assert held > 20
    every = {word for pair in splits.HELD_OUT for word in pair}
    assert {*colors.NAMES, *looks.SLOTS["texture"], *looks.SHAPES} == every


def test_every_word_is_said_somewhere():
    every, said = {word for words in looks.SLOTS.values() for word in words}, set()
    for number in range(400):
        picture = scene.draw(1, "train", number, "general")
        look = looks.looks(picture)
        found = [phrases.true(np.random.default_rng((4, number, draw)), picture, look, held=False) for draw in range(6)]
        said |= {word for phrase in found if phrase for word in phrase.words}
        if said == every:
            break
    assert every - said == set()


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_large_enough_and_can_be_seen(kind):
    found = 0
    for number in NUMBERS:
        picture = scene.draw(0, "val", number, kind)
        chosen = targets.targets(np.random.default_rng(number), picture, 6)
        assert len(chosen) in (0, 6)
        found += len(chosen) > 0
        for mask in chosen:
            assert mask.dtype == bool and mask.sum() >= targets.LEAST and targets.visible(picture.image, mask)
    assert found > 0.7 * len(NUMBERS)


def test_nothing_is_seen_in_a_flat_picture():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    flat = np.full((60, 60, 3), 90, np.uint8)
    assert not targets.visible(flat, mask)
    flat[mask] = 110
    assert targets.visible(flat, mask)


def test_faint_pictures_are_gray_and_fine_ones_thin():
    faint = [scene.draw(0, "val", number, "faint").image for number in range(10)]
    assert all((image == image[..., :1]).all() for image in faint)
    strokes = [t.stroke for n in range(20) for t in scene.draw(0, "val", n, "fine").things if t.stroke]
    assert len(strokes) > 10 and np.median(strokes) <= 4


def test_plain_pictures_have_no_textures_and_larger_things():
    plain, general = ([scene.draw(0, "val", n, kind) for n in range(20)] for kind in ("plain", "general"))
    textures_of = {thing.texture for picture in plain for thing in picture.things}
    assert textures_of <= {"plain", None}
    sizes = [
        np.median(
            [thing.full / picture.labels.size for picture in group for thing in picture.things if thing.shape != AREA]
        )
        for group in (plain, general)
    ]
    assert sizes[0] > 2 * sizes[1]


def test_the_world_shares_no_code_with_the_datasets_samples():
    for path in PRETRAIN.rglob("*.py"):
        names = []
        for node in ast.walk(ast.parse(path.read_text())):
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.startswith(("promptseg.parts", "promptseg.datasets"))], path
        if path.parent.name == "world":
            assert not [name for name in names if name.startswith("promptseg")], path
