"""CLIPSeg on random weights: phrases, support images and both, against the forward pass of transformers."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from promptseg import models, prompts
from promptseg.models import clipseg
from promptseg.nn import lru_cache, text_encoder, visual_prompt
from promptseg.prompts import Prompt, PromptConfig, PromptSource
from promptseg.prompts.support import Support, SupportImage
from promptseg.prompts.text import Text
from refusing import refused
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor, ViTImageProcessor

RNG = np.random.default_rng(3)
IMAGE, OTHER = (np.kron(RNG.integers(0, 256, (15, 20, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(2))
MASK = np.zeros(IMAGE.shape[:2], np.uint8)
MASK[30:90, 40:130] = 1
ALL = ("darken", "blur", "crop")
SUPPORT = Support((SupportImage(OTHER, MASK == 1),), ALL, 0.75)
BESIDE_TEXT = replace(SUPPORT, weight=0.3)
FIRE = Text("fire")


@pytest.fixture(scope="module")
def released_layout():
    """The layout of CIDAS/clipseg-rd64-refined, whose inputs are larger than CLIP's, but narrow."""
    torch.manual_seed(0)
    vision = dict(patch_size=16, hidden_size=64, intermediate_size=96, num_attention_heads=4)
    config = CLIPSegConfig(
        text_config=text_encoder.TINY_TEXT, vision_config=vision, use_complex_transposed_convolution=True
    )
    assert tuple(config.extract_layers) == (3, 6, 9) and config.vision_config.image_size == 224
    return clipseg.ClipSeg(CLIPSegForImageSegmentation(config), text_encoder.letters(), clipseg.SIZE).eval()


@pytest.fixture
def tiny():
    return models.load("clipseg").create("tiny", 4)


@torch.no_grad()
def test_text_support_and_both_equal_transformers_own_logits(released_layout):
    """A support image is conditional_pixel_values; with text, conditional_embeddings are interpolated."""
    model, phrases = released_layout, ["fire", "black spots"]
    prompts = [*(Prompt.of(Text(phrase)) for phrase in phrases), Prompt.of(SUPPORT), Prompt.of(FIRE, BESIDE_TEXT)]
    logits = model.decode(model.encode([IMAGE]), [prompts])[0]
    query, pixels = model.transform.to_input([IMAGE, OTHER]).split(1)
    prepared = visual_prompt.prepare(pixels[0], model.transform.from_image(MASK, 352), ALL)
    ids = model.phrases.tokenizer(phrases, padding=True, return_tensors="pt")
    text = model.network(pixel_values=query.repeat(2, 1, 1, 1), **ids)
    support = model.network(pixel_values=query, conditional_pixel_values=prepared[None])
    condition = 0.7 * text.conditional_embeddings[:1] + 0.3 * support.conditional_embeddings
    both = model.network(pixel_values=query, conditional_embeddings=condition)
    expected = torch.cat([text.logits, *(each.logits.reshape(1, 352, 352) for each in (support, both))])
    scale = float(expected.std())
    assert min((a - b).abs().max() for a, b in itertools.combinations(expected, 2)) > 0.01 * scale
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * scale)


@torch.no_grad()
def test_a_support_image_without_processing_is_embedded_as_it_is(tiny):
    (condition,) = tiny._conditions([Prompt.of(replace(SUPPORT, visual_prompt=()))])
    pixels = tiny.transform.to_input([OTHER])
    assert torch.equal(condition, tiny.network.get_conditional_embeddings(1, conditional_pixel_values=pixels)[0])


def test_pixels_equal_those_of_the_processor(tiny):
    size, mean, std = tiny.transform.size, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    images = ViTImageProcessor(size={"height": size, "width": size}, image_mean=mean, image_std=std)
    processor = CLIPSegProcessor(images, tiny.phrases.tokenizer)
    image, other = Image.fromarray(IMAGE), Image.fromarray(OTHER)
    inputs = processor(images=image, visual_prompt=other, return_tensors="pt")
    expected = torch.cat([inputs["pixel_values"], inputs["conditional_pixel_values"]])
    assert (tiny.transform.to_input([IMAGE, OTHER]) - expected).abs().max() < 1.2 / 57  # one gray level is 1 / 58


def test_a_support_image_is_embedded_once_however_often_it_is_read(tiny, monkeypatch):
    features, embed, calls = tiny.encode([IMAGE]), tiny.support_embeddings._embed, []
    monkeypatch.setattr(tiny.support_embeddings, "_embed", lambda supports: calls.append(supports) or embed(supports))
    again = replace(SUPPORT, images=(SupportImage(OTHER.copy(), MASK == 1),))
    first, second = (tiny.decode(features, [[Prompt.of(support)]]) for support in (SUPPORT, again))
    assert torch.equal(first, second) and len(calls) == 1
    other_mask, other_image = SupportImage(OTHER, MASK == 0), SupportImage(IMAGE, MASK == 1)
    for change in ({"images": (other_mask,)}, {"images": (other_image,)}, {"visual_prompt": ()}):
        other = tiny.decode(features, [[Prompt.of(replace(SUPPORT, **change))]])
        assert not torch.allclose(other, first, atol=1e-7)
    assert len(calls) == 4


