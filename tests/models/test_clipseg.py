"""CLIPSeg at its full size on random weights: phrases, support images and both, against transformers' own forward."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from promptseg import models, prompts
from promptseg.core.errors import UserError
from promptseg.inference import prediction
from promptseg.models import clipseg
from promptseg.nn import lru_cache, text_encoder, visual_prompt
from promptseg.prompts import Prompt, PromptConfig, PromptSource
from promptseg.prompts.support import Support
from promptseg.prompts.text import Text

RNG = np.random.default_rng(3)
IMAGE, OTHER = (np.kron(RNG.integers(0, 256, (15, 20, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(2))
HEIGHT, WIDTH = IMAGE.shape[:2]
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)
MASK[30:90, 40:130] = 1
ALL = ("darken", "blur", "crop")
SUPPORT = Support(OTHER, MASK == 1, ALL, 0.75)
FIRE = Text("fire")


@pytest.fixture(scope="module")
def large():
    """The layout of CIDAS/clipseg-rd64-refined, and CLIP's tokenizer without its merges."""
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

    torch.manual_seed(0)
    ends = {"pad_token_id": 513, "bos_token_id": 512, "eos_token_id": 513}
    config = CLIPSegConfig(text_config=ends, vision_config={"patch_size": 16}, use_complex_transposed_convolution=True)
    model = clipseg.ClipSeg(CLIPSegForImageSegmentation(config), text_encoder.letters(), clipseg.SIZE).eval()
    with torch.no_grad():  # as initialized, logits are in the hundreds
        model.network.decoder.transposed_convolution[-1].weight /= 500
    return model


@pytest.fixture
def tiny():
    return models.load("clipseg").create("tiny", 4)


@torch.no_grad()
def test_text_support_and_both_equal_transformers_own_logits(large):
    """A support image is conditional_pixel_values; with text, conditional_embeddings are interpolated."""
    both = Prompt.of(FIRE, replace(SUPPORT, weight=0.3))
    logits = large.decode(large.encode([IMAGE]), [[Prompt.of(FIRE), Prompt.of(SUPPORT), both]])[0]
    query, pixels = large.transform.to_input([IMAGE]), large.transform.to_input([OTHER])
    prepared = visual_prompt.prepare(pixels[0], large.transform.from_image(MASK, 352), ALL)
    ids = large.phrases.tokenizer(["fire", "black spots"], padding=True, return_tensors="pt")
    text = large.network.get_conditional_embeddings(batch_size=2, **ids)[:1]
    support = large.network(pixel_values=query, conditional_pixel_values=prepared[None])
    condition = torch.cat([text, 0.7 * text + 0.3 * support.conditional_embeddings])
    of_text, of_both = large.network(pixel_values=query.repeat(2, 1, 1, 1), conditional_embeddings=condition).logits
    expected = torch.stack([of_text, support.logits.reshape(352, 352), of_both])
    assert min((a - b).abs().max() for a, b in zip(expected, expected[1:])) > 1e-3
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_support_image_without_processing_is_embedded_as_it_is(tiny):
    (condition,) = tiny._conditions([Prompt.of(replace(SUPPORT, visual_prompt=()))])
    pixels = tiny.transform.to_input([OTHER])
    assert torch.equal(condition, tiny.network.get_conditional_embeddings(1, conditional_pixel_values=pixels)[0])


def test_conditional_pixels_equal_those_of_the_processor(tiny):
    from PIL import Image
    from transformers import CLIPSegProcessor, ViTImageProcessor

    size = tiny.transform.size
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    processor = CLIPSegProcessor(
        ViTImageProcessor(size={"height": size, "width": size}, image_mean=mean, image_std=std), tiny.phrases.tokenizer
    )
    inputs = processor(images=Image.fromarray(IMAGE), visual_prompt=Image.fromarray(OTHER), return_tensors="pt")
    expected = inputs["conditional_pixel_values"]
    assert (tiny.transform.to_input([OTHER]) - expected).abs().max() < 1.2 / 57  # one gray level is 1 / 58


