"""Automatic masks against segment_anything's generator on the same weights, and each short cut against the long way."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from original_sam import lively, original
from promptseg import models
from promptseg.core import params
from promptseg.data import rle
from promptseg.data.generated_masks import Segment
from promptseg.inference import automatic_masks
from promptseg.inference.automatic_masks import suppress
from promptseg.inference.mask_upsampling import Enlarger
from promptseg.inference.point_decoder import PointDecoder
from promptseg.nn import batch_sizes
from promptseg.nn.image_transform import ImageTransform
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.utils.amg import calculate_stability_score, generate_crop_boxes, remove_small_regions
from torchvision.ops import nms

NOISE = np.random.default_rng(3).integers(0, 256, (15, 20, 3), np.uint8)
PICTURE = cv2.GaussianBlur(np.kron(NOISE, np.ones((10, 10, 1), np.uint8)), (0, 0), 4)


@pytest.fixture(scope="module")
def sam():
    model = lively(models.load("sam").create("tiny", 4), PICTURE)
    with torch.inference_mode():
        return model, model.encode([PICTURE]), original(model)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)


def theirs(sam, settings: params.Automatic) -> list[dict]:
    return SamAutomaticMaskGenerator(
        sam[2], settings.points, 16, settings.iou, settings.stability, 1.0, settings.nms, settings.crop_layers,
        settings.crop_nms, settings.crop_overlap, settings.crop_fewer_points,
        min_mask_region_area=settings.min_area,
    ).generate(PICTURE)  # fmt: skip


def ours(sam, settings: params.Automatic) -> list[Segment]:
    return automatic_masks.segments(sam[0], sam[1], PICTURE, settings)


CASES = {  # of thresholds that the random network passes now and then; nms 1.0: nothing is suppressed
    "all that pass": (dict(points=8, iou=0.88, stability=0.9, nms=1.0), 20),
    "half of them unstable": (dict(points=6, iou=0.8, stability=0.93, nms=1.0), 10),
    "suppressed but for one": (dict(points=8, iou=0.85, stability=0.85, nms=0.97), 1),
    "crops": (dict(points=4, iou=0.85, stability=0.85, nms=0.98, crop_layers=1, crop_nms=0.9, crop_fewer_points=2), 1),
    "tidied": (dict(points=5, iou=0.88, stability=0.9, nms=1.0, min_area=30), 3),
}


@pytest.mark.parametrize("settings, least", CASES.values(), ids=CASES)
def test_the_masks_are_those_of_segment_anything(sam, settings, least):
    settings = params.Automatic(**settings)
    found, expected = ours(sam, settings), theirs(sam, settings)
    assert abs(len(found) - len(expected)) <= 0.05 * len(expected) and len(expected) >= least
    matched = 0
    for one in expected:
        same = [other for other in found if list(other.point) == pytest.approx(one["point_coords"][0])]
        best = max(same, key=lambda other: iou(other.mask(), one["segmentation"]), default=None)
        if best is not None and iou(best.mask(), one["segmentation"]) > 0.99:
            matched += 1
            assert best.iou == pytest.approx(one["predicted_iou"], abs=1e-3)
            assert best.stability == pytest.approx(one["stability_score"], abs=0.01)
            x, y, width, height = one["bbox"]
            assert np.abs(np.array(best.box) - [x, y, x + width, y + height]).max() <= 1
    assert matched >= 0.95 * len(expected)


@pytest.mark.parametrize("name", ["sam", "sam2"])
@pytest.mark.parametrize("single", [False, True])
def test_pointwise_decoding_equals_the_network_s_own(name, single):
    model = models.load(name).create("tiny", 4)
    model.single_mask = single
    if single:
        model.trained()
    with torch.inference_mode():
        features = model.encode([PICTURE])
        points = torch.rand(5, 2, generator=torch.Generator().manual_seed(0)) * 256
        decoder = PointDecoder(model, features)
        answered = decoder.ask(points)
        wanted = torch.rand(answered.iou.shape, generator=torch.Generator().manual_seed(1)) < 0.7
        masks = decoder.masks(answered, wanted)
        out = model.network(
            image_embeddings=model.image_embeddings(features),
            input_points=points[None, :, None],
            input_labels=torch.ones(1, 5, 1, dtype=torch.long),
            multimask_output=not single,
        )
    torch.testing.assert_close(answered.iou, out.iou_scores[0], rtol=1e-4, atol=1e-6)
    expected = out.pred_masks[0][wanted]
    assert masks.shape == expected.shape and (masks - expected).abs().max() < 1e-4 * expected.std()


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("size", [(150, 200), (301, 97), (40, 64), (700, 512)])
def test_a_part_of_a_mask_is_that_part_of_the_picture_s_and_bounds_hold(keep, size):
    frame = ImageTransform(256, keep, (0, 0, 0), (1, 1, 1))
    rng = np.random.default_rng(size[0])
    small = [
        cv2.GaussianBlur(rng.normal(size=(64, 64)).astype(np.float32), (0, 0), 4) * 40 - shift for shift in range(6)
    ]
    logits = torch.as_tensor(np.array(small))
    enlarger = Enlarger(frame, 64, *size)
    bounds, whole = enlarger.bounds(logits, 1.0), frame.to_picture(logits, *size)
    close = 0
    for i, values in enumerate(whole):
        top, left, bottom, right = box = tuple(bounds.reach[i].tolist())
        np.testing.assert_allclose(enlarger.crop(logits[i], box), values[top:bottom, left:right], atol=1e-4)
        outside = values.clone()
        outside[top:bottom, left:right] = -9
        assert outside.max() <= -1.0 + 1e-5
        ys, xs = torch.nonzero(values > 0, as_tuple=True)
        if len(ys) == 0:
            continue
        true = np.array([ys.min(), xs.min(), ys.max() + 1, xs.max() + 1])
        assert (bounds.outer[i][:2] <= true[:2]).all() and (true[2:] <= bounds.outer[i][2:]).all()
        if (bounds.inner[i][2:] > bounds.inner[i][:2]).all():
            assert (true[:2] <= bounds.inner[i][:2]).all() and (bounds.inner[i][2:] <= true[2:]).all()
            close += 1
        stability = float(calculate_stability_score(values[None], 0.0, 1.0))
        assert abs(bounds.stability[i] - stability) < automatic_masks.DOUBT
    assert close


def test_what_is_dropped_early_would_have_been_dropped(sam, monkeypatch):
    settings = params.Automatic(points=8, iou=0.8, stability=0.93, nms=0.98)
    quick = ours(sam, settings)
    monkeypatch.setattr(automatic_masks, "DOUBT", 2.0)
    monkeypatch.setattr(automatic_masks, "_surely_suppressed", lambda *_: False)
    assert quick == ours(sam, settings)


def test_masks_do_not_depend_on_how_many_points_go_at_once(sam, monkeypatch):
    settings = params.Automatic(points=4, iou=0.85, stability=0.9, nms=1.0)
    first = ours(sam, settings)
    monkeypatch.setitem(batch_sizes.POINTS, "cpu", 5)
    again = ours(sam, settings)
    assert len(first) == len(again) > 0
    assert all(iou(a.mask(), b.mask()) > 0.99 for a, b in zip(first, again))


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0])
def test_suppression_is_torchvision_s_and_equals_stay_in_order(threshold):
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 60, (300, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 40, (300, 2))], axis=1)
    scores = rng.integers(0, 20, 300) / 20
    expected = nms(
        torch.tensor(boxes, dtype=torch.float32), torch.tensor(scores, dtype=torch.float32), threshold
    ).tolist()
    assert suppress(boxes, scores, threshold) == expected
    same = np.tile(boxes[:1] + [0, 0, 9, 9], (4, 1))
    assert suppress(same, np.ones(4), 0.5) == [0]
    assert suppress(same, np.array([0.5, 1, 1, 0.2]), 0.5) == [1]


@pytest.mark.parametrize("size", [(150, 200), (1024, 2048), (77, 33)])
def test_crops_are_those_of_segment_anything(size):
    boxes, layers = generate_crop_boxes(size, 2, 512 / 1500)
    found = list(automatic_masks.crop_boxes(*size, params.Automatic(crop_layers=2)))
    assert found == [(tuple(box), layer) for box, layer in zip(boxes, layers)]


def test_of_two_crops_masks_that_overlap_the_smaller_crop_s_stays(monkeypatch):
    whole, crop = (0, 0, 200, 150), (0, 0, 126, 101)
    boxes = {whole: [(20, 30, 90, 80), (130, 40, 190, 140)], crop: [(22, 30, 90, 78)]}

    def segments(crop, iou):
        for x0, y0, x1, y1 in boxes.get(crop, []):
            mask = np.zeros(PICTURE.shape[:2], bool)
            mask[y0 : y1 + 1, x0 : x1 + 1] = True
            yield Segment(rle.encode(mask), mask.shape, (x0, y0, x1, y1), iou, 0.97, (x0 + 9.0, y0 + 9.0), crop)

    surer = {whole: 0.99}  # which does not count
    monkeypatch.setattr(automatic_masks, "_of_crop", lambda *given: list(segments(given[2], surer.get(given[2], 0.9))))
    segmenter = SimpleNamespace(encode=lambda images: None)
    found = automatic_masks.segments(segmenter, None, PICTURE, params.Automatic(crop_layers=1))
    assert [(one.crop, one.box) for one in found] == [(crop, boxes[crop][0]), (whole, boxes[whole][1])]


def test_tidying_is_segment_anything_s():
    from promptseg.inference.small_regions import tidy

    rng = np.random.default_rng(0)
    for level in (0.0, 0.4, 0.8):
        mask = cv2.GaussianBlur(rng.normal(size=(60, 80)), (0, 0), 2) > level * 0.2
        for area in (1, 20, 5000):
            filled, holes = remove_small_regions(mask, area, "holes")
            expected, islands = remove_small_regions(filled, area, "islands")
            found, changed = tidy(mask, area)
            assert np.array_equal(found, expected) and changed == (holes or islands)


def test_untrained_weights_find_nothing_and_say_so():
    model = models.load("sam").create("tiny", 0)
    with torch.inference_mode():
        features = model.encode([PICTURE])
    assert automatic_masks.segments(model, features, PICTURE, params.Automatic(points=4)) == []
