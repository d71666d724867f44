"""OWLv2 and Grounding DINO on random weights against transformers' processors, models and post-processing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from promptseg import models
from promptseg.inference.class_maps import predict_candidates, predict_classes
from promptseg.models import grounding_dino
from promptseg.nn import detector, visual_prompt
from promptseg.nn.segmenter import Detections, Features
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.support import Support, SupportImage
from promptseg.prompts.text import Text
from refusing import refused
from transformers import (
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Owlv2ImageProcessor,
    Owlv2Processor,
)

RNG = np.random.default_rng(3)
IMAGES = [np.kron(RNG.integers(0, 256, (*size, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for size in
          ((15, 20), (31, 18), (9, 40))]  # fmt: skip
PHRASES = ["a fire", "black spots", "?"]
DETECTORS = pytest.mark.parametrize("name", ["owlv2", "grounding_dino"])


@torch.no_grad()
def create(name: str) -> detector.Detector:
    """A tiny detector whose boxes and scores depend on image and phrase; as initialized, boxes of DINO do not."""
    model = models.load(name).create("tiny", 4)
    for key, parameter in model.network.named_parameters():
        if key.endswith("_param"):
            parameter.fill_(1.0)
        elif "bbox_embed" in key and "layers.2" in key:
            parameter.normal_(0, 0.2)
    return model.eval()


@pytest.fixture(scope="module")
def detectors():
    return {name: create(name) for name in ("owlv2", "grounding_dino")}


def found(model, image: np.ndarray, prompts: list[Prompt]) -> list[Detections]:
    """What a cascade gets, in pixels of the image."""
    with torch.no_grad():
        features = model.encode([image])
    return list(predict_classes(model, features, prompts, (len(prompts), *image.shape[:2])).detections)


def by_phrase(phrases: list[str]) -> list[Prompt]:
    return [Prompt.of(Text(phrase), target=target) for target, phrase in enumerate(phrases, 1)]


def lowest(score: float) -> float:
    """The score of a box of the lowest probability that is kept, where 0.5 is this score."""
    odds = score / (1 - score) * detector.LOWEST / (1 - detector.LOWEST)
    return odds / (1 + odds)


@torch.no_grad()
def expected(model, image: np.ndarray, phrases: list[str], score: float) -> dict:
    """Boxes, scores and the numbers of the phrases, as transformers' own processor and model have them."""
    picture, sizes = Image.fromarray(image), [image.shape[:2]]
    if model.NAME == "owlv2":
        side = model.transform.size
        processor = Owlv2Processor(Owlv2ImageProcessor(size={"height": side, "width": side}), model.phrases.tokenizer)
        inputs = processor(text=[phrases], images=picture, return_tensors="pt", max_length=16)
        return processor.post_process_grounded_object_detection(model.network(**inputs), score, sizes)[0]
    size = {"shortest_edge": model.transform.shortest, "longest_edge": model.transform.size}
    processor = GroundingDinoProcessor(GroundingDinoImageProcessor(size=size), model.tokenizer)
    inputs = processor(images=picture, text=[phrases], return_tensors="pt")
    out = model.network(**inputs)
    return processor.post_process_grounded_object_detection(out, inputs.input_ids, score, 0.25, target_sizes=sizes)[0]


def same(detections: Detections, boxes: torch.Tensor, scores: torch.Tensor) -> None:
    """The detections are these boxes, within a pixel, and scores."""
    order = torch.argsort(scores, descending=True, stable=True)[: detector.MAX_BOXES]
    assert len(order) == len(detections.scores) > 3
    np.testing.assert_allclose(detections.scores, scores[order], atol=1e-4)
    np.testing.assert_allclose(detections.boxes, boxes[order], atol=1.0)
    assert np.ptp(detections.boxes[:, 0]) > 3 and np.ptp(detections.scores) > 0.01, "any boxes would have passed"


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: "x".join(map(str, image.shape[:2])))
@DETECTORS
def test_boxes_and_scores_of_each_phrase_equal_those_of_the_processor_and_its_model(detectors, name, image):
    model = detectors[name]
    score = lowest(model.SCORES["text"])
    for phrase, detections in zip(PHRASES, found(model, image, by_phrase(PHRASES)), strict=True):
        theirs = expected(model, image, [phrase], score)
        same(detections, theirs["boxes"], theirs["scores"])


def test_phrases_that_owlv2_gets_together_keep_their_boxes_where_they_are_the_best(detectors):
    """The processor gives each box to its best phrase; here each phrase has all of its boxes."""
    theirs = expected(detectors["owlv2"], IMAGES[0], PHRASES, lowest(0.1))
    ours = found(detectors["owlv2"], IMAGES[0], by_phrase(PHRASES))
    assert len(theirs["labels"].unique()) > 1
    for box, score, label in zip(theirs["boxes"], theirs["scores"], theirs["labels"], strict=True):
        near = np.abs(ours[label].boxes - box.numpy()).max(axis=1) < 1.0
        assert np.abs(ours[label].scores[near] - float(score)).min() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("steps", [(), ("darken", "blur", "crop")], ids=["plain", "prepared"])
