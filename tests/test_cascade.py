"""Cascades: what the second network is asked about a map, where that lies in its frame, how its answers are united."""

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.data import masks, records
from promptseg.inference import cascade, embedding_cache, refine_prompts
from promptseg.nn import image_transform
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt

SIDE = 64  # of the stand-ins' maps


class Told(Segmenter):
    """Answers with a map that it is told."""

    def __init__(self, logits: np.ndarray):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(logits, dtype=torch.float32), requires_grad=False)

    def encode(self, images):
        return {"nothing": torch.zeros(len(images), 1)}

    def decode(self, features, prompts):
        return self.logits.expand(len(prompts), len(prompts[0]), *self.logits.shape)


class Asked(Segmenter):
    """Notes what it is asked, and answers 3 inside the box, or the mask, and -3 elsewhere."""

    def __init__(self, keep_aspect: bool):
        super().__init__()
        self.frame, self.side, self.prompts = image_transform.ImageTransform(256, keep_aspect, (0, 0, 0), (1, 1, 1)), 256, []

    def encode(self, images):
        return {"image": torch.zeros(len(images), 1)}

    def decode(self, features, prompts):
        self.prompts += prompts[0]
        out = torch.full((1, len(prompts[0]), 256, 256), -3.0)
        for logits, prompt in zip(out[0], prompts[0]):
            if prompt.mask is not None:
                logits[prompt.mask > 0.5] = 3.0
            else:
                x0, y0, x1, y1 = prompt.box.round().astype(int)
                logits[y0:y1, x0:x1] = 3.0
        return out


def blobs(*boxes) -> np.ndarray:
    """Logits of 4 in the boxes (x0, y0, x1, y1), and -4 elsewhere."""
    out = np.full((SIDE, SIDE), -4.0)
    for x0, y0, x1, y1 in boxes:
        out[y0:y1, x0:x1] = 4.0
    return out


def ask(logits, size=(40, 80), keep_aspect=True, by="box", **refine):
    """The logits over a picture of this size, the answer there as bool, and what was asked of the second network."""
    model = cascade.Cascade(Told(logits), Asked(keep_aspect))
    asked = [[Prompt(refine=params.Refine(by=by, **refine))]]
    found = model.decode(model.encode([np.zeros(size, np.uint8)]), asked)
    return found[0], (model.frame.to_picture(found[0], *size)[0] > 0).numpy(), model.refiner.prompts