def test_a_support_image_is_embedded_once_however_often_it_is_read(tiny, monkeypatch):
    features, embed, calls = tiny.encode([IMAGE]), tiny.support_embeddings._embed, []
    monkeypatch.setattr(tiny.support_embeddings, "_embed", lambda supports: calls.append(supports) or embed(supports))
    again = replace(SUPPORT, image=OTHER.copy(), mask=MASK == 1)
    first, second = (tiny.decode(features, [[Prompt.of(support)]]) for support in (SUPPORT, again))
    assert torch.equal(first, second) and len(calls) == 1
    changes = {"mask": MASK == 0}, {"image": IMAGE}, {"visual_prompt": ()}
    for change in changes:
        other = tiny.decode(features, [[Prompt.of(replace(SUPPORT, **change))]])
        assert not torch.allclose(other, first, atol=1e-7)
    assert len(calls) == 4


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


def test_text_with_support_is_interpolated(tiny):
    both = Prompt.of(FIRE, replace(SUPPORT, weight=0.25))
    text, support, mixed = tiny._conditions([Prompt.of(FIRE), Prompt.of(SUPPORT), both])
    torch.testing.assert_close(mixed, 0.75 * text + 0.25 * support)


def test_phrases_compete_and_background_is_where_no_probability_reaches_a_half(tiny):
    """Each pixel takes the class of the highest probability, or background where that is below a half."""
    with torch.no_grad():
        prompts = [Prompt.of(Text(phrase), target=i) for i, phrase in enumerate(("a cat", "a dog", "a cow"), 1)]
        features = tiny.encode([IMAGE])
        logits = tiny.transform.to_image(tiny.decode(features, [prompts])[0], HEIGHT, WIDTH)
        tiny.network.decoder.transposed_convolution[-1].bias -= logits.amax(0).median()  # so that half is background
        logits = tiny.transform.to_image(tiny.decode(features, [prompts])[0], HEIGHT, WIDTH)
        maps = prediction.probability_maps(tiny, features, prompts, (3, HEIGHT, WIDTH))
    stored = np.minimum(np.floor(maps * 256), 255).astype(np.uint8)
    expected = torch.where(logits.amax(0) >= 0, logits.argmax(0) + 1, 0).numpy()
    labels = np.where(stored.max(axis=0) >= 128, stored.argmax(axis=0) + 1, 0)
    tie = np.ptp(stored, axis=0) == 0  # of equal bytes the lower class is taken
    assert (labels == expected)[~tie].mean() > 0.9 and 0.4 < (labels == 0).mean() < 0.6
    assert ((labels == 0) == (expected == 0)).mean() > 0.99


# Prompts from settings and records.


def build(settings: dict, mask=MASK, classes=("thing",), support_mask=MASK):
    source = PromptSource("id", mask, list(classes), 0, text="a thing", support=(OTHER, support_mask))
    return prompts.build_prompts(PromptConfig(**settings), source)


def test_the_support_image_becomes_the_prompt_and_the_mask_its_region():
    mask = np.roll(MASK, 20, axis=1)
    (prompt,), (region,) = build({"support": True, "visual_prompt": ["crop"]}, mask)
    support = prompt.get("support")
    assert list(prompt.parts) == ["support"] and support.visual_prompt == ("crop",)
    assert np.array_equal(region.full(), mask == 1)
    assert np.array_equal(support.image, OTHER) and np.array_equal(support.mask, MASK == 1)
    (prompt,), _ = build({"support": True, "text": "caption", "image_weight": 0.5})
    text, support = prompt.get("text"), prompt.get("support")
    assert (text.phrase, support.weight, support.visual_prompt) == ("a thing", 0.5, ALL)
    assert prompts.to_json([prompt]) == '[{"target": 1, "text": "a thing", "support": 0.5}]'


def test_a_class_that_the_support_image_does_not_show():
    mask, classes = np.full_like(MASK, 2), ("one", "two")
    built, regions = build({"support": True}, mask, classes)
    assert [prompt.target for prompt in built] == [1] and not regions[0].full().any()
    built, _ = build({"support": True, "text": "class"}, mask, classes)
    assert [(prompt.get("text").phrase, list(prompt.parts)) for prompt in built] == [
        ("one", ["text", "support"]),
        ("two", ["text"]),
    ]
    with pytest.raises(UserError, match="id: its support image shows none of thing"):
        build({"support": True}, support_mask=MASK * 0)
