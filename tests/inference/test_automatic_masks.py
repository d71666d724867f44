"""Automatic masks against segment_anything's on the same weights, and each shortcut against the full computation."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from original_sam import lively, original
from promptseg import models
from promptseg.data import rle
from promptseg.data.generated_masks import GeneratedMask
from promptseg.inference import automatic_masks
from promptseg.inference.automatic_masks import suppress, without_small_regions
from promptseg.inference.mask_upsampling import MaskUpsampler
from promptseg.inference.point_decoder import PointDecoder
from promptseg.nn import batch_sizes
from promptseg.nn.image_transform import ImageTransform
from promptseg.prompts.automatic import AutomaticMasks
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.utils import amg
from torchvision.ops import nms

NOISE = np.random.default_rng(3).integers(0, 256, (15, 20, 3), np.uint8)
IMAGE = cv2.GaussianBlur(np.kron(NOISE, np.ones((10, 10, 1), np.uint8)), (0, 0), 4)


@pytest.fixture(scope="module")
def sam():
    model = lively(models.load("sam").create("tiny", 4), IMAGE)
    with torch.inference_mode():
        return model, model.encode([IMAGE]), original(model)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)


def theirs(sam, settings: AutomaticMasks) -> list[dict]:
    return SamAutomaticMaskGenerator(
        sam[2], settings.points, 16, settings.iou, settings.stability, 1.0, settings.nms, settings.crop_layers,
        settings.crop_nms, settings.crop_overlap, settings.crop_fewer_points,
        min_mask_region_area=settings.min_area,
    ).generate(IMAGE)  # fmt: skip


def ours(sam, settings: AutomaticMasks) -> list[GeneratedMask]:
    return automatic_masks.generate(sam[0], sam[1], IMAGE, settings)


CASES = {  # thresholds that some masks of the random network pass; nms 1.0: nothing is suppressed
    "all that pass": (dict(points=8, iou=0.88, stability=0.9, nms=1.0), 20),
    "half of them unstable": (dict(points=6, iou=0.8, stability=0.93, nms=1.0), 10),
    "suppressed but for one": (dict(points=8, iou=0.85, stability=0.85, nms=0.97), 1),
    "crops": (dict(points=4, iou=0.85, stability=0.85, nms=0.98, crop_layers=1, crop_nms=0.9, crop_fewer_points=2), 1),
    "small regions removed": (dict(points=5, iou=0.88, stability=0.9, nms=1.0, min_area=30), 3),
}


@pytest.mark.parametrize("settings, least", CASES.values(), ids=CASES)
def test_the_masks_are_those_of_segment_anything(sam, settings, least):
    settings = AutomaticMasks(**settings)
    masks, expected = ours(sam, settings), theirs(sam, settings)
    assert abs(len(masks) - len(expected)) <= 0.05 * len(expected) and len(expected) >= least
    matched = 0
    for target in expected:
        same_point = [mask for mask in masks if list(mask.point) == pytest.approx(target["point_coords"][0])]
        best = max(same_point, key=lambda mask: iou(mask.mask(), target["segmentation"]), default=None)
        if best is not None and iou(best.mask(), target["segmentation"]) > 0.99:
            matched += 1
            assert best.iou == pytest.approx(target["predicted_iou"], abs=1e-3)
            assert best.stability == pytest.approx(target["stability_score"], abs=0.01)
            x, y, width, height = target["bbox"]
            assert np.abs(np.array(best.box) - [x, y, x + width, y + height]).max() <= 1
    assert matched >= 0.95 * len(expected)


@pytest.mark.parametrize("name", ["sam", "sam_hq", "sam2", "edgetam", "sam3_tracker"])
@pytest.mark.parametrize("single", [False, True])
def test_point_decoder_equals_the_networks_own_forward(name, single):
    model = models.load(name).create("tiny", 4)
    model.single_mask = single
    if single:
        model.prepare_finetuned()
    # Biases are 0 as initialized.
    biases = [value for key, value in model.network.named_parameters() if key.endswith("bias")]
    torch.nn.utils.vector_to_parameters(torch.linspace(-0.1, 0.1, sum(map(torch.numel, biases))), biases)
    with torch.inference_mode():
        features = model.encode([IMAGE])
        points = torch.rand(5, 2, generator=torch.Generator().manual_seed(0)) * model.transform.size
        decoder = PointDecoder(model, features)
        decoded = decoder.decode(points)
        selected = torch.rand(decoded.iou.shape, generator=torch.Generator().manual_seed(1)) < 0.7
        masks = decoder.masks(decoded, selected)
        out = model.network(
            **model.image_inputs(features),
            input_points=points[None, :, None],
            input_labels=torch.ones(1, 5, 1, dtype=torch.long),
            multimask_output=not single,
        )
    expected, iou = out.pred_masks[0], out.iou_scores[0]
    if name == "sam_hq" and not single:  # transformers sorts its masks
        order = decoded.iou.argsort(dim=1, descending=True).argsort(dim=1)
        expected, iou = expected.take_along_dim(order[..., None, None], 1), iou.take_along_dim(order, 1)
    torch.testing.assert_close(decoded.iou, iou, rtol=1e-4, atol=1e-6)
    expected = expected[selected]
    assert masks.shape == expected.shape and (masks - expected).abs().max() < 1e-4 * expected.std()


@pytest.mark.parametrize("keep_aspect", [True, False])
@pytest.mark.parametrize("size", [(150, 200), (301, 97), (40, 64), (700, 512)])
def test_a_crop_of_a_mask_equals_that_of_the_upsampled_mask_and_bounds_hold(keep_aspect, size):
    transform = ImageTransform(256, keep_aspect, (0, 0, 0), (1, 1, 1))
    rng = np.random.default_rng(size[0])
    small = [
        cv2.GaussianBlur(rng.normal(size=(64, 64)).astype(np.float32), (0, 0), 4) * 40 - shift for shift in range(6)
    ]
    logits = torch.as_tensor(np.array(small))
    upsampler = MaskUpsampler(transform, 64, *size)
    bounds, whole = upsampler.bounds(logits, 1.0), transform.to_image(logits, *size)
    bounded = 0
    for i, values in enumerate(whole):
        top, left, bottom, right = box = tuple(bounds.reach[i].tolist())
        np.testing.assert_allclose(upsampler.crop(logits[i], box), values[top:bottom, left:right], atol=1e-4)
        outside = values.clone()
        outside[top:bottom, left:right] = -9
        assert outside.max() <= -1.0 + 1e-5
        ys, xs = torch.nonzero(values > 0, as_tuple=True)
        if len(ys) == 0:
            continue
        tight = np.array([ys.min(), xs.min(), ys.max() + 1, xs.max() + 1])
        assert (bounds.outer[i][:2] <= tight[:2]).all() and (tight[2:] <= bounds.outer[i][2:]).all()
        if (bounds.inner[i][2:] > bounds.inner[i][:2]).all():
            assert (tight[:2] <= bounds.inner[i][:2]).all() and (bounds.inner[i][2:] <= tight[2:]).all()
            bounded += 1
        stability = float(amg.calculate_stability_score(values[None], 0.0, 1.0))
        assert abs(bounds.stability[i] - stability) < automatic_masks.STABILITY_ERROR
    assert bounded


def test_shortcuts_and_the_batch_size_do_not_change_the_masks(sam, monkeypatch):
    """Masks that are dropped early would be dropped later; and where none passes, there is none."""
    settings = AutomaticMasks(points=8, iou=0.8, stability=0.93, nms=0.98)
    masks = ours(sam, settings)
    with monkeypatch.context() as patch:
        patch.setattr(automatic_masks, "STABILITY_ERROR", 2.0)
        patch.setattr(automatic_masks, "_surely_suppressed", lambda *_: False)
        assert masks == ours(sam, settings)
    monkeypatch.setitem(batch_sizes.POINTS, "cpu", 9)
    again = ours(sam, settings)
    assert len(masks) == len(again) > 0
    assert all(iou(a.mask(), b.mask()) > 0.99 for a, b in zip(masks, again))
    assert ours(sam, AutomaticMasks(points=4, iou=2.0)) == []


def generated(mask: np.ndarray, box=(0, 0, 9, 9), iou=0.9, crop=(0, 0, 200, 150)) -> GeneratedMask:
    return GeneratedMask(rle.encode(mask), box, iou, 0.97, (box[0] + 9.0, box[1] + 9.0), crop)


def test_suppression_keeps_the_higher_score_and_of_equal_ones_the_first():
    masks = [generated(NOISE[..., i] > 99) for i in (0, 1, 2, 0)]
    assert suppress(masks, [1, 1, 1, 1], 0.5) == masks[:1]
    assert suppress(masks, [0.5, 1, 1, 0.2], 0.5) == masks[1:2]
    apart = [replace(masks[0], box=(30, 0, 39, 9)), masks[1]]
    assert suppress(apart, [0.1, 0.2], 0.0) == apart[::-1] and suppress([], [], 0.5) == []


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0])
def test_masks_of_a_crop_are_suppressed_as_by_torchvision(threshold):
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 60, (300, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 40, (300, 2))], axis=1)
    scores = torch.tensor(np.sort(rng.integers(0, 20, 300) / 20)[::-1].copy(), dtype=torch.float32)
    accepted: list[int] = []
    for i, box in enumerate(boxes):
        if not automatic_masks._overlaps(box, boxes[accepted], threshold):
            accepted.append(i)
    assert accepted == nms(torch.tensor(boxes, dtype=torch.float32), scores, threshold).tolist()


def test_of_overlapping_masks_from_two_crops_that_of_the_smaller_crop_stays(monkeypatch):
    whole, crop = (0, 0, 200, 150), (0, 0, 126, 101)
    boxes = {whole: [(20, 30, 90, 80), (130, 40, 190, 140)], crop: [(22, 30, 90, 78)]}

    def generate_crop(segmenter, features, each, settings):
        predicted_iou = 0.99 if each.box == whole else 0.9  # does not count
        return [generated(NOISE[..., 0] > 99, box, predicted_iou, each.box) for box in boxes.get(each.box, [])]

    monkeypatch.setattr(automatic_masks, "_generate_crop", generate_crop)
    segmenter = SimpleNamespace(encode=lambda images: None)
    masks = automatic_masks.generate(segmenter, None, IMAGE, AutomaticMasks(crop_layers=1))
    assert [(mask.crop, mask.box) for mask in masks] == [(crop, boxes[crop][0]), (whole, boxes[whole][1])]


@pytest.mark.parametrize("level", [0.0, 0.08, 0.16])
def test_holes_are_filled_before_islands_are_removed(level):
    pixels = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(60, 80)), (0, 0), 2) > level
    for area in (1, 20, 5000):
        filled, holes = amg.remove_small_regions(pixels, area, "holes")
        expected, islands = amg.remove_small_regions(filled, area, "islands")
        mask = generated(pixels)
        cleaned = without_small_regions(mask, area)
        assert np.array_equal(cleaned.mask(), expected) and (cleaned is not mask) == (holes or islands)
        if cleaned is not mask:
            y, x = np.nonzero(expected)
            box = x.min(), y.min(), x.max(), y.max()
            assert cleaned == replace(mask, segmentation=cleaned.segmentation, box=box)
