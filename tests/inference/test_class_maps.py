"""Probability maps of one image: prompts of a class are united, and classes keep the order of their logits."""

import numpy as np
import pytest
import torch
from box_segmenter import BoxSegmenter
from promptseg.data import image_io, records
from promptseg.evaluation.counts import label_map
from promptseg.inference.class_maps import ClassMaps, predict_classes, unprompted_background
from promptseg.nn import batch_sizes
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box

SIDE = 16


class Given(Segmenter):
    """Its logits are given: those of each prompt's class, at the size of the image."""

    transform = ImageTransform(SIDE, False, (0, 0, 0), (1, 1, 1))

    def __init__(self, logits: np.ndarray):
        super().__init__()
        self.logits = torch.from_numpy(logits)

    def decode(self, features, prompts):
        return self.logits[None, [prompt.target - 1 for prompt in prompts[0]]]


def maps_of(logits: np.ndarray, exclusive: bool = False) -> ClassMaps:
    logits = np.asarray(logits, np.float32)
    prompts = [Prompt.of(target=target) for target in range(1, len(logits) + 1)]
    return predict_classes(Given(logits), {"image": torch.zeros(1)}, prompts, (len(logits), SIDE, SIDE), exclusive)


def stored(maps: ClassMaps) -> np.ndarray:
    return records.unpack(records.Prediction("a", maps.packed(), "[]"), len(maps.probability))


def shuffled(*logits: float) -> np.ndarray:
    """These logits in another order at each pixel, (len(logits), SIDE, SIDE)."""
    pixels = np.tile(np.array(logits, np.float32)[:, None], SIDE * SIDE)
    return np.random.default_rng(0).permuted(pixels, axis=0).reshape(-1, SIDE, SIDE)


def box(x0: float, y0: float, x1: float, y1: float) -> Prompt:
    return Prompt.of(Box(np.array([x0, y0, x1, y1], float)))


def test_masks_of_a_class_are_united_and_classes_without_prompts_are_zero(monkeypatch):
    model = BoxSegmenter(64, False)
    features = model.encode([None])
    prompts = [box(0, 0, 8, 8), box(24, 24, 32, 32), box(0, 0, 8, 8)]
    maps = predict_classes(model, features, prompts, (2, 32, 32)).probability
    assert maps.shape == (2, 32, 32) and maps[1].max() == 0
    high = 1 / (1 + np.exp(-4))
    np.testing.assert_allclose([maps[0, 3, 3], maps[0, 28, 28], maps[0, 16, 16]], [high, high, 1 - high], atol=1e-6)
    monkeypatch.setitem(batch_sizes.PROMPTS, "cpu", 2)  # does not change them
    assert np.array_equal(maps, predict_classes(model, features, prompts, (2, 32, 32)).probability)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize(
    "logits", [(6, 9, 20, 40), (40, 41, 42, 43), (5.6, 5.601, 5.602), (-2, -2.0001, -2.0002), (0.5, 0.500001)]
)
def test_the_class_with_the_highest_logit_is_stored_above_all_others(logits, exclusive):
    """Above a logit of 5.5 all are 255 when quantized, above 17 all are 1 in float32."""
    logits = shuffled(*logits)
    maps = maps_of(logits, exclusive)
    assert np.array_equal(label_map(stored(maps), 0.05), logits.argmax(axis=0) + 1)
    values = np.sort(stored(maps), axis=0)
    assert (values[-1] > values[-2]).all()
    assert np.array_equal(values[-1], records.quantize(maps.probability).max(axis=0))  # the winner's is not changed


def test_of_equal_logits_the_lower_class_wins_and_values_of_zero_stay():
    maps = maps_of(np.stack([np.full((SIDE, SIDE), value) for value in (1.0, 30.0, 30.0, 30.0)]))
    assert (stored(maps) == np.array([187, 255, 254, 254])[:, None, None]).all()  # floor(256 / (1 + exp(-1))) = 187
    assert (stored(maps_of(shuffled(-9, -10, -11))) == 0).all()  # 256 / (1 + exp(9)) = 0.03
    assert (stored(maps_of(shuffled(-5.5, -5.4, -90)))[:, 0, 0].tolist()).count(1) == 1  # 256 / (1 + exp(5.4)) = 1.15


def test_thresholds_hold_exactly_for_the_winner():
    logits = np.random.default_rng(0).uniform(-8, 8, (5, SIDE, SIDE)).astype(np.float32)
    probability, values = torch.sigmoid(torch.from_numpy(logits)).numpy().max(axis=0), stored(maps_of(logits))
    for threshold in np.arange(1, 256) / 256:
        found = label_map(values, threshold)
        assert np.array_equal(found, np.where(probability >= threshold, logits.argmax(axis=0) + 1, 0))


def test_one_class_is_stored_as_the_floor_of_its_probability():
    logits = np.random.default_rng(0).uniform(-30, 30, (1, SIDE, SIDE)).astype(np.float32)
    floor = np.minimum(np.floor(torch.sigmoid(torch.from_numpy(logits)).numpy() * 256), 255).astype(np.uint8)
    assert maps_of(logits).packed() == image_io.encode_png(floor[0])


def test_background_without_a_prompt_is_what_no_other_class_claims():
    logits = np.zeros((3, SIDE, SIDE), np.float32)
    logits[0, :, 0], logits[0, :, 1], logits[2] = 20, -20, -30
    prompts = [Prompt.of(target=1), Prompt.of(target=3)]
    maps = predict_classes(Given(logits), {"image": torch.zeros(1)}, prompts, (3, SIDE, SIDE), background=1)
    assert maps.best[0].tolist() == [0, 1, *[0] * (SIDE - 2)]  # equal logits: the lower one
    np.testing.assert_allclose(maps.probability[1, 0, :3], [1 / (1 + np.exp(20)), 1 / (1 + np.exp(-20)), 0.5])
    names = ["dog", "background", "cat"]
    assert unprompted_background(names, prompts) == 1
    assert unprompted_background(names, []) is None and unprompted_background(["background"], prompts[:1]) is None
    assert unprompted_background(names, [Prompt.of(target=2)]) is None
    assert unprompted_background(["dog", "cow", "cat"], prompts) is None