def test_several_support_images_count_the_same_and_in_any_order(tiny):
    shown = [SupportImage(OTHER, MASK == 1), SupportImage(IMAGE, MASK == 1), SupportImage(OTHER, MASK == 0)]
    alone = [tiny._support_embedding(replace(SUPPORT, images=(image,))) for image in shown]
    together = tiny._support_embedding(replace(SUPPORT, images=tuple(shown)))
    mean = sum(embedding / embedding.norm() for embedding in alone)
    expected = mean / mean.norm() * sum(embedding.norm() for embedding in alone) / 3
    torch.testing.assert_close(together, expected)
    torch.testing.assert_close(tiny._support_embedding(replace(SUPPORT, images=tuple(shown[::-1]))), together)
    twice = tiny._support_embedding(replace(SUPPORT, images=(shown[0], shown[0])))
    torch.testing.assert_close(twice, alone[0])
    logits = tiny.decode(tiny.encode([IMAGE]), [[Prompt.of(replace(SUPPORT, images=tuple(shown)))]])
    assert not torch.allclose(logits, tiny.decode(tiny.encode([IMAGE]), [[Prompt.of(SUPPORT)]]), atol=1e-6)


def test_an_embedding_that_is_longer_than_others_does_not_outweigh_them():
    mean = clipseg.mean_embedding(torch.tensor([[30.0, 0.0], [0.0, 10.0]]))
    torch.testing.assert_close(mean, torch.tensor([20.0, 20.0]) / 2**0.5)


def test_new_phrases_of_an_image_form_one_batch_and_are_embedded_once(tiny, monkeypatch):
    embed, calls = tiny.phrases._embed, []
    monkeypatch.setattr(tiny.phrases, "_embed", lambda texts: calls.append(texts) or embed(texts))
    long = "a phrase that is much longer than the other phrases"
    rows = [["a", long, "a"], ["b"], ["a"]]
    conditions = [tiny._conditions([Prompt.of(Text(phrase)) for phrase in row]) for row in rows]
    assert calls == [["a", long], ["b"]]
    assert torch.equal(conditions[0][0], conditions[0][2]) and torch.equal(conditions[0][0], conditions[2][0])
    for row, of_row in zip(rows, conditions):
        for phrase, condition in zip(row, of_row):
            torch.testing.assert_close(condition, embed([phrase])[0])


def test_the_number_of_cached_embeddings_is_bounded(tiny, monkeypatch):
    monkeypatch.setattr(lru_cache, "MAX_ENTRIES", 2)
    features = tiny.encode([IMAGE])
    for steps in ((), ("darken",), ("blur",)):
        tiny.decode(features, [[Prompt.of(replace(SUPPORT, visual_prompt=steps))]])
    assert len(tiny.support_embeddings._entries) == 2
    tiny.decode(features, [[Prompt.of(Text(phrase), target=i) for i, phrase in enumerate(("a", "b", "c"), 1)]])
    assert list(tiny.phrases._entries) == ["b", "c"]


def build(settings: dict, mask=MASK, classes=("thing",), support_mask=MASK):
    shown = [target for target in range(1, len(classes) + 1) if (support_mask == target).any()]
    support = {target: [SupportImage(OTHER, support_mask == target)] for target in shown}
    source = PromptSource("id", mask, list(classes), 0, text="a thing", support=support)
    return prompts.build_prompts(PromptConfig(**settings), source)


def test_the_support_image_becomes_the_prompt_and_the_mask_its_region():
    mask = np.roll(MASK, 20, axis=1)
    (prompt,), (region,) = build({"support": True, "visual_prompt": ["crop"]}, mask)
    support = prompt.get("support")
    assert list(prompt.parts) == ["support"] and (support.visual_prompt, support.weight) == (("crop",), 1.0)
    assert np.array_equal(region.full(), mask == 1)
    (shown,) = support.images
    assert np.array_equal(shown.image, OTHER) and np.array_equal(shown.mask, MASK == 1)
    (prompt,), _ = build({"support": True, "text": "caption", "image_weight": 0.5})
    text, support = prompt.get("text"), prompt.get("support")
    assert (text.phrase, support.weight, support.visual_prompt) == ("a thing", 0.5, ALL)
    stored = prompts.to_json([prompt])
    assert stored == '[{"target": 1, "text": "a thing", "support": 0.5}]' == prompts.to_json(prompts.from_json(stored))


def test_a_class_that_the_support_image_does_not_show_is_prompted_for_by_text_alone():
    mask, classes = np.full_like(MASK, 2), ("one", "two")
    built, regions = build({"support": True}, mask, classes)
    assert [prompt.target for prompt in built] == [1] and not regions[0].full().any()
    built, _ = build({"support": True, "text": "class"}, mask, classes)
    parts = [(prompt.get("text").phrase, list(prompt.parts)) for prompt in built]
    assert parts == [("one", ["text", "support"]), ("two", ["text"])]
    refused(lambda: build({"support": True}, support_mask=MASK * 0), "id: no support image of it shows thing")
