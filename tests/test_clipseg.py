"""CLIPSeg at its true size, on random weights: phrases, support pictures and their mixes against transformers' own."""

import numpy as np
import pytest
import torch
from promptseg import models, prompts
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.evaluation import scores
from promptseg.inference import prediction
from promptseg.models import clipseg
from promptseg.nn import lru_cache, text_encoder, visual_prompt
from promptseg.prompts import Prompt, SupportExample

RNG = np.random.default_rng(3)
PICTURE, OTHER = (np.kron(RNG.integers(0, 256, (15, 20, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(2))
HEIGHT, WIDTH = PICTURE.shape[:2]
SHOWN = np.zeros((HEIGHT, WIDTH), np.uint8)
SHOWN[30:90, 40:130] = 1
ALL = ("darken", "blur", "crop")
EXAMPLE = SupportExample(OTHER, SHOWN == 1, ALL)


@pytest.fixture(scope="module")
def large():
    """The layout of CIDAS/clipseg-rd64-refined, and CLIP's tokenizer without its merges."""
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

    torch.manual_seed(0)
    ends = {"pad_token_id": 513, "bos_token_id": 512, "eos_token_id": 513}
    config = CLIPSegConfig(text_config=ends, vision_config={"patch_size": 16}, use_complex_transposed_convolution=True)
    model = clipseg.ClipSeg(CLIPSegForImageSegmentation(config), text_encoder.letters(), clipseg.SIZE).eval()
    with torch.no_grad():  # as initialised, logits are in the hundreds
        model.network.decoder.transposed_convolution[-1].weight /= 500
    return model


@pytest.fixture
def tiny():
    return models.load("clipseg").create("tiny", 4)


@torch.no_grad()
def test_phrases_examples_and_mixes_give_transformers_own_logits(large):
    """An example is conditional_pixel_values, prepared or plain; a mix is conditional_embeddings by its formula."""
    asked = [Prompt(text="fire"), Prompt(example=EXAMPLE), Prompt(text="fire", example=EXAMPLE, mix=0.3)]
    found = large.decode(large.encode([PICTURE]), [asked])[0]
    query, pixels = large.frame.pixels([PICTURE]), large.frame.pixels([OTHER])
    prepared = visual_prompt.prepare(pixels[0], large.frame.from_picture(SHOWN, 352), ALL)
    ids = large.phrases.tokenizer(["fire", "black spots"], padding=True, return_tensors="pt")
    text = large.network.get_conditional_embeddings(batch_size=2, **ids)[:1]
    shown = large.network(pixel_values=query, conditional_pixel_values=prepared[None])
    condition = torch.cat([text, 0.7 * text + 0.3 * shown.conditional_embeddings])
    words, mixed = large.network(pixel_values=query.repeat(2, 1, 1, 1), conditional_embeddings=condition).logits
    expected = torch.stack([words, shown.logits.reshape(352, 352), mixed])
    assert min((a - b).abs().max() for a, b in zip(expected, expected[1:])) > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_plain_example_is_the_picture_as_it_is(tiny):
    (found,) = tiny._conditions([Prompt(example=SupportExample(OTHER, SHOWN == 1, ()))])
    pixels = tiny.frame.pixels([OTHER])
    assert torch.equal(found, tiny.network.get_conditional_embeddings(1, conditional_pixel_values=pixels)[0])


def test_conditional_pixels_equal_those_of_the_processor(tiny):
    from PIL import Image
    from transformers import CLIPSegProcessor, ViTImageProcessor

    size = tiny.frame.size
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    processor = CLIPSegProcessor(
        ViTImageProcessor(size={"height": size, "width": size}, image_mean=mean, image_std=std), tiny.phrases.tokenizer
    )
    inputs = processor(images=Image.fromarray(PICTURE), visual_prompt=Image.fromarray(OTHER), return_tensors="pt")
    expected = inputs["conditional_pixel_values"]
    assert (tiny.frame.pixels([OTHER]) - expected).abs().max() < 1.2 / 57  # one gray level is 1 / 58


def test_an_example_is_embedded_once_however_often_it_is_read(tiny, monkeypatch):
    features, real, calls = tiny.encode([PICTURE]), tiny.examples._embed, []
    monkeypatch.setattr(tiny.examples, "_embed", lambda examples: calls.append(examples) or real(examples))
    again = SupportExample(OTHER.copy(), SHOWN == 1, ALL)
    first, second = (tiny.decode(features, [[Prompt(example=example)]]) for example in (EXAMPLE, again))
    assert torch.equal(first, second) and len(calls) == 1
    different = [SupportExample(OTHER, SHOWN == 0, ALL), SupportExample(PICTURE, SHOWN == 1, ALL), SupportExample(OTHER, SHOWN == 1, ())]
    for example in different:
        assert not torch.allclose(tiny.decode(features, [[Prompt(example=example)]]), first, atol=1e-7)
    assert len(calls) == 4


def test_new_phrases_of_a_picture_go_through_together_and_each_once(tiny, monkeypatch):
    real, calls = tiny.phrases._embed, []
    monkeypatch.setattr(tiny.phrases, "_embed", lambda texts: calls.append(texts) or real(texts))
    long = "a phrase that is a good deal longer than the others"
    rows = [[Prompt(1, text="a"), Prompt(2, text=long), Prompt(3, text="a")], [Prompt(text="b")], [Prompt(text="a")]]
    found = [tiny._conditions(row) for row in rows]
    assert calls == [["a", long], ["b"]]
    assert torch.equal(found[0][0], found[0][2]) and torch.equal(found[0][0], found[2][0])
    for row, conditions in zip(rows, found):
        for prompt, condition in zip(row, conditions):
            torch.testing.assert_close(condition, real([prompt.text])[0])


def test_embeddings_that_are_kept_are_bounded(tiny, monkeypatch):
    monkeypatch.setattr(lru_cache, "MOST", 2)
    features = tiny.encode([PICTURE])
    for prepare in ((), ("darken",), ("blur",)):
        tiny.decode(features, [[Prompt(example=SupportExample(OTHER, SHOWN == 1, prepare))]])
    assert len(tiny.examples._known) == 2
    tiny.decode(features, [[Prompt(i, text=text) for i, text in enumerate(("a", "b", "c"), 1)]])
    assert list(tiny.phrases._known) == ["b", "c"]


def test_a_mix_lies_between_its_two_ends(tiny):
    mix = Prompt(text="fire", example=EXAMPLE, mix=0.25)
    text, shown, mixed = tiny._conditions([Prompt(text="fire"), Prompt(example=EXAMPLE), mix])
    torch.testing.assert_close(mixed, 0.75 * text + 0.25 * shown)


def test_several_phrases_compete_and_background_is_where_none_is_sure(tiny):
    """Each pixel takes the phrase of the highest probability, or background where that is below a half."""
    with torch.no_grad():
        asked = [Prompt(1, text="a cat"), Prompt(2, text="a dog"), Prompt(3, text="a cow")]
        features = tiny.encode([PICTURE])
        logits = tiny.frame.to_picture(tiny.decode(features, [asked])[0], HEIGHT, WIDTH)
        tiny.network.decoder.transposed_convolution[-1].bias -= logits.amax(0).median()  # so that half is background
        logits = tiny.frame.to_picture(tiny.decode(features, [asked])[0], HEIGHT, WIDTH)
        maps = prediction.probabilities(tiny, features, asked, 3, HEIGHT, WIDTH)
    stored = np.minimum(np.floor(maps * 256), 255).astype(np.uint8)
    expected = torch.where(logits.amax(0) >= 0, logits.argmax(0) + 1, 0).numpy()
    found = scores.predicted(stored)
    close = np.ptp(stored, axis=0) == 0  # of equal bytes the lower class is taken
    assert (found == expected)[~close].mean() > 0.9 and 0.4 < (found == 0).mean() < 0.6
    assert ((found == 0) == (expected == 0)).mean() > 0.99


# --- from settings and rows


def asked(settings: dict, mask=SHOWN, classes=("thing",), shown=SHOWN, own="a thing"):
    return prompts.ask(params.Prompt(**settings), mask, list(classes), 0, "id", own, (OTHER, shown))


def test_the_support_picture_becomes_the_prompt_and_the_mask_its_answer():
    mask = np.roll(SHOWN, 20, axis=1)
    (prompt,), (answer,) = asked({"support": True, "prepare": ["crop"]}, mask)
    assert prompt.text is None and prompt.example.prepare == ("crop",) and np.array_equal(answer, mask == 1)
    assert np.array_equal(prompt.example.image, OTHER) and np.array_equal(prompt.example.mask, SHOWN == 1)
    (prompt,), _ = asked({"support": True, "text": "own", "mix": 0.5})
    assert (prompt.text, prompt.mix, prompt.example.prepare) == ("a thing", 0.5, ALL)
    assert prompts.to_json([prompt]) == '[{"target": 1, "text": "a thing", "support": 0.5}]'


def test_a_class_that_the_support_picture_does_not_show():
    mask, classes = np.full_like(SHOWN, 2), ("one", "two")
    found, answers = asked({"support": True}, mask, classes)
    assert [prompt.target for prompt in found] == [1] and not answers[0].any()
    found, _ = asked({"support": True, "text": "class"}, mask, classes)
    assert [(prompt.text, prompt.example is None) for prompt in found] == [("one", False), ("two", True)]
    with pytest.raises(UserError, match="id: its support picture shows none of thing"):
        asked({"support": True}, shown=SHOWN * 0)
