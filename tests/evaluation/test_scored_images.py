"""Images to score: tiles as they are or put together, as the setting says; prompts in pixels of the whole image."""

import numpy as np
import pytest
from handmade_splits import cut, generated, prediction, scene, scored_images, stored, summary, tile, whole, write
from promptseg import prompts
from promptseg.data.generated_masks import to_json
from promptseg.data.records import Prediction
from promptseg.data.tiling import Window, windows

TILINGS = {
    "without overlap": windows(40, 56, 8),
    "overlapping": windows(40, 56, 16, 6),
    "moved back at the border": windows(40, 56, 24),
    "nearly all": windows(40, 56, 39, 38)[::7],
}


def prediction_of(record, probability, given=None) -> Prediction:
    """The tile of a prediction of the whole image."""
    window = Window(record.top, record.left, record.height, record.width)
    return prediction(record.id, window.of(probability), given)


def as_json(image) -> list[dict]:
    return [part.to_json() | {"target": p.target} for p in image.prompts for part in p.parts.values()]


@pytest.mark.parametrize("places", TILINGS.values(), ids=TILINGS)
def test_tiles_become_the_whole_image_and_pixels_without_a_tile_are_ignored(tmp_path, places):
    scenes = [scene(seed, classes=3) for seed in range(2)]
    kept = [window for number, window in enumerate(places) if number not in (1, 5)]
    covered = np.zeros((40, 56), bool)
    for window in kept:
        window.of(covered)[...] = True
    paths = cut(tmp_path, kept, scenes)
    joined = scored_images(*paths)
    assert len(joined) == summary(tmp_path, *paths)["images"] == 2 and not covered.all()
    for i, (scored, (image, target, probability)) in enumerate(zip(joined, scenes, strict=True)):
        assert (scored.id, scored.group) == (f"s{i}", f"gs{i}")
        assert np.array_equal(scored.image[covered], image[covered]) and scored.probability.dtype == np.uint8
        assert np.array_equal(scored.target, np.where(covered, target, 255))
        assert np.array_equal(scored.probability[:, covered], stored(probability)[:, covered])


def test_tiles_that_disagree_fade_into_each_other(tmp_path):
    image, target, _ = scene(0, 16, 24)
    rows = [tile("s", image, target, window) for window in windows(16, 24, 16, 8)]
    predictions = [prediction(row.id, np.full((1, 16, 16), row.left / 8)) for row in rows]
    row = scored_images(*write(tmp_path, rows, predictions))[0].probability[0, 8].astype(int)
    assert (row[:8] == 0).all() and (row[16:] == 255).all() and (np.diff(row[7:17]) > 0).all()


def test_a_blended_probability_is_rounded_to_nearest(tmp_path):
    record = tile("s", *scene(0, 4, 3)[:2], Window(0, 0, 4, 3))
    maps = [np.tile(np.array(values) / 256, (1, 4, 1)) for values in ([127, 128, 7], [128, 129, 7])]
    paths = write(tmp_path, [record] * 2, [prediction(record.id, probability) for probability in maps])
    assert scored_images(*paths)[0].probability.tolist() == [[[128, 128, 7]] * 4], "127.5 and 128.5 round to even"


def test_automatic_masks_of_overlapping_tiles_have_numbers_of_their_own(tmp_path):
    image, target, _ = scene(0, 12, 20)
    masks = np.zeros((5, 12, 12), bool)  # two of the first tile, three of the second, in their own pixels
    masks[0, 1:4, 1:5] = masks[1, 6:11, 2:6] = masks[2, 2:7, 3:9] = masks[3, 9:11, 5:11] = masks[4, 0, 9:12] = True
    rows = [tile("s", image, target, window) for window in windows(12, 20, 12, 4)]
    given = [to_json([generated(mask) for mask in own]) for own in (masks[:2], masks[2:])]
    predictions = [Prediction(row.id, b"", "[]", text) for row, text in zip(rows, given, strict=True)]
    expected = np.zeros((12, 20), int)
    for number, (mask, left) in enumerate(zip(masks, (0, 0, 8, 8, 8), strict=True), start=1):
        expected[:, left : left + 12][mask] = number
    assert np.array_equal(scored_images(*write(tmp_path, rows, predictions))[0].mask_numbers, expected)


@pytest.mark.parametrize("overlap", [0, 8])
def test_tiles_are_scored_by_themselves_where_the_setting_says_so_whether_they_overlap_or_not(tmp_path, overlap):
    scenes, places = [scene(seed, 32, 48) for seed in range(2)], windows(32, 48, 16, overlap)
    images = scored_images(*cut(tmp_path, places, scenes, "tile"))
    assert len(images) == 2 * len(places) == {0: 12, 8: 30}[overlap]
    for image, (number, window) in zip(images, ((i, window) for i in range(2) for window in places), strict=True):
        assert (image.id, image.group) == (f"s{number}/r{window.top}c{window.left}", f"gs{number}")
        assert np.array_equal(image.target, window.of(scenes[number][1]))