@pytest.mark.parametrize("shots", [1, 2])
def test_a_support_image_is_the_query_of_image_guided_detection(detectors, steps, shots):
    model, image = detectors["owlv2"], IMAGES[0]
    queries = []
    for shown in IMAGES[1 : 1 + shots]:
        mask = np.zeros(shown.shape[:2], bool)
        mask[20:60, 30:120] = True
        queries.append(SupportImage(shown, mask))
    (detections,) = found(model, image, [Prompt.of(Support(tuple(queries), steps, 1.0))])
    side, size = model.transform.size, torch.tensor([image.shape[:2]])
    processor = Owlv2Processor(Owlv2ImageProcessor(size={"height": side, "width": side}), model.phrases.tokenizer)
    outs = []
    for query in queries:
        shown = {"images": Image.fromarray(image), "query_images": Image.fromarray(query.image)}
        inputs = processor(**shown, return_tensors="pt")
        coverage = model.transform.from_image(query.mask, side)
        inputs["query_pixel_values"] = visual_prompt.prepare(inputs.query_pixel_values[0], coverage, steps)[None]
        outs.append(model.network.image_guided_detection(**inputs))
    outs[0].logits = torch.cat([out.logits for out in outs], dim=-1)
    highest = float(outs[0].logits.sigmoid().max())
    (theirs,) = processor.post_process_image_guided_detection(outs[0], lowest(0.9), 0.3, size)
    same(detections, theirs["boxes"], highest * (0.1 + 0.9 * theirs["scores"]))


