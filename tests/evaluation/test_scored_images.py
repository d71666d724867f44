"""Images to score: records as they are, overlapping tiles blended, prompts in pixels of the whole image."""

import numpy as np
import pytest
from handmade_splits import TILINGS, cut, prediction, run, scene, scored_images, stored, summary, tile, whole, write
from promptseg import prompts
from promptseg.data import rle
from promptseg.data.generated_masks import GeneratedMask, to_json
from promptseg.data.records import Prediction
from promptseg.data.tiling import Window, windows


def as_json(image) -> list[dict]:
    return [part.to_json() | {"target": p.target} for p in image.prompts for part in p.parts.values()]


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("places", TILINGS.values(), ids=TILINGS)
def test_overlapping_tiles_become_the_whole_image(tmp_path, places, classes):
    scenes = [scene(seed, classes=classes) for seed in range(3)]
    joined = scored_images(*cut(tmp_path, places, scenes))
    assert len(joined) == 3
    for i, (image, target, probability) in enumerate(scenes):
        scored = joined[i]
        assert (scored.id, scored.group) == (f"s{i}", f"gs{i}")
        assert np.array_equal(scored.image, image) and np.array_equal(scored.target, target)
        assert np.array_equal(scored.probability, stored(probability)) and scored.probability.dtype == np.uint8


def test_tiles_that_disagree_are_blended(tmp_path):
    image, target, _ = scene(0, 16, 24)
    places = windows(16, 24, 16, 8)
    assert [window.left for window in places] == [0, 8]

    def black_and_white(_, window):
        return np.full((1, 16, 16), window.left / 8)

    paths = cut(tmp_path, places, [(image, target, np.zeros((1, 16, 24)))], of=black_and_white)
    row = scored_images(*paths)[0].probability[0, 8].astype(int)
    assert (row[:8] == 0).all() and (row[16:] == 255).all()
    assert (np.diff(row[7:17]) > 0).all(), "where both overlap, one fades into the other"


def test_a_blended_probability_is_rounded_to_nearest(tmp_path):
    image, target, _ = scene(0, 4, 3)
    record = tile("s", image, target, Window(0, 0, 4, 3))
    maps = [np.tile(np.array(values) / 256, (1, 4, 1)) for values in ([127, 128, 7], [128, 129, 7])]
    paths = write(tmp_path, [record] * 2, [prediction(record.id, probability) for probability in maps])
    assert scored_images(*paths)[0].probability.tolist() == [[[128, 128, 7]] * 4], "127.5 and 128.5 round to even"


def test_automatic_masks_of_overlapping_tiles_have_numbers_of_their_own(tmp_path):
    image, target, _ = scene(0, 12, 20)
    places = windows(12, 20, 12, 4)
    assert [window.left for window in places] == [0, 8]
    masks = [  # of each tile, in its own pixels
        [(slice(1, 4), slice(1, 5)), (slice(6, 11), slice(2, 6))],
        [(slice(2, 7), slice(3, 9)), (slice(9, 11), slice(5, 11)), (slice(0, 1), slice(9, 12))],
    ]
    rows, predictions = [tile("s", image, target, window) for window in places], []
    for row, areas in zip(rows, masks, strict=True):
        generated = []
        for area in areas:
            mask = np.zeros((12, 12), bool)
            mask[area] = True
            box, crop = (0, 0, 1, 1), (0, 0, 12, 12)
            generated.append(GeneratedMask(rle.encode(mask), box, 0.9, 0.97, (1.0, 2.0), crop))
        predictions.append(Prediction(row.id, b"", "[]", to_json(generated)))
    expected = np.zeros((12, 20), int)
    expected[1:4, 1:5], expected[6:11, 2:6] = 1, 2
    expected[2:7, 11:17], expected[9:11, 13:19], expected[0, 17:20] = 3, 4, 5
    assert np.array_equal(scored_images(*write(tmp_path, rows, predictions))[0].mask_numbers, expected)


def test_tiles_without_overlap_are_scored_one_by_one(tmp_path):
    scenes = [scene(seed, 32, 48) for seed in range(2)]
    paths = cut(tmp_path, windows(32, 48, 16), scenes)
    images = scored_images(*paths)
    assert len(images) == 12 and [images[i].id for i in (0, 1, 6)] == ["s0/r0c0", "s0/r0c16", "s1/r0c0"]
    assert np.array_equal(images[1].target, scenes[0][1][:16, 16:32])
    assert summary(tmp_path, *paths)["images"] == 12