@pytest.mark.parametrize(("score", "ids"), [
    ("image", ["large", "small"]), ("tile", ["large/r0c0", "small/r0c0", "large/r0c16", "large/r0c32"]),
])  # fmt: skip
@pytest.mark.parametrize("count", [2, 4])
def test_an_image_of_another_size_or_a_lower_cap_changes_nothing_in_how_the_others_are_scored(
    tmp_path, score, ids, count
):
    """The cap may leave one tile of an image, and an image of just the tiles' size has one."""
    scenes = {"large": scene(0, 24, 56), "small": scene(1, 24, 24)}
    rows = [tile("large", *scenes["large"][:2], Window(0, left, 24, 24)) for left in (0, 16, 32)]
    rows.insert(1, tile("small", *scenes["small"][:2], Window(0, 0, 24, 24)))
    predictions = [prediction_of(row, scenes[row.source][2]) for row in rows]
    images = scored_images(*write(tmp_path, rows[:count], predictions[:count], about={"score": score}))
    assert [image.id for image in images] == ids[:count]
    for image in images:
        _, target, probability = scenes[image.id.split("/")[0]]
        if score == "image":
            assert image.target.shape == target.shape
            seen = image.target != 255
            assert seen.sum() == (24 * 24 if count == 2 or image.id == "small" else 24 * 56)
            assert np.array_equal(image.target[seen], target[seen])
            assert np.array_equal(image.probability[0][seen], stored(probability)[0][seen])
        else:
            assert image.target.shape == (24, 24)


def test_a_tile_without_automatic_masks_is_joined_with_one_that_has_some(tmp_path):
    image, target, _ = scene(0, 16, 32)
    target[:] = 0
    target[2:6, 20:25] = 1
    rows = [tile("s", image, target, window) for window in windows(16, 32, 16)]
    given = [to_json([]), to_json([generated(target[:, 16:] == 1)])]
    predictions = [Prediction(row.id, b"", "[]", text) for row, text in zip(rows, given, strict=True)]
    for order in (slice(None), slice(None, None, -1)):
        paths = write(tmp_path, rows[order], predictions[order])
        assert np.array_equal(scored_images(*paths)[0].mask_numbers, target)


def test_a_joined_image_is_empty_where_all_its_tiles_are(tmp_path):
    image, target, probability = scene(0, 16, 32)
    target[:] = 0
    rows = [tile(name, image, target, window) for name in ("empty", "not") for window in windows(16, 32, 16)]
    target[3, 20] = 1
    rows[3] = tile("not", image, target, Window(0, 16, 16, 16))
    assert [row.foreground for row in rows] == [0, 0, 0, 1]
    images = scored_images(*write(tmp_path, rows, [prediction_of(row, probability) for row in rows]))
    assert [np.count_nonzero(image.target) for image in images] == [0, 1]


def test_prompts_of_tiles_are_moved_to_the_pixels_of_the_whole_image(tmp_path):
    image, target, probability = scene(0)
    given = [
        {"target": 1, "points": [[1.5, 2.5], [0.5, 8.5]], "labels": [1, 0]},
        {"target": 1, "box": [1, 2, 10, 12]},
        {"target": 1, "text": "black spots"},
    ]
    rows = [tile("s", image, target, window) for window in windows(40, 56, 24)]
    paths = write(tmp_path, rows, [prediction_of(row, probability, given) for row in rows])
    expected = []
    for x, y in ((row.left, row.top) for row in rows):
        points = [[x + 1.5, y + 2.5], [x + 0.5, y + 8.5]]
        expected += [given[0] | {"points": points}, given[1] | {"box": [x + 1, y + 2, x + 10, y + 12]}, given[2]]
    assert as_json(scored_images(*paths)[0]) == expected
    summary(tmp_path, *paths)  # and the figure can draw them


def test_a_whole_gray_image_becomes_rgb_and_its_prompts_stay(tmp_path):
    image, target, probability = scene(0)
    given = [{"target": 1, "box": [1.25, 2, 10, 12]}]
    paths = write(tmp_path, [whole("p", "g", image[..., 0], target)], [prediction("p", probability, given)])
    scored = scored_images(*paths)[0]
    assert scored.image.shape == (40, 56, 3) and as_json(scored) == given
    assert isinstance(scored.prompts[0], prompts.Prompt)
