"""Scores of a validation split: those of its images, tiles joined, whatever the number of processes."""

import numpy as np
import pytest
from promptseg.core.distributed import Ranks
from promptseg.data import image_io, records
from promptseg.data.records import Prediction, Record
from promptseg.evaluation.histogram import THRESHOLDS
from promptseg.inference.validation import ValidationSplit

SIDE = 8
LEFT = np.repeat([[1, 0]], SIDE, axis=0).repeat(SIDE // 2, axis=1)  # a mask of the left half


@pytest.fixture
def split(tmp_path):
    """Opens a split of these masks; `places` are source, left and width of the source, where they are tiles."""

    def opened(*masks: np.ndarray, classes: int = 1, places: list[tuple] | None = None, **metadata):
        path = tmp_path / "val.parquet"
        about = {"classes": [f"c{i}" for i in range(classes)], "seed": 0, "score": "image", **metadata}
        with records.RecordWriter(path, Record, about) as writer:
            for number, mask in enumerate(masks):
                source, left, width = places[number] if places else (f"{number}", 0, mask.shape[1])
                png = image_io.encode_png(np.zeros((*mask.shape, 3), np.uint8)), image_io.encode_png(np.uint8(mask))
                place = source, 0, left, mask.shape[0], width
                first = f"r{number}", f"g{number}", *png, *mask.shape
                writer.add(Record(*first, *place, foreground=int(np.sum((mask > 0) & (mask < 255)))))
        return records.open_split(path, ("image",))

    return opened


def predicted(*probability: np.ndarray) -> Prediction:
    """A prediction of a map for each class."""
    return Prediction("", records.pack(np.stack(probability)), "[]")


def ranks(rank: int, world: int, gathered: list) -> Ranks:
    """A process that gathers what earlier ones did."""
    own = Ranks()
    own.rank, own.world, own.gather = rank, world, lambda value: gathered.append(value) or gathered
    return own


def test_the_headline_is_that_of_the_images_with_ground_truth(split):
    reader = split(LEFT, np.zeros((SIDE, SIDE)), LEFT)
    validation = ValidationSplit(reader, Ranks())
    assert validation.indexes == [0, 1, 2]
    wide = np.where(np.arange(SIDE) < 6, 0.8, 0.1) * np.ones((SIDE, 1))  # 6 columns where 4 are right
    low = np.where(LEFT == 1, 0.3, 0.0)  # right below a threshold of 0.3
    scores = validation.score([predicted(wide), predicted(wide), predicted(low)])
    assert scores.headline() == pytest.approx((4 / 6 + 0) / 2)
    assert scores.best_threshold() == 0.25 and scores.headline(0.25) == pytest.approx((4 / 6 + 1) / 2)


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_any_number_of_processes_has_the_same_scores_and_each_a_range_of_the_images(split, world):
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 3, (SIDE, SIDE)) for _ in range(5)]
    predictions = [predicted(*rng.random((2, SIDE, SIDE))) for _ in masks]
    reader = split(*masks, classes=2)
    alone = ValidationSplit(reader, Ranks()).score(predictions)
    gathered, indexes = [], []
    for rank in range(world):
        share = ValidationSplit(reader, ranks(rank, world, gathered))
        indexes += share.indexes
        shared = share.score(predictions[index] for index in share.indexes)
    assert indexes == [0, 1, 2, 3, 4]
    assert [shared.headline(t) for t in THRESHOLDS] == [alone.headline(t) for t in THRESHOLDS]
    np.testing.assert_array_equal(shared.counts, alone.counts)


def test_overlapping_tiles_are_joined_as_in_the_evaluation_and_stay_with_one_process(split):
    """Of an image of 12 columns the left 6 are the object; its tiles have 4 columns in common."""
    image = np.arange(12) < 6
    tiles = [np.tile(image[:SIDE], (SIDE, 1)), np.tile(image[4:], (SIDE, 1))]
    places = [("a", 0, 12), ("b", 0, SIDE), ("a", 4, 12)]
    reader = split(tiles[0], LEFT, tiles[1], places=places)
    first, second = (ValidationSplit(reader, ranks(rank, 2, [])) for rank in range(2))
    assert [first.indexes, second.indexes] == [[0, 2], [1]]
    validation = ValidationSplit(reader, Ranks())
    assert validation.indexes == [0, 2, 1]
    right, nothing = (predicted(np.where(tile, 0.9, 0.0)) for tile in (tiles[0], tiles[1] * 0))
    # In columns 4 and 5 the tiles disagree, and the nearer center weighs more: 0.9 * 4 / 5 and 0.9 * 3 / 5, both above
    # 0.5 (weights of `tiling.weights`: 4 3 2 1 in the left tile from column 4 on, 1 2 3 4 in the right one).
    scores = validation.score([right, nothing, predicted(np.where(LEFT, 0.9, 0.0))])
    assert scores.headline() == pytest.approx(1.0)
    # At 0.6 column 5 is lost: 5 of 6 columns.
    assert scores.headline(0.6) == pytest.approx((5 / 6 + 1) / 2)


def test_of_classes_that_blended_tiles_round_to_one_value_the_higher_one_wins(split):
    """In column 4 the tiles weigh 4 and 1: class 1 has (4 * 250 + 255) / 5 = 251, class 2 (4 * 251 + 252) / 5."""
    mask = np.full((SIDE, SIDE), 255)
    left, right = mask.copy(), mask.copy()
    left[:, 4] = right[:, 0] = 2  # nothing else counts
    reader = split(left, right, classes=2, places=[("a", 0, 12), ("a", 4, 12)])
    maps = [predicted(*(np.full((SIDE, SIDE), value / 256) for value in values)) for values in ((250, 251), (255, 252))]
    assert ValidationSplit(reader, Ranks()).score(maps).headline() == 1.0


@pytest.mark.parametrize("masks", [[], [np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), 255)]])
def test_without_records_or_ground_truth_there_are_no_scores(split, masks):
    validation = ValidationSplit(split(*masks), Ranks())
    assert validation.score(predicted(LEFT * 0.5) for _ in masks) is None


def test_the_images_are_not_decoded_nor_are_predictions_of_earlier_images_held(split):
    validation, held = ValidationSplit(split(LEFT, LEFT, LEFT), Ranks()), []

    def predictions():
        for _ in range(3):
            held.append(len(validation._held.rows))
            yield predicted(LEFT * 0.9)

    assert validation.score(predictions()).headline() == 1.0 and held == [0, 1, 1]