def test_pixels_of_dropped_tiles_are_ignored(tmp_path):
    places = windows(40, 56, 16, 6)
    dropped = places[5], places[0], places[-1]
    paths = cut(tmp_path, places, [scene(seed) for seed in range(2)], keep=lambda window: window not in dropped)
    covered = np.zeros((40, 56), bool)
    for window in places:
        if window not in dropped:
            window.of(covered)[...] = True
    for image in scored_images(*paths):
        assert (image.target[~covered] == 255).all() and (image.target[covered] != 255).all()


def test_if_tiles_of_one_image_overlap_all_are_joined(tmp_path):
    """An image of just the tiles' size has one tile; it is scored as a whole beside the joined ones."""
    large, small = scene(0, 40, 56), scene(1, 16, 16)
    rows, predictions = [], []
    for name, (image, target, probability) in (("small", small), ("large", large)):
        for window in windows(*target.shape, 16, 4):
            rows.append(tile(name, image, target, window))
            predictions.append(prediction(rows[-1].id, window.of(probability)))
    images = scored_images(*write(tmp_path, rows, predictions))
    assert [image.id for image in images] == ["small", "large"]
    assert images[0].target.shape == (16, 16) and images[1].target.shape == (40, 56)


def test_tiles_of_an_image_need_not_be_neighbours_in_the_split(tmp_path):
    scenes = [scene(seed) for seed in range(2)]
    places = windows(40, 56, 24)
    rows = [tile(f"s{i}", scenes[i][0], scenes[i][1], window) for window in places for i in range(2)]
    of = {f"s{i}": probability for i, (_, _, probability) in enumerate(scenes)}
    predictions = [prediction(row.id, Window(row.top, row.left, 24, 24).of(of[row.source])) for row in rows]
    images = scored_images(*write(tmp_path, rows, predictions))
    assert [image.id for image in images] == ["s0", "s1"]
    assert all(np.array_equal(images[i].probability, stored(scenes[i][2])) for i in range(2))


def test_prompts_of_tiles_are_moved_to_the_pixels_of_the_whole_image(tmp_path):
    image, target, probability = scene(0)
    given = [
        {"target": 1, "points": [[1.5, 2.5], [0.5, 8.5]], "labels": [1, 0]},
        {"target": 1, "box": [1, 2, 10, 12]},
        {"target": 1, "text": "black spots"},
    ]
    rows = [tile("s", image, target, window) for window in windows(40, 56, 24)]
    predictions = [prediction(row.id, Window(row.top, row.left, 24, 24).of(probability), given) for row in rows]
    paths = write(tmp_path, rows, predictions)
    moved = as_json(scored_images(*paths)[0])
    assert len(moved) == 3 * len(rows)
    for number, row in enumerate(rows):
        x, y = row.left, row.top
        assert moved[3 * number : 3 * number + 3] == [
            {"target": 1, "points": [[x + 1.5, y + 2.5], [x + 0.5, y + 8.5]], "labels": [1, 0]},
            {"target": 1, "box": [x + 1, y + 2, x + 10, y + 12]},
            {"target": 1, "text": "black spots"},
        ]
    run(tmp_path, *paths)  # and the figure can draw them


def test_prompts_of_whole_images_are_not_moved(tmp_path):
    image, target, probability = scene(0)
    given = [{"target": 1, "box": [1.25, 2, 10, 12]}]
    paths = write(tmp_path, [whole("p", "g", image, target)], [prediction("p", probability, given)])
    assert as_json(scored_images(*paths)[0]) == given
    assert isinstance(scored_images(*paths)[0].prompts[0], prompts.Prompt)


def test_a_gray_image_is_scored_too(tmp_path):
    image, target, probability = scene(0)
    paths = write(tmp_path, [whole("p", "g", image[..., 0], target)], [prediction("p", probability)])
    assert scored_images(*paths)[0].image.shape == (40, 56, 3)
    assert summary(tmp_path, *paths)["images"] == 1
