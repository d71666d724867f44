"""Automatic masks matched with a ground truth made by hand, and as the evaluation scores them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from handmade_splits import generated, scored_images, summary, tile, whole, write
from promptseg.core.errors import UserError
from promptseg.data import image_io, rle
from promptseg.data.generated_masks import segmentations, to_json
from promptseg.data.records import Prediction
from promptseg.data.tiling import Window
from promptseg.evaluation import mask_matching

TARGET = np.zeros((8, 12), np.uint8)
TARGET[1:7, 1:5] = 1
TARGET[2:4, 8:11] = TARGET[5:7, 8:11] = 2
TARGET[:, 11] = 255


def area(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(TARGET.shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def match(masks: list[np.ndarray], target: np.ndarray = TARGET) -> mask_matching.Match:
    return mask_matching.match(target, [rle.encode(mask) for mask in masks], 2)


@pytest.mark.parametrize(("masks", "union", "best_single"), [
    ([area(1, 4, 1, 5), area(4, 7, 1, 4)], [12 + 9, 0], [12 / 24, 0, 0]),
    ([area(2, 4, 8, 11), area(5, 7, 8, 10)], [0, 6 + 4], [0, 1, 4 / 6]),
    ([area(0, 8, 0, 6)], [0, 0], [24 / 48, 0, 0]),
    ([area(0, 8, 0, 12)], [0, 0], [24 / 88, 6 / 88, 6 / 88]),
    ([area(2, 4, 10, 12)], [0, 4], [0, 2 / 6, 0]),
    ([area(0, 1, 0, 9)], [0, 0], [0, 0, 0]),
    ([], [0, 0], [0, 0, 0]),
], ids=["two in a class", "two segments", "half outside", "all", "half ignored", "no segment", "no masks"])  # fmt: skip
def test_masks_inside_a_class_are_united_and_each_segment_has_the_iou_of_its_best(masks, union, best_single):
    found = match(masks)
    assert [np.count_nonzero(maps) for maps in found.union] == union
    assert found.best_single == pytest.approx(best_single)
    numbers = sum((number * mask for number, mask in enumerate(masks, 1)), np.zeros(TARGET.shape, int))
    assert np.array_equal(found.mask_numbers, numbers) and {*np.unique(found.union)} <= {0, 255}


def test_where_masks_overlap_the_pixel_belongs_to_the_smaller_and_of_equal_ones_to_the_first():
    target = np.ones((8, 12), np.uint8)
    target[3:5, 3:5] = 2
    found = match([area(0, 8, 0, 12), area(3, 5, 3, 5), area(0, 2, 0, 2), area(0, 2, 1, 3)], target)
    assert np.array_equal(found.union[0] > 0, target == 1) and np.array_equal(found.union[1] > 0, target == 2)
    assert (found.mask_numbers[3:5, 3:5] == 2).all() and found.mask_numbers[0, :4].tolist() == [3, 3, 4, 1]
    assert found.best_single == pytest.approx([92 / 96, 1]), "no pixel is taken from a mask that a smaller one covers"


def test_a_mask_over_several_segments_is_far_from_each_of_them_though_the_union_is_right():
    target = np.zeros((4, 120), np.uint8)
    masks = np.zeros((2, 4, 120), bool)
    for left in (0, 6, 40, 46, 52):  # segments of 4 x 5 pixels, with a column of background after each but the last
        target[:, left : left + 5] = 1
    masks[0, :, 0:11] = masks[1, :, 40:57] = True
    found = mask_matching.match(target, [rle.encode(mask) for mask in masks], 1)
    assert found.best_single == pytest.approx([20 / 44, 20 / 44, 20 / 68, 20 / 68, 20 / 68])
    marked = found.union[0] > 0
    assert (marked & (target == 1)).sum() / (marked | (target == 1)).sum() == pytest.approx(100 / 112)
    assert np.mean(found.best_single) == pytest.approx(0.358, abs=1e-3)


TOUCHING = np.where(np.arange(12) < 6, 1, 2) * np.ones((8, 1), np.uint16)  # instances of one class, side by side


def test_where_instances_are_known_each_is_a_segment_also_where_they_touch_or_are_in_pieces():
    target, left = np.ones((8, 12), np.uint8), area(0, 8, 0, 6)
    target[:, 3] = 0  # cuts the first instance
    segmentations = [rle.encode(left & (target == 1)), rle.encode(~left)]
    instances = np.where(target == 1, TOUCHING, 0).astype(np.uint16)
    assert mask_matching.match(target, segmentations, 1, instances).best_single.tolist() == [1, 1]
    assert mask_matching.match(target, segmentations, 1).best_single == pytest.approx([24 / 40, 48 / 64])
    unknown = np.where(instances == 2, 0, instances)  # where the number is 0, components are segments
    assert mask_matching.match(target, segmentations, 1, unknown).best_single.tolist() == [1, 1]


def test_an_instance_in_several_classes_is_a_segment_of_each_and_ignored_pixels_are_of_none():
    target = np.repeat(np.array([[1], [2], [255]], np.uint8), 12, axis=1)
    found = mask_matching.match(target, [rle.encode(target == 1)], 2, np.ones((3, 12), np.uint16))
    assert found.best_single.tolist() == [1, 0]


def test_the_evaluation_takes_the_instances_of_the_record(tmp_path):
    target = np.ones((8, 12), np.uint8)
    row = whole("p", "g", np.repeat(target[..., None], 3, 2), target)
    halves = to_json([generated(area(0, 8, 0, 6)), generated(area(0, 8, 6, 12))])
    for rows, expected in (([row], [0.5]), ([replace(row, instances=image_io.encode_png(TOUCHING))], [1, 1])):
        paths = write(tmp_path, rows, [Prediction("p", b"", "[]", halves)], ["a"])
        assert scored_images(*paths)[0].best_single.tolist() == expected


def test_masks_are_read_back_from_their_json_and_other_sizes_are_refused():
    masks = [area(1, 4, 1, 5), area(0, 8, 0, 12)]
    text = to_json([generated(mask) for mask in masks])
    assert segmentations(text, 8, 12) == [rle.encode(mask) for mask in masks]
    assert json.loads(text)[0]["area"] == 12 and json.loads(text)[0]["predicted_iou"] == 0.9
    with pytest.raises(UserError, match="12 x 8"):
        segmentations(text, 12, 8)


@pytest.mark.parametrize("tiles", [1, 2])
def test_the_evaluation_scores_the_union_and_marks_it_as_oracle(tmp_path, tiles):
    masks = [area(1, 4, 1, 5), area(4, 7, 1, 5), area(2, 7, 8, 11)]  # the last: both objects and the pixels between
    rows = [tile("p", np.repeat(TARGET[..., None], 3, 2), TARGET, Window(0, 0, 8, 12))] * tiles
    predictions = [Prediction(rows[0].id, b"", "[]", to_json([generated(mask) for mask in masks]))] * tiles
    paths = write(tmp_path, rows, predictions, ["a", "b"])
    found = summary(tmp_path, *paths)
    assert found["oracle"] is True and found["images"] == 1
    assert found["iou_mean"] == pytest.approx((1 + 12 / 15) / 2, abs=1e-6)
    # class 1: one of two halves; class 2: the same mask is the best for both of its segments
    assert found["iou_best_single"] == pytest.approx((0.5 + 6 / 15 + 6 / 15) / 3, abs=1e-6)
    assert not {"false_alarm_rate", "iou_pooled_all"} & found.keys()
    assert len(np.unique(scored_images(*paths)[0].mask_numbers)) == 4


def test_masks_of_another_size_are_refused_and_named(tmp_path):
    wrong = Prediction("p", b"", "[]", to_json([generated(np.ones((4, 4), bool))]))
    paths = write(tmp_path, [whole("p", "g", TARGET, TARGET)], [wrong], ["a", "b"])
    with pytest.raises(UserError, match=f"^{paths[1]}: p: "):
        scored_images(*paths)[0]
