"""Automatic masks matched with a truth, by hand, and as the evaluation scores them."""

import json

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.data import image_io, records, rle
from promptseg.data.generated_masks import Segment, masks, to_json
from promptseg.data.records import Prediction, Record
from promptseg.evaluation import mask_matching
from promptseg.evaluation.evaluate import Units, evaluate

TRUTH = np.zeros((8, 12), np.uint8)
TRUTH[1:7, 1:5] = 1
TRUTH[2:4, 8:11] = 2
TRUTH[5:7, 8:11] = 2
TRUTH[:, 11] = 255


def area(rows: slice, columns: slice) -> list[int]:
    mask = np.zeros(TRUTH.shape, bool)
    mask[rows, columns] = True
    return rle.encode(mask)


def segment(counts: list[int]) -> Segment:
    return Segment(counts, TRUTH.shape, (0, 0, 1, 1), 0.9, 0.97, (1.0, 2.0), (0, 0, 12, 8))


def test_masks_that_make_up_a_class_are_united_and_the_best_one_stands_alone():
    found = mask_matching.match(TRUTH, [area(slice(1, 4), slice(1, 5)), area(slice(4, 7), slice(1, 4))], 2)
    assert np.count_nonzero(found.union[0]) == 12 + 9 and not found.union[1].any()
    assert np.count_nonzero(found.single[0]) == 12
    assert set(np.unique(found.pieces)) == {0, 1, 2} and set(np.unique(found.union)) == {0, 255}


def test_each_part_of_a_class_has_a_best_mask_of_its_own():
    found = mask_matching.match(TRUTH, [area(slice(2, 4), slice(8, 11)), area(slice(5, 7), slice(8, 10))], 2)
    assert np.count_nonzero(found.single[1]) == 6 + 4


def test_a_mask_that_is_half_outside_counts_for_no_class_but_may_be_the_best_there_is():
    found = mask_matching.match(TRUTH, [area(slice(0, 8), slice(0, 6))], 2)  # 24 of 48 pixels
    assert not found.union.any() and np.count_nonzero(found.single[0]) == 48


def test_ignored_pixels_are_on_nobody_s_side():
    found = mask_matching.match(TRUTH, [area(slice(2, 4), slice(10, 12))], 2)  # a half in class 2, a half ignored
    assert found.union[1].any()


def test_where_masks_overlap_the_smaller_one_has_the_pixel():
    truth = np.ones((8, 12), np.uint8)
    truth[3:5, 3:5] = 2
    found = mask_matching.match(truth, [area(slice(0, 8), slice(0, 12)), area(slice(3, 5), slice(3, 5))], 2)
    for maps in (found.union, found.single):
        assert np.array_equal(maps[0] > 0, truth == 1) and np.array_equal(maps[1] > 0, truth == 2)
    assert (found.pieces[3:5, 3:5] == 2).all()


@pytest.mark.parametrize("large, small", [(1, 2), (2, 1)])
def test_a_mask_that_is_best_for_parts_of_two_classes_goes_to_the_one_that_it_fits_better(large, small):
    ground_truth = np.zeros((8, 12), np.uint8)
    ground_truth[1:7, 1:5], ground_truth[2:5, 8:10] = large, small
    mask = area(slice(1, 7), slice(1, 10))  # IoU 24 / 54 and 6 / 54
    single = mask_matching.match(ground_truth, [mask], 2).single
    assert np.count_nonzero(single[large - 1]) == 54 and not single[small - 1].any()


def test_without_masks_or_truth_there_is_nothing():
    assert not mask_matching.match(TRUTH, [], 2).union.any()
    found = mask_matching.match(np.zeros((8, 12), np.uint8), [area(slice(0, 3), slice(0, 3))], 1)
    assert not found.union.any() and not found.single.any() and found.pieces.any()


def test_segments_come_back_out_of_their_json_and_other_sizes_are_refused():
    counts = [area(slice(1, 4), slice(1, 5)), area(slice(0, 8), slice(0, 12))]
    text = to_json([segment(one) for one in counts])
    assert masks(text, 8, 12) == counts
    assert json.loads(text)[0]["area"] == 12 and json.loads(text)[0]["predicted_iou"] == 0.9
    with pytest.raises(UserError, match="12 x 8"):
        masks(text, 12, 8)


@pytest.mark.parametrize("tiled", [False, True])
def test_the_evaluation_scores_the_union_and_marks_it_as_an_oracle_s(tmp_path, tiled):
    image = np.repeat(np.arange(96, dtype=np.uint8).reshape(8, 12, 1), 3, axis=2)
    found = [segment(area(slice(1, 4), slice(1, 5))), segment(area(slice(4, 7), slice(1, 5)))]
    found.append(segment(area(slice(2, 7), slice(8, 11))))  # both parts of class 2 and what lies between
    spans = [(0, 12), (0, 12)] if tiled else [(0, 12)]
    with records.RecordWriter(tmp_path / "truth.parquet", Record, {"classes": ["a", "b"]}) as out:
        for i, _ in enumerate(spans):
            out.add(Record(f"p/{i}", "g", image_io.png(image), image_io.png(TRUTH), 8, 12, "p", 0, 0, 8, 12))
    with records.RecordWriter(tmp_path / "answers.parquet", Prediction, {"oracle": False}) as out:
        for i, _ in enumerate(spans):
            out.add(Prediction(f"p/{i}", b"", "[]", to_json(found)))
    paths = [tmp_path / name for name in ("metrics.json", "scores.parquet", "thresholds.csv", "pictures.png")]
    evaluate(tmp_path / "truth.parquet", tmp_path / "answers.parquet", 0, *paths)
    metrics = json.loads(paths[0].read_text())
    assert metrics["oracle"] is True and metrics["pictures"] == 1
    assert metrics["iou_mean"] == pytest.approx((1 + 12 / 15) / 2, abs=1e-6)
    # class 1: one of two halves; class 2: the same mask is the best for both of its parts
    assert metrics["iou_best_single"] == pytest.approx((0.5 + 12 / 15) / 2, abs=1e-6)
    units = Units(records.pairs(tmp_path / "truth.parquet"), records.predictions(tmp_path / "answers.parquet"))
    assert len(np.unique(units[0].pieces)) == 4