@torch.no_grad()
def of_one_caption(model, image: np.ndarray, phrases: list[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Boxes and scores of each phrase, as transformers' processor and model have them of one caption of all."""
    size = {"shortest_edge": model.transform.shortest, "longest_edge": model.transform.size}
    processor = GroundingDinoProcessor(GroundingDinoImageProcessor(size=size), model.tokenizer)
    inputs = processor(images=Image.fromarray(image), text=[phrases], return_tensors="pt")
    out = model.network(**inputs)
    ends = (inputs.input_ids[0] == model.tokenizer.convert_tokens_to_ids(".")).nonzero().flatten().tolist()
    center, sides = out.pred_boxes[0].split(2, dim=-1)
    boxes = torch.cat([center - sides / 2, center + sides / 2], dim=-1) * torch.tensor([image.shape[1::-1]]).tile(2)
    found = []
    for start, end in zip([1, *(end + 1 for end in ends)], ends):
        scores = out.logits[0, :, start:end].sigmoid().amax(dim=-1)
        kept = scores > lowest(model.SCORES["text"])
        found.append((boxes[kept], scores[kept]))
    return found


def together(phrases: list[str]) -> list[Prompt]:
    return [replace(prompt, together=True) for prompt in by_phrase(phrases)]


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: "x".join(map(str, image.shape[:2])))
def test_phrases_that_grounding_dino_reads_together_have_their_tokens_of_one_caption(detectors, image):
    model = detectors["grounding_dino"]
    theirs = of_one_caption(model, image, PHRASES)
    ours = found(model, image, together(PHRASES))
    for detections, (boxes, scores) in zip(ours, theirs, strict=True):
        same(detections, boxes, scores)
    alone = found(model, image, by_phrase(PHRASES))
    assert np.abs(ours[0].scores[:30] - alone[0].scores[:30]).max() > 1e-3


def test_more_phrases_than_fit_in_a_caption_take_the_next_one(detectors, monkeypatch):
    """Letters are a token each, so that 240 of 256 tokens are taken by the first ten phrases with their dots."""
    model, image = detectors["grounding_dino"], IMAGES[0]
    phrases = [f"{letter * 23}" for letter in "abcdefghijklmnopqrstu"]
    captions, tokenize = [], type(model.tokenizer).__call__

    def recorded(self, text, **keys):
        captions.append(text)
        return tokenize(self, text, **keys)

    monkeypatch.setattr(type(model.tokenizer), "__call__", recorded)
    ours = found(model, image, together(phrases))
    groups = [phrases[:10], phrases[10:20], phrases[20:]]
    assert captions == [". ".join(group) + "." for group in groups]
    for group, own in zip(groups, (ours[:10], ours[10:20], ours[20:]), strict=True):
        for detections, (_, scores) in zip(own, of_one_caption(model, image, group), strict=True):
            highest = scores.sort(descending=True).values[: detector.MAX_BOXES]
            np.testing.assert_allclose(detections.scores, highest, atol=1e-4)


def test_candidates_whose_phrases_are_together_have_a_caption_each(detectors):
    model, image = detectors["grounding_dino"], IMAGES[0]
    candidates = [together(PHRASES[:2]), together(PHRASES[1:])]
    with torch.no_grad():
        features = model.encode([image])
    shared = predict_candidates(model, features, candidates, ["a", "b"], image.shape[:2])
    for maps, prompts in zip(shared, candidates, strict=True):
        expected = predict_classes(model, features, prompts, (2, *image.shape[:2]))
        np.testing.assert_array_equal(maps.probability, expected.probability)


@pytest.mark.parametrize("name, words", [("owlv2", "owlv2 reads each phrase by itself"), ("grounding_dino", None)])
def test_only_models_that_join_phrases_take_them_together(name, words):
    config = PromptConfig(text=["a fire", "smoke"], together=True)
    assert config.describe() == '"a fire", "smoke", all in one prompt'
    if words:
        refused(lambda: models.load(name).check_prompt(config), words)
    else:
        models.load(name).check_prompt(config)
    with pytest.raises(ValueError, match="together belongs to points and text"):
        PromptConfig(box=True, together=True)


class Drawn(detector.Detector):
    """Finds the boxes and scores that it is given, in pixels of an input of 40 x 40."""

    NAME, PROMPTS, SCORES = "drawn", frozenset({"text"}), {"text": 0.1}

    def __init__(self, *boxes: tuple[float, float, float, float, float], keep_aspect: bool = False):
        super().__init__()
        self.transform = detector.DetectorTransform(40, keep_aspect, (0, 0, 0), (1, 1, 1))
        self.rows, self.anchor = torch.tensor(boxes).reshape(-1, 5), torch.nn.Parameter(torch.zeros(1))

    def detect_image(self, features: Features, prompts: list[Prompt], scores: list[float]):
        for score in scores:
            kept = self.rows[self.rows[:, 4] > score]
            yield kept[:, :4], kept[:, 4]


def predicted(model, height: int, width: int):
    return predict_classes(model, {"image": torch.zeros(1, 1)}, by_phrase(["a"]), (1, height, width))


def test_a_pixel_has_the_highest_score_of_the_boxes_that_cover_it_with_the_default_score_at_a_half():
    maps = predicted(Drawn((0, 0, 20, 20, 0.1), (10, 10, 30, 30, 0.6), (25.4, 0, 40, 8.6, 0.01), (0, 0, 40, 40, 0.005)),
                     40, 40)  # fmt: skip
    high, low = (score / (1 - score) * 9 / (score / (1 - score) * 9 + 1) for score in (0.6, 0.01))
    drawn = np.zeros((40, 40))
    drawn[:9, 25:], drawn[:20, :20] = low, 0.5
    drawn[10:30, 10:30] = high
    np.testing.assert_allclose(maps.probability[0], drawn, atol=1e-6)
    (boxes,) = maps.detections
    np.testing.assert_allclose(boxes.scores, [0.6, 0.1, 0.01], rtol=1e-6)
    np.testing.assert_allclose(boxes.probability, [high, 0.5, low], rtol=1e-5)


@pytest.mark.parametrize("keep_aspect, box", [(True, (10, 5, 30, 15)), (False, (10, 10, 30, 30))])
def test_boxes_and_maps_are_mapped_to_the_image_without_blur(keep_aspect, box):
    maps = predicted(Drawn((*box, 0.5), keep_aspect=keep_aspect), 60, 120)
    np.testing.assert_allclose(maps.detections[0].boxes, [[30, 15, 90, 45]])
    drawn = np.zeros((60, 120))
    drawn[15:45, 30:90] = 0.9
    np.testing.assert_allclose(maps.probability[0], drawn, atol=1e-6)


def test_the_boxes_of_highest_score_are_kept_and_none_is_a_map_of_zeros():
    rows = [(i % 20, 0, 40, 40, 0.9 - i / 1000) for i in range(detector.MAX_BOXES + 5)]
    (boxes,) = predicted(Drawn(*rows), 40, 40).detections
    assert len(boxes.scores) == detector.MAX_BOXES and boxes.scores[0] == pytest.approx(0.9)
    assert (np.diff(boxes.scores) <= 0).all()
    nothing = predicted(Drawn(), 40, 40)
    assert nothing.detections[0].boxes.shape == (0, 4) and nothing.probability.max() < 1e-6


def test_grounding_dino_needs_the_vocabulary_of_its_tokenizer(tmp_path):
    refused(lambda: models.load("grounding_dino").convert(tmp_path), "vocab.txt: not found")
    tokenizer = models.load("grounding_dino").create("tiny", 0).tokenizer
    assert tokenizer("a b?")["input_ids"] == [101, *tokenizer.convert_tokens_to_ids(["a", "b", "?"]), 102]
    assert tokenizer.convert_tokens_to_ids([".", "?", "[UNK]"]) == [1012, 1029, 100]
    assert grounding_dino.TINY["text_config"]["vocab_size"] == len(tokenizer)


@DETECTORS
def test_the_backbone_is_the_network_s_own_again_after_a_prediction(detectors, name):
    model = detectors[name]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found(model, IMAGES[0], by_phrase(PHRASES))
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
