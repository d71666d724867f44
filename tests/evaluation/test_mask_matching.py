"""Automatic masks matched with a ground truth made by hand, and as the evaluation scores them."""

import json

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.data import image_io, records, rle
from promptseg.data.generated_masks import GeneratedMask, segmentations, to_json
from promptseg.data.records import Prediction, Record
from promptseg.evaluation import mask_matching, score_table
from promptseg.evaluation.evaluate import Outputs, evaluate
from promptseg.evaluation.scored_images import ScoredImages

TARGET = np.zeros((8, 12), np.uint8)
TARGET[1:7, 1:5] = 1
TARGET[2:4, 8:11] = 2
TARGET[5:7, 8:11] = 2
TARGET[:, 11] = 255


def area(rows: slice, columns: slice) -> dict:
    mask = np.zeros(TARGET.shape, bool)
    mask[rows, columns] = True
    return rle.encode(mask)


def generated(segmentation: dict) -> GeneratedMask:
    return GeneratedMask(segmentation, (0, 0, 1, 1), 0.9, 0.97, (1.0, 2.0), (0, 0, 12, 8))


def test_masks_inside_a_class_are_united_and_the_best_is_kept_by_itself():
    match = mask_matching.match(TARGET, [area(slice(1, 4), slice(1, 5)), area(slice(4, 7), slice(1, 4))], 2)
    assert np.count_nonzero(match.union[0]) == 12 + 9 and not match.union[1].any()
    assert np.count_nonzero(match.best_single[0]) == 12
    assert set(np.unique(match.mask_numbers)) == {0, 1, 2} and set(np.unique(match.union)) == {0, 255}


def test_each_object_of_a_class_has_a_best_mask_of_its_own():
    match = mask_matching.match(TARGET, [area(slice(2, 4), slice(8, 11)), area(slice(5, 7), slice(8, 10))], 2)
    assert np.count_nonzero(match.best_single[1]) == 6 + 4


def test_a_mask_that_is_half_outside_is_assigned_to_no_class_but_may_be_the_best():
    match = mask_matching.match(TARGET, [area(slice(0, 8), slice(0, 6))], 2)  # 24 of 48 pixels
    assert not match.union.any() and np.count_nonzero(match.best_single[0]) == 48


def test_ignored_pixels_are_not_counted():
    match = mask_matching.match(TARGET, [area(slice(2, 4), slice(10, 12))], 2)  # one half in class 2, the other ignored
    assert match.union[1].any()


def test_where_masks_overlap_the_pixel_belongs_to_the_smaller():
    target = np.ones((8, 12), np.uint8)
    target[3:5, 3:5] = 2
    match = mask_matching.match(target, [area(slice(0, 8), slice(0, 12)), area(slice(3, 5), slice(3, 5))], 2)
    for maps in (match.union, match.best_single):
        assert np.array_equal(maps[0] > 0, target == 1) and np.array_equal(maps[1] > 0, target == 2)
    assert (match.mask_numbers[3:5, 3:5] == 2).all()


@pytest.mark.parametrize("large, small", [(1, 2), (2, 1)])
def test_a_mask_that_is_the_best_for_objects_of_two_classes_goes_to_the_one_it_fits_better(large, small):
    target = np.zeros((8, 12), np.uint8)
    target[1:7, 1:5], target[2:5, 8:10] = large, small
    mask = area(slice(1, 7), slice(1, 10))  # IoU 24 / 54 and 6 / 54
    best_single = mask_matching.match(target, [mask], 2).best_single
    assert np.count_nonzero(best_single[large - 1]) == 54 and not best_single[small - 1].any()


def test_without_masks_or_objects_there_is_nothing_to_match():
    assert not mask_matching.match(TARGET, [], 2).union.any()
    match = mask_matching.match(np.zeros((8, 12), np.uint8), [area(slice(0, 3), slice(0, 3))], 1)
    assert not match.union.any() and not match.best_single.any() and match.mask_numbers.any()


def test_masks_are_read_back_from_their_json_and_other_sizes_are_refused():
    masks = [area(slice(1, 4), slice(1, 5)), area(slice(0, 8), slice(0, 12))]
    text = to_json([generated(mask) for mask in masks])
    assert segmentations(text, 8, 12) == masks
    assert json.loads(text)[0]["area"] == 12 and json.loads(text)[0]["predicted_iou"] == 0.9
    with pytest.raises(UserError, match="12 x 8"):
        segmentations(text, 12, 8)


def write(folder, masks: list[GeneratedMask], tiled: bool = False):
    """A split of one image, or of it twice as overlapping tiles, and its predictions."""
    image = np.repeat(np.arange(96, dtype=np.uint8).reshape(8, 12, 1), 3, axis=2)
    png = image_io.encode_png(image), image_io.encode_png(TARGET)
    ids = [f"p/{i}" for i in range(2 if tiled else 1)]
    with records.RecordWriter(folder / "split.parquet", Record, {"classes": ["a", "b"]}) as writer:
        for id in ids:
            writer.add(Record(id, "g", *png, 8, 12, "p", 0, 0, 8, 12))
    with records.RecordWriter(folder / "predictions.parquet", Prediction, {"oracle": False, "seed": 0}) as writer:
        for id in ids:
            writer.add(Prediction(id, b"", "[]", to_json(masks)))
    return folder / "split.parquet", folder / "predictions.parquet"


@pytest.mark.parametrize("tiled", [False, True])
def test_the_evaluation_scores_the_union_and_marks_it_as_oracle(tmp_path, tiled):
    masks = [generated(area(slice(1, 4), slice(1, 5))), generated(area(slice(4, 7), slice(1, 5)))]
    masks.append(generated(area(slice(2, 7), slice(8, 11))))  # both objects of class 2 and the pixels between them
    paths = write(tmp_path, masks, tiled)
    names = ("metrics.json", "scores.parquet", "plots")
    outputs = Outputs(*(tmp_path / name for name in names))
    evaluate(*paths, outputs)
    summary = score_table.read_summary(outputs.scores)
    assert summary["oracle"] is True and summary["images"] == 1
    assert summary["iou_mean"] == pytest.approx((1 + 12 / 15) / 2, abs=1e-6)
    # class 1: one of two halves; class 2: the same mask is the best for both of its objects
    assert summary["iou_best_single"] == pytest.approx((0.5 + 12 / 15) / 2, abs=1e-6)
    images = ScoredImages(records.open_split(paths[0]), records.open_predictions(paths[1]))
    assert len(np.unique(images[0].mask_numbers)) == 4


def test_masks_of_another_size_are_refused_and_named(tmp_path):
    wrong = GeneratedMask(rle.encode(np.ones((4, 4), bool)), (0, 0, 1, 1), 0.9, 0.97, (1.0, 2.0), (0, 0, 4, 4))
    split, predictions = write(tmp_path, [wrong])
    with pytest.raises(UserError, match=f"^{predictions}: p/0: "):
        ScoredImages(records.open_split(split), records.open_predictions(predictions))[0]