@pytest.mark.parametrize(
    "size, keep_aspect, box",
    [
        ((40, 80), True, [64, 16, 128, 96]),  # the picture is the upper half of SAM's frame
        ((80, 40), True, [32, 32, 64, 192]),  # the left half
        ((40, 80), False, [64, 32, 128, 192]),
    ],
)
@pytest.mark.parametrize("by", ["box", "mask"])
def test_one_component_is_asked_for_by_its_place_in_the_frame(size, keep_aspect, box, by):
    _, answer, (asked,) = ask(blobs((16, 8, 32, 48)), size, keep_aspect, by)
    assert asked.box.tolist() == box if by == "box" else masks.box(asked.mask > 0.5) == tuple(box)
    expected = np.zeros(size, bool)
    height, width = size
    expected[height // 8 : height * 3 // 4, width // 4 : width // 2] = True
    assert np.array_equal(answer, expected)


def test_components_are_asked_one_by_one_and_united():
    _, answer, asked = ask(blobs((0, 0, 8, 8), (32, 32, 64, 64)))
    assert [one.box.tolist() for one in asked] == [[128, 64, 256, 128], [0, 0, 32, 16]]  # the largest first
    assert answer[:5, :10].all() and answer[20:, 40:].all() and answer.sum() == 50 + 800


def test_where_nothing_is_found_the_answer_is_empty_and_nothing_is_asked():
    logits, answer, asked = ask(blobs())
    assert not answer.any() and not asked and (logits == cascade.NOTHING).all() and logits.shape == (1, 256, 256)
    assert ask(blobs((5, 5, 7, 7)), min_share=0.01)[2] == []


def test_specks_and_what_is_beyond_the_most_are_left_out():
    boxes = (0, 0, 2, 2), (10, 10, 20, 20), (40, 40, 60, 60)
    assert len(ask(blobs(*boxes), min_share=4 / 64**2)[2]) == 3
    assert len(ask(blobs(*boxes), min_share=5 / 64**2)[2]) == 2
    assert len(ask(blobs(*boxes), min_share=0.0, most=1)[2]) == 1


def test_the_threshold_decides_what_a_component_is():
    logits = blobs((16, 16, 32, 32))
    logits[16:32, 32:48] = -1.0  # a probability of 0.27
    assert [ask(logits, threshold=t)[2][0].box.tolist()[2] for t in (0.5, 0.25)] == [128, 192]


def test_each_phrase_has_its_own_answer():
    model = cascade.Cascade(Told(blobs((0, 0, 64, 32))), Asked(False))
    maps = np.stack([np.zeros((SIDE, SIDE)), 1 / (1 + np.exp(-blobs((0, 0, 32, 64))))]).astype(np.float32)
    asked = [Prompt(refine=params.Refine(by="box"))] * 2
    found = model.refine(model.encode([np.zeros((9, 9), np.uint8)]), maps, asked) > 0
    assert not found[0].any() and found[1, :, :128].all() and not found[1, :, 128:].any()


def test_points_are_peaks_on_it_and_lows_beside_it():
    y, x = np.mgrid[:SIDE, :SIDE]
    hill = np.exp(-((x - 20.0) ** 2 + (y - 40.0) ** 2) / 128).astype(np.float32)
    (prompt,) = refine_prompts.prompts(hill, params.Refine(by="box + points", points=3))
    assert prompt.labels.tolist() == [1, 1, 1, 0, 0, 0]
    assert np.abs(prompt.points[0] - [20.5, 40.5]).max() <= 1
    values = hill[tuple((prompt.points - 0.5).astype(int).T[::-1])]
    assert (values[:3] >= 0.5).all() and (values[3:] < 0.5).all()
    assert len(np.unique(prompt.points, axis=0)) == 6
    room = refine_prompts.AROUND * np.tile(prompt.box[2:] - prompt.box[:2], 2)
    assert (prompt.points[3:] >= prompt.box[:2] - room[:2]).all()
    assert (prompt.points[3:] <= prompt.box[2:] + room[2:]).all()


def test_where_there_is_no_place_beside_it_the_lows_are_no_points():
    (prompt,) = refine_prompts.prompts(np.ones((8, 8), np.float32), params.Refine(by="points", points=2))
    assert prompt.labels.tolist() == [1, 1, -1, -1]


def test_a_component_of_one_pixel_repeats_its_only_peak():
    points = refine_prompts.highest(np.zeros((4, 4)), np.eye(4, dtype=bool) & (np.arange(4) == 2), 3)
    assert points.tolist() == [[2.5, 2.5]] * 3


@pytest.mark.parametrize("by", ["points", "mask", "box + points", "box + mask"])
@pytest.mark.parametrize("name", ["cascade_sam", "cascade_sam2"])
def test_every_way_of_asking_is_the_second_network_s_own_answer(name, by):
    """One component: what comes out is what SAM says by itself to the prompt that it should have been asked.

    A mask is scaled in the map and not in the picture, so that these are made of one size.
    """
    model = models.load(name).create("tiny", 0)
    height, width = (48, 48) if "mask" in by else (60, 90)
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    found = np.zeros((48, 48), np.float32)
    found[12:36, 6:30] = 0.9
    settings = params.Refine(by=by)
    with torch.no_grad():
        features = model.encode([picture])
        logits = model.refine(features, found[None], [Prompt(refine=settings)])[0]
        (prompt,) = refine_prompts.prompts(found, settings)
        scale = np.array([width, height]) / 48
        same = Prompt(
            points=None if prompt.points is None else prompt.points * scale,
            labels=prompt.labels,
            box=None if prompt.box is None else prompt.box * np.tile(scale, 2),
            mask=prompt.mask,
        )
        question = model.frame.prompt(same, height, width)
        alone = model.refiner.decode(model.refiner.encode([picture]), [[question]])[0, 0]
    torch.testing.assert_close(logits, alone, rtol=1e-3, atol=1e-3 * float(alone.std()))


@pytest.mark.parametrize("by", ["box", "mask"])  # not points: a network of random weights has no peaks, but plateaus
@pytest.mark.parametrize("name", ["cascade_sam", "cascade_sam2"])
def test_features_from_the_cache_give_the_answer_of_fresh_ones(name, by, blobs, tmp_path):
    model, path = models.load(name).create("tiny", 0), blobs("test", 2, (70, 41))
    pairs = records.pairs(path)
    asked = [[Prompt(text="disc", refine=params.Refine(by=by))]]
    with torch.no_grad():
        cached = embedding_cache.features(model, "digest", path, pairs, tmp_path / "cache", Processes())([1])
        fresh = model.encode([records.image(pairs[1])])
        assert cached["content"].tolist() == [[256, 150 if name == "cascade_sam" else 256]]
        one, other = (model.decode(features, asked) for features in (cached, fresh))
    assert (other > cascade.NOTHING).all() and other.std() > 0
    torch.testing.assert_close(one, other, rtol=0, atol=0.1 * float(other.std()))


def test_the_largest_frame_s_size_survives_the_cache():
    """Half precision has every whole number up to 2048."""
    sizes = torch.arange(1, 2049, dtype=torch.float32)
    assert torch.equal(sizes.to(torch.float16).float(), sizes)


def test_a_change_of_either_encoder_is_another_cache(blobs, tmp_path, monkeypatch):
    model, path = models.load("cascade_sam").create("tiny", 0), blobs("test", 1)
    real = embedding_cache._code_digest
    for changed in (None, "ClipSeg", "Sam", "Cascade"):
        monkeypatch.setattr(
            embeddings, "_code_digest", lambda kind, c=changed: "new" if kind.__name__ == c else real(kind)
        )
        embedding_cache.features(model, "digest", path, records.pairs(path), tmp_path / "cache", Processes())
    assert len([folder for folder in (tmp_path / "cache").iterdir() if folder.is_dir()]) == 4
